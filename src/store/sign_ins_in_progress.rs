//! Sign-ins of which something is proven, and more is needed.

use sqlx::FromRow;
use uuid::Uuid;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct Row {
    pub id: Uuid,
    pub token_hash: Vec<u8>,
    pub user_id: UserId,
    pub project_epoch: i64,
    pub user_epoch: i64,
    pub browser_epoch: i64,
    pub amr: String,
    pub acr: String,
    pub codes: String,
    pub auth_time: Timestamp,
    pub purpose: String,
    pub replaces: Vec<u8>,
    pub sealed_aim: Vec<u8>,
    pub sealed_challenge: Option<Vec<u8>>,
    pub failures: i64,
    pub user_agent: String,
    pub address: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// In the place of what this browser had begun before.
pub async fn put(conn: &Conn, project: ProjectId, row: &Row) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO sign_ins_in_progress (project_id, id, token_hash, user_id, project_epoch, user_epoch, browser_epoch,
           amr, acr, auth_time, purpose, replaces, sealed_aim, failures, user_agent, address, created_at, expires_at,
           codes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, COALESCE(
             (SELECT replaces FROM sign_ins_in_progress WHERE project_id = $1 AND token_hash = $12), $12),
           $13, $14, $15, $16, $17, $18, $19)
         ON CONFLICT (project_id, token_hash) DO UPDATE SET id = $2, user_id = $4, project_epoch = $5, user_epoch = $6,
           browser_epoch = $7, amr = $8, acr = $9, auth_time = $10, purpose = $11, replaces = $12, sealed_aim = $13,
           sealed_challenge = NULL, failures = $14, user_agent = $15, address = $16, created_at = $17, expires_at = $18,
           codes = $19",
        project,
        row.id,
        &row.token_hash,
        row.user_id,
        row.project_epoch,
        row.user_epoch,
        row.browser_epoch,
        &row.amr,
        &row.acr,
        row.auth_time,
        &row.purpose,
        &row.replaces,
        &row.sealed_aim,
        row.failures,
        &row.user_agent,
        &row.address,
        row.created_at,
        row.expires_at,
        &row.codes
    )
}

/// Ends the oldest of a user beyond `most`.
pub async fn trim(conn: &Conn, project: ProjectId, user: UserId, most: i64) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM sign_ins_in_progress WHERE project_id = $1 AND user_id = $2 AND id NOT IN (
           SELECT id FROM sign_ins_in_progress WHERE project_id = $1 AND user_id = $2 ORDER BY id DESC LIMIT $3)",
        project,
        user,
        most
    )
}

/// The one behind a cookie, while what it was begun under is as it was: the epochs, and for a step-up the session.
pub async fn find(conn: &Conn, project: ProjectId, now: Timestamp, hash: &[u8]) -> Result<Option<Row>> {
    fetch_optional!(
        conn,
        Row,
        "SELECT s.id, s.token_hash, s.user_id, s.project_epoch, s.user_epoch, s.browser_epoch, s.amr, s.acr, s.codes, s.auth_time,
           s.purpose, s.replaces, s.sealed_aim, s.sealed_challenge, s.failures, s.user_agent, s.address, s.created_at,
           s.expires_at
         FROM sign_ins_in_progress s
         JOIN projects p ON p.id = s.project_id
         JOIN users u ON u.project_id = s.project_id AND u.id = s.user_id
         WHERE s.project_id = $1 AND s.token_hash = $2 AND s.expires_at > $3 AND u.status = 'active'
           AND s.project_epoch = p.token_epoch AND s.user_epoch = u.token_epoch
           AND s.browser_epoch = u.browser_epoch
           AND (s.purpose = 'sign_in' OR EXISTS (
             SELECT 1 FROM browser_sessions b WHERE b.project_id = s.project_id AND b.token_hash = s.replaces
               AND b.ended_at IS NULL AND b.expires_at > $3))",
        project,
        hash,
        now
    )
}

/// Moves on to another cookie with what is proven by now. No row: somebody was faster, or what it was begun under has ended.
pub async fn advance(conn: &Conn, project: ProjectId, from: &[u8], row: &Row) -> Result<u64> {
    execute!(
        conn,
        "UPDATE sign_ins_in_progress SET token_hash = $1, amr = $2, acr = $3, auth_time = $4, sealed_aim = $5,
           sealed_challenge = NULL, failures = 0, codes = $14
         WHERE project_id = $6 AND id = $7 AND token_hash = $8
           AND EXISTS (SELECT 1 FROM users u JOIN projects p ON p.id = u.project_id
             WHERE u.project_id = $6 AND u.id = $9 AND u.status = 'active' AND p.token_epoch = $10
               AND u.token_epoch = $11 AND u.browser_epoch = $12)
           AND (purpose = 'sign_in' OR EXISTS (
             SELECT 1 FROM browser_sessions b WHERE b.project_id = $6 AND b.token_hash = $13
               AND b.ended_at IS NULL AND b.expires_at > $4))",
        &row.token_hash,
        &row.amr,
        &row.acr,
        row.auth_time,
        &row.sealed_aim,
        project,
        row.id,
        from,
        row.user_id,
        row.project_epoch,
        row.user_epoch,
        row.browser_epoch,
        &row.replaces,
        &row.codes
    )
}

#[derive(FromRow)]
struct Failures {
    failures: i64,
}

/// Counts a try before anybody looks at it. `None`: there were `most` already, or it is over.
pub async fn count_try(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    row: &Row,
    most: i64,
) -> Result<Option<i64>> {
    let counted = fetch_optional!(
        conn,
        Failures,
        "UPDATE sign_ins_in_progress SET failures = failures + 1
         WHERE project_id = $1 AND id = $2 AND token_hash = $3 AND expires_at > $4 AND failures < $5
         RETURNING failures",
        project,
        row.id,
        &row.token_hash,
        now,
        most
    )?;
    Ok(counted.map(|row| row.failures))
}

/// Ends it. No row: somebody was faster.
pub async fn end(conn: &Conn, project: ProjectId, row: &Row) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM sign_ins_in_progress WHERE project_id = $1 AND id = $2 AND token_hash = $3",
        project,
        row.id,
        &row.token_hash
    )
}

/// Sets a challenge in the place of any other.
pub async fn set_challenge(conn: &Conn, project: ProjectId, row: &Row, sealed: &[u8]) -> Result<u64> {
    execute!(
        conn,
        "UPDATE sign_ins_in_progress SET sealed_challenge = $1
         WHERE project_id = $2 AND id = $3 AND token_hash = $4",
        sealed,
        project,
        row.id,
        &row.token_hash
    )
}

/// Takes the challenge that was read away: of many answers to it one is looked at. No row: there was one already.
pub async fn take_challenge(conn: &Conn, project: ProjectId, row: &Row) -> Result<u64> {
    execute!(
        conn,
        "UPDATE sign_ins_in_progress SET sealed_challenge = NULL
         WHERE project_id = $1 AND id = $2 AND token_hash = $3 AND sealed_challenge = $4",
        project,
        row.id,
        &row.token_hash,
        row.sealed_challenge.as_deref()
    )
}
