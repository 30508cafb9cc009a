//! A person leaves: the browser session ends, and with it what applications were not granted for longer.

use serde_json::json;

use super::progress;
use super::sign_in::{find_session, find_session_by_hash};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::Result;
use crate::model::token::Family;
use crate::projects::user_sessions::end_families_of;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::store::{logout_tokens, user_sessions, users};

/// Why a family ended, for its row.
const REASON: &str = "logged_out";

/// The session that a browser leaves: its own; or the one that it had when it began to sign in again, which is there until
/// that sign-in takes its place.
pub async fn find_leaving(ctx: &Ctx, cookie: &Secret) -> Result<Option<SignIn>> {
    if let Some(session) = find_session(ctx, cookie).await? {
        return Ok(Some(session));
    }
    match progress::find(ctx, cookie).await? {
        Some(begun) => find_session_by_hash(ctx, begun.replaces()).await,
        None => Ok(None),
    }
}

/// Ends the session of a browser, its families without `offline_access`, and its codes; the clients will be told.
pub async fn end_session(ctx: &Ctx, session: &SignIn) -> Result<()> {
    let (id, user) = (session.id, session.user_id);
    ctx.app
        .db
        .unit(|conn| async move {
            let (project, now) = (ctx.project.id, ctx.now);
            // As an exchange does: a code is either a family that is ended here, or nothing.
            users::lock(&conn, project, user).await?;
            if user_sessions::end_browser_session(&conn, project, now, user, id).await? == 0 {
                return Ok(());
            }
            let families = end_families_of(ctx, &conn, id, REASON).await?;
            let (actor, target) = (Actor::user(ctx, user), format!("browser_session:{id}"));
            let detail = json!({"user": audit::user_name(ctx, user), "families_ended": families});
            let event = actor.did("browser_session.ended", &target).with(detail);
            audit::append(&conn, project, now, &event).await.map(|_| ())
        })
        .await
}

/// Whether the browser session that a family came from is still there.
pub async fn has_browser_session(ctx: &Ctx, family: &Family) -> Result<bool> {
    let Some(session) = family.browser_session_id else { return Ok(false) };
    let look = |conn| async move { user_sessions::is_there(&conn, ctx.project.id, ctx.now, session).await };
    ctx.app.db.read(look).await
}

/// Ends one application's session, unless it was granted to outlive the browser's: its ID token was shown. An ID token is
/// no secret, so nothing ends while the browser session is there; that is judged once more in the statement.
pub async fn end_family(ctx: &Ctx, family: &Family) -> Result<()> {
    let (id, user) = (family.id, family.user_id);
    ctx.app
        .db
        .unit(|conn| async move {
            let (project, now) = (ctx.project.id, ctx.now);
            if user_sessions::end_bound_family(&conn, project, now, id, REASON).await? == 0 {
                return Ok(());
            }
            logout_tokens::owe_for_family(&conn, project, now, id).await?;
            let (actor, target) = (Actor::user(ctx, user), format!("token_family:{id}"));
            let detail = json!({"user": audit::user_name(ctx, user), "families_ended": 1});
            let event = actor.did("token_family.revoked", &target).because(REASON).with(detail);
            audit::append(&conn, project, now, &event).await.map(|_| ())
        })
        .await
}
