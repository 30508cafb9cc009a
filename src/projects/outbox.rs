//! The outbox as admins see it: what waits, what was given up, and sending that again.

use serde_json::json;

use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Result, conflict, not_found};
use crate::ids::OutboxId;
use crate::store::outbox::{self, Message};

/// The states that a message has.
pub const STATES: [&str; 4] = ["waiting", "delivered", "dead", "caught"];

pub async fn list(ctx: &Ctx, state: &str, after: Option<OutboxId>, limit: i64) -> Result<Vec<Message>> {
    let (project, after) = (ctx.project.id, after.unwrap_or(OutboxId(uuid::Uuid::nil())));
    ctx.app.db.read(|conn| async move { outbox::list(&conn, project, state, after, limit).await }).await
}

/// Lets a message that was given up be tried again from the start.
///
/// # Errors
/// 404 for one that is not there; 409 for one that is not dead, or of which nothing is left to send.
pub async fn retry(ctx: &Ctx, actor: &Actor, id: OutboxId) -> Result<Message> {
    let (project, now) = (ctx.project.id, ctx.now);
    ctx.app
        .db
        .unit(|conn| async move {
            let Some(message) = outbox::revive(&conn, project, now, id).await? else {
                let found = outbox::find(&conn, project, id).await?;
                let found = found.ok_or_else(|| not_found("no such message"))?;
                return Err(conflict(match found.state.as_str() {
                    "dead" => "nothing is left of this message; what caused it has to be done again",
                    _ => "only a dead message is sent again",
                }));
            };
            let target = format!("outbox:{id}");
            let event = actor.did("outbox.retried", &target).with(json!({"kind": message.kind}));
            audit::append(&conn, project, now, &event).await?;
            Ok(message)
        })
        .await
}
