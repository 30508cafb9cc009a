//! Webhooks: a project's own servers are told of what happens to its users, by signed posts as the Standard Webhooks
//! specification has them.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict, not_found};
use crate::ids::{ProjectId, WebhookId};
use crate::jobs::outbox::seal_event;
use crate::keys::master::Place;
use crate::model::timestamp::Timestamp;
use crate::model::uris::check_web_uri;
use crate::secret::Secret;
use crate::store::db::Conn;
use crate::store::projects;
use crate::store::webhooks::{self, Webhook};

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// Webhooks of a project.
const MOST: i64 = 5;

/// Registers an address. The secret is given once.
///
/// # Errors
/// `invalid_request` naming `uri`; 409 beside five others.
pub async fn create(ctx: &Ctx, actor: &Actor, uri: String) -> Result<(Webhook, Secret)> {
    check_web_uri("uri", &uri)?;
    let key = ctx.app.entropy.bytes::<32>()?;
    let id: WebhookId = ctx.app.entropy.id(ctx.now)?;
    let sealed_secret =
        ctx.app.master_keys.seal(&ctx.app.entropy, &place(ctx.project.id, &id.to_string()), &key)?;
    let webhook = Webhook { id, uri, sealed_secret, created_at: ctx.now };
    let made = &webhook;
    ctx.app
        .db
        .unit(|conn| async move {
            // The project's row is held, or two at once would both be the last one.
            projects::raise_version(&conn, ctx.project.id, ctx.now).await?;
            if webhooks::insert(&conn, ctx.project.id, made, MOST).await? == 0 {
                return Err(conflict(format!("a project has at most {MOST} webhooks")));
            }
            record(ctx, &conn, actor, "webhook.created", id, json!({"uri": made.uri})).await
        })
        .await?;
    Ok((webhook, Secret::new(format!("{PREFIX}{}", STANDARD.encode(key)))))
}

pub async fn list(ctx: &Ctx) -> Result<Vec<Webhook>> {
    ctx.app.db.read(|conn| async move { webhooks::list(&conn, ctx.project.id).await }).await
}

/// From now on nothing is sent there, not even what waits.
///
/// # Errors
/// 404 for one that is not there.
pub async fn delete(ctx: &Ctx, actor: &Actor, id: WebhookId) -> Result<()> {
    ctx.app
        .db
        .unit(|conn| async move {
            if webhooks::delete(&conn, ctx.project.id, id).await? == 0 {
                return Err(not_found("no such webhook"));
            }
            record(ctx, &conn, actor, "webhook.deleted", id, json!({})).await
        })
        .await
}

async fn record(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    action: &str,
    id: WebhookId,
    detail: Value,
) -> Result<()> {
    let target = format!("webhook:{id}");
    audit::append(conn, ctx.project.id, ctx.now, &actor.did(action, &target).with(detail)).await.map(drop)
}

/// Tells all webhooks of the project, in the unit of what happened. `data` says so by ids alone, nothing personal.
pub async fn tell(conn: &Conn, ctx: &Ctx, kind: &str, data: Value) -> Result<()> {
    let (app, project) = (&ctx.app, ctx.project.id);
    for webhook in webhooks::list(conn, project).await? {
        let event = json!({"type": kind, "timestamp": ctx.now, "data": data});
        let sealed = seal_event(app, project, ctx.now, &event)?;
        webhooks::enqueue(conn, project, ctx.now, sealed.id, webhook.id, &sealed.body).await?;
    }
    Ok(())
}

/// `webhook-signature` of a body: a MAC over id, moment and body, in base64.
pub fn signature(key: &[u8], id: &str, at: Timestamp, body: &str) -> String {
    let signed = format!("{id}.{}.{body}", at.unix());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

/// Opens the key of a webhook.
pub fn key_of(ctx: &Ctx, webhook: &Webhook) -> Result<Vec<u8>> {
    let opened =
        ctx.app.master_keys.open(&place(ctx.project.id, &webhook.id.to_string()), &webhook.sealed_secret);
    opened.map(|key| key.to_vec()).map_err(Error::internal)
}

/// Where a secret is sealed.
pub fn place(project: ProjectId, row: &str) -> Place<'_> {
    Place { table: "webhooks", project, row, column: "sealed_secret" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signature =
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", Timestamp::from_unix(1_614_265_330), body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
