//! The session API on the wire: extract, call, respond.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{ok, versioned, with_dpop_nonce};
use super::call::Call;
use super::members::members;
use super::user_name::{UserName, find_user};
use crate::app::Ctx;
use crate::error::{Error, Result, insufficient_scope};
use crate::ids::ClientId;
use crate::model::client::GrantType;
use crate::oauth::client_auth::InBody;
use crate::oauth::dpop;
use crate::oauth::grants::{Face, authorization_code, refresh_token};
use crate::secret::Secret;
use crate::session::for_servers::is_for_servers_alone;
use crate::session::holder::Holder;
use crate::session::standing::Asker;
use crate::session::verify::{Demands, Live, require_live};
use crate::session::{sign_out, user_info, validity, verify};
use crate::store::clients;

/// The credentials among the members of a body.
macro_rules! in_body {
    ($body:ident) => {
        InBody {
            client_id: $body.client_id,
            client_secret: $body.client_secret,
            client_assertion_type: $body.client_assertion_type,
            client_assertion: $body.client_assertion,
        }
    };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GetTokenFromCode {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    client_assertion_type: Option<String>,
    client_assertion: Option<Secret>,
    code: Secret,
    redirect_uri: String,
    code_verifier: Option<Secret>,
}

pub async fn get_token_from_code(call: Call) -> Result<Response> {
    let body: GetTokenFromCode = call.json()?;
    let key = dpop::admit(&call.visit()?, call.proof()?).await?;
    let next_nonce = key.as_ref().and_then(|key| key.next_nonce.clone());
    let credentials = call.credentials(in_body!(body))?.for_grant(GrantType::AuthorizationCode).with_key(key);
    let request = authorization_code::Request {
        code: body.code,
        redirect_uri: body.redirect_uri,
        code_verifier: body.code_verifier,
        resources: Vec::new(),
        face: Face::SessionApi,
    };
    let tokens = authorization_code::exchange(&call.visit()?, &credentials, &request).await?;
    Ok(with_dpop_nonce(ok(&tokens), next_nonce.as_deref()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    client_assertion_type: Option<String>,
    client_assertion: Option<Secret>,
    refresh_token: Secret,
    scope: Option<String>,
}

pub async fn refresh(call: Call) -> Result<Response> {
    let body: Refresh = call.json()?;
    let key = dpop::admit(&call.visit()?, call.proof()?).await?;
    let next_nonce = key.as_ref().and_then(|key| key.next_nonce.clone());
    let credentials = call.credentials(in_body!(body))?.for_grant(GrantType::RefreshToken).with_key(key);
    let request = refresh_token::Request {
        refresh_token: body.refresh_token,
        scope: body.scope,
        resources: Vec::new(),
        face: Face::SessionApi,
    };
    let tokens = refresh_token::refresh(&call.visit()?, credentials, &request).await?;
    Ok(with_dpop_nonce(ok(&tokens), next_nonce.as_deref()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    client_assertion_type: Option<String>,
    client_assertion: Option<Secret>,
    access_token: Secret,
    audience: Option<String>,
    #[serde(default)]
    required_scopes: Vec<String>,
    #[serde(default)]
    required_roles: Vec<String>,
    #[serde(default)]
    required_groups: Vec<String>,
    #[serde(default, deserialize_with = "members")]
    required_attributes: Map<String, Value>,
    dpop: Option<dpop::Presented>,
}

pub async fn verify_access_token(call: Call) -> Result<Response> {
    let body: Verify = call.json()?;
    let asker = match call.admin_key() {
        Some(key) => Asker::AdminKey(key),
        None if call.is_by_admin().await? => Asker::Admin(Box::new(call.admin().await?)),
        None => Asker::Client(call.credentials(in_body!(body))?),
    };
    let demands = Demands {
        audience: body.audience.map(|audience| vec![audience]),
        scopes: body.required_scopes,
        roles: body.required_roles,
        groups: body.required_groups,
        attributes: body.required_attributes,
        dpop: body.dpop,
    };
    let allowed = |ctx: &Ctx, admin: &_| call.check_role(admin).and_then(|()| call.check_reach(ctx, admin));
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
    let told = user_info::own_user_info(&call.visit()?, &token).await?;
    Ok(with_dpop_nonce(ok(&told.answer), told.next_nonce.as_deref()))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GlobalSignOut {
    user: Option<UserName>,
    #[serde(default)]
    end_browser_sessions: bool,
}

pub async fn global_sign_out(call: Call) -> Result<Response> {
    let body: GlobalSignOut = call.json_or_default()?;
    let browser_too = body.end_browser_sessions;
    if call.is_by_admin().await? {
        let ctx = call.ctx().await?;
        let actor = call.actor(&call.project_admin(&ctx).await?);
        let named = body.user.ok_or_else(|| Error::invalid_field("user", "user is missing"))?;
        let user = find_user(&ctx, named).await?;
        return Ok(ok(&sign_out::sign_out(&ctx, &actor, user, browser_too).await?));
    }
    let token = call.access_token(None)?;
    let (ctx, live) = require_live(&call.visit()?, &token).await?;
    if body.user.is_some() {
        let why = "user is for admin keys; a token signs out its own user";
        return Err(Error::invalid_field("user", why));
    }
    require_account_access(&ctx, &live).await?;
    let holder = Holder::Application(&live);
    let ended = sign_out::sign_out_own(&ctx, &holder, browser_too, &call.origin()).await?;
    Ok(with_dpop_nonce(ok(&ended), live.next_nonce.as_deref()))
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
    let (version, shown) = validity::read(&ctx, client_id).await?;
    Ok(versioned(StatusCode::OK, version, &shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientInQuery {
    client_id: Option<ClientId>,
}

/// The body names the client; the query may, too.
pub async fn change_token_validity(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let in_query: ClientInQuery = call.query()?;
    let change: validity::Change = call.json()?;
    let client = match (change.client_id, in_query.client_id) {
        (Some(one), Some(other)) if one != other => {
            let why = "client_id of the query is another one than that of the body";
            return Err(Error::invalid_field("client_id", why));
        }
        (one, other) => one.or(other),
    };
    let client = client.ok_or_else(|| Error::invalid_field("client_id", "missing field client_id"))?;
    let (version, shown) = validity::change(&ctx, &actor, client, call.if_match()?, &change).await?;
    Ok(versioned(StatusCode::OK, version, &shown))
}

/// A user's token may act on the account only for a first-party client, whatever its scope.
pub(in crate::http) async fn require_account_access(ctx: &Ctx, live: &Live) -> Result<()> {
    if live.claims.epochs.is_some() {
        return Err(insufficient_scope("a token in exchange does not act on the account"));
    }
    let id = live.family.client_id;
    let client =
        ctx.app.db.read(|conn| async move { clients::find(&conn, ctx.project.id, id).await }).await?;
    if !client.is_some_and(|client| client.settings.first_party) {
        return Err(insufficient_scope("only first-party clients act on the account"));
    }
    if is_for_servers_alone(ctx, live).await? {
        return Err(insufficient_scope("the token is for resource servers, not for the account"));
    }
    Ok(())
}
