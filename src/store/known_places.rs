//! Where users have signed in: places, and browsers by what they are known by, all of them as keyed hashes.

use super::browser_sessions::SignIn;
use super::db::{Conn, execute};
use crate::error::Result;
use crate::ids::{BrowserSessionId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// Remembers one until a moment, under the browser epoch of the sign-in: whatever raises the epoch ends the trust.
pub async fn remember(
    conn: &Conn,
    project: ProjectId,
    (now, until): (Timestamp, Timestamp),
    sign_in: &SignIn,
    place: &[u8],
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO known_places (project_id, user_id, place, browser_epoch, browser_session_id, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (project_id, user_id, place)
           DO UPDATE SET browser_epoch = $4, browser_session_id = $5, expires_at = $7",
        project,
        sign_in.user_id,
        place,
        sign_in.browser_epoch,
        sign_in.id,
        now,
        until
    )
}

/// Stamps those of a session that outlives the others with the new epoch, if they stood under the one just replaced.
pub async fn keep(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    session: BrowserSessionId,
    (old, new): (i64, i64),
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE known_places SET browser_epoch = $1
         WHERE project_id = $2 AND user_id = $3 AND browser_session_id = $4 AND browser_epoch = $5",
        new,
        project,
        user,
        session,
        old
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
