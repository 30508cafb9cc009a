//! The pictures that projects show. Which of them counts, the project's settings say.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

#[derive(FromRow)]
struct Row {
    picture: Vec<u8>,
}

pub async fn find(conn: &Conn, project: ProjectId, name: &str) -> Result<Option<Vec<u8>>> {
    let row = fetch_optional!(
        conn,
        Row,
        "SELECT picture FROM project_logos WHERE project_id = $1 AND name = $2",
        project,
        name
    )?;
    Ok(row.map(|row| row.picture))
}

/// In the place of the one before.
pub async fn put(conn: &Conn, project: ProjectId, now: Timestamp, name: &str, picture: &[u8]) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO project_logos (project_id, name, picture, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id) DO UPDATE SET name = $2, picture = $3, created_at = $4",
        project,
        name,
        picture,
        now
    )
}

pub async fn delete(conn: &Conn, project: ProjectId) -> Result<u64> {
    execute!(conn, "DELETE FROM project_logos WHERE project_id = $1", project)
}
