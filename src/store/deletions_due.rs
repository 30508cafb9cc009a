//! Deletions that jobs look at: those whose day has come, and those that were executed a moment ago.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all};
use crate::error::Result;
use crate::ids::{DeletionId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// A deletion for a job to look at.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Due {
    pub project_id: ProjectId,
    pub id: DeletionId,
    pub user_id: UserId,
}

/// A scheduled deletion whose day has come.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Scheduled {
    pub project_id: ProjectId,
    pub id: DeletionId,
    pub execute_at: Timestamp,
}

/// Where a list of them goes on: behind the last one that was looked at.
pub type After = (Timestamp, DeletionId);

pub const BEGINNING: After = (Timestamp::from_unix(0), DeletionId(uuid::Uuid::nil()));

/// Scheduled deletions whose day has come, of all projects or of one, unless something keeps the user.
pub async fn list(
    conn: &Conn,
    project: Option<ProjectId>,
    now: Timestamp,
    (after, after_id): After,
    most: i64,
) -> Result<Vec<Scheduled>> {
    fetch_all!(
        conn,
        Scheduled,
        "SELECT d.project_id, d.id, d.execute_at FROM deletions d JOIN projects p ON p.id = d.project_id
         WHERE d.state = 'scheduled' AND d.execute_at <= $1 AND (d.execute_at, d.id) > ($2, $3)
           AND ($4 IS NULL OR d.project_id = $4) AND p.status <> 'deleted' AND NOT EXISTS (
             SELECT 1 FROM deletion_guards g WHERE g.project_id = d.project_id AND g.user_id = d.user_id)
         ORDER BY d.execute_at, d.id LIMIT $5",
        now,
        after,
        after_id,
        project,
        most
    )
}

/// A sandbox whose clock goes ahead of the machine's, in which a deletion waits for its day.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Ahead {
    pub id: ProjectId,
    /// In seconds.
    pub clock_offset: i64,
}

/// Sandboxes after `after`. Their seconds are added by the caller: the engines add to moments each in its own way.
pub async fn list_ahead(conn: &Conn, after: ProjectId, most: i64) -> Result<Vec<Ahead>> {
    fetch_all!(
        conn,
        Ahead,
        "SELECT p.id, p.clock_offset FROM projects p
         WHERE p.clock_offset > 0 AND p.status <> 'deleted' AND p.id > $1 AND EXISTS (
           SELECT 1 FROM deletions d WHERE d.project_id = p.id AND d.state = 'scheduled')
         ORDER BY p.id LIMIT $2",
        after,
        most
    )
}

/// Those of one project whose day has come by its own clock, also where something keeps the user.
pub async fn list_of_project(conn: &Conn, project: ProjectId, now: Timestamp, most: i64) -> Result<Vec<Due>> {
    fetch_all!(
        conn,
        Due,
        "SELECT project_id, id, user_id FROM deletions
         WHERE project_id = $1 AND state = 'scheduled' AND execute_at <= $2 ORDER BY execute_at LIMIT $3",
        project,
        now,
        most
    )
}

/// Projects after `after` in which a deletion waits for its day.
pub async fn list_projects(conn: &Conn, after: ProjectId, most: i64) -> Result<Vec<(ProjectId,)>> {
    fetch_all!(
        conn,
        (ProjectId,),
        "SELECT DISTINCT d.project_id FROM deletions d JOIN projects p ON p.id = d.project_id
         WHERE d.state = 'scheduled' AND d.project_id > $1 AND p.status <> 'deleted'
         ORDER BY d.project_id LIMIT $2",
        after,
        most
    )
}

/// No scheduled deletion of the project is executed before `until`.
pub async fn postpone(conn: &Conn, project: ProjectId, until: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE deletions SET execute_at = $1 WHERE project_id = $2 AND state = 'scheduled' AND execute_at < $1",
        until,
        project
    )
}

/// Takes a scheduled deletion whose day has come; of two callers one gets a row.
pub async fn take(conn: &Conn, project: ProjectId, now: Timestamp, id: DeletionId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE deletions SET state = 'executed', finished_at = $1
         WHERE project_id = $2 AND id = $3 AND state = 'scheduled' AND execute_at <= $1",
        now,
        project,
        id
    )
}

/// Executed before `before` and not yet looked at again.
pub async fn list_unswept(conn: &Conn, before: Timestamp, most: i64) -> Result<Vec<Due>> {
    fetch_all!(
        conn,
        Due,
        "SELECT project_id, id, user_id FROM deletions
         WHERE state = 'executed' AND swept_at IS NULL AND finished_at <= $1 ORDER BY finished_at LIMIT $2",
        before,
        most
    )
}

pub async fn mark_swept(conn: &Conn, project: ProjectId, now: Timestamp, id: DeletionId) -> Result<u64> {
    execute!(conn, "UPDATE deletions SET swept_at = $1 WHERE project_id = $2 AND id = $3", now, project, id)
}
