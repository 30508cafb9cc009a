//! Logout tokens that are owed: a row of the outbox for each token family that ended and whose client asks to be told. The
//! row has the family's id, so the end of a family is told of once, whatever ends it again.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all};
use crate::error::Result;
use crate::ids::{BrowserSessionId, FamilyId, OutboxId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// Families that lived until now, whose clients ask to be told.
macro_rules! told {
    () => {
        " FROM token_families f
         JOIN projects p ON p.id = f.project_id
         JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
         JOIN users u ON u.project_id = f.project_id AND u.id = f.user_id
         WHERE f.project_id = $1 AND c.backchannel_logout AND c.status = 'active' AND f.expires_at > $2
           AND f.idle_expires_at > $2 AND f.project_epoch = p.token_epoch AND f.client_epoch = c.token_epoch
           AND f.user_epoch = u.token_epoch AND "
    };
}

/// One bounded statement: `$which` of them, in rows with the ids `$id`. Of more than a thousand, those used last are told of.
macro_rules! owed {
    ($id:literal, $which:literal) => {
        concat!(
            "INSERT INTO outbox (project_id, id, kind, client_id, user_id, subject, family_id, state, attempts,
               next_attempt_at, created_at)
             SELECT f.project_id, ",
            $id,
            ", 'logout_token', f.client_id, f.user_id, f.subject, f.id,
               CASE WHEN p.kind = 'sandbox' THEN 'caught' ELSE 'waiting' END, 0, $2, $2",
            told!(),
            $which,
            " ORDER BY f.used_at DESC LIMIT 1000 ON CONFLICT (project_id, id) DO NOTHING"
        )
    };
}

/// For all that a user has. Called while the user's row is held and before its epochs rise, so nobody begins another
/// family in between.
pub async fn owe_for_user(conn: &Conn, project: ProjectId, now: Timestamp, user: UserId) -> Result<u64> {
    execute!(conn, owed!("f.id", "f.user_id = $3 AND f.revoked_at IS NULL"), project, now, user)
}

/// For all that a user has but those of one browser session, which goes on. Called like [`owe_for_user`].
pub async fn owe_for_other_browsers(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    kept: BrowserSessionId,
) -> Result<u64> {
    execute!(
        conn,
        owed!(
            "f.id",
            "f.user_id = $3 AND f.revoked_at IS NULL AND (f.browser_session_id IS NULL OR f.browser_session_id <> $4)"
        ),
        project,
        now,
        user,
        kept
    )
}

/// For all that a user has but one, which goes on. Called like [`owe_for_user`].
pub async fn owe_for_other_families(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    kept: FamilyId,
) -> Result<u64> {
    execute!(
        conn,
        owed!("f.id", "f.user_id = $3 AND f.revoked_at IS NULL AND f.id <> $4"),
        project,
        now,
        user,
        kept
    )
}

/// For those of a user that were revoked in this unit.
pub async fn owe_for_revoked(conn: &Conn, project: ProjectId, now: Timestamp, user: UserId) -> Result<u64> {
    execute!(conn, owed!("f.id", "f.user_id = $3 AND f.revoked_at = $2"), project, now, user)
}

/// For a family that was revoked in this unit.
pub async fn owe_for_family(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    family: FamilyId,
) -> Result<u64> {
    execute!(conn, owed!("f.id", "f.id = $3 AND f.revoked_at = $2"), project, now, family)
}

/// For the families of a browser session that were revoked in this unit.
pub async fn owe_for_browser_session(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    session: BrowserSessionId,
) -> Result<u64> {
    execute!(conn, owed!("f.id", "f.browser_session_id = $3 AND f.revoked_at = $2"), project, now, session)
}

#[derive(FromRow)]
struct Id {
    id: FamilyId,
}

/// The families that outlive a browser session and whose clients ask to be told of its end (2.7 spares their refresh
/// tokens, and not them the logout token).
pub async fn list_outliving(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    session: BrowserSessionId,
) -> Result<Vec<FamilyId>> {
    let rows = fetch_all!(
        conn,
        Id,
        concat!(
            "SELECT f.id",
            told!(),
            "f.browser_session_id = $3 AND f.offline AND f.revoked_at IS NULL ORDER BY f.used_at DESC LIMIT 1000"
        ),
        project,
        now,
        session
    )?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// For a family that goes on, in a row with an id of its own: the family's will be needed when it ends.
pub async fn owe_for_living(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    family: FamilyId,
    id: OutboxId,
) -> Result<u64> {
    execute!(conn, owed!("$4", "f.id = $3 AND f.revoked_at IS NULL"), project, now, family, id)
}
