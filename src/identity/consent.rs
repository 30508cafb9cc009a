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
use crate::store::consents;
use crate::store::db::Conn;

/// What has to be allowed; `None` for a project's own applications, which nobody is asked for.
pub fn asked(client: &Client, request: &AuthorizationRequest) -> Option<Permission> {
    if client.settings.first_party {
        return None;
    }
    let names =
        request.claims.iter().flat_map(|claims| claims.names.userinfo.iter().chain(&claims.names.id_token));
    Some(Permission::new(&request.scope, &request.resources, names))
}

/// Whether the person has to be asked. What this says is judged again in the unit that makes the code.
pub async fn is_missing(
    ctx: &Ctx,
    client: &Client,
    request: &AuthorizationRequest,
    user: UserId,
) -> Result<bool> {
    let Some(asked) = asked(client, request) else { return Ok(false) };
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
    let (project, asked) = (ctx.project.id, code.permission.as_ref());
    let actor = &Actor::user(ctx, user);
    ctx.app
        .db
        .unit(|conn| async move {
            if !code.store(ctx, &conn).await? {
                return Ok(false);
            }
            let Some(asked) = asked else { return Ok(true) };
            let before = consents::hold(&conn, project, user, client.id).await?.unwrap_or_default();
            let given = before.and(asked);
            consents::put(&conn, project, ctx.now, user, client.id, &given).await?;
            let target = format!("client:{}", client.id);
            let detail =
                json!({"scopes": given.scopes, "resources": given.resources, "claims": given.claims});
            let event = actor.did("consent.given", &target).with(detail);
            audit::append(&conn, project, ctx.now, &event).await?;
            Ok(true)
        })
        .await
}
