//! The own sessions: those that live are seen, with the one that asks among them, and ended: one, all others, or all.

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::Ctx;
use crate::audit;
use crate::error::{Error, Result};
use crate::ids::{BrowserSessionId, ClientId};
use crate::model::device_name::{DeviceName, device_name};
use crate::model::timestamp::Timestamp;
use crate::projects::user_sessions::end_held;
use crate::session::holder::Holder;
use crate::session::keep_one::end_others;
use crate::session::sign_out::{SignedOut, sealed_origin};
use crate::store::own_sessions::{self, BrowserSessionRow, FamilyRow};

/// Why a family was ended, for its row.
const REASON: &str = "ended_by_user";

#[derive(Debug, Serialize)]
pub struct OwnSession {
    pub id: Uuid,
    #[serde(flatten)]
    pub kind: Kind,
    /// Whether it is the one that asks.
    pub current: bool,
    /// In plain words, as far as the user agent says it.
    pub device: Option<DeviceName>,
    pub user_agent: String,
    /// Where the sign-in came from.
    pub address: String,
    pub auth_time: Timestamp,
    pub created_at: Timestamp,
    pub used_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    TokenFamily {
        client_id: ClientId,
        client_name: String,
        browser_session_id: Option<BrowserSessionId>,
        /// Whether it outlives the browser session.
        offline: bool,
    },
    BrowserSession,
}

impl OwnSession {
    fn of_family(holder: &Holder<'_>, row: FamilyRow) -> Self {
        Self {
            current: matches!(holder, Holder::Application(live) if live.family.id.0 == row.id),
            kind: Kind::TokenFamily {
                client_id: row.client_id,
                client_name: row.client_name,
                browser_session_id: row.browser_session_id,
                offline: row.offline,
            },
            id: row.id,
            device: device_name(&row.user_agent),
            user_agent: row.user_agent,
            address: row.address,
            auth_time: row.auth_time,
            created_at: row.created_at,
            used_at: row.used_at,
            expires_at: row.expires_at.min(row.idle_expires_at),
        }
    }

    fn of_browser(holder: &Holder<'_>, row: BrowserSessionRow) -> Self {
        Self {
            current: matches!(holder, Holder::Browser(session) if session.id.0 == row.id),
            kind: Kind::BrowserSession,
            id: row.id,
            device: device_name(&row.user_agent),
            user_agent: row.user_agent,
            address: row.address,
            auth_time: row.auth_time,
            created_at: row.created_at,
            used_at: row.used_at.map_or(row.created_at, |used| used.max(row.created_at)),
            expires_at: row.expires_at,
        }
    }
}

/// Those that live, the newest first; beyond `after`, in pages.
pub async fn list(
    ctx: &Ctx,
    holder: &Holder<'_>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<OwnSession>> {
    let (project, now, user) = (ctx.project.id, ctx.now, holder.user());
    let before = after.unwrap_or(Uuid::max());
    let (families, browsers) = ctx
        .app
        .db
        .read(|conn| async move {
            let families = own_sessions::families(&conn, project, now, user, before, limit).await?;
            let browsers = own_sessions::browser_sessions(&conn, project, now, user, before, limit).await?;
            Ok::<_, Error>((families, browsers))
        })
        .await?;
    let families = families.into_iter().map(|row| OwnSession::of_family(holder, row));
    let browsers = browsers.into_iter().map(|row| OwnSession::of_browser(holder, row));
    let mut sessions: Vec<OwnSession> = families.chain(browsers).collect();
    sessions.sort_unstable_by_key(|session| std::cmp::Reverse(session.id));
    sessions.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(sessions)
}

/// Ends one: an application's, or a browser's with what it gave to applications and did not grant to outlive it.
///
/// # Errors
/// 404 for a session that is none of the user's; `invalid_token` or `login_required` when the holder's own has ended.
pub async fn end(ctx: &Ctx, holder: &Holder<'_>, id: Uuid) -> Result<SignedOut> {
    let (actor, user) = (&holder.actor(ctx), holder.user());
    ctx.app
        .db
        .unit(|conn| async move {
            holder.hold(ctx, &conn, None).await?;
            end_held(ctx, &conn, actor, user, id, REASON).await
        })
        .await
}

/// Ends everything but the session that asks: codes that were not exchanged, devices that were allowed and sign-ins under way
/// are among it. `origin`: where the user calls from, kept sealed.
///
/// # Errors
/// `invalid_token` or `login_required` when the holder's session has ended.
pub async fn end_all_others(ctx: &Ctx, holder: &Holder<'_>, origin: &Value) -> Result<SignedOut> {
    let (actor, user) = (&holder.actor(ctx), holder.user());
    let personal = sealed_origin(ctx, user, origin).await;
    let personal = personal.as_ref();
    ctx.app
        .db
        .unit(|conn| async move {
            let row = holder.hold(ctx, &conn, None).await?;
            let ended = end_others(ctx, &conn, holder, &row).await?;
            let target = audit::user_name(ctx, user);
            let detail = json!({"families_ended": ended.families_ended,
                "browser_sessions_ended": ended.browser_sessions_ended, "kept": "this one"});
            let event = actor.did("user.signed_out_elsewhere", &target).with(detail).sealing(personal);
            audit::append(&conn, ctx.project.id, ctx.now, &event).await?;
            Ok(ended)
        })
        .await
}
