//! Tenants.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_optional};
use crate::error::{Error, Result, not_found};
use crate::ids::ProjectId;
use crate::model::project::{Project, ProjectRow};
use crate::model::timestamp::Timestamp;

/// Finds a project by slug or by id; a deleted one is not found.
pub async fn find(conn: &Conn, name: &str) -> Result<Option<Project>> {
    let id = name.parse::<uuid::Uuid>().ok();
    let row = fetch_optional!(
        conn,
        ProjectRow,
        "SELECT id, slug, name, kind, issuer, status, token_epoch, version, settings, created_at, updated_at
         FROM projects WHERE (slug = $1 OR id = $2) AND status <> 'deleted'",
        name,
        id
    )?;
    row.map(Project::try_from).transpose()
}

/// Like [`find`], as a 404 that does not tell more.
pub async fn get(conn: &Conn, name: &str) -> Result<Project> {
    find(conn, name).await?.ok_or_else(|| not_found("no such project"))
}

#[derive(FromRow)]
struct Version {
    version: i64,
}

/// The version alone: it changes with everything that is remembered of a project. `None` once it is deleted.
pub async fn version(conn: &Conn, project: ProjectId) -> Result<Option<i64>> {
    let row = fetch_optional!(
        conn,
        Version,
        "SELECT version FROM projects WHERE id = $1 AND status <> 'deleted'",
        project
    )?;
    Ok(row.map(|row| row.version))
}

/// Makes every node forget what it remembers of the project: for changes of its keys and definitions.
pub async fn raise_version(conn: &Conn, project: ProjectId, now: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE projects SET version = version + 1, updated_at = $1 WHERE id = $2 AND status <> 'deleted'",
        now,
        project
    )
}

pub async fn insert(conn: &Conn, project: &Project) -> Result<u64> {
    let settings = serde_json::to_string(&project.settings).map_err(Error::internal)?;
    execute!(
        conn,
        "INSERT INTO projects
         (id, slug, name, kind, issuer, status, token_epoch, version, settings, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        project.id,
        &project.slug,
        &project.name,
        &project.kind,
        &project.issuer,
        &project.status,
        project.token_epoch,
        project.version,
        settings.as_str(),
        project.created_at
    )
}
