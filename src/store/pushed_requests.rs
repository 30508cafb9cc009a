//! Pushed authorization requests: one use, a minute and a half.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::{ClientId, ProjectId};
use crate::model::timestamp::Timestamp;

/// A request to be stored.
pub struct NewPushedRequest {
    pub hash: Vec<u8>,
    pub client_id: ClientId,
    pub sealed_parameters: Vec<u8>,
    pub expires_at: Timestamp,
}

pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    request: &NewPushedRequest,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO pushed_requests (project_id, hash, client_id, sealed_parameters, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        project,
        &request.hash,
        request.client_id,
        &request.sealed_parameters,
        now,
        request.expires_at
    )
}

#[derive(FromRow)]
struct Sealed {
    sealed_parameters: Vec<u8>,
}

/// The sealed parameters of a request that the client may still begin with.
pub async fn find(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    client: ClientId,
    hash: &[u8],
) -> Result<Option<Vec<u8>>> {
    let row = fetch_optional!(
        conn,
        Sealed,
        "SELECT sealed_parameters FROM pushed_requests
         WHERE project_id = $1 AND hash = $2 AND client_id = $3 AND expires_at > $4",
        project,
        hash,
        client,
        now
    )?;
    Ok(row.map(|row| row.sealed_parameters))
}

/// Uses the request up: of many callers one gets a row. Its expiry is for whoever begins with it; a person may take longer.
pub async fn consume(conn: &Conn, project: ProjectId, client: ClientId, hash: &[u8]) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM pushed_requests WHERE project_id = $1 AND hash = $2 AND client_id = $3",
        project,
        hash,
        client
    )
}
