//! Somebody who is signed in allows a device to go on, or does not.

use crate::app::Ctx;
use crate::error::Result;
use crate::identity::consent::{permission, remember};
use crate::ids::DeviceGrantId;
use crate::model::client::Client;
use crate::store::browser_sessions::SignIn;
use crate::store::db::Conn;
use crate::store::device_grants::{self, Allowed, Waiting};
use crate::store::users;

/// The device, as long as nobody has decided and its time is not over.
pub async fn waiting(ctx: &Ctx, id: DeviceGrantId) -> Result<Option<Waiting>> {
    let find = |conn| async move { device_grants::find_waiting(&conn, ctx.project.id, ctx.now, id).await };
    ctx.app.db.read(find).await
}

/// Records the decision; of many, the first. `false`: it came too late, or the sign-in behind it has ended.
///
/// The epochs of the approval are those that were read with the browser session: who is signed out before the device asks
/// has approved nothing. For an application of others it is a consent like any other, remembered and withdrawn as one.
pub async fn decide(
    ctx: &Ctx,
    client: &Client,
    waiting: &Waiting,
    sign_in: &SignIn,
    allowed: bool,
) -> Result<bool> {
    let (project, now, id) = (ctx.project.id, ctx.now, waiting.id);
    // Once more: the registration may have changed while the device waited.
    let scope = &client.allowed_scope(&waiting.scope);
    let asked = &permission(ctx, client, scope, &waiting.resources(), std::iter::empty());
    let verdict = |conn: Conn| async move {
        if !allowed {
            return Ok(device_grants::deny(&conn, project, now, id).await? == 1);
        }
        let user = users::touch_sign_in(&conn, project, now, sign_in.user_id, sign_in.user_epoch).await?;
        if user.is_none() {
            return Ok(false);
        }
        let allowed = Allowed { scope, scopes_as_of: ctx.project.version };
        let epoch = client.token_epoch;
        if device_grants::approve(&conn, project, now, id, sign_in, epoch, allowed).await? == 0 {
            return Ok(false);
        }
        if let Some(asked) = asked {
            remember(&conn, ctx, client.id, sign_in.user_id, asked).await?;
        }
        Ok(true)
    };
    ctx.app.db.unit(verdict).await
}
