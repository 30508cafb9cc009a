//! Where users have signed in: places, and browsers by what they are known by, all of them as keyed hashes.

use super::db::{Conn, execute};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// Remembers one until a moment.
pub async fn remember(
    conn: &Conn,
    project: ProjectId,
    (now, until): (Timestamp, Timestamp),
    user: UserId,
    place: &[u8],
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO known_places (project_id, user_id, place, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id, user_id, place) DO UPDATE SET expires_at = $5",
        project,
        user,
        place,
        now,
        until
    )
}

/// Forgets one that has another name now, and the longest unused beyond `most`.
pub async fn trim(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    former: Option<&[u8]>,
    most: i64,
) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM known_places WHERE project_id = $1 AND user_id = $2 AND (place = $3 OR place NOT IN (
           SELECT place FROM known_places WHERE project_id = $1 AND user_id = $2
           ORDER BY expires_at DESC, created_at DESC LIMIT $4))",
        project,
        user,
        former,
        most
    )
}
