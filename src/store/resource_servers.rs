//! The APIs that take tokens of a project.

use super::db::{Conn, execute, fetch_all};
use crate::error::Result;
use crate::ids::{ProjectId, ResourceServerId};
use crate::model::scope::ResourceServer;

/// All of them: a project has at most 100.
pub async fn list(conn: &Conn, project: ProjectId) -> Result<Vec<ResourceServer>> {
    fetch_all!(
        conn,
        ResourceServer,
        "SELECT id, identifier, name, scopes, created_at FROM resource_servers WHERE project_id = $1
         ORDER BY id LIMIT 100",
        project
    )
}

/// No row: the identifier is taken.
pub async fn insert(conn: &Conn, project: ProjectId, server: &ResourceServer) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO resource_servers (project_id, id, identifier, name, scopes, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project_id, identifier) DO NOTHING",
        project,
        server.id,
        &server.identifier,
        &server.name,
        server.scopes.to_json()?,
        server.created_at
    )
}

pub async fn update(conn: &Conn, project: ProjectId, server: &ResourceServer) -> Result<u64> {
    execute!(
        conn,
        "UPDATE resource_servers SET name = $1, scopes = $2 WHERE project_id = $3 AND id = $4",
        &server.name,
        server.scopes.to_json()?,
        project,
        server.id
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, id: ResourceServerId) -> Result<u64> {
    execute!(conn, "DELETE FROM resource_servers WHERE project_id = $1 AND id = $2", project, id)
}
