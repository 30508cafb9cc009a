//! What lets an application register itself: a secret with an end, for so many uses.

use serde::Serialize;
use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{InitialAccessTokenId, ProjectId};
use crate::model::timestamp::Timestamp;

/// A token as lists show it.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct InitialAccessToken {
    pub id: InitialAccessTokenId,
    pub name: String,
    pub max_uses: i64,
    pub uses: i64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

pub async fn insert(conn: &Conn, project: ProjectId, token: &InitialAccessToken, hash: &[u8]) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO initial_access_tokens (project_id, id, hash, name, max_uses, uses, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, 0, $6, $7)",
        project,
        token.id,
        hash,
        &token.name,
        token.max_uses,
        token.created_at,
        token.expires_at
    )
}

#[derive(FromRow)]
struct Found {
    id: InitialAccessTokenId,
}

/// The token with this hash, if it still lets somebody in.
pub async fn find_live(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    hash: &[u8],
) -> Result<Option<InitialAccessTokenId>> {
    let row = fetch_optional!(
        conn,
        Found,
        "SELECT id FROM initial_access_tokens
         WHERE project_id = $1 AND hash = $2 AND uses < max_uses AND expires_at > $3",
        project,
        hash,
        now
    )?;
    Ok(row.map(|row| row.id))
}

/// Counts one use: of more callers than it has uses left, those too many get no row.
pub async fn consume(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: InitialAccessTokenId,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE initial_access_tokens SET uses = uses + 1
         WHERE project_id = $1 AND id = $2 AND uses < max_uses AND expires_at > $3",
        project,
        id,
        now
    )
}

/// Tokens after `after`, by age: used up and expired ones too, until the clean-up.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    after: Option<InitialAccessTokenId>,
    limit: i64,
) -> Result<Vec<InitialAccessToken>> {
    fetch_all!(
        conn,
        InitialAccessToken,
        "SELECT id, name, max_uses, uses, created_at, expires_at FROM initial_access_tokens
         WHERE project_id = $1 AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT $3",
        project,
        after,
        limit
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, id: InitialAccessTokenId) -> Result<u64> {
    execute!(conn, "DELETE FROM initial_access_tokens WHERE project_id = $1 AND id = $2", project, id)
}
