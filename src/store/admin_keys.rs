//! Bearer secrets for the admin API.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::{AdminKeyId, ProjectId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct AdminKey {
    pub id: AdminKeyId,
    /// `None`: every project.
    pub project_id: Option<ProjectId>,
    pub name: String,
    pub role: String,
}

pub async fn find_live(conn: &Conn, hash: &[u8]) -> Result<Option<AdminKey>> {
    fetch_optional!(
        conn,
        AdminKey,
        "SELECT id, project_id, name, role FROM admin_keys WHERE hash = $1 AND revoked_at IS NULL",
        hash
    )
}

pub async fn insert(conn: &Conn, now: Timestamp, key: &AdminKey, hash: &[u8]) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO admin_keys (id, project_id, name, role, hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        key.id,
        key.project_id,
        &key.name,
        &key.role,
        hash,
        now
    )
}
