//! The sessions of one user: seen, and ended one by one.

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::users::{find, locked};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, not_found};
use crate::ids::{BrowserSessionId, ClientId, FamilyId, UserId};
use crate::model::timestamp::Timestamp;
use crate::model::token::Vitals;
use crate::session::sign_out::SignedOut;
use crate::store::db::Conn;
use crate::store::logout_tokens;
use crate::store::user_sessions::{self, BrowserSessionRow, FamilyRow};

/// Why a family was ended, for its row.
const REASON: &str = "ended_by_admin";

/// What an admin sees of a session.
#[derive(Debug, Serialize)]
pub struct Session {
    pub id: Uuid,
    #[serde(flatten)]
    kind: Kind,
    auth_time: Timestamp,
    user_agent: String,
    address: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    live: bool,
    /// Why it does not live, in the words of `verifyaccesstoken`.
    reason: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    TokenFamily {
        client_id: ClientId,
        client_name: String,
        browser_session_id: Option<BrowserSessionId>,
        offline: bool,
        scope: String,
        used_at: Timestamp,
    },
    BrowserSession,
}

/// Token families and browser sessions together, in the order in which they began.
pub async fn list(ctx: &Ctx, user: UserId, after: Option<Uuid>, limit: i64) -> Result<Vec<Session>> {
    find(ctx, user).await?;
    let (project, after) = (ctx.project.id, after.unwrap_or_default());
    let (families, browsers) = ctx
        .app
        .db
        .read(|conn| async move {
            let families = user_sessions::families(&conn, project, user, after, limit).await?;
            let browsers = user_sessions::browser_sessions(&conn, project, user, after, limit).await?;
            Ok::<_, Error>((families, browsers))
        })
        .await?;
    let families = families.into_iter().map(|row| of_family(ctx, row));
    let browsers = browsers.into_iter().map(|row| of_browser_session(ctx, row));
    let mut sessions: Vec<Session> = families.chain(browsers).collect();
    sessions.sort_unstable_by_key(|session| session.id);
    sessions.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(sessions)
}

fn of_family(ctx: &Ctx, row: FamilyRow) -> Session {
    let expires_at = row.expires_at.min(row.idle_expires_at);
    let vitals = Vitals {
        project_status: &row.project_status,
        client_status: &row.client_status,
        user_status: &row.user_status,
        revoked: row.revoked_at.is_some(),
        token_revoked: false,
        expired: ctx.now >= expires_at,
        same_epochs: row.same_epochs,
    };
    let ended = vitals.ended();
    let kind = Kind::TokenFamily {
        client_id: row.client_id,
        client_name: row.client_name,
        browser_session_id: row.browser_session_id,
        offline: row.offline,
        scope: row.scope,
        used_at: row.used_at,
    };
    Session {
        id: row.id,
        kind,
        auth_time: row.auth_time,
        user_agent: row.user_agent,
        address: row.address,
        created_at: row.created_at,
        expires_at,
        live: ended.is_none(),
        reason: ended.map(|ended| ended.reason()),
    }
}

fn of_browser_session(ctx: &Ctx, row: BrowserSessionRow) -> Session {
    let vitals = Vitals {
        project_status: &row.project_status,
        client_status: "active",
        user_status: &row.user_status,
        revoked: row.ended_at.is_some(),
        token_revoked: false,
        expired: ctx.now >= row.expires_at,
        same_epochs: row.same_epochs,
    };
    let ended = vitals.ended();
    Session {
        id: row.id,
        kind: Kind::BrowserSession,
        auth_time: row.auth_time,
        user_agent: row.user_agent,
        address: row.address,
        created_at: row.created_at,
        expires_at: row.expires_at,
        live: ended.is_none(),
        reason: ended.map(|ended| ended.reason()),
    }
}

/// Ends a token family, or a browser session with the families that were not granted to outlive it and the codes that it
/// gave. The user's row is locked first, as an exchange does: a code is either a family that is ended here, or nothing.
///
/// # Errors
/// 404 for a session that is none of the user's. Ending it again changes nothing.
pub async fn end(ctx: &Ctx, actor: &Actor, user: UserId, id: Uuid) -> Result<SignedOut> {
    ctx.app
        .db
        .unit(|conn| async move {
            locked(ctx, &conn, user, None).await?;
            end_held(ctx, &conn, actor, user, id, REASON).await
        })
        .await
}

/// The rest of the unit, which holds the user's row.
pub async fn end_held(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    user: UserId,
    id: Uuid,
    reason: &str,
) -> Result<SignedOut> {
    let (project, now) = (ctx.project.id, ctx.now);
    let (family, browser) = (FamilyId(id), BrowserSessionId(id));
    let mut families_ended = user_sessions::end_family(conn, project, now, user, family, reason).await?;
    let browsers_ended = match families_ended {
        0 => user_sessions::end_browser_session(conn, project, now, user, browser).await?,
        _ => 0,
    };
    if browsers_ended > 0 {
        families_ended = end_families_of(ctx, conn, browser, reason).await?;
    } else if families_ended > 0 {
        logout_tokens::owe_for_family(conn, project, now, family).await?;
    }
    let ended = SignedOut {
        families_ended: i64::try_from(families_ended).map_err(Error::internal)?,
        browser_sessions_ended: i64::try_from(browsers_ended).map_err(Error::internal)?,
        effective_at: now,
    };
    let (action, target) = match (browsers_ended, families_ended) {
        (0, 0) if user_sessions::exists(conn, project, user, id).await? => return Ok(ended),
        (0, 0) => return Err(not_found("no such session")),
        (0, _) => ("token_family.revoked", format!("token_family:{id}")),
        (_, _) => ("browser_session.ended", format!("browser_session:{id}")),
    };
    let detail = json!({"user": audit::user_name(ctx, user), "families_ended": families_ended});
    audit::append(conn, project, now, &actor.did(action, &target).with(detail)).await?;
    Ok(ended)
}

/// Ends what a browser session gave and did not grant to outlive it, and owes the clients their logout tokens, those of the
/// rest among them.
pub async fn end_families_of(ctx: &Ctx, conn: &Conn, session: BrowserSessionId, reason: &str) -> Result<u64> {
    let (project, now) = (ctx.project.id, ctx.now);
    let ended = user_sessions::end_families_of(conn, project, now, session, reason).await?;
    logout_tokens::owe_for_browser_session(conn, project, now, session).await?;
    for family in logout_tokens::list_outliving(conn, project, now, session).await? {
        let id = ctx.app.entropy.id(now)?;
        logout_tokens::owe_for_living(conn, project, now, family, id).await?;
    }
    Ok(ended)
}
