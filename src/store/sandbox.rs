//! What only sandboxes have. Every statement names a project; those that move its clock make sure that it is a sandbox.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{ClientId, CredentialId, FamilyId, OutboxId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// Sets the clock ahead, unless it would be more than `most` seconds ahead then.
pub async fn advance(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    seconds: i64,
    most: i64,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE projects SET clock_offset = clock_offset + $1, updated_at = $2,
           version = CASE WHEN version >= $3 THEN version + 1 ELSE $3 END
         WHERE id = $4 AND kind = 'sandbox' AND status <> 'deleted' AND clock_offset + $1 <= $5",
        seconds,
        now,
        now.micros(),
        project,
        most
    )
}

/// Sets the clock this many seconds ahead. No row: it is as far already, or farther.
pub async fn set_ahead(conn: &Conn, project: ProjectId, now: Timestamp, seconds: i64) -> Result<u64> {
    execute!(
        conn,
        "UPDATE projects SET clock_offset = $1, updated_at = $2,
           version = CASE WHEN version >= $3 THEN version + 1 ELSE $3 END
         WHERE id = $4 AND kind = 'sandbox' AND status <> 'deleted' AND clock_offset < $1",
        seconds,
        now,
        now.micros(),
        project
    )
}

/// Keeps everybody out, for a reset.
pub async fn disable_people(conn: &Conn, project: ProjectId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE users SET status = 'disabled' WHERE project_id = $1 AND status = 'active'
           AND EXISTS (SELECT 1 FROM projects WHERE id = $1 AND kind = 'sandbox')",
        project
    )
}

/// A fault that waits for its requests.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct FaultRow {
    pub id: Uuid,
    pub endpoint: String,
    pub kind: String,
    pub delay_ms: i64,
    pub remaining: i64,
    pub created_at: Timestamp,
}

/// No row: there are `most` already.
pub async fn insert_fault(conn: &Conn, project: ProjectId, fault: &FaultRow, most: i64) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO sandbox_faults (project_id, id, endpoint, kind, delay_ms, remaining, created_at)
         SELECT p.id, $2, $3, $4, $5, $6, $7 FROM projects p
         WHERE p.id = $1 AND p.kind = 'sandbox'
           AND (SELECT count(*) FROM sandbox_faults WHERE project_id = $1) < $8",
        project,
        fault.id,
        &fault.endpoint,
        &fault.kind,
        fault.delay_ms,
        fault.remaining,
        fault.created_at,
        most
    )
}

/// The oldest first.
pub async fn list_faults(conn: &Conn, project: ProjectId) -> Result<Vec<FaultRow>> {
    fetch_all!(
        conn,
        FaultRow,
        "SELECT id, endpoint, kind, delay_ms, remaining, created_at FROM sandbox_faults
         WHERE project_id = $1 AND remaining > 0 ORDER BY id",
        project
    )
}

/// Strikes once. 0: somebody else had the last of it.
pub async fn use_fault(conn: &Conn, project: ProjectId, id: Uuid) -> Result<u64> {
    execute!(
        conn,
        "UPDATE sandbox_faults SET remaining = remaining - 1 WHERE project_id = $1 AND id = $2 AND remaining > 0",
        project,
        id
    )
}

pub async fn delete_faults(conn: &Conn, project: ProjectId) -> Result<u64> {
    execute!(conn, "DELETE FROM sandbox_faults WHERE project_id = $1", project)
}

/// A message that the outbox keeps.
#[derive(Clone, Debug, FromRow)]
pub struct CaughtRow {
    pub id: OutboxId,
    pub kind: String,
    pub sealed_body: Option<Vec<u8>>,
    pub client_id: Option<ClientId>,
    pub user_id: Option<UserId>,
    pub family_id: Option<FamilyId>,
    pub created_at: Timestamp,
}

/// The newest first; those before `before`.
pub async fn list_caught(
    conn: &Conn,
    project: ProjectId,
    before: Option<OutboxId>,
    limit: i64,
) -> Result<Vec<CaughtRow>> {
    fetch_all!(
        conn,
        CaughtRow,
        "SELECT id, kind, sealed_body, client_id, user_id, family_id, created_at FROM outbox
         WHERE project_id = $1 AND state = 'caught' AND ($2 IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
        project,
        before,
        limit
    )
}

#[derive(Clone, Debug, FromRow)]
pub struct SeedRow {
    pub id: Uuid,
    pub sealed_seed: Vec<u8>,
    pub users: i64,
}

pub async fn put_seed(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: Uuid,
    sealed: &[u8],
    users: i64,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO sandbox_seeds (project_id, id, sealed_seed, users, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id) DO UPDATE SET id = $2, sealed_seed = $3, users = $4, created_at = $5",
        project,
        id,
        sealed,
        users,
        now
    )
}

pub async fn find_seed(conn: &Conn, project: ProjectId) -> Result<Option<SeedRow>> {
    fetch_optional!(
        conn,
        SeedRow,
        "SELECT id, sealed_seed, users FROM sandbox_seeds WHERE project_id = $1",
        project
    )
}

/// A person as a seed keeps one. Lists and documents are JSON text, as on the row.
#[derive(Clone, FromRow, Serialize, Deserialize)]
pub struct SeedPerson {
    pub id: UserId,
    pub status: String,
    pub username: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub profile: String,
    pub roles: String,
    pub groups: String,
    pub attributes: String,
    pub credential_id: Option<CredentialId>,
    pub secret: Option<String>,
    /// Whether the password is one that a mailed link has set. Not in seeds of before.
    #[serde(default)]
    pub by_mail: bool,
}

pub async fn list_people(conn: &Conn, project: ProjectId, limit: i64) -> Result<Vec<SeedPerson>> {
    fetch_all!(
        conn,
        SeedPerson,
        "SELECT u.id, u.status, u.username, u.email, u.email_verified, u.profile, u.roles, u.groups, u.attributes,
           c.id AS credential_id, c.secret, COALESCE(c.by_mail, FALSE) AS by_mail
         FROM users u
         LEFT JOIN credentials c ON c.project_id = u.project_id AND c.user_id = u.id AND c.kind = 'password'
         WHERE u.project_id = $1 AND u.status <> 'deleted' ORDER BY u.id LIMIT $2",
        project,
        limit
    )
}
