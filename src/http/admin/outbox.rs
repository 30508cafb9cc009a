//! `/admin/projects/{project}/outbox`: messages that wait, went out, or were given up.

use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::paging::{Page, limit, page};
use crate::error::{Error, Result};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::ids::OutboxId;
use crate::projects::outbox::{self, STATES};
use crate::store::outbox::Message;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    state: Option<String>,
    limit: Option<i64>,
    after: Option<OutboxId>,
}

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: Listing = call.query()?;
    let state = query.state.as_deref().unwrap_or("dead");
    if !STATES.contains(&state) {
        return Err(Error::invalid_field("state", "state is waiting, delivered or dead"));
    }
    let limit = limit(query.limit)?;
    let found = outbox::list(&ctx, state, query.after, limit + 1).await?;
    let Page { items, next } = page(found, limit, |message: &Message| message.id.to_string());
    let items: Vec<Value> = items.iter().map(shown).collect();
    Ok(ok(&Page { items, next }))
}

pub async fn retry(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let message = outbox::retry(&ctx, &actor, call.path("id")?).await?;
    Ok(ok(&shown(&message)))
}

fn shown(message: &Message) -> Value {
    let waits = message.state == "waiting";
    json!({"id": message.id, "kind": message.kind, "state": message.state, "client_id": message.client_id,
        "attempts": message.attempts, "last_error": message.last_error,
        "next_attempt_at": waits.then_some(message.next_attempt_at), "created_at": message.created_at,
        "finished_at": message.finished_at, "retryable": message.state == "dead" && message.has_content})
}
