//! `GlobalSignOut`: one row changes, and no node accepts anything granted before.

use serde::Serialize;
use serde_json::{Value, json};

use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::Result;
use crate::ids::UserId;
use crate::model::timestamp::Timestamp;
use crate::store::users;

#[derive(Debug, Serialize)]
pub struct SignedOut {
    pub families_ended: i64,
    pub browser_sessions_ended: i64,
    pub effective_at: Timestamp,
}

/// Ends all token families of a user, and the browser sessions when asked; the audit event is in the same unit.
/// `origin`: where a user who signs out calls from, kept sealed.
pub async fn sign_out(
    ctx: &Ctx,
    user: UserId,
    browser_too: bool,
    actor: &Actor,
    origin: Option<&Value>,
) -> Result<SignedOut> {
    let personal = match origin {
        Some(origin) => audit::seal(ctx, user, origin).await?,
        None => None,
    };
    let personal = personal.as_ref();
    ctx.app
        .db
        .unit(|conn| async move {
            let project = ctx.project.id;
            let families_ended = users::count_live_families(&conn, project, ctx.now, user).await?;
            let browser_sessions_ended = match browser_too {
                true => users::count_live_browser_sessions(&conn, project, ctx.now, user).await?,
                false => 0,
            };
            users::raise_epochs(&conn, project, ctx.now, user, browser_too).await?;
            let target = audit::user_name(ctx, user);
            let detail =
                json!({"families_ended": families_ended, "browser_sessions_ended": browser_sessions_ended});
            let event = actor.did("user.signed_out", &target).with(detail).sealing(personal);
            audit::append(&conn, project, ctx.now, &event).await?;
            Ok(SignedOut { families_ended, browser_sessions_ended, effective_at: ctx.now })
        })
        .await
}
