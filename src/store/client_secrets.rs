//! The secrets of clients: at most two each, because there are two slots. Every change comes with one of the client's
//! version, which is made first and so orders two callers.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all};
use crate::error::Result;
use crate::ids::{ClientId, ProjectId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct StoredSecret {
    pub slot: i64,
    /// SHA-256.
    pub hash: Vec<u8>,
    pub created_at: Timestamp,
    /// `None`: it lives until it is removed.
    pub expires_at: Option<Timestamp>,
}

impl StoredSecret {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}

/// The (at most two) live secrets.
pub async fn list_live(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    client: ClientId,
) -> Result<Vec<StoredSecret>> {
    fetch_all!(
        conn,
        StoredSecret,
        "SELECT slot, hash, created_at, expires_at FROM client_secrets
         WHERE project_id = $1 AND client_id = $2 AND (expires_at IS NULL OR expires_at > $3) ORDER BY slot",
        project,
        client,
        now
    )
}

/// Puts a secret into a slot, in the place of what was there.
pub async fn put(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    client: ClientId,
    slot: i64,
    hash: &[u8],
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO client_secrets (project_id, client_id, slot, hash, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id, client_id, slot)
         DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at, expires_at = NULL",
        project,
        client,
        slot,
        hash,
        now
    )
}

/// Ends a secret at `end`, or when it would have ended anyway.
pub async fn end_at(
    conn: &Conn,
    project: ProjectId,
    client: ClientId,
    slot: i64,
    end: Timestamp,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE client_secrets SET expires_at = $1
         WHERE project_id = $2 AND client_id = $3 AND slot = $4 AND (expires_at IS NULL OR expires_at > $1)",
        end,
        project,
        client,
        slot
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, client: ClientId, slot: i64) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM client_secrets WHERE project_id = $1 AND client_id = $2 AND slot = $3",
        project,
        client,
        slot
    )
}

pub async fn delete_all(conn: &Conn, project: ProjectId, client: ClientId) -> Result<u64> {
    execute!(conn, "DELETE FROM client_secrets WHERE project_id = $1 AND client_id = $2", project, client)
}
