//! The attributes that a project defines for its users.

use super::db::{Conn, fetch_all};
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
