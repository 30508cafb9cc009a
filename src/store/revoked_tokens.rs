//! Access tokens that were revoked one by one: those that belong to no family alone.

use super::db::{Conn, execute};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

/// `expires_at`: of the token. Revoking twice is revoking.
pub async fn insert(conn: &Conn, project: ProjectId, jti: &str, expires_at: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO revoked_tokens (project_id, jti, expires_at) VALUES ($1, $2, $3)
         ON CONFLICT (project_id, jti) DO NOTHING",
        project,
        jti,
        expires_at
    )
}
