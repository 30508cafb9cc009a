//! The sessions of one user, as the user sees them: those that live; and how one of them outlives the others.

use sqlx::FromRow;
use uuid::Uuid;

use super::db::{Conn, execute, fetch_all, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::{BrowserSessionId, ClientId, FamilyId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(Debug, FromRow)]
pub struct FamilyRow {
    pub id: Uuid,
    pub client_id: ClientId,
    pub client_name: String,
    pub browser_session_id: Option<BrowserSessionId>,
    pub offline: bool,
    pub auth_time: Timestamp,
    pub user_agent: String,
    pub address: String,
    pub created_at: Timestamp,
    pub used_at: Timestamp,
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The newest `limit` families that live and began before an id.
pub async fn families(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    before: Uuid,
    limit: i64,
) -> Result<Vec<FamilyRow>> {
    fetch_all!(
        conn,
        FamilyRow,
        "SELECT f.id, f.client_id, c.client_name, f.browser_session_id, f.offline, f.auth_time, f.user_agent, f.address,
                f.created_at, f.used_at, f.idle_expires_at, f.expires_at
         FROM token_families f
         JOIN projects p ON p.id = f.project_id
         JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
         JOIN users u ON u.project_id = f.project_id AND u.id = f.user_id
         WHERE f.project_id = $1 AND f.user_id = $2 AND f.revoked_at IS NULL AND f.expires_at > $3
           AND f.idle_expires_at > $3 AND f.project_epoch = p.token_epoch AND f.client_epoch = c.token_epoch
           AND f.user_epoch = u.token_epoch AND c.status = 'active' AND f.id < $4 ORDER BY f.id DESC LIMIT $5",
        project,
        user,
        now,
        before,
        limit
    )
}

#[derive(Debug, FromRow)]
pub struct BrowserSessionRow {
    pub id: Uuid,
    pub auth_time: Timestamp,
    pub user_agent: String,
    pub address: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it last gave an application a session.
    pub used_at: Option<Timestamp>,
}

/// The newest `limit` browser sessions that live and began before an id.
pub async fn browser_sessions(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    before: Uuid,
    limit: i64,
) -> Result<Vec<BrowserSessionRow>> {
    fetch_all!(
        conn,
        BrowserSessionRow,
        "SELECT b.id, b.auth_time, b.user_agent, b.address, b.created_at, b.expires_at,
                (SELECT MAX(f.created_at) FROM token_families f
                 WHERE f.project_id = b.project_id AND f.browser_session_id = b.id) AS used_at
         FROM browser_sessions b
         JOIN projects p ON p.id = b.project_id
         JOIN users u ON u.project_id = b.project_id AND u.id = b.user_id
         WHERE b.project_id = $1 AND b.user_id = $2 AND b.ended_at IS NULL AND b.expires_at > $3
           AND b.project_epoch = p.token_epoch AND b.browser_epoch = u.browser_epoch
           AND b.id < $4 ORDER BY b.id DESC LIMIT $5",
        project,
        user,
        now,
        before,
        limit
    )
}

/// A user's epochs: of tokens, and of browser sessions.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Epochs {
    pub token_epoch: i64,
    pub browser_epoch: i64,
}

/// Raises both epochs of a user whose row is held.
pub async fn raise_both(conn: &Conn, project: ProjectId, now: Timestamp, user: UserId) -> Result<Epochs> {
    fetch_one!(
        conn,
        Epochs,
        "UPDATE users SET
           token_epoch = CASE WHEN token_epoch >= $1 THEN token_epoch + 1 ELSE $1 END,
           browser_epoch = CASE WHEN browser_epoch >= $1 THEN browser_epoch + 1 ELSE $1 END
         WHERE project_id = $2 AND id = $3 AND status <> 'deleted' RETURNING token_epoch, browser_epoch",
        now.micros(),
        project,
        user
    )
}

/// The session that outlives the others.
#[derive(Clone, Copy, Debug)]
pub enum Kept {
    /// With what it gave to applications.
    Browser(BrowserSessionId),
    Family(FamilyId),
}

/// Stamps what is kept with the new epochs, if it stood under `old`, the token epoch and the browser epoch just replaced.
pub async fn stamp(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    kept: Kept,
    (old_token, old_browser): (i64, i64),
    new: Epochs,
) -> Result<u64> {
    let session = match kept {
        Kept::Family(family) => {
            return execute!(
                conn,
                "UPDATE token_families SET user_epoch = $1
                 WHERE project_id = $2 AND user_id = $3 AND id = $4 AND user_epoch = $5 AND revoked_at IS NULL",
                new.token_epoch,
                project,
                user,
                family,
                old_token
            );
        }
        Kept::Browser(session) => session,
    };
    execute!(
        conn,
        "UPDATE browser_sessions SET user_epoch = $1, browser_epoch = $2
         WHERE project_id = $3 AND user_id = $4 AND id = $5 AND browser_epoch = $6 AND ended_at IS NULL",
        new.token_epoch,
        new.browser_epoch,
        project,
        user,
        session,
        old_browser
    )?;
    execute!(
        conn,
        "UPDATE token_families SET user_epoch = $1
         WHERE project_id = $2 AND user_id = $3 AND browser_session_id = $4 AND user_epoch = $5 AND revoked_at IS NULL",
        new.token_epoch,
        project,
        user,
        session,
        old_token
    )
}

/// A user's password beside the epochs of the moment. `secret` `None`: there is none.
#[derive(Clone, Debug, FromRow)]
pub struct OwnPassword {
    pub token_epoch: i64,
    pub browser_epoch: i64,
    pub secret: Option<String>,
    pub username: Option<String>,
    pub email: Option<String>,
}

pub async fn find_password(conn: &Conn, project: ProjectId, user: UserId) -> Result<Option<OwnPassword>> {
    fetch_optional!(
        conn,
        OwnPassword,
        "SELECT u.token_epoch, u.browser_epoch, u.username, u.email, c.secret FROM users u
         LEFT JOIN credentials c ON c.project_id = u.project_id AND c.user_id = u.id AND c.kind = 'password'
         WHERE u.project_id = $1 AND u.id = $2 AND u.status = 'active'",
        project,
        user
    )
}
