//! What a person has beside a password: listed, added, removed, and reset by an admin.

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::recovery::NewCodes;
use super::totp::Confirmed;
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict, not_found};
use crate::ids::{FactorId, PasskeyId, UserId};
use crate::mail::notices::{self, Notice};
use crate::model::names::check_display_name;
use crate::model::sign_in_policy::FactorKind;
use crate::model::timestamp::Timestamp;
use crate::projects::users::{end_sessions, find, locked};
use crate::session::sign_out::SignedOut;
use crate::store::db::Conn;
use crate::store::factors::held;
use crate::store::passkeys::{self, PasskeyRow};
use crate::store::totp_factors::{self, TotpFactor};
use crate::store::{recovery_codes, remembered_devices};

/// Authenticator apps of one user.
const MOST_TOTP: i64 = 5;

/// One factor, as the person and admins see it.
#[derive(Clone, Debug, Serialize)]
pub struct Factor {
    pub id: Uuid,
    pub kind: FactorKind,
    pub name: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// All of a user's, in the order in which they were added.
#[derive(Clone, Debug, Serialize)]
pub struct Factors {
    pub items: Vec<Factor>,
    /// Recovery codes that have not been used.
    pub recovery_codes_left: i64,
}

/// What a reset took away, and what ended with it.
#[derive(Debug, Serialize)]
pub struct Reset {
    pub factors_removed: u64,
    #[serde(flatten)]
    pub ended: SignedOut,
}

pub async fn list(ctx: &Ctx, user: UserId) -> Result<Factors> {
    let project = ctx.project.id;
    let look = |conn: Conn| async move {
        let left = held(&conn, project, user).await?.unwrap_or_default().recovery_codes;
        let apps = totp_factors::list(&conn, project, user).await?;
        Ok::<_, Error>((apps, passkeys::list(&conn, project, user).await?, left))
    };
    let (apps, keys, recovery_codes_left) = ctx.app.db.read(look).await?;
    let apps = apps.into_iter().map(of_app);
    let mut items: Vec<Factor> = apps.chain(keys.into_iter().map(of_passkey)).collect();
    items.sort_unstable_by_key(|factor| factor.id);
    Ok(Factors { items, recovery_codes_left })
}

pub(super) fn of_app(app: TotpFactor) -> Factor {
    Factor {
        id: app.id.0,
        kind: FactorKind::Totp,
        name: app.name,
        created_at: app.created_at,
        last_used_at: app.last_used_at,
    }
}

fn of_passkey(key: PasskeyRow) -> Factor {
    Factor {
        id: key.id.0,
        kind: FactorKind::Passkey,
        name: key.name,
        created_at: key.created_at,
        last_used_at: key.last_used_at,
    }
}

/// # Errors
/// `invalid_request` naming the bound.
pub fn check_name(name: &str) -> Result<()> {
    check_display_name("name", name)
}

/// In the unit that acts on it. Whoever was remembered with the factors of before is asked again. `false`: it was added before,
/// by the same code.
///
/// # Errors
/// 409 for one app too many; 404 for a user who is gone.
pub(super) async fn add_totp(conn: &Conn, ctx: &Ctx, user: UserId, new: &Confirmed) -> Result<bool> {
    let project = ctx.project.id;
    locked(ctx, conn, user, None).await?;
    if held(conn, project, user).await?.unwrap_or_default().totp >= MOST_TOTP {
        return Err(conflict(format!("a user has at most {MOST_TOTP} authenticator apps")));
    }
    if !new.take(conn, ctx).await? {
        return Ok(false);
    }
    totp_factors::insert(conn, project, user, &new.app).await?;
    remembered_devices::delete_all(conn, project, user).await.map(|_| true)
}

/// Gives one another name.
///
/// # Errors
/// 404 for a factor that is none of the user's.
pub(super) async fn name(conn: &Conn, ctx: &Ctx, user: UserId, id: Uuid, name: &str) -> Result<Factor> {
    let project = ctx.project.id;
    if let Some(app) = totp_factors::rename(conn, project, user, FactorId(id), name).await? {
        return Ok(of_app(app));
    }
    let key = passkeys::rename(conn, project, user, PasskeyId(id), name).await?;
    key.map(of_passkey).ok_or_else(|| not_found("no such factor"))
}

/// Takes one away, for its owner. With the last one the recovery codes go, for they would stand in for nothing.
///
/// # Errors
/// 404 for a factor that is none of the user's.
pub async fn remove(ctx: &Ctx, user: UserId, id: Uuid) -> Result<()> {
    let unit = |conn: Conn| async move {
        locked(ctx, &conn, user, None).await?;
        let kind = take_away(&conn, ctx, user, id).await?;
        notices::queue(ctx, &conn, user, Notice::FactorRemoved(kind.as_str())).await?;
        let (actor, target) = (Actor::user(ctx, user), audit::user_name(ctx, user));
        let event = actor.did("factor.removed", &target).with(json!({"kind": kind, "factor": id}));
        audit::append(&conn, ctx.project.id, ctx.now, &event).await.map(drop)
    };
    ctx.app.db.unit(unit).await
}

pub(super) async fn take_away(conn: &Conn, ctx: &Ctx, user: UserId, id: Uuid) -> Result<FactorKind> {
    let project = ctx.project.id;
    let kind = if totp_factors::delete(conn, project, user, FactorId(id)).await? > 0 {
        FactorKind::Totp
    } else if passkeys::delete(conn, project, user, PasskeyId(id)).await? > 0 {
        FactorKind::Passkey
    } else {
        return Err(not_found("no such factor"));
    };
    changed(conn, ctx, user).await?;
    Ok(kind)
}

/// After a factor came or went: whoever was remembered with the factors of before is asked again, and codes for emergencies
/// stand in for something.
pub(super) async fn changed(conn: &Conn, ctx: &Ctx, user: UserId) -> Result<()> {
    let project = ctx.project.id;
    if held(conn, project, user).await?.unwrap_or_default().is_bare() {
        recovery_codes::delete_all(conn, project, user).await?;
    }
    remembered_devices::delete_all(conn, project, user).await.map(drop)
}

/// Keeps codes for whoever has none. `false`: they were made meanwhile, and stay. In a unit that holds the user's row.
pub(super) async fn keep_first(
    conn: &Conn,
    ctx: &Ctx,
    user: UserId,
    codes: Option<&NewCodes>,
) -> Result<bool> {
    let Some(codes) = codes else { return Ok(false) };
    if held(conn, ctx.project.id, user).await?.unwrap_or_default().recovery_codes > 0 {
        return Ok(false);
    }
    codes.store(conn, ctx, user).await.map(|()| true)
}

async fn take_all_away(conn: &Conn, ctx: &Ctx, user: UserId) -> Result<Vec<(FactorKind, u64)>> {
    let project = ctx.project.id;
    recovery_codes::delete_all(conn, project, user).await?;
    remembered_devices::delete_all(conn, project, user).await?;
    Ok(vec![
        (FactorKind::Totp, totp_factors::delete_all(conn, project, user).await?),
        (FactorKind::Passkey, passkeys::delete_all(conn, project, user).await?),
    ])
}

/// A new set of recovery codes, which voids the former ones. They are shown now and never again.
pub async fn make_codes(ctx: &Ctx, user: UserId) -> Result<NewCodes> {
    let codes = NewCodes::make(ctx, user)?;
    let made = &codes;
    let unit = |conn: Conn| async move {
        locked(ctx, &conn, user, None).await?;
        made.store(&conn, ctx, user).await?;
        notices::queue(ctx, &conn, user, Notice::FactorAdded("recovery_codes")).await?;
        let (actor, target) = (Actor::user(ctx, user), audit::user_name(ctx, user));
        let event = actor.did("recovery_codes.made", &target);
        audit::append(&conn, ctx.project.id, ctx.now, &event).await.map(drop)
    };
    ctx.app.db.unit(unit).await?;
    Ok(codes)
}

/// An admin takes one factor away, or all of them with the recovery codes. Everything that was granted before ends: nobody
/// knows for whom it was.
///
/// # Errors
/// 404 for a user or a factor that is not there.
pub async fn reset(ctx: &Ctx, actor: &Actor, user: UserId, only: Option<Uuid>) -> Result<Reset> {
    find(ctx, user).await?;
    let unit = |conn: Conn| async move {
        let (project, now) = (ctx.project.id, ctx.now);
        locked(ctx, &conn, user, None).await?;
        let removed = match only {
            Some(id) => vec![(take_away(&conn, ctx, user, id).await?, 1)],
            None => take_all_away(&conn, ctx, user).await?,
        };
        let factors_removed = removed.iter().map(|(_, count)| count).sum();
        for (kind, _) in removed.iter().filter(|(_, count)| *count > 0) {
            notices::queue(ctx, &conn, user, Notice::FactorRemoved(kind.as_str())).await?;
        }
        let ended = end_sessions(ctx, &conn, user).await?;
        let target = audit::user_name(ctx, user);
        let detail = json!({"factor": only, "factors_removed": factors_removed,
            "families_ended": ended.families_ended, "browser_sessions_ended": ended.browser_sessions_ended});
        let event = actor.did("user.factors_reset", &target).with(detail);
        audit::append(&conn, project, now, &event).await?;
        Ok(Reset { factors_removed, ended })
    };
    ctx.app.db.unit(unit).await
}
