//! What the pairwise subjects of a project are made with, sealed.

use sqlx::FromRow;
use uuid::Uuid;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

#[derive(FromRow)]
struct Row {
    sealed_salt: Vec<u8>,
}

pub async fn find(conn: &Conn, project: ProjectId) -> Result<Option<Vec<u8>>> {
    let row =
        fetch_optional!(conn, Row, "SELECT sealed_salt FROM subject_salts WHERE project_id = $1", project)?;
    Ok(row.map(|row| row.sealed_salt))
}

/// No row: there is one already, which stays.
pub async fn insert(conn: &Conn, project: ProjectId, now: Timestamp, id: Uuid, sealed: &[u8]) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO subject_salts (project_id, id, sealed_salt, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id) DO NOTHING",
        project,
        id,
        sealed,
        now
    )
}
