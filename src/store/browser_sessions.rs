//! Browsers signed in at the hosted pages.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::{BrowserSessionId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// A sign-in: who, when, how, and the epochs that were read with the proof.
#[derive(Clone, Debug, FromRow)]
pub struct SignIn {
    pub id: BrowserSessionId,
    pub user_id: UserId,
    pub project_epoch: i64,
    pub user_epoch: i64,
    pub browser_epoch: i64,
    pub auth_time: Timestamp,
    pub amr: String,
    pub acr: String,
    /// By which codes.
    pub codes: String,
    pub user_agent: String,
    pub address: String,
}

/// The live session behind a cookie. Epochs given are today's, read in this very statement: the cookie is the proof.
pub async fn find_live(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    hash: &[u8],
) -> Result<Option<SignIn>> {
    fetch_optional!(
        conn,
        SignIn,
        "SELECT b.id, b.user_id, p.token_epoch AS project_epoch, u.token_epoch AS user_epoch, b.browser_epoch,
                b.auth_time, b.amr, b.acr, b.codes, b.user_agent, b.address
         FROM browser_sessions b
         JOIN projects p ON p.id = b.project_id
         JOIN users u ON u.project_id = b.project_id AND u.id = b.user_id
         WHERE b.project_id = $1 AND b.token_hash = $2 AND b.ended_at IS NULL AND b.expires_at > $3
           AND b.project_epoch = p.token_epoch AND p.status = 'active'
           AND b.browser_epoch = u.browser_epoch AND u.status = 'active'",
        project,
        hash,
        now
    )
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

/// Whether a session lives, in a unit that holds its user's row and acts for whoever is signed in with it.
pub async fn is_live(conn: &Conn, project: ProjectId, now: Timestamp, id: BrowserSessionId) -> Result<bool> {
    let count = fetch_one!(
        conn,
        Count,
        "SELECT count(*) AS n
         FROM browser_sessions b
         JOIN projects p ON p.id = b.project_id
         JOIN users u ON u.project_id = b.project_id AND u.id = b.user_id
         WHERE b.project_id = $1 AND b.id = $2 AND b.ended_at IS NULL AND b.expires_at > $3
           AND b.project_epoch = p.token_epoch AND p.status = 'active'
           AND b.browser_epoch = u.browser_epoch AND u.status = 'active'",
        project,
        id,
        now
    )?;
    Ok(count.n > 0)
}

/// Creates the session only while the user is active and no epoch has moved since the proof was read.
pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    hash: &[u8],
    sign_in: &SignIn,
    expires_at: Timestamp,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO browser_sessions (project_id, id, token_hash, user_id, project_epoch, user_epoch, browser_epoch,
           auth_time, amr, acr, user_agent, address, created_at, expires_at, codes)
         SELECT u.project_id, $2, $3, u.id, $5, $6, $7, $8, $9, $10, $11, $12, $8, $13, $14
         FROM users u JOIN projects p ON p.id = u.project_id
         WHERE u.project_id = $1 AND u.id = $4 AND u.status = 'active' AND p.status = 'active'
           AND p.token_epoch = $5 AND u.token_epoch = $6 AND u.browser_epoch = $7",
        project,
        sign_in.id,
        hash,
        sign_in.user_id,
        sign_in.project_epoch,
        sign_in.user_epoch,
        sign_in.browser_epoch,
        sign_in.auth_time,
        &sign_in.amr,
        &sign_in.acr,
        &sign_in.user_agent,
        &sign_in.address,
        expires_at,
        &sign_in.codes
    )
}

/// A session that another one replaces.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Replaced {
    pub id: BrowserSessionId,
    pub user_id: UserId,
}

/// Ends the session behind a cookie, for a sign-in that replaces it; or the one that a sign-in which was not finished under this
/// cookie would have replaced.
pub async fn end(conn: &Conn, project: ProjectId, now: Timestamp, hash: &[u8]) -> Result<Option<Replaced>> {
    fetch_optional!(
        conn,
        Replaced,
        "UPDATE browser_sessions SET ended_at = $1
         WHERE project_id = $2 AND ended_at IS NULL AND token_hash = COALESCE(
           (SELECT replaces FROM sign_ins_in_progress WHERE project_id = $2 AND token_hash = $3), $3)
         RETURNING id, user_id",
        now,
        project,
        hash
    )
}
