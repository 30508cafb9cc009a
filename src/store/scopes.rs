//! The scopes that a project defines.

use super::db::{Conn, execute, fetch_all};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::scope::Scope;

/// All of them: a project has at most 100.
pub async fn list(conn: &Conn, project: ProjectId) -> Result<Vec<Scope>> {
    fetch_all!(
        conn,
        Scope,
        "SELECT name, description, claims, attributes, created_at FROM scopes WHERE project_id = $1
         ORDER BY name LIMIT 100",
        project
    )
}

/// No row: the name is taken.
pub async fn insert(conn: &Conn, project: ProjectId, scope: &Scope) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO scopes (project_id, name, description, claims, attributes, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project_id, name) DO NOTHING",
        project,
        &scope.name,
        &scope.description,
        scope.claims.to_json()?,
        scope.attributes.to_json()?,
        scope.created_at
    )
}

pub async fn update(conn: &Conn, project: ProjectId, scope: &Scope) -> Result<u64> {
    execute!(
        conn,
        "UPDATE scopes SET description = $1, claims = $2, attributes = $3 WHERE project_id = $4 AND name = $5",
        &scope.description,
        scope.claims.to_json()?,
        scope.attributes.to_json()?,
        project,
        &scope.name
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, name: &str) -> Result<u64> {
    execute!(conn, "DELETE FROM scopes WHERE project_id = $1 AND name = $2", project, name)
}
