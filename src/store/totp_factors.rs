//! Authenticator apps.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{FactorId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct TotpFactor {
    pub id: FactorId,
    pub name: String,
    pub sealed_seed: Vec<u8>,
    pub last_step: i64,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

pub async fn list(conn: &Conn, project: ProjectId, user: UserId) -> Result<Vec<TotpFactor>> {
    fetch_all!(
        conn,
        TotpFactor,
        "SELECT id, name, sealed_seed, last_step, created_at, last_used_at FROM totp_factors
         WHERE project_id = $1 AND user_id = $2 ORDER BY id",
        project,
        user
    )
}

/// An app that has shown a code of the step `last_step`.
pub async fn insert(conn: &Conn, project: ProjectId, user: UserId, factor: &TotpFactor) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO totp_factors (project_id, id, user_id, name, sealed_seed, last_step, created_at, last_used_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        project,
        factor.id,
        user,
        &factor.name,
        &factor.sealed_seed,
        factor.last_step,
        factor.created_at,
        factor.last_used_at
    )
}

/// Uses up the codes of a step and of all before it (RFC 6238, 5.2). No row: one of them was accepted already.
pub async fn consume(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    (id, step): (FactorId, i64),
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE totp_factors SET last_step = $1, last_used_at = $2
         WHERE project_id = $3 AND id = $4 AND user_id = $5 AND last_step < $1",
        step,
        now,
        project,
        id,
        user
    )
}

pub async fn rename(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    id: FactorId,
    name: &str,
) -> Result<Option<TotpFactor>> {
    fetch_optional!(
        conn,
        TotpFactor,
        "UPDATE totp_factors SET name = $1 WHERE project_id = $2 AND user_id = $3 AND id = $4
         RETURNING id, name, sealed_seed, last_step, created_at, last_used_at",
        name,
        project,
        user,
        id
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, user: UserId, id: FactorId) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM totp_factors WHERE project_id = $1 AND user_id = $2 AND id = $3",
        project,
        user,
        id
    )
}

pub async fn delete_all(conn: &Conn, project: ProjectId, user: UserId) -> Result<u64> {
    execute!(conn, "DELETE FROM totp_factors WHERE project_id = $1 AND user_id = $2", project, user)
}
