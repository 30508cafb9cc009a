//! The built-in project, and what its users may do as admins.

use sqlx::FromRow;

use super::admin_keys::Roles;
use super::db::{Conn, execute, fetch_all, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::{AdminGrantId, ClientId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// The built-in project and its client.
#[derive(Clone, Debug, FromRow)]
pub struct HomeRow {
    pub project_id: ProjectId,
    pub client_id: ClientId,
    pub issuer: String,
}

/// Never deleted, so there is one or it was not made yet.
pub async fn find_home(conn: &Conn) -> Result<Option<HomeRow>> {
    fetch_optional!(
        conn,
        HomeRow,
        "SELECT h.project_id, h.client_id, p.issuer FROM admin_home h JOIN projects p ON p.id = h.project_id"
    )
}

pub async fn insert_home(conn: &Conn, project: ProjectId, client: ClientId) -> Result<u64> {
    execute!(conn, "INSERT INTO admin_home (project_id, client_id) VALUES ($1, $2)", project, client)
}

/// What somebody may do in one project, or in all.
#[derive(Clone, Debug, FromRow)]
pub struct HeldRow {
    /// [`ProjectId::INSTANCE`]: every project.
    pub for_project: ProjectId,
    pub role: String,
}

/// What a user holds, but for projects that were deleted.
pub async fn held(conn: &Conn, home: ProjectId, user: UserId) -> Result<Vec<HeldRow>> {
    fetch_all!(
        conn,
        HeldRow,
        "SELECT g.for_project, g.role FROM admin_grants g LEFT JOIN projects p ON p.id = g.for_project
         WHERE g.project_id = $1 AND g.user_id = $2 AND (g.for_project = $3 OR p.status <> 'deleted')
         ORDER BY g.id",
        home,
        user,
        ProjectId::INSTANCE
    )
}

/// The same, kept from being revoked until the unit ends. An update that changes nothing, because that is what both engines
/// have.
pub async fn hold(conn: &Conn, home: ProjectId, user: UserId) -> Result<Vec<HeldRow>> {
    fetch_all!(
        conn,
        HeldRow,
        "UPDATE admin_grants SET role = role WHERE project_id = $1 AND user_id = $2 RETURNING for_project, role",
        home,
        user
    )
}

/// The same of everybody at once: what ends the sessions of the built-in project, or of one of its clients, waits for those
/// who act, or is seen by them. Of another project there are none.
pub async fn hold_all(conn: &Conn, project: ProjectId) -> Result<u64> {
    execute!(conn, "UPDATE admin_grants SET role = role WHERE project_id = $1", project)
}

/// A grant as lists show it.
#[derive(Clone, Debug, FromRow)]
pub struct GrantRow {
    pub id: AdminGrantId,
    pub user_id: UserId,
    pub username: Option<String>,
    pub for_project: ProjectId,
    pub role: String,
    pub created_at: Timestamp,
}

/// Grants after `after`, by age; `within`: only those for this one project.
pub async fn list(
    conn: &Conn,
    home: ProjectId,
    within: Option<ProjectId>,
    after: Option<AdminGrantId>,
    limit: i64,
) -> Result<Vec<GrantRow>> {
    fetch_all!(
        conn,
        GrantRow,
        "SELECT g.id, g.user_id, u.username, g.for_project, g.role, g.created_at
         FROM admin_grants g JOIN users u ON u.project_id = g.project_id AND u.id = g.user_id
         WHERE g.project_id = $1 AND ($2 IS NULL OR g.for_project = $2) AND ($3 IS NULL OR g.id > $3)
         ORDER BY g.id LIMIT $4",
        home,
        within,
        after,
        limit
    )
}

pub async fn find(conn: &Conn, home: ProjectId, id: AdminGrantId) -> Result<Option<GrantRow>> {
    fetch_optional!(
        conn,
        GrantRow,
        "SELECT g.id, g.user_id, u.username, g.for_project, g.role, g.created_at
         FROM admin_grants g JOIN users u ON u.project_id = g.project_id AND u.id = g.user_id
         WHERE g.project_id = $1 AND g.id = $2",
        home,
        id
    )
}

/// No row: the user holds a role there already.
pub async fn insert(conn: &Conn, home: ProjectId, grant: &GrantRow) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO admin_grants (project_id, id, user_id, for_project, role, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project_id, user_id, for_project) DO NOTHING",
        home,
        grant.id,
        grant.user_id,
        grant.for_project,
        &grant.role,
        grant.created_at
    )
}

/// Of two callers one gets a row.
pub async fn delete(conn: &Conn, home: ProjectId, id: AdminGrantId) -> Result<u64> {
    execute!(conn, "DELETE FROM admin_grants WHERE project_id = $1 AND id = $2", home, id)
}

/// Whatever is granted for this project alone.
pub async fn delete_for(conn: &Conn, for_project: ProjectId) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM admin_grants WHERE project_id IN (SELECT project_id FROM admin_home) AND for_project = $1",
        for_project
    )
}

/// Somebody who can sign in to the built-in project.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Holder {
    /// The built-in project.
    pub project_id: ProjectId,
    pub user_id: UserId,
}

/// Who can sign in and holds one of these roles for the project, or for all; at most `most`.
pub async fn list_holders(
    conn: &Conn,
    for_project: ProjectId,
    roles: Roles,
    most: i64,
) -> Result<Vec<Holder>> {
    fetch_all!(
        conn,
        Holder,
        "SELECT DISTINCT g.project_id, g.user_id
         FROM admin_grants g JOIN users u ON u.project_id = g.project_id AND u.id = g.user_id
         WHERE g.project_id IN (SELECT project_id FROM admin_home) AND g.for_project IN ($1, $2)
           AND u.status = 'active'
           AND (g.role = 'owner' OR (g.role = 'admin' AND $3) OR (g.role = 'user_manager' AND $4)) LIMIT $5",
        for_project,
        ProjectId::INSTANCE,
        roles.admins,
        roles.user_managers,
        most
    )
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

/// How many a user holds.
pub async fn count(conn: &Conn, home: ProjectId, user: UserId) -> Result<i64> {
    let sql = "SELECT count(*) AS n FROM admin_grants WHERE project_id = $1 AND user_id = $2";
    Ok(fetch_one!(conn, Count, sql, home, user)?.n)
}
