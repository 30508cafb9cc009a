//! How often somebody has tried what is bounded. The table bears the name of its first use.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_one};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

/// How many there are by now, and when the count begins anew.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Tries {
    pub failures: i64,
    pub expires_at: Timestamp,
}

/// Counts one, and gives how many there are until `until` at the latest. It is counted before anybody looks, so that no
/// number of tries at once gets past a bound.
pub async fn count(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    subject: &[u8],
    until: Timestamp,
) -> Result<Tries> {
    fetch_one!(
        conn,
        Tries,
        "INSERT INTO user_code_failures (project_id, subject, failures, expires_at) VALUES ($1, $2, 1, $3)
         ON CONFLICT (project_id, subject) DO UPDATE SET
           failures = CASE WHEN user_code_failures.expires_at <= $4 THEN 1 ELSE user_code_failures.failures + 1 END,
           expires_at = CASE WHEN user_code_failures.expires_at <= $4 THEN $3 ELSE user_code_failures.expires_at END
         RETURNING failures, expires_at",
        project,
        subject,
        until,
        now
    )
}

/// Takes one back: it was no failure.
pub async fn forgive(conn: &Conn, project: ProjectId, subject: &[u8]) -> Result<u64> {
    execute!(
        conn,
        "UPDATE user_code_failures SET failures = failures - 1
         WHERE project_id = $1 AND subject = $2 AND failures > 0",
        project,
        subject
    )
}
