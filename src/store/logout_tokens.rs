//! Logout tokens that are owed: a row of the outbox for each token family that ended and whose client asks to be told. The
//! row has the family's id, so a family is told of once, whatever ends it again.

use super::db::{Conn, execute};
use crate::error::Result;
use crate::ids::{BrowserSessionId, FamilyId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// One bounded statement: `$which` of the families that lived until now. Of more than a thousand, those used last are told of.
macro_rules! owed {
    ($which:literal) => {
        concat!(
            "INSERT INTO outbox (project_id, id, kind, client_id, user_id, state, attempts, next_attempt_at, created_at)
             SELECT f.project_id, f.id, 'logout_token', f.client_id, f.user_id, 'waiting', 0, $2, $2
             FROM token_families f
             JOIN projects p ON p.id = f.project_id
             JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
             JOIN users u ON u.project_id = f.project_id AND u.id = f.user_id
             WHERE f.project_id = $1 AND c.backchannel_logout AND c.status = 'active' AND f.expires_at > $2
               AND f.idle_expires_at > $2 AND f.project_epoch = p.token_epoch AND f.client_epoch = c.token_epoch
               AND f.user_epoch = u.token_epoch AND ",
            $which,
            " ORDER BY f.used_at DESC LIMIT 1000 ON CONFLICT (project_id, id) DO NOTHING"
        )
    };
}

/// For all that a user has. Called while the user's row is held and before its epochs rise, so nobody begins another
/// family in between.
pub async fn owe_for_user(conn: &Conn, project: ProjectId, now: Timestamp, user: UserId) -> Result<u64> {
    execute!(conn, owed!("f.user_id = $3 AND f.revoked_at IS NULL"), project, now, user)
}

/// For those of a user that were revoked in this unit.
pub async fn owe_for_revoked(conn: &Conn, project: ProjectId, now: Timestamp, user: UserId) -> Result<u64> {
    execute!(conn, owed!("f.user_id = $3 AND f.revoked_at = $2"), project, now, user)
}

/// For a family that was revoked in this unit.
pub async fn owe_for_family(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    family: FamilyId,
) -> Result<u64> {
    execute!(conn, owed!("f.id = $3 AND f.revoked_at = $2"), project, now, family)
}

/// For the families of a browser session that were revoked in this unit.
pub async fn owe_for_browser_session(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    session: BrowserSessionId,
) -> Result<u64> {
    execute!(conn, owed!("f.browser_session_id = $3 AND f.revoked_at = $2"), project, now, session)
}
