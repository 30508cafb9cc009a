//! The project's signing keys, sealed.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct SigningKeyRow {
    pub kid: String,
    pub alg: String,
    pub state: String,
    pub public_jwk: String,
    pub sealed_private: Vec<u8>,
}

/// Every published key: next, current and retired.
pub async fn list(conn: &Conn, project: ProjectId) -> Result<Vec<SigningKeyRow>> {
    fetch_all!(
        conn,
        SigningKeyRow,
        "SELECT kid, alg, state, public_jwk, sealed_private FROM signing_keys
         WHERE project_id = $1 ORDER BY created_at LIMIT 32",
        project
    )
}

/// Adds a current key; a race has one winner, the loser changes nothing.
pub async fn insert_current(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    key: &SigningKeyRow,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO signing_keys (project_id, kid, alg, state, public_jwk, sealed_private, created_at, signs_from)
         VALUES ($1, $2, $3, 'current', $4, $5, $6, $6) ON CONFLICT DO NOTHING",
        project,
        &key.kid,
        &key.alg,
        &key.public_jwk,
        &key.sealed_private,
        now
    )
}
