//! What waits to be confirmed before it ends: a project, a client, many users at once.

use sqlx::FromRow;
use uuid::Uuid;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::{ConfirmationId, ProjectId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct ConfirmationRow {
    pub id: ConfirmationId,
    pub what: String,
    pub target_id: Uuid,
    /// To which a confirmation is bound.
    pub target_version: i64,
    pub state: String,
    pub method: String,
    /// Who asked.
    pub actor: String,
    pub confirmed_by: Option<String>,
    /// Why; empty where nobody asks.
    pub reason: String,
    /// JSON document
    pub impact: String,
    pub requested_at: Timestamp,
    pub expires_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// Seconds that the project's clock was ahead at the request.
    pub clock_offset: i64,
}

pub async fn find(conn: &Conn, project: ProjectId, id: ConfirmationId) -> Result<Option<ConfirmationRow>> {
    fetch_optional!(
        conn,
        ConfirmationRow,
        "SELECT id, what, target_id, target_version, state, method, actor, confirmed_by, reason, impact,
           requested_at, expires_at, finished_at, clock_offset
         FROM confirmations WHERE project_id = $1 AND id = $2",
        project,
        id
    )
}

/// The one that waits for this target; there is at most one.
pub async fn find_open(conn: &Conn, project: ProjectId, target: Uuid) -> Result<Option<ConfirmationRow>> {
    fetch_optional!(
        conn,
        ConfirmationRow,
        "SELECT id, what, target_id, target_version, state, method, actor, confirmed_by, reason, impact,
           requested_at, expires_at, finished_at, clock_offset
         FROM confirmations WHERE project_id = $1 AND target_id = $2 AND state = 'pending'",
        project,
        target
    )
}

/// Adds one that waits. No row: another one waits for this target.
pub async fn insert(conn: &Conn, project: ProjectId, row: &ConfirmationRow) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO confirmations (project_id, id, what, target_id, target_version, state, method, actor, reason,
           impact, failed_attempts, requested_at, expires_at, clock_offset)
         VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $9, 0, $10, $11, $12)
         ON CONFLICT (project_id, target_id) WHERE state = 'pending' DO NOTHING",
        project,
        row.id,
        &row.what,
        row.target_id,
        row.target_version,
        &row.method,
        &row.actor,
        &row.reason,
        &row.impact,
        row.requested_at,
        row.expires_at,
        row.clock_offset
    )
}

/// Closes what can no longer be confirmed: too old, or its target is no longer at `version`.
pub async fn expire_stale(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    target: Uuid,
    version: i64,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE confirmations SET state = 'expired', finished_at = $1
         WHERE project_id = $2 AND target_id = $3 AND state = 'pending' AND (expires_at <= $1 OR target_version <> $4)",
        now,
        project,
        target,
        version
    )
}

/// Closes one that waits, as what it has become. Of two callers one gets a row.
pub async fn close(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: ConfirmationId,
    state: &str,
    confirmed_by: Option<&str>,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE confirmations SET state = $1, confirmed_by = $2, finished_at = $3
         WHERE project_id = $4 AND id = $5 AND state = 'pending'",
        state,
        confirmed_by,
        now,
        project,
        id
    )
}

#[derive(FromRow)]
struct Failures {
    failed_attempts: i64,
}

/// Counts a wrong confirmation, and cancels with the `most`-th. `None`: it waits no longer.
pub async fn count_failure(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: ConfirmationId,
    most: i64,
) -> Result<Option<i64>> {
    let failures = fetch_optional!(
        conn,
        Failures,
        "UPDATE confirmations SET failed_attempts = failed_attempts + 1,
           state = CASE WHEN failed_attempts + 1 >= $1 THEN 'cancelled' ELSE state END,
           finished_at = CASE WHEN failed_attempts + 1 >= $1 THEN $2 ELSE finished_at END
         WHERE project_id = $3 AND id = $4 AND state = 'pending' RETURNING failed_attempts",
        most,
        now,
        project,
        id
    )?;
    Ok(failures.map(|row| row.failed_attempts))
}
