//! Tenants. Versions and epochs are moments in microseconds, so that a store which was set back gives out none again.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_one, fetch_optional};
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
        "SELECT id, slug, name, kind, issuer, status, token_epoch, version, clock_offset, settings, created_at,
           updated_at
         FROM projects WHERE (slug = $1 OR id = $2) AND status <> 'deleted'",
        name,
        id
    )?;
    row.map(Project::try_from).transpose()
}

/// A project that was deleted, whose rows may still be there.
pub async fn find_deleted(conn: &Conn, id: &str) -> Result<Option<Project>> {
    let row = fetch_optional!(
        conn,
        ProjectRow,
        "SELECT id, slug, name, kind, issuer, status, token_epoch, version, clock_offset, settings, created_at,
           updated_at
         FROM projects WHERE id = $1 AND status = 'deleted'",
        id.parse::<uuid::Uuid>().ok()
    )?;
    row.map(Project::try_from).transpose()
}

/// Like [`find`], as a 404 that does not tell more.
pub async fn get(conn: &Conn, name: &str) -> Result<Project> {
    find(conn, name).await?.ok_or_else(|| not_found("no such project"))
}

/// Projects after `after`, by age, without the deleted ones; `only`: at most this one.
pub async fn list(
    conn: &Conn,
    only: Option<ProjectId>,
    after: Option<ProjectId>,
    limit: i64,
) -> Result<Vec<Project>> {
    let rows = fetch_all!(
        conn,
        ProjectRow,
        "SELECT id, slug, name, kind, issuer, status, token_epoch, version, clock_offset, settings, created_at,
           updated_at
         FROM projects WHERE status <> 'deleted' AND ($1 IS NULL OR id = $1) AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
        only,
        after,
        limit
    )?;
    rows.into_iter().map(Project::try_from).collect()
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

/// Whether there is such a project, or was.
pub async fn is_known(conn: &Conn, project: ProjectId) -> Result<bool> {
    Ok(fetch_optional!(conn, Id, "SELECT id FROM projects WHERE id = $1", project)?.is_some())
}

/// Locks the project's row until the unit ends: whoever decides by a number of its rows counts alone.
pub async fn hold(conn: &Conn, project: ProjectId) -> Result<u64> {
    execute!(conn, "UPDATE projects SET version = version WHERE id = $1 AND status <> 'deleted'", project)
}

/// Makes every node forget what it remembers of the project: for changes of its keys and definitions.
pub async fn raise_version(conn: &Conn, project: ProjectId, now: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE projects SET version = CASE WHEN version >= $1 THEN version + 1 ELSE $1 END, updated_at = $2
         WHERE id = $3 AND status <> 'deleted'",
        now.micros(),
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
        project.kind.as_str(),
        &project.issuer,
        project.status.as_str(),
        project.token_epoch,
        project.version,
        settings.as_str(),
        project.created_at
    )
}

/// Stores what an admin changed if nobody changed the project since its version was read; `end_sessions` raises its
/// epoch, which ends every token, code and browser session. The row count is the verdict.
pub async fn update(conn: &Conn, now: Timestamp, project: &Project, end_sessions: bool) -> Result<u64> {
    let settings = serde_json::to_string(&project.settings).map_err(Error::internal)?;
    execute!(
        conn,
        "UPDATE projects SET name = $1, status = $2, settings = $3, updated_at = $4,
           version = CASE WHEN version >= $6 THEN version + 1 ELSE $6 END,
           token_epoch = CASE WHEN NOT $5 THEN token_epoch WHEN token_epoch >= $6 THEN token_epoch + 1 ELSE $6 END
         WHERE id = $7 AND version = $8 AND status <> 'deleted'",
        &project.name,
        project.status.as_str(),
        settings.as_str(),
        now,
        end_sessions,
        now.micros(),
        project.id,
        project.version
    )
}

/// Deletes a project, whatever else changes at the same time; ends every token, code and browser session of it. 0: it is deleted.
pub async fn delete(conn: &Conn, project: ProjectId, now: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE projects SET status = 'deleted', updated_at = $1,
           version = CASE WHEN version >= $2 THEN version + 1 ELSE $2 END,
           token_epoch = CASE WHEN token_epoch >= $2 THEN token_epoch + 1 ELSE $2 END
         WHERE id = $3 AND status <> 'deleted'",
        now,
        now.micros(),
        project
    )
}

/// Ends every token, code and browser session of the project, whatever else changes at the same time.
pub async fn raise_epoch(conn: &Conn, project: ProjectId, now: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE projects SET updated_at = $1, version = CASE WHEN version >= $2 THEN version + 1 ELSE $2 END,
           token_epoch = CASE WHEN token_epoch >= $2 THEN token_epoch + 1 ELSE $2 END
         WHERE id = $3 AND status <> 'deleted'",
        now,
        now.micros(),
        project
    )
}

#[derive(FromRow)]
struct Id {
    id: ProjectId,
}

/// Ids of projects after `after`, by age, whatever their state.
pub async fn list_ids(conn: &Conn, after: ProjectId, limit: i64) -> Result<Vec<ProjectId>> {
    let rows =
        fetch_all!(conn, Id, "SELECT id FROM projects WHERE id > $1 ORDER BY id LIMIT $2", after, limit)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Like [`raise_epoch`], for every project after `after` and up to `last`.
pub async fn raise_epochs(conn: &Conn, after: ProjectId, last: ProjectId, now: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE projects SET updated_at = $1, version = CASE WHEN version >= $2 THEN version + 1 ELSE $2 END,
           token_epoch = CASE WHEN token_epoch >= $2 THEN token_epoch + 1 ELSE $2 END
         WHERE id > $3 AND id <= $4",
        now,
        now.micros(),
        after,
        last
    )
}

/// How much of a project lives.
#[derive(Clone, Copy, Debug, FromRow, serde::Serialize)]
pub struct Living {
    pub users: i64,
    pub clients: i64,
    pub families: i64,
    pub browser_sessions: i64,
    pub admin_keys: i64,
}

pub async fn count_living(conn: &Conn, project: ProjectId, now: Timestamp) -> Result<Living> {
    fetch_one!(
        conn,
        Living,
        "SELECT
           (SELECT count(*) FROM users WHERE project_id = p.id AND status <> 'deleted') AS users,
           (SELECT count(*) FROM clients WHERE project_id = p.id AND status <> 'deleted') AS clients,
           (SELECT count(*) FROM token_families f
              JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
              JOIN users u ON u.project_id = f.project_id AND u.id = f.user_id
              WHERE f.project_id = p.id AND f.revoked_at IS NULL AND f.expires_at > $2 AND f.idle_expires_at > $2
                AND f.project_epoch = p.token_epoch AND f.client_epoch = c.token_epoch
                AND f.user_epoch = u.token_epoch) AS families,
           (SELECT count(*) FROM browser_sessions b
              JOIN users u ON u.project_id = b.project_id AND u.id = b.user_id
              WHERE b.project_id = p.id AND b.ended_at IS NULL AND b.expires_at > $2
                AND b.project_epoch = p.token_epoch AND b.browser_epoch = u.browser_epoch) AS browser_sessions,
           (SELECT count(*) FROM admin_keys WHERE project_id = p.id AND revoked_at IS NULL) AS admin_keys
         FROM projects p WHERE p.id = $1",
        project,
        now
    )
}

/// Gives every project whose issuer lies under the origin `from` the one under `to`.
pub async fn move_issuers(conn: &Conn, now: Timestamp, from: &str, to: &str) -> Result<u64> {
    execute!(
        conn,
        "UPDATE projects SET issuer = $1 || '/projects/' || slug, updated_at = $2,
           version = CASE WHEN version >= $4 THEN version + 1 ELSE $4 END
         WHERE issuer = $3 || '/projects/' || slug",
        to,
        now,
        from,
        now.micros()
    )
}
