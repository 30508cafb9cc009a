//! Applications and their secrets.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_one, fetch_optional};
use crate::error::{Error, Result};
use crate::ids::{ClientId, ProjectId};
use crate::model::client::{Client, ClientRow, ClientSettings};
use crate::model::project::next_number;
use crate::model::timestamp::Timestamp;

pub async fn find(conn: &Conn, project: ProjectId, id: ClientId) -> Result<Option<Client>> {
    let row = fetch_optional!(
        conn,
        ClientRow,
        "SELECT id, client_name, type, status, token_epoch, version, shortened_in, settings, created_at,
                updated_at
         FROM clients WHERE project_id = $1 AND id = $2",
        project,
        id
    )?;
    row.map(Client::try_from).transpose()
}

/// Clients after `after`, by age, without the deleted ones.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    after: Option<ClientId>,
    limit: i64,
) -> Result<Vec<Client>> {
    let rows = fetch_all!(
        conn,
        ClientRow,
        "SELECT id, client_name, type, status, token_epoch, version, shortened_in, settings, created_at,
                updated_at
         FROM clients WHERE project_id = $1 AND status <> 'deleted' AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
        project,
        after,
        limit
    )?;
    rows.into_iter().map(Client::try_from).collect()
}

pub async fn insert(conn: &Conn, project: ProjectId, now: Timestamp, client: &Client) -> Result<u64> {
    let settings = serde_json::to_string(&client.settings).map_err(Error::internal)?;
    execute!(
        conn,
        "INSERT INTO clients
         (project_id, id, client_name, type, status, token_epoch, version, shortened_in, settings, created_at, updated_at,
          backchannel_logout, first_party, asks_second_factor)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $9, $10, $11, $12)",
        project,
        client.id,
        &client.name,
        client.kind.as_str(),
        client.status.as_str(),
        client.token_epoch,
        client.version,
        settings.as_str(),
        now,
        client.settings.backchannel_logout_uri.is_some(),
        client.settings.first_party,
        client.settings.second_factor.is_some()
    )
}

/// Replaces the settings if nobody changed the client since `version`; the row count is the verdict.
pub async fn update_settings(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: ClientId,
    version: i64,
    settings: &ClientSettings,
) -> Result<u64> {
    let text = serde_json::to_string(settings).map_err(Error::internal)?;
    execute!(
        conn,
        "UPDATE clients SET settings = $1, version = $2, updated_at = $3, asks_second_factor = $7
         WHERE project_id = $4 AND id = $5 AND version = $6",
        text.as_str(),
        next_number(version, now),
        now,
        project,
        id,
        version,
        settings.second_factor.is_some()
    )
}

#[derive(FromRow)]
struct Version {
    version: i64,
}

/// Notes that the client's newest version shortened the lifetimes, and gives it.
pub async fn note_shortening(conn: &Conn, project: ProjectId, id: ClientId) -> Result<i64> {
    let row = fetch_one!(
        conn,
        Version,
        "UPDATE clients SET shortened_in = version WHERE project_id = $1 AND id = $2 RETURNING version",
        project,
        id
    )?;
    Ok(row.version)
}

/// Stores what an admin changed if nobody changed the client since its version was read; `end_tokens` raises its epoch,
/// which ends everything granted before. The row count is the verdict.
pub async fn update(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    client: &Client,
    end_tokens: bool,
) -> Result<u64> {
    let settings = serde_json::to_string(&client.settings).map_err(Error::internal)?;
    execute!(
        conn,
        "UPDATE clients SET client_name = $1, status = $2, settings = $3, updated_at = $4, backchannel_logout = $10,
           first_party = $11, asks_second_factor = $12,
           version = CASE WHEN version >= $6 THEN version + 1 ELSE $6 END,
           token_epoch = CASE WHEN NOT $5 THEN token_epoch WHEN token_epoch >= $6 THEN token_epoch + 1 ELSE $6 END
         WHERE project_id = $7 AND id = $8 AND version = $9 AND status <> 'deleted'",
        &client.name,
        client.status.as_str(),
        settings.as_str(),
        now,
        end_tokens,
        now.micros(),
        project,
        client.id,
        client.version,
        client.settings.backchannel_logout_uri.is_some(),
        client.settings.first_party,
        client.settings.second_factor.is_some()
    )
}

#[derive(FromRow)]
struct Asking {
    #[expect(dead_code, reason = "that there is one is all that is asked")]
    id: ClientId,
}

/// Whether some client of the project asks for a second factor. One that is disabled may come back, and counts.
pub async fn some_ask_second_factor(conn: &Conn, project: ProjectId) -> Result<bool> {
    let found = fetch_optional!(
        conn,
        Asking,
        "SELECT id FROM clients WHERE project_id = $1 AND asks_second_factor AND status <> 'deleted' LIMIT 1",
        project
    )?;
    Ok(found.is_some())
}

/// Raises the version of every client of the projects after `after` and up to `last`: no node trusts what it remembers.
pub async fn raise_versions(conn: &Conn, after: ProjectId, last: ProjectId, now: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE clients SET version = CASE WHEN version >= $1 THEN version + 1 ELSE $1 END
         WHERE project_id > $2 AND project_id <= $3",
        now.micros(),
        after,
        last
    )
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

/// Families of the client that its epoch still lets live.
pub async fn count_live_families(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: ClientId,
) -> Result<i64> {
    let count = fetch_one!(
        conn,
        Count,
        "SELECT count(*) AS n FROM token_families f
         JOIN projects p ON p.id = f.project_id
         JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
         JOIN users u ON u.project_id = f.project_id AND u.id = f.user_id
         WHERE f.project_id = $1 AND f.client_id = $2 AND f.revoked_at IS NULL AND f.expires_at > $3
           AND f.idle_expires_at > $3 AND f.project_epoch = p.token_epoch AND f.client_epoch = c.token_epoch
           AND f.user_epoch = u.token_epoch",
        project,
        id,
        now
    )?;
    Ok(count.n)
}
