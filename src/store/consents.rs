//! What people have allowed applications of others.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{ClientId, ProjectId, UserId};
use crate::model::consent::{Pairs, Permission};
use crate::model::scope::Names;
use crate::model::timestamp::Timestamp;

#[derive(FromRow)]
struct Row {
    #[sqlx(try_from = "String")]
    scopes: Names,
    #[sqlx(try_from = "String")]
    resources: Names,
    #[sqlx(try_from = "String")]
    claims: Names,
    #[sqlx(try_from = "String")]
    pairs: Pairs,
}

impl From<Row> for Permission {
    fn from(row: Row) -> Self {
        Self { scopes: row.scopes.0, resources: row.resources.0, claims: row.claims.0, pairs: row.pairs }
    }
}

pub async fn find(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    client: ClientId,
) -> Result<Option<Permission>> {
    let row = fetch_optional!(
        conn,
        Row,
        "SELECT scopes, resources, claims, pairs FROM consents
         WHERE project_id = $1 AND user_id = $2 AND client_id = $3",
        project,
        user,
        client
    )?;
    Ok(row.map(Permission::from))
}

/// Reads it and keeps it from being changed or withdrawn until the unit ends.
pub async fn hold(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    client: ClientId,
) -> Result<Option<Permission>> {
    let row = fetch_optional!(
        conn,
        Row,
        "UPDATE consents SET updated_at = updated_at WHERE project_id = $1 AND user_id = $2 AND client_id = $3
         RETURNING scopes, resources, claims, pairs",
        project,
        user,
        client
    )?;
    Ok(row.map(Permission::from))
}

pub async fn put(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    client: ClientId,
    given: &Permission,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO consents (project_id, user_id, client_id, scopes, resources, claims, created_at, updated_at, pairs)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
         ON CONFLICT (project_id, user_id, client_id)
         DO UPDATE SET scopes = $4, resources = $5, claims = $6, updated_at = $7, pairs = $8",
        project,
        user,
        client,
        Names(given.scopes.clone()).to_json()?,
        Names(given.resources.clone()).to_json()?,
        Names(given.claims.clone()).to_json()?,
        now,
        given.pairs.to_json()?
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, user: UserId, client: ClientId) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM consents WHERE project_id = $1 AND user_id = $2 AND client_id = $3",
        project,
        user,
        client
    )
}

/// A consent beside the name of its client.
#[derive(Debug, FromRow, serde::Serialize)]
pub struct Listed {
    pub client_id: ClientId,
    pub client_name: String,
    #[sqlx(try_from = "String")]
    pub scopes: Names,
    #[sqlx(try_from = "String")]
    pub resources: Names,
    #[sqlx(try_from = "String")]
    pub claims: Names,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The first `limit` of a user's after a client.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    after: Option<ClientId>,
    limit: i64,
) -> Result<Vec<Listed>> {
    fetch_all!(
        conn,
        Listed,
        "SELECT n.client_id, c.client_name, n.scopes, n.resources, n.claims, n.created_at, n.updated_at
         FROM consents n JOIN clients c ON c.project_id = n.project_id AND c.id = n.client_id
         WHERE n.project_id = $1 AND n.user_id = $2 AND n.client_id > $3 ORDER BY n.client_id LIMIT $4",
        project,
        user,
        after.map_or_else(uuid::Uuid::nil, |after| after.0),
        limit
    )
}

/// Codes of the client that the user has given and that were not exchanged: with the consent they go.
pub async fn delete_codes(conn: &Conn, project: ProjectId, user: UserId, client: ClientId) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM authorization_codes
         WHERE project_id = $1 AND user_id = $2 AND client_id = $3 AND consumed_at IS NULL",
        project,
        user,
        client
    )
}

/// Devices that the user has allowed to go on with the client, and that have not yet.
pub async fn delete_device_grants(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    client: ClientId,
) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM device_grants
         WHERE project_id = $1 AND user_id = $2 AND client_id = $3 AND state = 'approved'",
        project,
        user,
        client
    )
}

pub async fn end_families(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    client: ClientId,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET revoked_at = $1, revoked_reason = 'consent_withdrawn'
         WHERE project_id = $2 AND user_id = $3 AND client_id = $4 AND revoked_at IS NULL AND expires_at > $1",
        now,
        project,
        user,
        client
    )
}
