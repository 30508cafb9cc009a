//! The client credentials grant (RFC 6749, 4.4): a client acts in its own name. Its token ends with its epochs.

use super::super::issue::{TokenSet, epochs, issue_alone};
use crate::app::{Ctx, Visit};
use crate::error::{Result, invalid_scope, unauthorized_client};
use crate::model::client::Client;
use crate::model::status::Status;
use crate::model::token::{AccessClaims, Audience, Confirmation};
use crate::oauth::resources::{RESOURCE, check_resources, scope_for};
use crate::oauth::token::TokenRequest;
use crate::secret::encode_base64url;
use crate::session::standing::{Asker, prove};
use crate::store::liveness::Question;

/// Scopes that speak of somebody who signed in.
const OF_PEOPLE: [&str; 3] = ["openid", "offline_access", "account"];

/// # Errors
/// `invalid_client`; `unauthorized_client` in a project that is switched off; `invalid_scope` and `invalid_target` for what
/// the client is not registered for.
pub async fn answer(visit: &Visit, TokenRequest { credentials, form }: TokenRequest) -> Result<TokenSet> {
    let jkt = credentials.jkt().map(str::to_owned);
    let proven = prove(visit, &Asker::Client(credentials), |_| Ok(((), Question::default()))).await?;
    let (ctx, entry) = (&proven.ctx, proven.asking_client()?);
    let client = &entry.client;
    if ctx.project.status != Status::Active {
        return Err(unauthorized_client("the project is disabled"));
    }
    let resources = check_resources(&ctx.entry, client, &form.all(RESOURCE))?;
    let audience = if resources.is_empty() { client.audience() } else { resources.join(" ") };
    let scope = granted_scope(ctx, client, form.get("scope"))?;
    let mut claims = claims(ctx, client, &audience, &scope)?;
    claims.cnf = jkt.map(|jkt| Confirmation { jkt });
    issue_alone(ctx, client, &claims)
}

/// RFC 9068, 2.2: where nobody signed in, the subject is the client.
fn claims(ctx: &Ctx, client: &Client, audience: &str, scope: &str) -> Result<AccessClaims> {
    let now = ctx.now.unix();
    Ok(AccessClaims {
        iss: ctx.project.issuer.clone(),
        sub: client.id.to_string(),
        aud: Audience::of_words(audience),
        client_id: client.id.to_string(),
        exp: now + client.settings.validity.access_token,
        iat: now,
        jti: encode_base64url(&ctx.app.entropy.bytes::<16>()?),
        scope: scope_for(&ctx.entry, scope, audience),
        session: None,
        epochs: epochs(ctx, client),
        sandbox: ctx.project.is_sandbox(),
        cnf: None,
        act: None,
        via: Vec::new(),
        attributes: serde_json::Map::new(),
    })
}

/// What the client is registered for by name and the project still defines, or what it asks for of that.
fn granted_scope(ctx: &Ctx, client: &Client, asked: Option<&str>) -> Result<String> {
    let registered = client.settings.scope.as_deref().unwrap_or_default();
    let is_open = |scope: &&str| !OF_PEOPLE.contains(scope) && ctx.entry.knows_scope(scope);
    let registered: Vec<&str> = registered.split_ascii_whitespace().filter(is_open).collect();
    let Some(asked) = asked else { return Ok(registered.join(" ")) };
    let asked: Vec<&str> = asked.split_ascii_whitespace().collect();
    if !asked.iter().all(|scope| registered.contains(scope)) {
        return Err(invalid_scope("scope asks for more than the client is registered for"));
    }
    Ok(registered.into_iter().filter(|scope| asked.contains(scope)).collect::<Vec<_>>().join(" "))
}
