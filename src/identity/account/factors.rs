//! The own second factors: seen, added, named and removed; and recovery codes.

use serde_json::json;
use uuid::Uuid;

use super::{Act, count};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::Result;
use crate::identity::factors::{self, Factor, Factors, add_totp, keep_first, take_away};
use crate::identity::passkeys::{self, Answered, Asked};
use crate::identity::recovery::NewCodes;
use crate::identity::totp::Enrolment;
use crate::ids::UserId;
use crate::mail::notices::{self, Notice};
use crate::model::sign_in_policy::FactorKind;
use crate::secret::Secret;
use crate::session::holder::Holder;
use crate::store::db::Conn;

pub async fn list(ctx: &Ctx, holder: &Holder<'_>) -> Result<Factors> {
    factors::list(ctx, holder.user()).await
}

/// What was added, and recovery codes for whoever had none. They are shown now and never again.
pub struct Added {
    pub factor: Factor,
    pub codes: Option<NewCodes>,
}

/// Adds the app that has shown a code. `sealed` is of [`Enrolment::begin`] for the same user. `None`: the code is wrong, or
/// came too late, or has added the app already.
///
/// # Errors
/// `invalid_request` naming the bound of `name`; 409 for one app too many; `invalid_token` or `login_required` when the
/// holder's session has ended.
pub async fn add_app(
    ctx: &Ctx,
    holder: &Holder<'_>,
    sealed: &str,
    code: &Secret,
    name: &str,
) -> Result<Option<Added>> {
    factors::check_name(name)?;
    let user = holder.user();
    let Some(new) = Enrolment::confirmed(ctx, user, sealed, code, name)? else { return Ok(None) };
    count(ctx, holder, Act::Change).await?;
    let codes = match list(ctx, holder).await?.recovery_codes_left {
        0 => Some(NewCodes::make(ctx, user)?),
        _ => None,
    };
    let (app, made) = (&new, codes.as_ref());
    let kept = ctx
        .app
        .db
        .unit(|conn| async move {
            let row = holder.hold(ctx, &conn, None).await?;
            if !add_totp(&conn, ctx, user, app).await? {
                return Ok(None);
            }
            notices::queue_to(ctx, &conn, &row, Notice::FactorAdded("totp")).await?;
            let kept = keep_first(&conn, ctx, user, made).await?;
            record(&conn, ctx, holder, "factor.added", json!({"kind": "totp", "factor": app.app.id})).await?;
            Ok(Some(kept))
        })
        .await?;
    let added = |kept| Added { factor: factors::of_app(new.app), codes: codes.filter(|_| kept) };
    Ok(kept.map(added))
}

/// Adds the passkey that the browser has made; recovery codes for whoever had none, where a passkey is a second factor.
///
/// # Errors
/// `invalid_request` naming what is wrong; 409 when there is no room for it; `invalid_token` or `login_required` when the
/// holder's session has ended.
pub async fn add_passkey(
    ctx: &Ctx,
    holder: &Holder<'_>,
    asked: &Asked,
    answered: &Answered<'_>,
    name: &str,
) -> Result<Option<NewCodes>> {
    factors::check_name(name)?;
    let is_second = ctx.project.settings.sign_in.counts(FactorKind::Passkey);
    let codes = match is_second && list(ctx, holder).await?.recovery_codes_left == 0 {
        true => Some(NewCodes::make(ctx, holder.user())?),
        false => None,
    };
    let (_, kept) = passkeys::finish(ctx, asked, holder, answered, Some(name), codes.as_ref()).await?;
    Ok(codes.filter(|_| kept))
}

/// Gives one another name.
///
/// # Errors
/// `invalid_request` naming the bound; 404 for a factor that is none of the user's; `invalid_token` or `login_required` when the
/// holder's session has ended.
pub async fn rename(ctx: &Ctx, holder: &Holder<'_>, id: Uuid, name: &str) -> Result<Factor> {
    factors::check_name(name)?;
    let unit = |conn| async move {
        holder.hold(ctx, &conn, None).await?;
        factors::name(&conn, ctx, holder.user(), id, name).await
    };
    ctx.app.db.unit(unit).await
}

/// Takes one away; with the last one the recovery codes go.
///
/// # Errors
/// 404 for a factor that is none of the user's; `invalid_token` or `login_required` when the holder's session has ended.
pub async fn remove(ctx: &Ctx, holder: &Holder<'_>, id: Uuid) -> Result<()> {
    count(ctx, holder, Act::Change).await?;
    ctx.app
        .db
        .unit(|conn| async move {
            let row = holder.hold(ctx, &conn, None).await?;
            let kind = take_away(&conn, ctx, row.id, id).await?;
            notices::queue_to(ctx, &conn, &row, Notice::FactorRemoved(kind.as_str())).await?;
            record(&conn, ctx, holder, "factor.removed", json!({"kind": kind, "factor": id})).await
        })
        .await
}

/// A new set of recovery codes, which voids the former ones.
///
/// # Errors
/// 409 for whoever has no second factor that they could stand in for; `invalid_token` or `login_required` when the holder's
/// session has ended.
pub async fn make_codes(ctx: &Ctx, holder: &Holder<'_>) -> Result<NewCodes> {
    if list(ctx, holder).await?.items.is_empty() {
        return Err(crate::error::conflict("recovery codes stand in for a second factor, and there is none"));
    }
    count(ctx, holder, Act::Change).await?;
    let codes = NewCodes::make(ctx, holder.user())?;
    let made = &codes;
    ctx.app
        .db
        .unit(|conn| async move {
            let row = holder.hold(ctx, &conn, None).await?;
            notices::queue_to(ctx, &conn, &row, Notice::FactorAdded("recovery_codes")).await?;
            made.store(&conn, ctx, holder.user()).await?;
            record(&conn, ctx, holder, "recovery_codes.made", json!({})).await
        })
        .await?;
    Ok(codes)
}

/// The last statement of each unit.
async fn record(
    conn: &Conn,
    ctx: &Ctx,
    holder: &Holder<'_>,
    action: &str,
    detail: serde_json::Value,
) -> Result<()> {
    let user: UserId = holder.user();
    let (actor, target) = (Actor::user(ctx, user), audit::user_name(ctx, user));
    audit::append(conn, ctx.project.id, ctx.now, &actor.did(action, &target).with(detail)).await.map(drop)
}
