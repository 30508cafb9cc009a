//! Where projects are told of what happens to their users.

use serde::Serialize;
use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{OutboxId, ProjectId, WebhookId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow, Serialize)]
pub struct Webhook {
    pub id: WebhookId,
    pub uri: String,
    #[serde(skip)]
    pub sealed_secret: Vec<u8>,
    pub created_at: Timestamp,
}

/// No row: the project has `most` already.
pub async fn insert(conn: &Conn, project: ProjectId, webhook: &Webhook, most: i64) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO webhooks (project_id, id, uri, sealed_secret, created_at)
         SELECT p.id, $2, $3, $4, $5 FROM projects p
         WHERE p.id = $1 AND (SELECT count(*) FROM webhooks WHERE project_id = $1) < $6",
        project,
        webhook.id,
        &webhook.uri,
        &webhook.sealed_secret,
        webhook.created_at,
        most
    )
}

/// By age. There are few.
pub async fn list(conn: &Conn, project: ProjectId) -> Result<Vec<Webhook>> {
    fetch_all!(
        conn,
        Webhook,
        "SELECT id, uri, sealed_secret, created_at FROM webhooks WHERE project_id = $1 ORDER BY id",
        project
    )
}

pub async fn find(conn: &Conn, project: ProjectId, id: WebhookId) -> Result<Option<Webhook>> {
    fetch_optional!(
        conn,
        Webhook,
        "SELECT id, uri, sealed_secret, created_at FROM webhooks WHERE project_id = $1 AND id = $2",
        project,
        id
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, id: WebhookId) -> Result<u64> {
    execute!(conn, "DELETE FROM webhooks WHERE project_id = $1 AND id = $2", project, id)
}

/// Puts an event into the outbox, in the unit of what it tells of.
pub async fn enqueue(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: OutboxId,
    webhook: WebhookId,
    sealed_body: &[u8],
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO outbox (project_id, id, kind, webhook_id, sealed_body, state, attempts, next_attempt_at, created_at)
         VALUES ($1, $2, 'webhook', $3, $4, CASE WHEN EXISTS (
           SELECT 1 FROM projects WHERE id = $1 AND kind = 'sandbox') THEN 'caught' ELSE 'waiting' END, 0, $5, $5)",
        project,
        id,
        webhook,
        sealed_body,
        now
    )
}
