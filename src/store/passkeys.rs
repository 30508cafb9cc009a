//! Passkeys: the public keys of people's authenticators.

use sqlx::FromRow;
use uuid::Uuid;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{PasskeyId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// A passkey as its owner sees it, and what a question names of it.
#[derive(Clone, Debug, FromRow)]
pub struct PasskeyRow {
    pub id: PasskeyId,
    pub credential_id: Vec<u8>,
    pub user_handle: Uuid,
    pub rp_id: String,
    pub name: String,
    pub backed_up: bool,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// Of a user these are few: nobody may have more than ten.
pub async fn list(conn: &Conn, project: ProjectId, user: UserId) -> Result<Vec<PasskeyRow>> {
    fetch_all!(
        conn,
        PasskeyRow,
        "SELECT id, credential_id, user_handle, rp_id, name, backed_up, created_at, last_used_at FROM passkeys
         WHERE project_id = $1 AND user_id = $2 ORDER BY id LIMIT 100",
        project,
        user
    )
}

/// A passkey beside the epochs of the moment: read together, so that a sign-out in between is noticed.
#[derive(Clone, Debug, FromRow)]
pub struct PasskeyProof {
    pub id: PasskeyId,
    pub user_id: UserId,
    pub user_handle: Uuid,
    pub rp_id: String,
    pub passkey: String,
    pub counter: i64,
    pub status: String,
    pub user_epoch: i64,
    pub browser_epoch: i64,
    pub project_epoch: i64,
}

pub async fn find_proof(
    conn: &Conn,
    project: ProjectId,
    credential_id: &[u8],
) -> Result<Option<PasskeyProof>> {
    fetch_optional!(
        conn,
        PasskeyProof,
        "SELECT k.id, k.user_id, k.user_handle, k.rp_id, k.passkey, k.counter, u.status,
                u.token_epoch AS user_epoch, u.browser_epoch, p.token_epoch AS project_epoch
         FROM passkeys k
         JOIN users u ON u.project_id = k.project_id AND u.id = k.user_id
         JOIN projects p ON p.id = k.project_id
         WHERE k.project_id = $1 AND k.credential_id = $2",
        project,
        credential_id
    )
}

/// A passkey to be.
pub struct NewPasskey<'a> {
    pub id: PasskeyId,
    pub user: UserId,
    pub credential_id: &'a [u8],
    pub user_handle: Uuid,
    pub rp_id: &'a str,
    pub name: &'a str,
    /// A JSON document.
    pub passkey: &'a str,
    pub counter: i64,
    pub backed_up: bool,
}

/// A credential that the project knows already, of whomever, violates the index.
pub async fn insert(conn: &Conn, project: ProjectId, now: Timestamp, new: &NewPasskey<'_>) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO passkeys (project_id, id, user_id, credential_id, user_handle, rp_id, name, passkey, counter,
           backed_up, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        project,
        new.id,
        new.user,
        new.credential_id,
        new.user_handle,
        new.rp_id,
        new.name,
        new.passkey,
        new.counter,
        new.backed_up,
        now
    )
}

/// How a use left the passkey.
pub struct Used<'a> {
    pub passkey: &'a str,
    pub counter: i64,
    pub backed_up: bool,
}

/// Writes what a use changed. 0: the passkey is gone, or another use was first.
pub async fn mark_used(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: PasskeyId,
    read: i64,
    used: &Used<'_>,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE passkeys SET passkey = $1, counter = $2, backed_up = $3, last_used_at = $4
         WHERE project_id = $5 AND id = $6 AND counter = $7",
        used.passkey,
        used.counter,
        used.backed_up,
        now,
        project,
        id,
        read
    )
}

pub async fn rename(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    id: PasskeyId,
    name: &str,
) -> Result<Option<PasskeyRow>> {
    fetch_optional!(
        conn,
        PasskeyRow,
        "UPDATE passkeys SET name = $1 WHERE project_id = $2 AND user_id = $3 AND id = $4
         RETURNING id, credential_id, user_handle, rp_id, name, backed_up, created_at, last_used_at",
        name,
        project,
        user,
        id
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, user: UserId, id: PasskeyId) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM passkeys WHERE project_id = $1 AND user_id = $2 AND id = $3",
        project,
        user,
        id
    )
}

/// Those of a user, for an admin's reset.
pub async fn delete_all(conn: &Conn, project: ProjectId, user: UserId) -> Result<u64> {
    execute!(conn, "DELETE FROM passkeys WHERE project_id = $1 AND user_id = $2", project, user)
}
