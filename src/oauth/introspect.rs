//! Token introspection (RFC 7662): how a token stands now, for the client that it belongs to or is meant for.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::client_auth::Presented;
use super::grants::refresh_token::{is_good, within_lifetimes};
use super::parameters::Parameters;
use super::resources::scope_for;
use crate::app::{Ctx, Visit};
use crate::cache::ClientEntry;
use crate::error::{Error, Result, invalid_client};
use crate::keys::refresh_token::RefreshToken;
use crate::model::client::Client;
use crate::model::signing_key::Alg;
use crate::session::access_token::{LookedAt, look_at};
use crate::session::alive::{Alive, judge, question_of};
use crate::session::person::still_granted;
use crate::session::standing::{Asker, prove};
use crate::store::liveness::{Question, Standing};

/// What a text turned out to be, before the store is asked.
pub enum Token {
    Refresh(RefreshToken),
    Access(LookedAt),
}

/// A hint is not needed: what a token is shows in the token (RFC 7662, 2.1).
pub fn recognized(ctx: &Ctx, text: &str) -> (Token, Question) {
    if let Some(token) = RefreshToken::parse(&ctx.app.master_keys, ctx.project.id, text) {
        let question = Question { family: Some(token.family), ..Question::default() };
        return (Token::Refresh(token), question);
    }
    let looked = look_at(ctx, text);
    let question = looked.as_ref().map_or_else(|_| Question::default(), |claims| question_of(claims));
    (Token::Access(looked), question)
}

/// The type of a signed answer (RFC 9701, 5).
pub const SIGNED: &str = "token-introspection+jwt";

/// RFC 9701, 5.
#[derive(Serialize)]
struct SignedClaims<'a> {
    iss: &'a str,
    aud: String,
    iat: i64,
    token_introspection: Value,
}

/// # Errors
/// The caller is not authenticated, or the store is away.
pub async fn answer(visit: &Visit, credentials: Presented, form: Parameters) -> Result<Value> {
    found(visit, credentials, form).await.map(|(_, _, found)| found)
}

/// The same as a JWT for the client that asks.
///
/// # Errors
/// The caller is not authenticated, or the store is away.
pub async fn signed(visit: &Visit, credentials: Presented, form: Parameters) -> Result<String> {
    let (ctx, client, token_introspection) = found(visit, credentials, form).await?;
    let claims = SignedClaims {
        iss: &ctx.project.issuer,
        aud: client.client.id.to_string(),
        iat: ctx.now.unix(),
        token_introspection,
    };
    let alg = client.client.settings.introspection_signed_response_alg;
    ctx.signer(alg.unwrap_or(Alg::RS256))?.sign(SIGNED, &claims)
}

/// # Errors
/// `invalid_client`, also for a public client: it proves nothing (RFC 7662, 2.1). `invalid_request` without a token.
async fn found(
    visit: &Visit,
    credentials: Presented,
    mut form: Parameters,
) -> Result<(Ctx, Arc<ClientEntry>, Value)> {
    let token = form.required_secret("token")?;
    if !credentials.proves_something() {
        return Err(invalid_client("introspection is for clients that prove themselves"));
    }
    let look = |ctx: &Ctx| Ok(recognized(ctx, token.expose()));
    let proven = prove(visit, &Asker::Client(credentials), look).await?;
    let (ctx, entry) = (&proven.ctx, proven.asking_client()?);
    let client = &entry.client;
    let found = match proven.seen {
        Token::Refresh(token) => of_refresh_token(ctx, client, &token, &proven.standing)?,
        Token::Access(looked) => of_access_token(ctx, client, looked, proven.standing)?,
    };
    let found = found.unwrap_or_else(|| json!({"active": false}));
    Ok((ctx.clone(), entry, found))
}

/// RFC 7662, 2.2. Whoever presents a token that is bound to a key is asked for the proof by the resource (RFC 9449, 6.2).
fn of_access_token(
    ctx: &Ctx,
    client: &Client,
    looked: LookedAt,
    standing: Standing,
) -> Result<Option<Value>> {
    let Ok(Alive { claims, .. }) = judge(ctx, looked, standing, None)? else { return Ok(None) };
    let id = client.id.to_string();
    // RFC 7662, 4: nobody learns of a token that is not theirs.
    if claims.client_id != id && !client.is_meant_by(&claims.aud) {
        return Ok(None);
    }
    let kind = if claims.cnf.is_some() { "DPoP" } else { "Bearer" };
    active(&*claims, [("token_type", json!(kind))]).map(Some)
}

/// Looking is no use: a token that would be a replay is not active, and ends nothing.
fn of_refresh_token(
    ctx: &Ctx,
    client: &Client,
    token: &RefreshToken,
    standing: &Standing,
) -> Result<Option<Value>> {
    let family = standing.family.as_ref().filter(|family| family.client_id == client.id);
    let family = family.map(|family| within_lifetimes(client, family.clone()));
    let Some(family) = family.filter(|family| is_good(ctx, client, family, token)) else { return Ok(None) };
    // What the next access token would have.
    let scope = still_granted(&ctx.entry, &family.scope, family.allowed_as_of());
    let scope = scope_for(&ctx.entry, &scope, &family.audience);
    let claims = json!({
        "iss": ctx.project.issuer,
        "sub": family.subject(),
        "client_id": client.id,
        "scope": scope,
        "sid": family.id,
        "iat": family.rotated_at.unix(),
        "exp": family.expires_at.min(family.idle_expires_at).unix(),
    });
    active(&claims, []).map(Some)
}

fn active<const N: usize>(claims: &impl Serialize, more: [(&str, Value); N]) -> Result<Value> {
    let Value::Object(claims) = serde_json::to_value(claims).map_err(Error::internal)? else {
        return Err(Error::internal("claims are a JSON object"));
    };
    let mut answer = Map::from_iter([("active".to_owned(), Value::Bool(true))]);
    answer.extend(more.map(|(name, value)| (name.to_owned(), value)));
    answer.extend(claims);
    Ok(Value::Object(answer))
}
