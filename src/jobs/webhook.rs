//! Delivering an event to a project's own server: signed, as the Standard Webhooks specification has it.

use std::time::Instant;

use super::Run;
use super::logout_token::{gone, outcome};
use super::outbox::open_caught;
use super::shares::Shares;
use crate::app::Visit;
use crate::callout::Post;
use crate::ids::{ClientId, WebhookId};
use crate::model::delivery::Failure;
use crate::projects::webhooks::{key_of, signature};
use crate::store::outbox::{Due, Leased};
use crate::store::webhooks;

pub(super) async fn post(run: &Run, shares: &Shares, due: &Due, leased: &Leased) -> Result<(), Failure> {
    let Some(ClientId(receiver)) = due.client_id else { return Err(Failure::Hopeless("it is for nobody")) };
    let sealed = leased.sealed_body.as_deref().ok_or(Failure::Hopeless("the body is erased"))?;
    let body = open_caught(&run.app, due.project_id, due.id, sealed);
    let body = body.map_err(|_| Failure::Failed("the body does not open".into()))?.to_string();
    let ctx =
        Visit::of_nobody(&run.app, due.project_id, run.app.clock.now()).current().await.map_err(gone)?;
    let find = |conn| async move { webhooks::find(&conn, due.project_id, WebhookId(receiver)).await };
    let webhook = run.app.db.read(find).await.map_err(gone)?;
    let webhook = webhook.ok_or(Failure::Hopeless("the webhook is gone"))?;
    let key = key_of(&ctx, &webhook).map_err(|_| Failure::Failed("the secret does not open".into()))?;
    // The id is the same at every attempt, so that whoever was told twice can tell.
    let (id, now) = (due.id.to_string(), ctx.wall);
    let headers = vec![
        ("webhook-signature", signature(&key, &id, now, &body)),
        ("webhook-id", id),
        ("webhook-timestamp", now.unix().to_string()),
    ];
    let begun = Instant::now();
    let answer = run.app.callouts.post(due.project_id, &webhook.uri, Post::json(body, headers)).await;
    outcome(shares, due.project_id, ClientId(receiver), begun.elapsed(), answer)
}
