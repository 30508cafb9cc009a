//! What keeps users from being deleted. Whoever places or lifts one holds the user's row, as a deletion does.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct GuardRow {
    pub kind: String,
    pub reason: String,
    pub placed_by: String,
    pub placed_at: Timestamp,
}

/// At most one of each kind.
pub async fn list(conn: &Conn, project: ProjectId, user: UserId) -> Result<Vec<GuardRow>> {
    fetch_all!(
        conn,
        GuardRow,
        "SELECT kind, reason, placed_by, placed_at FROM deletion_guards
         WHERE project_id = $1 AND user_id = $2 LIMIT 10",
        project,
        user
    )
}

/// Whether anybody in the project is under a legal hold.
pub async fn is_any_held(conn: &Conn, project: ProjectId) -> Result<bool> {
    let held = fetch_optional!(
        conn,
        (UserId,),
        "SELECT user_id FROM deletion_guards WHERE project_id = $1 AND kind = 'legal_hold' LIMIT 1",
        project
    )?;
    Ok(held.is_some())
}

/// Adds one; no row when there is one of the kind already.
pub async fn insert(conn: &Conn, project: ProjectId, user: UserId, guard: &GuardRow) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO deletion_guards (project_id, user_id, kind, reason, placed_by, placed_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project_id, user_id, kind) DO NOTHING",
        project,
        user,
        &guard.kind,
        &guard.reason,
        &guard.placed_by,
        guard.placed_at
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, user: UserId, kind: &str) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM deletion_guards WHERE project_id = $1 AND user_id = $2 AND kind = $3",
        project,
        user,
        kind
    )
}
