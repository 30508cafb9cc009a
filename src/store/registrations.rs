//! What clients that registered themselves manage their registration by.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::{ClientId, InitialAccessTokenId, ProjectId};
use crate::model::timestamp::Timestamp;

pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    client: ClientId,
    hash: &[u8],
    by: InitialAccessTokenId,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO registrations (project_id, client_id, hash, initial_access_token_id, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        project,
        client,
        hash,
        by,
        now
    )
}

#[derive(FromRow)]
struct Stored {
    hash: Vec<u8>,
}

/// SHA-256 of the client's registration access token.
pub async fn find_hash(conn: &Conn, project: ProjectId, client: ClientId) -> Result<Option<Vec<u8>>> {
    let row = fetch_optional!(
        conn,
        Stored,
        "SELECT hash FROM registrations WHERE project_id = $1 AND client_id = $2",
        project,
        client
    )?;
    Ok(row.map(|row| row.hash))
}

pub async fn delete(conn: &Conn, project: ProjectId, client: ClientId) -> Result<u64> {
    execute!(conn, "DELETE FROM registrations WHERE project_id = $1 AND client_id = $2", project, client)
}
