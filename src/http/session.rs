//! The session API on the wire: extract, call, respond.

use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::ok;
use super::call::Call;
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Error, Result, insufficient_scope, not_found};
use crate::ids::{ClientId, UserId};
use crate::model::names::check_username;
use crate::oauth::dpop;
use crate::secret::Secret;
use crate::session::standing::Asker;
use crate::session::verify::{Demands, Live, require_live};
use crate::session::{exchange, refresh as refreshing, sign_out, user_info, validity, verify};
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

pub async fn get_token_from_code(call: Call) -> Result<Response> {
    let body: GetTokenFromCode = call.json()?;
    let credentials = call.credentials(body.client_id, body.client_secret)?;
    let request = exchange::Request {
        code: body.code,
        redirect_uri: body.redirect_uri,
        code_verifier: body.code_verifier,
    };
    Ok(ok(&exchange::exchange(&call.visit()?, &credentials, &request).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    refresh_token: Secret,
    scope: Option<String>,
}

pub async fn refresh(call: Call) -> Result<Response> {
    let body: Refresh = call.json()?;
    let credentials = call.credentials(body.client_id, body.client_secret)?;
    let scope = body.scope.as_deref();
    Ok(ok(&refreshing::refresh(&call.visit()?, credentials, &body.refresh_token, scope).await?))
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
    dpop: Option<dpop::Presented>,
}

pub async fn verify_access_token(call: Call) -> Result<Response> {
    let body: Verify = call.json()?;
    let asker = match call.admin_key() {
        Some(key) => Asker::AdminKey(key),
        None => Asker::Client(call.credentials(body.client_id, body.client_secret)?),
    };
    let demands = Demands {
        audience: body.audience,
        scopes: body.required_scopes,
        roles: body.required_roles,
        groups: body.required_groups,
        attributes: body.required_attributes,
        dpop: body.dpop,
    };
    let allowed = |admin: &_| call.check_role(admin);
    let token = body.access_token.expose();
    Ok(ok(&verify::verify(&call.visit()?, &asker, token, demands, allowed).await?))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessTokenBody {
    access_token: Option<Secret>,
}

pub async fn user_info_from_access_token(call: Call) -> Result<Response> {
    let body: AccessTokenBody = call.json_or_default()?;
    let token = call.access_token(body.access_token)?;
    Ok(ok(&user_info::user_info(&call.visit()?, token.expose()).await?))
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

pub async fn global_sign_out(call: Call) -> Result<Response> {
    let body: GlobalSignOut = call.json_or_default()?;
    let (ctx, user, actor, origin) = if call.admin_key().is_some() {
        let ctx = call.ctx().await?;
        let admin = call.project_admin(&ctx).await?;
        let named = body.user.ok_or_else(|| Error::invalid_field("user", "user is missing"))?;
        let user = find_user(&ctx, named).await?;
        (ctx, user, call.actor(&admin), None)
    } else {
        let token = call.access_token(None)?;
        let (ctx, live) = require_live(&call.visit()?, token.expose()).await?;
        if body.user.is_some() {
            return Err(Error::invalid_field(
                "user",
                "user is for admin keys; a token signs out its own user",
            ));
        }
        require_account_access(&ctx, &live).await?;
        let actor = Actor::user(&ctx, live.family.user_id);
        (ctx, live.family.user_id, actor, Some(call.origin()))
    };
    Ok(ok(&sign_out::sign_out(&ctx, user, body.end_browser_sessions, &actor, origin.as_ref()).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichClient {
    client_id: ClientId,
}

pub async fn read_token_validity(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let WhichClient { client_id } = call.query()?;
    Ok(ok(&validity::read(&ctx, client_id).await?))
}

pub async fn change_token_validity(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let admin = call.project_admin(&ctx).await?;
    let WhichClient { client_id } = call.query()?;
    let change: validity::Change = call.json()?;
    Ok(ok(&validity::change(&ctx, &call.actor(&admin), client_id, &change).await?))
}

/// A user's token may act on the account only for a first-party client or with the scope `account`.
pub(super) async fn require_account_access(ctx: &Ctx, live: &Live) -> Result<()> {
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
    // What cannot be a name is nobody's.
    if matches!(named, UserName::Named { username } if check_username(username).is_err()) {
        return Err(not_found("no such user"));
    }
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
