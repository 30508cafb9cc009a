//! The session API on the wire: extract, call, respond.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::RequestId;
use super::answer::{bearer, header_text, ok, parse_json};
use crate::app::{App, Ctx};
use crate::error::{Error, Result, forbidden, insufficient_scope, invalid_token, not_found};
use crate::ids::{ClientId, UserId};
use crate::model::client::Client;
use crate::oauth::client_auth::{authenticate, presented};
use crate::secret::Secret;
use crate::session::verify::{Demands, judge};
use crate::session::{exchange, refresh as refreshing, sign_out, user_info, validity};
use crate::store::admin_keys::{self, AdminKey};
use crate::store::{clients, users};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GetTokenFromCode {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    code: Secret,
    redirect_uri: String,
    code_verifier: Option<Secret>,
}

pub async fn get_token_from_code(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    let body: GetTokenFromCode = parse_json(&headers, &body)?;
    let client = client_of(&ctx, &headers, body.client_id, body.client_secret).await?;
    let request = exchange::Request {
        code: body.code,
        redirect_uri: body.redirect_uri,
        code_verifier: body.code_verifier,
    };
    Ok(ok(&exchange::exchange(&ctx, &client, &request).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    refresh_token: Secret,
    scope: Option<String>,
}

pub async fn refresh(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    let body: Refresh = parse_json(&headers, &body)?;
    let client = client_of(&ctx, &headers, body.client_id, body.client_secret).await?;
    Ok(ok(&refreshing::refresh(&ctx, &client, body.refresh_token.expose(), body.scope.as_deref()).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    access_token: Secret,
    audience: Option<String>,
    #[serde(default)]
    required_scopes: Vec<String>,
    #[serde(default)]
    required_roles: Vec<String>,
    #[serde(default)]
    required_groups: Vec<String>,
    #[serde(default)]
    required_attributes: Map<String, Value>,
}

pub async fn verify_access_token(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    let body: Verify = parse_json(&headers, &body)?;
    // Without `audience`, the calling client is the audience; an admin key without one skips the check.
    let (audience, public_caller) = match admin_key(&ctx, &headers).await? {
        Some(_) => (body.audience, None),
        None => {
            let client = client_of(&ctx, &headers, body.client_id, body.client_secret).await?;
            (body.audience.or_else(|| Some(client.audience())), client.is_public().then_some(client.id))
        }
    };
    let demands = Demands {
        audience,
        scopes: body.required_scopes,
        roles: body.required_roles,
        groups: body.required_groups,
        attributes: body.required_attributes,
    };
    match judge(&ctx, body.access_token.expose(), &demands).await? {
        Ok(live) if public_caller.is_some_and(|client| client != live.family.client_id) => {
            Err(forbidden("a public client may verify only its own tokens"))
        }
        Ok(live) => Ok(ok(&json!({
            "active": true,
            "claims_stale": live.claims.user_version != live.family.user_version,
            "audience_checked": demands.audience.is_some(),
            "claims": live.claims,
        }))),
        Err(refusal) => Ok(ok(&json!({"active": false, "reason": refusal.reason, "detail": refusal.detail}))),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessTokenBody {
    access_token: Option<Secret>,
}

pub async fn user_info_from_access_token(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    let body: AccessTokenBody =
        if body.is_empty() { Default::default() } else { parse_json(&headers, &body)? };
    let token = bearer(&headers).or(body.access_token.as_ref().map(Secret::expose)).ok_or_else(no_token)?;
    Ok(ok(&user_info::user_info(&ctx, token).await?))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GlobalSignOut {
    user: Option<UserName>,
    #[serde(default)]
    end_browser_sessions: bool,
}

/// An id, or `{"username": "…"}`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum UserName {
    Id(UserId),
    Named { username: String },
}

pub async fn global_sign_out(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    let body: GlobalSignOut = if body.is_empty() { Default::default() } else { parse_json(&headers, &body)? };
    let (user, name, kind) = match admin_key(&ctx, &headers).await? {
        Some(key) if matches!(key.role.as_str(), "owner" | "admin" | "user_manager") => {
            let named = body.user.ok_or_else(|| Error::invalid_field("user", "user is missing"))?;
            (find_user(&ctx, named).await?, format!("admin_key:{}", key.id), "admin_key")
        }
        Some(_) => return Err(forbidden("the role of this admin key may not sign users out")),
        None => {
            let token = bearer(&headers).ok_or_else(no_token)?;
            let live = user_info::require_live(&ctx, token).await?;
            if body.user.is_some() {
                return Err(Error::invalid_field(
                    "user",
                    "user is for admin keys; a token signs out its own user",
                ));
            }
            require_account_access(&ctx, &live).await?;
            (live.family.user_id, sign_out::audit_target(&ctx, live.family.user_id), "user")
        }
    };
    let actor = sign_out::Actor { name: &name, kind };
    Ok(ok(&sign_out::sign_out(&ctx, user, body.end_browser_sessions, &actor).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhichClient {
    client_id: ClientId,
}

pub async fn read_token_validity(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Query(WhichClient { client_id }): Query<WhichClient>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    admin_key(&ctx, &headers).await?.ok_or_else(no_admin_key)?;
    Ok(ok(&validity::read(&ctx, client_id).await?))
}

pub async fn change_token_validity(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Query(WhichClient { client_id }): Query<WhichClient>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    let key = admin_key(&ctx, &headers).await?.ok_or_else(no_admin_key)?;
    if !matches!(key.role.as_str(), "owner" | "admin") {
        return Err(forbidden("the role of this admin key may not change clients"));
    }
    let change: validity::Change = parse_json(&headers, &body)?;
    Ok(ok(&validity::change(&ctx, key.id, client_id, &change).await?))
}

/// A user's token may act on the account only for a first-party client or with the scope `account`.
async fn require_account_access(ctx: &Ctx, live: &crate::session::verify::Live) -> Result<()> {
    let id = live.family.client_id;
    let client =
        ctx.app.db.read(|conn| async move { clients::find(&conn, ctx.project.id, id).await }).await?;
    let granted = live.claims.scope.split(' ').any(|scope| scope == "account");
    if granted || client.is_some_and(|client| client.settings.first_party) {
        return Ok(());
    }
    Err(insufficient_scope("the scope account is needed"))
}

pub(super) async fn find_user(ctx: &Ctx, named: UserName) -> Result<UserId> {
    let named = &named;
    let found = ctx
        .app
        .db
        .read(|conn| async move {
            match named {
                UserName::Id(id) => users::find(&conn, ctx.project.id, *id).await,
                UserName::Named { username } => {
                    users::find_by_username(&conn, ctx.project.id, username).await
                }
            }
        })
        .await?;
    found.map(|user| user.id).ok_or_else(|| not_found("no such user"))
}

async fn client_of(
    ctx: &Ctx,
    headers: &HeaderMap,
    id: Option<String>,
    secret: Option<Secret>,
) -> Result<Client> {
    authenticate(ctx, presented(header_text(headers, "authorization"), id, secret)?).await
}

/// The admin key of a request that carries one; another project's key answers like an unknown one.
async fn admin_key(ctx: &Ctx, headers: &HeaderMap) -> Result<Option<AdminKey>> {
    let Some(key) = bearer(headers).filter(|token| token.starts_with("tak_")) else { return Ok(None) };
    let hash = &Secret::new(key).sha256();
    let found = ctx.app.db.read(|conn| async move { admin_keys::find_live(&conn, hash).await }).await?;
    let key = found.filter(|key| key.project_id.is_none_or(|project| project == ctx.project.id));
    key.map(Some).ok_or_else(|| invalid_token("the admin key is not valid here"))
}

/// The actor behind an admin key that may delete users.
pub(super) async fn require_admin(ctx: &Ctx, headers: &HeaderMap) -> Result<String> {
    let key = admin_key(ctx, headers).await?.ok_or_else(no_admin_key)?;
    if matches!(key.role.as_str(), "owner" | "admin") {
        return Ok(format!("admin_key:{}", key.id));
    }
    Err(forbidden("the role of this admin key may not delete users"))
}

fn no_admin_key() -> Error {
    invalid_token("the request carries no admin key")
}

fn no_token() -> Error {
    invalid_token("the request carries no access token")
}
