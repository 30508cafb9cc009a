//! Where users have signed in from.

use sqlx::FromRow;

use super::db::{Conn, fetch_optional};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// A place, and until when it is known.
pub struct Place<'a> {
    pub user: UserId,
    pub place: &'a [u8],
    pub until: Timestamp,
}

#[derive(FromRow)]
struct Failures {
    failures: i64,
}

/// Remembers the place of a good sign-in, unless one of the counts that it is judged by is blocked. Gives what the first of
/// them has counted; `None`: blocked. When it is no good, the same statement changes nothing, and takes as long.
pub async fn remember(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    place: &Place<'_>,
    is_good: bool,
    [first, second, third]: [&[u8]; 3],
) -> Result<Option<i64>> {
    let row = fetch_optional!(
        conn,
        Failures,
        "INSERT INTO known_places (project_id, user_id, place, created_at, expires_at)
         SELECT p.id, $2, $3, $4, $5 FROM projects p
         WHERE p.id = $1 AND $6 AND NOT EXISTS (
           SELECT 1 FROM sign_in_failures f
           WHERE f.project_id = $1 AND f.subject IN ($7, $8, $9) AND f.blocked_until > $10)
         ON CONFLICT (project_id, user_id, place) DO UPDATE SET expires_at = $5
         RETURNING (SELECT COALESCE(MAX(f.failures), 0) FROM sign_in_failures f
                    WHERE f.project_id = $1 AND f.subject = $7) AS failures",
        project,
        place.user,
        place.place,
        now,
        place.until,
        is_good,
        first,
        second,
        third,
        now.micros()
    )?;
    Ok(row.map(|row| row.failures))
}
