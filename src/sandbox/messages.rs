//! What a sandbox would have sent. Nothing of it ever leaves the house: the outbox job passes it by.

use serde::Serialize;
use serde_json::{Value, json};

use super::require;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::OutboxId;
use crate::jobs::outbox::open_caught;
use crate::mail::{Order, templates};
use crate::model::timestamp::Timestamp;
use crate::store::sandbox::{self, CaughtRow};

/// A message that was caught.
#[derive(Debug, Serialize)]
pub struct Caught {
    pub id: OutboxId,
    pub kind: String,
    pub created_at: Timestamp,
    /// What it says: of a letter `to`, `subject`, `text`, `html`; of a logout token whom it tells of what.
    pub content: Value,
}

/// The newest first.
///
/// # Errors
/// 409 for a live project.
pub async fn list(ctx: &Ctx, before: Option<OutboxId>, limit: i64) -> Result<Vec<Caught>> {
    require(ctx)?;
    let caught = |conn| async move { sandbox::list_caught(&conn, ctx.project.id, before, limit).await };
    let rows = ctx.app.db.read(caught).await?;
    let mut caught = Vec::with_capacity(rows.len());
    for row in rows {
        caught.push(opened(ctx, row).await?);
    }
    Ok(caught)
}

async fn opened(ctx: &Ctx, row: CaughtRow) -> Result<Caught> {
    let content = match &row.sealed_body {
        Some(sealed) => open_caught(&ctx.app, ctx.project.id, row.id, sealed)?,
        None => json!({"client_id": row.client_id, "user": row.user_id, "sid": row.family_id}),
    };
    // A letter that is still to be written, in the words that it would have left in.
    let content = match serde_json::from_value::<Order>(content.clone()) {
        Ok(order) => serde_json::to_value(templates::written(ctx, &order).await?).map_err(Error::internal)?,
        Err(_) => content,
    };
    Ok(Caught { id: row.id, kind: row.kind, created_at: row.created_at, content })
}
