//! Applications and their secrets.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::{Error, Result};
use crate::ids::{ClientId, ProjectId};
use crate::model::client::{Client, ClientRow, ClientSettings};
use crate::model::timestamp::Timestamp;

pub async fn find(conn: &Conn, project: ProjectId, id: ClientId) -> Result<Option<Client>> {
    let row = fetch_optional!(
        conn,
        ClientRow,
        "SELECT id, client_name, type, status, token_epoch, version, settings, created_at
         FROM clients WHERE project_id = $1 AND id = $2",
        project,
        id
    )?;
    row.map(Client::try_from).transpose()
}

pub async fn insert(conn: &Conn, project: ProjectId, now: Timestamp, client: &Client) -> Result<u64> {
    let settings = serde_json::to_string(&client.settings).map_err(Error::internal)?;
    execute!(
        conn,
        "INSERT INTO clients
         (project_id, id, client_name, type, status, token_epoch, version, settings, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $8)",
        project,
        client.id,
        &client.name,
        &client.kind,
        &client.status,
        client.token_epoch,
        settings.as_str(),
        now
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
    let settings = serde_json::to_string(settings).map_err(Error::internal)?;
    execute!(
        conn,
        "UPDATE clients SET settings = $1, version = version + 1, updated_at = $2
         WHERE project_id = $3 AND id = $4 AND version = $5",
        settings.as_str(),
        now,
        project,
        id,
        version
    )
}

pub async fn set_secret(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: ClientId,
    slot: i64,
    hash: &[u8],
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO client_secrets (project_id, client_id, slot, hash, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id, client_id, slot) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at",
        project,
        id,
        slot,
        hash,
        now
    )
}

/// A live secret: its hash, and when it ends.
#[derive(Clone, Debug, FromRow)]
pub struct StoredSecret {
    pub hash: Vec<u8>,
    pub expires_at: Option<Timestamp>,
}

/// The (at most two) live secrets.
pub async fn live_secrets(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: ClientId,
) -> Result<Vec<StoredSecret>> {
    fetch_all!(
        conn,
        StoredSecret,
        "SELECT hash, expires_at FROM client_secrets
         WHERE project_id = $1 AND client_id = $2 AND (expires_at IS NULL OR expires_at > $3)",
        project,
        id,
        now
    )
}

/// Makes every node forget what it remembers of the client: for changes of its secrets.
pub async fn raise_version(conn: &Conn, project: ProjectId, now: Timestamp, id: ClientId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE clients SET version = version + 1, updated_at = $1 WHERE project_id = $2 AND id = $3",
        now,
        project,
        id
    )
}
