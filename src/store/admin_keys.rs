//! Bearer secrets for the admin API.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{AdminKeyId, ProjectId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct AdminKey {
    pub id: AdminKeyId,
    /// `None`: every project.
    pub project_id: Option<ProjectId>,
    pub name: String,
    pub role: String,
}

/// A live key as lists show it.
#[derive(Clone, Debug, FromRow)]
pub struct Listed {
    #[sqlx(flatten)]
    pub key: AdminKey,
    pub created_at: Timestamp,
    /// Who stands behind it, as the log names them; `None`: it stands for itself.
    pub made_by: Option<String>,
}

/// The live key with this hash; those of a deleted project are dead.
pub async fn find_live(conn: &Conn, hash: &[u8]) -> Result<Option<AdminKey>> {
    fetch_optional!(
        conn,
        AdminKey,
        "SELECT k.id, k.project_id, k.name, k.role
         FROM admin_keys k LEFT JOIN projects p ON p.id = k.project_id
         WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.project_id IS NULL OR p.status <> 'deleted')",
        hash
    )
}

/// A live key by its id.
pub async fn find(conn: &Conn, id: AdminKeyId) -> Result<Option<Listed>> {
    fetch_optional!(
        conn,
        Listed,
        "SELECT id, project_id, name, role, created_at, made_by FROM admin_keys
         WHERE id = $1 AND revoked_at IS NULL",
        id
    )
}

/// Whether a key for all projects was ever made.
pub async fn are_any_for_all(conn: &Conn) -> Result<bool> {
    let found =
        fetch_optional!(conn, (AdminKeyId,), "SELECT id FROM admin_keys WHERE project_id IS NULL LIMIT 1")?;
    Ok(found.is_some())
}

/// Live keys after `after`, by age; `within`: only those that serve this project alone.
pub async fn list(
    conn: &Conn,
    within: Option<ProjectId>,
    after: Option<AdminKeyId>,
    limit: i64,
) -> Result<Vec<Listed>> {
    fetch_all!(
        conn,
        Listed,
        "SELECT id, project_id, name, role, created_at, made_by FROM admin_keys
         WHERE revoked_at IS NULL AND ($1 IS NULL OR project_id = $1) AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
        within,
        after,
        limit
    )
}

/// `made_by`: who stands behind it, where another admin made it.
pub async fn insert(
    conn: &Conn,
    now: Timestamp,
    key: &AdminKey,
    hash: &[u8],
    made_by: Option<&str>,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO admin_keys (id, project_id, name, role, hash, created_at, made_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        key.id,
        key.project_id,
        &key.name,
        &key.role,
        hash,
        now,
        made_by
    )
}

#[derive(FromRow)]
struct Maker {
    made_by: Option<String>,
}

/// Who stands behind a key, be it revoked or not. `None`: it stands for itself.
pub async fn find_maker(conn: &Conn, id: AdminKeyId) -> Result<Option<String>> {
    let found = fetch_optional!(conn, Maker, "SELECT made_by FROM admin_keys WHERE id = $1", id)?;
    Ok(found.and_then(|row| row.made_by))
}

/// Which roles, beside owners.
#[derive(Clone, Copy)]
pub struct Roles {
    pub admins: bool,
    pub user_managers: bool,
}

/// Whether somebody but `party` has a live key that reaches the project, with one of these roles. `own` is the key at the
/// beginning of that party, if it is a key.
pub async fn is_another(
    conn: &Conn,
    project: ProjectId,
    (party, own): (&str, Option<AdminKeyId>),
    roles: Roles,
) -> Result<bool> {
    let found = fetch_optional!(
        conn,
        (AdminKeyId,),
        "SELECT id FROM admin_keys WHERE revoked_at IS NULL AND (project_id IS NULL OR project_id = $1)
           AND ($2 IS NULL OR id <> $2) AND (made_by IS NULL OR made_by <> $5)
           AND (role = 'owner' OR (role = 'admin' AND $3) OR (role = 'user_manager' AND $4)) LIMIT 1",
        project,
        own,
        roles.admins,
        roles.user_managers,
        party
    )?;
    Ok(found.is_some())
}

/// Keeps a live key from being revoked until the unit ends. No row: it was revoked. An update that changes nothing, because
/// that is what both engines have.
pub async fn hold(conn: &Conn, id: AdminKeyId) -> Result<u64> {
    execute!(conn, "UPDATE admin_keys SET name = name WHERE id = $1 AND revoked_at IS NULL", id)
}

/// Revokes a live key; of two callers one gets a row.
pub async fn revoke(conn: &Conn, now: Timestamp, id: AdminKeyId) -> Result<u64> {
    execute!(conn, "UPDATE admin_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL", now, id)
}

/// Revokes whatever serves this project alone.
pub async fn revoke_all(conn: &Conn, project: ProjectId, now: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE admin_keys SET revoked_at = $1 WHERE project_id = $2 AND revoked_at IS NULL",
        now,
        project
    )
}
