//! `GlobalSignOut`: one row changes, and no node accepts anything granted before.

use serde::Serialize;
use serde_json::{Value, json};

use super::holder::Holder;
use crate::app::Ctx;
use crate::audit::{self, Actor, Personal};
use crate::error::Result;
use crate::ids::UserId;
use crate::model::timestamp::Timestamp;
use crate::projects::users::locked;
use crate::store::db::Conn;
use crate::store::{logout_tokens, users};

#[derive(Debug, Serialize)]
pub struct SignedOut {
    pub families_ended: i64,
    pub browser_sessions_ended: i64,
    pub effective_at: Timestamp,
}

/// Ends all token families of a user, and the browser sessions when asked; the audit event is in the same unit.
///
/// # Errors
/// 404 when the user was deleted meanwhile.
pub async fn sign_out(ctx: &Ctx, actor: &Actor, user: UserId, browser_too: bool) -> Result<SignedOut> {
    ctx.app
        .db
        .unit(|conn| async move {
            locked(ctx, &conn, user, None).await?;
            end(ctx, &conn, actor, user, browser_too, None).await
        })
        .await
}

/// The same for whoever is signed in. `origin`: where the user calls from, kept sealed.
///
/// # Errors
/// `invalid_token` with the reason, or `login_required`, when the holder's session has ended meanwhile: of two calls one
/// comes through.
pub async fn sign_out_own(
    ctx: &Ctx,
    holder: &Holder<'_>,
    browser_too: bool,
    origin: &Value,
) -> Result<SignedOut> {
    let user = holder.user();
    let personal = sealed_origin(ctx, user, origin).await;
    let (actor, personal) = (&holder.actor(ctx), personal.as_ref());
    ctx.app
        .db
        .unit(|conn| async move {
            holder.hold(ctx, &conn, None).await?;
            end(ctx, &conn, actor, user, browser_too, personal).await
        })
        .await
}

/// Whoever ends sessions, perhaps because somebody else is signed in, must not wait for the record of it to be mended.
pub async fn sealed_origin(ctx: &Ctx, user: UserId, origin: &Value) -> Option<Personal> {
    audit::seal(ctx, user, origin).await.unwrap_or_else(|error| {
        tracing::warn!(code = error.code().as_str(), "an act is recorded without where it came from");
        None
    })
}

/// The rest of the unit, which holds the user's row.
async fn end(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    user: UserId,
    browser_too: bool,
    personal: Option<&Personal>,
) -> Result<SignedOut> {
    let (project, now) = (ctx.project.id, ctx.now);
    let families_ended = users::count_live_families(conn, project, now, user).await?;
    let browser_sessions_ended = match browser_too {
        true => users::count_live_browser_sessions(conn, project, now, user).await?,
        false => 0,
    };
    logout_tokens::owe_for_user(conn, project, now, user).await?;
    users::raise_epochs(conn, project, now, user, browser_too).await?;
    let target = audit::user_name(ctx, user);
    let detail = json!({"families_ended": families_ended, "browser_sessions_ended": browser_sessions_ended});
    let event = actor.did("user.signed_out", &target).with(detail).sealing(personal);
    audit::append(conn, project, now, &event).await?;
    Ok(SignedOut { families_ended, browser_sessions_ended, effective_at: now })
}
