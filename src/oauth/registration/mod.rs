//! Applications that register themselves (RFC 7591, OpenID Connect Registration 1.0) and manage what they registered
//! (RFC 7592). A client that comes to be this way is nobody's own: people are asked before it learns anything, and what an
//! admin alone may grant it cannot take.

mod metadata;

use serde_json::{Map, Value, json};

use self::metadata::{decided, of_metadata, read, shown};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Code, Error, Result, forbidden, invalid_token, not_found};
use crate::ids::{ClientId, InitialAccessTokenId};
use crate::model::client::Client;
use crate::model::project::DynamicRegistration;
use crate::projects::clients::{self, ClientChange, NewClient, Registration};
use crate::projects::initial_access_tokens;
use crate::secret::{Secret, equal_in_constant_time};
use crate::store::registrations;

/// What every registration access token begins with.
const PREFIX: &str = "tra_";

/// The name of an application that gives none; people see it where they are asked.
const NAMELESS: &str = "An application without a name";

/// # Errors
/// 404 where the project is off or lets nobody register; `invalid_token` without a good initial access token.
pub async fn admit(ctx: &Ctx, token: Option<&Secret>) -> Result<InitialAccessTokenId> {
    check_open(ctx)?;
    initial_access_tokens::authenticate(ctx, token).await
}

fn check_open(ctx: &Ctx) -> Result<()> {
    if !ctx.project.is_active() {
        return Err(not_found("no such project"));
    }
    match ctx.project.settings.dynamic_registration {
        DynamicRegistration::Off => Err(not_found("this project has no dynamic registration")),
        DynamicRegistration::InitialAccessToken => Ok(()),
    }
}

/// Registers a client; one use of the token and the client come to be at once. Gives the answer of RFC 7591, 3.2.1.
///
/// # Errors
/// `invalid_redirect_uri`, `invalid_client_metadata`; `invalid_token` when somebody else had the last use.
pub async fn register(
    ctx: &Ctx,
    by: InitialAccessTokenId,
    given: Map<String, Value>,
) -> Result<Map<String, Value>> {
    let read = read(None, given)?;
    let token = ctx.app.entropy.token(PREFIX)?;
    let new = NewClient {
        name: read.name.unwrap_or_else(|| NAMELESS.to_owned()),
        kind: read.kind,
        settings: read.settings,
        registration: Some(Registration { by, hash: token.sha256() }),
    };
    let actor = Actor::initial_access_token(ctx, by);
    let made = clients::create(&ctx.app, ctx.project.id, ctx.now, &actor, new).await;
    let (client, secret) = made.map_err(of_metadata)?;
    let mut answer = answer(ctx, &client, &token)?;
    if let Some(secret) = secret {
        answer.insert("client_secret".into(), json!(secret.expose()));
        answer.insert("client_secret_expires_at".into(), json!(0));
    }
    Ok(answer)
}

fn answer(ctx: &Ctx, client: &Client, token: &Secret) -> Result<Map<String, Value>> {
    let mut answer = shown(&ctx.project.issuer, client)?;
    answer.insert("registration_access_token".into(), json!(token.expose()));
    Ok(answer)
}

/// A client that has proven to be the one it wants to manage.
pub struct Own {
    client: Client,
    token: Secret,
}

/// # Errors
/// 404 where the project is off or lets nobody register; `invalid_token` for every token that is not the client's, whether
/// or not there is such a client; 403 for a client that an admin switched off.
pub async fn own(ctx: &Ctx, client: &str, token: Option<Secret>) -> Result<Own> {
    check_open(ctx)?;
    let token = token.ok_or_else(|| invalid_token("the request carries no registration access token"))?;
    let not_valid = || invalid_token("the registration access token is not valid here");
    let id: ClientId = client.parse().map_err(|_| not_valid())?;
    let project = ctx.project.id;
    let hash =
        ctx.app.db.read(|conn| async move { registrations::find_hash(&conn, project, id).await }).await?;
    if !hash.is_some_and(|hash| equal_in_constant_time(&hash, &token.sha256())) {
        return Err(not_valid());
    }
    let found = clients::get(ctx, id).await;
    let client = found.map_err(|error| if error.code() == Code::NotFound { not_valid() } else { error })?;
    if !client.is_active() {
        return Err(forbidden("this client is switched off"));
    }
    Ok(Own { client, token })
}

/// What is registered (RFC 7592, 2.1). The secret is not in it: nobody but the client has it.
pub fn show(ctx: &Ctx, own: &Own) -> Result<Map<String, Value>> {
    answer(ctx, &own.client, &own.token)
}

/// Puts new metadata in the place of all that the application decides (RFC 7592, 2.2); what an admin decides stays.
///
/// # Errors
/// Like [`register`]; 403 for a client that an admin made the project's own; 409 when it changed meanwhile.
pub async fn replace(ctx: &Ctx, own: &Own, mut given: Map<String, Value>) -> Result<Map<String, Value>> {
    let client = &own.client;
    // Nobody is asked for such a client, so where it returns to is an admin's affair.
    if client.settings.first_party {
        return Err(forbidden("an admin manages this client"));
    }
    if given.remove("client_id") != Some(json!(client.id)) {
        return Err(wrong("client_id", "client_id is the client's own"));
    }
    if let Some(secret) = given.remove("client_secret").filter(|secret| !secret.is_null()) {
        check_secret(ctx, client, &secret).await?;
    }
    let read = read(Some(client), given)?;
    let change = ClientChange {
        name: Some(read.name.unwrap_or_else(|| NAMELESS.to_owned())),
        status: None,
        settings: decided(&read.settings)?,
    };
    let actor = Actor::registration(ctx, client.id);
    // The version that was judged: whatever an admin decides meanwhile is judged again.
    let changed = clients::change(ctx, &actor, Some(client.version), client.id, change).await;
    answer(ctx, &changed.map_err(of_change)?, &own.token)
}

/// Nobody named a version here, so that it is another one now is a conflict.
fn of_change(error: Error) -> Error {
    match error.code() {
        Code::PreconditionFailed => crate::error::stale(false),
        _ => of_metadata(error),
    }
}

fn wrong(field: &'static str, why: &'static str) -> Error {
    Error::new(Code::InvalidClientMetadata, why).with_field(field)
}

async fn check_secret(ctx: &Ctx, client: &Client, given: &Value) -> Result<()> {
    let hash = Secret::new(given.as_str().unwrap_or_default()).sha256();
    let secrets = clients::list_secrets(ctx, client.id).await?;
    match secrets.iter().any(|secret| equal_in_constant_time(&secret.hash, &hash)) {
        true => Ok(()),
        false => Err(wrong("client_secret", "client_secret is the client's own, or left out")),
    }
}

/// Deletes the client (RFC 7592, 2.3): everything granted to it ends.
pub async fn delete(ctx: &Ctx, own: &Own) -> Result<()> {
    let actor = Actor::registration(ctx, own.client.id);
    clients::delete(ctx, &actor, own.client.id).await
}
