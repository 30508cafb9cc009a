//! Whether a person has allowed an application of others what it asks for.

use serde_json::json;

use super::sign_in::NewCode;
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Code, Error, Result};
use crate::ids::{ClientId, UserId};
use crate::model::client::Client;
use crate::model::consent::Permission;
use crate::oauth::authorize::AuthorizationRequest;
use crate::session::person::still_granted;
use crate::store::consents;
use crate::store::db::Conn;

/// What has to be allowed; `None` for a project's own applications, which nobody is asked for.
pub fn asked(ctx: &Ctx, client: &Client, request: &AuthorizationRequest) -> Option<Permission> {
    let names =
        request.claims.iter().flat_map(|claims| claims.names.userinfo.iter().chain(&claims.names.id_token));
    permission(ctx, client, &request.scope, &request.resources, names)
}

/// The same of a scope, resource servers and claims.
pub fn permission<'a>(
    ctx: &Ctx,
    client: &Client,
    scope: &str,
    resources: &[String],
    claims: impl Iterator<Item = &'a String>,
) -> Option<Permission> {
    let version_of = |scope: &str| ctx.entry.scope(scope).map_or(0, |own| own.version);
    let asked = || Permission::new(scope, resources, claims, version_of);
    (!client.settings.first_party).then(asked)
}

/// Whether a scope means what it meant when a page of this version of the project showed it.
pub fn is_as_shown(ctx: &Ctx, client: &Client, scope: &str, shown_in: i64) -> bool {
    client.settings.first_party || still_granted(&ctx.entry, scope, Some(shown_in)) == scope
}

/// Whether the person has to be asked. What this says is judged again in the unit that makes the code.
pub async fn is_missing(
    ctx: &Ctx,
    client: &Client,
    request: &AuthorizationRequest,
    user: UserId,
) -> Result<bool> {
    let Some(asked) = asked(ctx, client, request) else { return Ok(false) };
    if request.prompt.consent {
        return Ok(true);
    }
    let (project, client) = (ctx.project.id, client.id);
    let given =
        ctx.app.db.read(|conn| async move { consents::find(&conn, project, user, client).await }).await?;
    Ok(!given.is_some_and(|given| given.covers(&asked)))
}

/// In the unit that makes the code: whoever withdraws the consent waits from here on, and then takes the code back.
///
/// # Errors
/// `consent_required` when it has been withdrawn since it was looked at.
pub async fn require(
    conn: &Conn,
    ctx: &Ctx,
    user: UserId,
    client: ClientId,
    asked: &Permission,
) -> Result<()> {
    let given = consents::hold(conn, ctx.project.id, user, client).await?;
    if given.is_some_and(|given| given.covers(asked)) { Ok(()) } else { Err(missing()) }
}

/// The person has to be asked, and may not be or was not.
pub fn missing() -> Error {
    Error::new(Code::ConsentRequired, "the person has to allow it")
}

/// Remembers what the person allows, beside what they allowed before, and stores the code. `false`: they were signed out
/// in between, and nothing is remembered.
pub async fn allow(ctx: &Ctx, client: &Client, user: UserId, code: &NewCode) -> Result<bool> {
    ctx.app
        .db
        .unit(|conn| async move {
            if !code.store(ctx, &conn).await? {
                return Ok(false);
            }
            if let Some(asked) = &code.permission {
                remember(&conn, ctx, client.id, user, asked).await?;
            }
            Ok(true)
        })
        .await
}

/// In the unit that acts on it, as its last step.
pub async fn remember(
    conn: &Conn,
    ctx: &Ctx,
    client: ClientId,
    user: UserId,
    asked: &Permission,
) -> Result<()> {
    let project = ctx.project.id;
    let before = consents::hold(conn, project, user, client).await?.unwrap_or_default();
    let given = before.and(asked);
    consents::put(conn, project, ctx.now, user, client, &given).await?;
    let target = format!("client:{client}");
    let detail = json!({"scopes": given.scopes, "resources": given.resources, "claims": given.claims});
    let actor = Actor::user(ctx, user);
    let event = actor.did("consent.given", &target).with(detail);
    audit::append(conn, project, ctx.now, &event).await.map(drop)
}
