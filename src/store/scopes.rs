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
        "SELECT name, description, claims, attributes, created_at, version FROM scopes WHERE project_id = $1
         ORDER BY name LIMIT 100",
        project
    )
}

/// In the version that the project has by then. No row: the name is taken.
pub async fn insert(conn: &Conn, project: ProjectId, scope: &Scope) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO scopes (project_id, name, description, claims, attributes, created_at, version)
         VALUES ($1, $2, $3, $4, $5, $6, (SELECT version FROM projects WHERE id = $1)) ON CONFLICT (project_id, name) DO NOTHING",
        project,
        &scope.name,
        &scope.description,
        scope.claims.to_json()?,
        scope.attributes.to_json()?,
        scope.created_at
    )
}

/// `wider`: it shows more, so that it is something new to allow.
pub async fn update(conn: &Conn, project: ProjectId, scope: &Scope, wider: bool) -> Result<u64> {
    execute!(
        conn,
        "UPDATE scopes SET description = $1, claims = $2, attributes = $3,
           version = CASE WHEN $6 THEN (SELECT version FROM projects WHERE id = $4) ELSE version END
         WHERE project_id = $4 AND name = $5",
        &scope.description,
        scope.claims.to_json()?,
        scope.attributes.to_json()?,
        project,
        &scope.name,
        wider
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, name: &str) -> Result<u64> {
    execute!(conn, "DELETE FROM scopes WHERE project_id = $1 AND name = $2", project, name)
}
