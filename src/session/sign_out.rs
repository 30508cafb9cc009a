//! `GlobalSignOut`: one row changes, and no node accepts anything granted before.

use serde::Serialize;
use serde_json::json;

use crate::app::Ctx;
use crate::audit::{self, Event};
use crate::error::Result;
use crate::ids::UserId;
use crate::model::timestamp::Timestamp;
use crate::store::users;

/// Who asks.
pub struct Actor<'a> {
    pub name: &'a str,
    pub kind: &'a str,
}

#[derive(Debug, Serialize)]
pub struct SignedOut {
    pub families_ended: i64,
    pub browser_sessions_ended: i64,
    pub effective_at: Timestamp,
}

/// Ends all token families of a user, and the browser sessions when asked; the audit event is in the same unit.
pub async fn sign_out(ctx: &Ctx, user: UserId, browser_too: bool, actor: &Actor<'_>) -> Result<SignedOut> {
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
            let event = Event {
                actor: actor.name,
                actor_kind: actor.kind,
                action: "user.signed_out",
                target: &audit_target(ctx, user),
                reason: "",
                detail: json!({"families_ended": families_ended, "browser_sessions_ended": browser_sessions_ended}),
                request_id: &ctx.request_id,
            };
            audit::append(&conn, project, ctx.now, &event).await?;
            Ok(SignedOut { families_ended, browser_sessions_ended, effective_at: ctx.now })
        })
        .await
}

/// Users appear in the audit log by the keyed hash of their id only.
pub fn audit_target(ctx: &Ctx, user: UserId) -> String {
    let hash = ctx.app.master_keys.keyed_hash(ctx.project.id, "audit/user", user.0.as_bytes());
    format!("user:{}", crate::secret::encode_base64url(&hash))
}
