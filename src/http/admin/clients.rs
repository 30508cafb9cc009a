//! `/admin/projects/{project}/clients`.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::confirmations::{asking, waiting};
use super::fields::Fields;
use super::paging::{Page, limit, page};
use super::rehearsal::Rehearsal;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::http::answer::{ok, versioned};
use crate::http::call::Call;
use crate::ids::ClientId;
use crate::model::client::Client;
use crate::model::confirmation::What;
use crate::model::merge::merged;
use crate::oauth::login_link;
use crate::projects::clients::{self, ClientChange, NewClient, Old};
use crate::store::client_secrets::StoredSecret;

/// A client as RFC 7591 names its members, beside ours.
fn shown(ctx: &Ctx, client: &Client) -> Result<Map<String, Value>> {
    let settings = serde_json::to_value(&client.settings).map_err(Error::internal)?;
    let Value::Object(mut shown) = settings else {
        return Err(Error::internal("settings are a JSON object"));
    };
    // Lifetimes are the affair of token-validity, which shows them with their units.
    shown.remove(VALIDITY);
    let more = [
        ("client_id", json!(client.id)),
        ("client_name", json!(client.name)),
        ("type", json!(client.kind)),
        ("status", json!(client.status)),
        ("version", json!(client.version)),
        ("created_at", json!(client.created_at)),
        ("updated_at", json!(client.updated_at)),
        ("login_link", json!(login_link(&ctx.project.issuer, client))),
    ];
    shown.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Ok(shown)
}

const VALIDITY: &str = "validity";

fn shown_secrets(secrets: &[StoredSecret]) -> Value {
    let shown = |secret: &StoredSecret| json!({"slot": secret.slot, "created_at": secret.created_at, "expires_at": secret.expires_at});
    secrets.iter().map(shown).collect()
}

/// One client with its secrets' times, and what else is only said now.
async fn answer(
    ctx: &Ctx,
    status: StatusCode,
    client: &Client,
    now_only: &[(&str, Value)],
) -> Result<Response> {
    let mut body = shown(ctx, client)?;
    let secrets = clients::list_secrets(ctx, client.id).await?;
    body.insert("secrets".into(), shown_secrets(&secrets));
    body.extend(now_only.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Ok(versioned(status, client.version, &body))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    limit: Option<i64>,
    after: Option<ClientId>,
}

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: List = call.query()?;
    let limit = limit(query.limit)?;
    let found = clients::list(&ctx, query.after, limit + 1).await?;
    let Page { items, next } = page(found, limit, |client: &Client| client.id.to_string());
    let items: Result<Vec<_>> = items.iter().map(|client| shown(&ctx, client)).collect();
    Ok(ok(&Page { items: items?, next }))
}

pub async fn create(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let mut fields = Fields::of(&call)?;
    let usual = NewClient::of_kind(fields.required("client_name")?, fields.required("type")?);
    let new = NewClient { settings: merged(&usual.settings, &settings_of(fields)?.rest(), "")?, ..usual };
    let (client, secret) = clients::create(&ctx.app, ctx.project.id, ctx.now, &actor, new).await?;
    let secret = secret.map(|secret| ("client_secret", json!(secret.expose())));
    answer(&ctx, StatusCode::CREATED, &client, secret.as_slice()).await
}

/// What is left of the body, without what is changed elsewhere.
fn settings_of(fields: Fields) -> Result<Fields> {
    if fields.has(VALIDITY) {
        return Err(Error::invalid_field(
            VALIDITY,
            "unknown field validity: lifetimes are set by token-validity",
        ));
    }
    Ok(fields)
}

pub async fn read(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let client = clients::get(&ctx, call.path("client_id")?).await?;
    answer(&ctx, StatusCode::OK, &client, &[]).await
}

pub async fn change(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let mut fields = Fields::of(&call)?;
    let (name, status) = (fields.optional("client_name")?, fields.optional("status")?);
    let change = ClientChange { name, status, settings: settings_of(fields)?.rest() };
    let (seen, id) = (call.if_match()?, call.path("client_id")?);
    let client = clients::change(&ctx, &actor, seen, id, change).await?;
    answer(&ctx, StatusCode::OK, &client, &[]).await
}

/// Asks for the deletion, or tells what would end.
pub async fn delete(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let named = call.path("client_id");
    let id = named.as_ref().map_or(uuid::Uuid::nil(), |id: &ClientId| id.0);
    let actor = call.actor(&asking(&call, &ctx, What::Client, id).await?);
    let id = named?;
    let query: Rehearsal = call.query()?;
    let seen = call.if_match()?;
    let mut fields = Fields::of_optional(&call)?;
    let reason: Option<String> = fields.optional("reason")?;
    fields.finish()?;
    if query.dry_run {
        clients::get_seen(&ctx, seen, id).await?;
        let impact = json!({"families": clients::living_families(&ctx, id).await?});
        return Ok(ok(&json!({"client_id": id, "deleted": false, "impact": impact})));
    }
    Ok(waiting(&clients::ask_to_delete(&ctx, &actor, seen, id, reason.as_deref()).await?))
}

pub async fn rotate_secret(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let mut fields = Fields::of_optional(&call)?;
    let lives: Option<i64> = fields.optional("old_secret_lives_seconds")?;
    let leaked: bool = fields.optional("leaked")?.unwrap_or_default();
    fields.finish()?;
    let old = match (leaked, lives) {
        (true, None) => Old::Leaked,
        (true, Some(_)) => {
            let why = "old_secret_lives_seconds is not for a leaked secret, which ends now";
            return Err(Error::invalid_field("old_secret_lives_seconds", why));
        }
        (false, None) => Old::Stays,
        (false, Some(seconds)) => Old::Lives(seconds),
    };
    let (seen, id) = (call.if_match()?, call.path("client_id")?);
    let rotated = clients::rotate_secret(&ctx, &actor, seen, id, old).await?;
    let once = [("client_secret", json!(rotated.secret.expose())), ("slot", json!(rotated.slot))];
    answer(&ctx, StatusCode::OK, &rotated.client, &once).await
}

pub async fn remove_secret(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (seen, id, slot) = (call.if_match()?, call.path("client_id")?, call.path("slot")?);
    let Rehearsal { dry_run } = call.query()?;
    let remove = clients::remove_secret(&ctx, &actor, seen, id, slot);
    if dry_run {
        call.app.db.rehearse(remove).await?;
        return Ok(ok(&json!({"client_id": id, "slot": slot, "dry_run": true})));
    }
    answer(&ctx, StatusCode::OK, &remove.await?, &[]).await
}
