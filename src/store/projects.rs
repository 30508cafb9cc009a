//! Tenants.

use super::db::{Conn, execute, fetch_optional};
use crate::error::{Result, not_found};
use crate::model::project::Project;

/// Finds a project by slug or by id; a deleted one is not found.
pub async fn find(conn: &Conn, name: &str) -> Result<Option<Project>> {
    let id = name.parse::<uuid::Uuid>().ok();
    fetch_optional!(
        conn,
        Project,
        "SELECT id, slug, name, kind, issuer, status, token_epoch, version, created_at, updated_at
         FROM projects WHERE (slug = $1 OR id = $2) AND status <> 'deleted'",
        name,
        id
    )
}

/// Like [`find`], as a 404 that does not tell more.
pub async fn get(conn: &Conn, name: &str) -> Result<Project> {
    find(conn, name).await?.ok_or_else(|| not_found("no such project"))
}

pub async fn insert(conn: &Conn, project: &Project) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO projects
         (id, slug, name, kind, issuer, status, token_epoch, version, settings, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '{}', $9, $9)",
        project.id,
        &project.slug,
        &project.name,
        &project.kind,
        &project.issuer,
        &project.status,
        project.token_epoch,
        project.version,
        project.created_at
    )
}
