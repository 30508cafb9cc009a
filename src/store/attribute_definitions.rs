//! The attributes that a project defines for its users.

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::attribute::AttributeDefinition;

/// All of them: a project has at most 50.
pub async fn list(conn: &Conn, project: ProjectId) -> Result<Vec<AttributeDefinition>> {
    fetch_all!(
        conn,
        AttributeDefinition,
        "SELECT name, type, description, user_writable, in_access_token, max_bytes, created_at
         FROM attribute_definitions WHERE project_id = $1 ORDER BY name LIMIT 50",
        project
    )
}

pub async fn find(conn: &Conn, project: ProjectId, name: &str) -> Result<Option<AttributeDefinition>> {
    fetch_optional!(
        conn,
        AttributeDefinition,
        "SELECT name, type, description, user_writable, in_access_token, max_bytes, created_at
         FROM attribute_definitions WHERE project_id = $1 AND name = $2",
        project,
        name
    )
}

/// No row: the name is taken.
pub async fn insert(conn: &Conn, project: ProjectId, definition: &AttributeDefinition) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO attribute_definitions
           (project_id, name, type, description, user_writable, in_access_token, max_bytes, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (project_id, name) DO NOTHING",
        project,
        &definition.name,
        &definition.kind,
        &definition.description,
        definition.user_writable,
        definition.in_access_token,
        definition.max_bytes,
        definition.created_at
    )
}

/// Writes all but the type, which values depend on.
pub async fn update(conn: &Conn, project: ProjectId, definition: &AttributeDefinition) -> Result<u64> {
    execute!(
        conn,
        "UPDATE attribute_definitions SET description = $1, user_writable = $2, in_access_token = $3, max_bytes = $4
         WHERE project_id = $5 AND name = $6",
        &definition.description,
        definition.user_writable,
        definition.in_access_token,
        definition.max_bytes,
        project,
        &definition.name
    )
}

/// The foreign key refuses while somebody has a value.
pub async fn delete(conn: &Conn, project: ProjectId, name: &str) -> Result<u64> {
    execute!(conn, "DELETE FROM attribute_definitions WHERE project_id = $1 AND name = $2", project, name)
}
