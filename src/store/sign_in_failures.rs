//! Wrong passwords: how many, and until when the right one is of no use either.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

/// How failures are counted.
#[derive(Clone, Copy, Debug)]
pub struct Counting {
    /// So many cost nothing; the next one costs a second, and each further one twice as long.
    pub free: i64,
    /// How often it doubles before it is `longest_seconds`.
    pub doublings: i64,
    pub longest_seconds: i64,
    /// The count begins anew when there was none for this long.
    pub forgotten_seconds: i64,
}

#[derive(FromRow)]
struct Failures {
    failures: i64,
}

/// Counts one, and gives how many there are; `None` while the subject is blocked, when nothing is counted. When it is no
/// failure, the same statement changes no count.
pub async fn count(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    subject: &[u8],
    counting: Counting,
    is_failure: bool,
) -> Result<Option<i64>> {
    let Counting { free, doublings, longest_seconds, forgotten_seconds } = counting;
    let row = fetch_optional!(
        conn,
        Failures,
        "INSERT INTO sign_in_failures (project_id, subject, failures, blocked_until, expires_at) VALUES ($1, $2, $9, 0, $3)
         ON CONFLICT (project_id, subject) DO UPDATE SET
           failures = CASE WHEN sign_in_failures.expires_at <= $4 THEN $9 ELSE sign_in_failures.failures + $9 END,
           blocked_until = CASE
             WHEN $9 = 0 THEN sign_in_failures.blocked_until
             WHEN sign_in_failures.expires_at <= $4 OR sign_in_failures.failures < $5 THEN 0
             WHEN sign_in_failures.failures - $5 >= $6 THEN $7
             ELSE $8 + (CAST(1000000 AS BIGINT) << CAST(sign_in_failures.failures - $5 AS INTEGER)) END,
           expires_at = CASE WHEN $9 = 0 THEN sign_in_failures.expires_at ELSE $3 END
         WHERE sign_in_failures.blocked_until <= $8
         RETURNING failures",
        project,
        subject,
        now.plus_seconds(forgotten_seconds),
        now,
        free,
        doublings,
        now.plus_seconds(longest_seconds).micros(),
        now.micros(),
        i64::from(is_failure)
    )?;
    Ok(row.map(|row| row.failures))
}

/// How the counts stand that a try is judged by.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Standing {
    /// How many of them are blocked.
    pub blocked: i64,
    /// What the first of them has counted.
    pub failures: i64,
}

pub async fn standing(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    [first, second, third]: [&[u8]; 3],
) -> Result<Standing> {
    fetch_one!(
        conn,
        Standing,
        "SELECT COALESCE(SUM(CASE WHEN blocked_until > $5 THEN 1 ELSE 0 END), 0) AS blocked,
                COALESCE(MAX(CASE WHEN subject = $2 THEN failures ELSE 0 END), 0) AS failures
         FROM sign_in_failures WHERE project_id = $1 AND subject IN ($2, $3, $4)",
        project,
        first,
        second,
        third,
        now.micros()
    )
}

/// Forgets what was counted.
pub async fn forgive(conn: &Conn, project: ProjectId, subject: &[u8]) -> Result<u64> {
    execute!(conn, "DELETE FROM sign_in_failures WHERE project_id = $1 AND subject = $2", project, subject)
}
