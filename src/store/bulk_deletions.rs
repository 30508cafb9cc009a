//! Deletions of many users at once. A unit that takes both holds the user's row first, then the row of the whole, and then
//! what is the user's own.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{BulkId, ProjectId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct Bulk {
    pub id: BulkId,
    pub state: String,
    pub method: String,
    /// Who asked.
    pub actor: String,
    pub confirmed_by: Option<String>,
    pub reason: String,
    pub notify: bool,
    /// Why users are not told.
    pub notify_reason: Option<String>,
    pub restore_days: i64,
    /// How many were asked for.
    pub users: i64,
    pub requested_at: Timestamp,
    pub expires_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Why it was called off, where nobody did.
    pub cancelled_because: Option<String>,
}

pub async fn find(conn: &Conn, project: ProjectId, id: BulkId) -> Result<Option<Bulk>> {
    fetch_optional!(
        conn,
        Bulk,
        "SELECT id, state, method, actor, confirmed_by, reason, notify, notify_reason, restore_days, users,
           requested_at, expires_at, confirmed_at, finished_at, cancelled_because
         FROM bulk_deletions WHERE project_id = $1 AND id = $2 AND state <> 'gathering'",
        project,
        id
    )
}

/// The one that waits for its confirmation; a project has at most one.
pub async fn find_pending(conn: &Conn, project: ProjectId) -> Result<Option<Bulk>> {
    fetch_optional!(
        conn,
        Bulk,
        "SELECT id, state, method, actor, confirmed_by, reason, notify, notify_reason, restore_days, users,
           requested_at, expires_at, confirmed_at, finished_at, cancelled_because
         FROM bulk_deletions WHERE project_id = $1 AND state = 'pending'",
        project
    )
}

/// Adds one whose users are still to be looked up.
pub async fn insert(conn: &Conn, project: ProjectId, bulk: &Bulk) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO bulk_deletions (project_id, id, state, method, actor, reason, notify, notify_reason,
           restore_days, users, requested_at, expires_at)
         VALUES ($1, $2, 'gathering', $3, $4, $5, $6, $7, $8, 0, $9, $10)",
        project,
        bulk.id,
        &bulk.method,
        &bulk.actor,
        &bulk.reason,
        bulk.notify,
        &bulk.notify_reason,
        bulk.restore_days,
        bulk.requested_at,
        bulk.expires_at
    )
}

/// Closes what was not confirmed in time.
pub async fn expire_stale(conn: &Conn, project: ProjectId, now: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE bulk_deletions SET state = 'expired', finished_at = $1
         WHERE project_id = $2 AND state = 'pending' AND expires_at <= $1",
        now,
        project
    )
}

/// Its users are known, and it waits for its confirmation.
pub async fn open(conn: &Conn, project: ProjectId, id: BulkId, users: i64) -> Result<u64> {
    execute!(
        conn,
        "UPDATE bulk_deletions SET state = 'pending', users = $1
         WHERE project_id = $2 AND id = $3 AND state = 'gathering'",
        users,
        project,
        id
    )
}

/// The confirmation: from now on the job deletes.
pub async fn start(conn: &Conn, project: ProjectId, now: Timestamp, id: BulkId, by: &str) -> Result<u64> {
    execute!(
        conn,
        "UPDATE bulk_deletions SET state = 'running', confirmed_by = $1, confirmed_at = $2
         WHERE project_id = $3 AND id = $4 AND state = 'pending'",
        by,
        now,
        project,
        id
    )
}

/// Ends one that is in the state `from`; of two callers one gets a row.
pub async fn close(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: BulkId,
    (from, to): (&str, &str),
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE bulk_deletions SET state = $1, finished_at = $2 WHERE project_id = $3 AND id = $4 AND state = $5",
        to,
        now,
        project,
        id,
        from
    )
}

/// Calls off one that runs, by itself.
pub async fn stop(conn: &Conn, project: ProjectId, now: Timestamp, id: BulkId, why: &str) -> Result<u64> {
    execute!(
        conn,
        "UPDATE bulk_deletions SET state = 'cancelled', finished_at = $1, cancelled_because = $2
         WHERE project_id = $3 AND id = $4 AND state = 'running'",
        now,
        why,
        project,
        id
    )
}

/// Locks one that runs until the unit ends, so that nobody cancels it meanwhile. No row: it runs no longer.
pub async fn hold(conn: &Conn, project: ProjectId, id: BulkId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE bulk_deletions SET users = users WHERE project_id = $1 AND id = $2 AND state = 'running'",
        project,
        id
    )
}

/// One for the job to go on with.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Running {
    pub project_id: ProjectId,
    pub id: BulkId,
}

/// What runs, of each project the oldest.
pub async fn list_running(conn: &Conn, most: i64) -> Result<Vec<Running>> {
    fetch_all!(
        conn,
        Running,
        "SELECT b.project_id, b.id FROM bulk_deletions b JOIN projects p ON p.id = b.project_id
         WHERE b.state = 'running' AND p.status <> 'deleted' AND NOT EXISTS (
           SELECT 1 FROM bulk_deletions o WHERE o.project_id = b.project_id AND o.state = 'running'
             AND (o.confirmed_at < b.confirmed_at OR (o.confirmed_at = b.confirmed_at AND o.id < b.id)))
         ORDER BY b.confirmed_at LIMIT $1",
        most
    )
}

/// Removes one with up to 500 of its users; gives whether there was more than that.
pub async fn remove(conn: &Conn, project: ProjectId, id: BulkId) -> Result<bool> {
    let users = execute!(
        conn,
        "DELETE FROM bulk_deletion_users WHERE project_id = $1 AND bulk_id = $2 AND user_id IN (
           SELECT user_id FROM bulk_deletion_users WHERE project_id = $1 AND bulk_id = $2 LIMIT 500)",
        project,
        id
    )?;
    if users < 500 {
        execute!(conn, "DELETE FROM bulk_deletions WHERE project_id = $1 AND id = $2", project, id)?;
    }
    Ok(users >= 500)
}

/// Those that ended before `end`, the oldest first: what was confirmed, or what never was.
pub async fn list_ended(conn: &Conn, end: Timestamp, confirmed: bool) -> Result<Vec<Running>> {
    fetch_all!(
        conn,
        Running,
        "SELECT project_id, id FROM bulk_deletions
         WHERE expires_at <= $1 AND state <> 'running' AND (confirmed_at IS NOT NULL) = $2
         ORDER BY expires_at LIMIT 1",
        end,
        confirmed
    )
}
