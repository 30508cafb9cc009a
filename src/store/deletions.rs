//! Requested deletions, and what goes with a user.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::{DeletionId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct Deletion {
    pub id: DeletionId,
    pub user_id: UserId,
    pub user_version: i64,
    pub state: String,
    pub actor: String,
    pub reason: String,
    pub impact: String,
    pub expires_at: Timestamp,
}

pub async fn find(conn: &Conn, project: ProjectId, id: DeletionId) -> Result<Option<Deletion>> {
    fetch_optional!(
        conn,
        Deletion,
        "SELECT id, user_id, user_version, state, actor, reason, impact, expires_at
         FROM deletions WHERE project_id = $1 AND id = $2",
        project,
        id
    )
}

pub async fn insert(conn: &Conn, project: ProjectId, now: Timestamp, deletion: &Deletion) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO deletions (project_id, id, user_id, user_version, state, method, actor, reason, notify, impact,
           failed_attempts, requested_at, expires_at)
         VALUES ($1, $2, $3, $4, 'pending', 'typed', $5, $6, FALSE, $7, 0, $8, $9)",
        project,
        deletion.id,
        deletion.user_id,
        deletion.user_version,
        &deletion.actor,
        &deletion.reason,
        &deletion.impact,
        now,
        deletion.expires_at
    )
}

/// Moves a pending deletion to `state`; of two callers one gets a row.
pub async fn finish(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: DeletionId,
    state: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE deletions SET state = $1, finished_at = $2 WHERE project_id = $3 AND id = $4 AND state = 'pending'",
        state,
        now,
        project,
        id
    )
}

pub async fn count_failure(conn: &Conn, project: ProjectId, id: DeletionId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE deletions SET failed_attempts = failed_attempts + 1 WHERE project_id = $1 AND id = $2",
        project,
        id
    )
}

/// Erases a user if nobody changed the record since `version`: epochs rise, rows go, a tombstone stays.
pub async fn erase_user(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    version: i64,
) -> Result<u64> {
    let erased = execute!(
        conn,
        "UPDATE users SET status = 'deleted', username = NULL, username_key = NULL, email = NULL, email_key = NULL,
           email_verified = FALSE, profile = '{}', roles = '[]', groups = '[]', attributes = '{}',
           last_sign_in_at = NULL, deleted_at = $1, updated_at = $1, version = version + 1,
           token_epoch = CASE WHEN token_epoch >= $2 THEN token_epoch + 1 ELSE $2 END,
           browser_epoch = CASE WHEN browser_epoch >= $2 THEN browser_epoch + 1 ELSE $2 END
         WHERE project_id = $3 AND id = $4 AND version = $5 AND status <> 'deleted'",
        now,
        now.micros(),
        project,
        user,
        version
    )?;
    if erased == 1 {
        delete_belongings(conn, project, user).await?;
    }
    Ok(erased)
}

/// Deletes every row that refers to the user.
pub async fn delete_belongings(conn: &Conn, project: ProjectId, user: UserId) -> Result<()> {
    execute!(conn, "DELETE FROM authorization_codes WHERE project_id = $1 AND user_id = $2", project, user)?;
    execute!(conn, "DELETE FROM token_families WHERE project_id = $1 AND user_id = $2", project, user)?;
    execute!(conn, "DELETE FROM browser_sessions WHERE project_id = $1 AND user_id = $2", project, user)?;
    execute!(conn, "DELETE FROM credentials WHERE project_id = $1 AND user_id = $2", project, user)?;
    execute!(conn, "DELETE FROM user_keys WHERE project_id = $1 AND user_id = $2", project, user)?;
    execute!(conn, "DELETE FROM user_roles WHERE project_id = $1 AND user_id = $2", project, user)?;
    execute!(conn, "DELETE FROM user_groups WHERE project_id = $1 AND user_id = $2", project, user)?;
    Ok(())
}
