//! What is told to somebody of themselves, where nobody else needs it so.

use serde::Serialize;
use sqlx::FromRow;

use super::db::{Conn, fetch_all};
use crate::error::Result;
use crate::ids::{ClientId, DeletionId, OutboxId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow, Serialize)]
pub struct Credential {
    pub kind: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

pub async fn credentials(conn: &Conn, project: ProjectId, user: UserId) -> Result<Vec<Credential>> {
    fetch_all!(
        conn,
        Credential,
        "SELECT kind, created_at, updated_at FROM credentials
         WHERE project_id = $1 AND user_id = $2 ORDER BY created_at LIMIT 10",
        project,
        user
    )
}

/// A deletion as whom it is about sees it: not who of those who work with accounts asked for it, nor why.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct OfDeletion {
    pub deletion_id: DeletionId,
    pub state: String,
    pub notify: bool,
    pub requested_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
    pub execute_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

pub async fn deletions(conn: &Conn, project: ProjectId, user: UserId, limit: i64) -> Result<Vec<OfDeletion>> {
    fetch_all!(
        conn,
        OfDeletion,
        "SELECT id AS deletion_id, state, notify, requested_at, confirmed_at, execute_at, finished_at
         FROM deletions WHERE project_id = $1 AND user_id = $2 ORDER BY id DESC LIMIT $3",
        project,
        user,
        limit
    )
}

/// A message in the outbox that is for somebody, or about their session: waiting, given up, or caught in a sandbox.
#[derive(Clone, Debug, FromRow)]
pub struct MessageRow {
    pub id: OutboxId,
    pub kind: String,
    pub state: String,
    pub client_id: Option<ClientId>,
    pub sealed_body: Option<Vec<u8>>,
    pub created_at: Timestamp,
}

pub async fn messages(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    after: OutboxId,
    limit: i64,
) -> Result<Vec<MessageRow>> {
    fetch_all!(
        conn,
        MessageRow,
        "SELECT id, kind, state, client_id, sealed_body, created_at FROM outbox
         WHERE project_id = $1 AND user_id = $2 AND id > $3 ORDER BY id LIMIT $4",
        project,
        user,
        after,
        limit
    )
}

/// A role of a user of the built-in project.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct AdminRole {
    pub role: String,
    /// `None`: in every project.
    pub project: Option<ProjectId>,
    pub created_at: Timestamp,
}

pub async fn admin_roles(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    limit: i64,
) -> Result<Vec<AdminRole>> {
    fetch_all!(
        conn,
        AdminRole,
        "SELECT role, NULLIF(for_project, $3) AS project, created_at FROM admin_grants
         WHERE project_id = $1 AND user_id = $2 ORDER BY id LIMIT $4",
        project,
        user,
        ProjectId::INSTANCE,
        limit
    )
}
