//! `delete-user`: a governed act. Request with a reason, confirm by typing the user name, executed in one unit with its
//! audit event.

use serde::Serialize;
use serde_json::json;

use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Code, Error, Result, conflict, not_found};
use crate::ids::{DeletionId, UserId};
use crate::model::names::folded;
use crate::model::timestamp::Timestamp;
use crate::secret::equal_in_constant_time;
use crate::store::db::Conn;
use crate::store::deletions::{self, Deletion};
use crate::store::users;

/// A confirmation may be given for this long.
const CONFIRM_SECONDS: i64 = 900;

/// What a deletion would end and keep.
#[derive(Debug, Serialize)]
pub struct Impact {
    pub families: i64,
    pub browser_sessions: i64,
    pub factors: i64,
    pub groups: usize,
}

#[derive(Debug, Serialize)]
pub struct Requested {
    pub deletion_id: DeletionId,
    pub impact: Impact,
    pub confirmation: Confirmation,
}

#[derive(Debug, Serialize)]
pub struct Confirmation {
    pub method: &'static str,
    pub expires_at: Timestamp,
}

/// What would happen; changes nothing.
pub async fn impact(ctx: &Ctx, user: UserId) -> Result<Impact> {
    ctx.app
        .db
        .read(|conn| async move {
            let row = users::find(&conn, ctx.project.id, user).await?.ok_or_else(no_user)?;
            let groups: Vec<String> = serde_json::from_str(&row.groups).map_err(Error::internal)?;
            Ok(Impact {
                families: users::count_live_families(&conn, ctx.project.id, ctx.now, user).await?,
                browser_sessions: users::count_live_browser_sessions(&conn, ctx.project.id, ctx.now, user)
                    .await?,
                factors: 1,
                groups: groups.len(),
            })
        })
        .await
}

/// # Errors
/// A reason that is too short, too long, or names the person.
pub async fn request(ctx: &Ctx, actor: &Actor, user: UserId, reason: &str) -> Result<Requested> {
    let impact = impact(ctx, user).await?;
    let row = ctx.app.db.read(|conn| async move { users::find(&conn, ctx.project.id, user).await }).await?;
    let row = row.ok_or_else(no_user)?;
    check_reason(reason, &[row.username.as_deref(), row.email.as_deref()])?;
    let deletion = Deletion {
        id: ctx.app.entropy.id(ctx.now)?,
        user_id: user,
        user_version: row.version,
        state: "pending".into(),
        actor: actor.name().into(),
        reason: reason.into(),
        impact: serde_json::to_string(&impact).map_err(Error::internal)?,
        expires_at: ctx.now.plus_seconds(CONFIRM_SECONDS),
    };
    let made = &deletion;
    ctx.app
        .db
        .unit(|conn| async move {
            deletions::insert(&conn, ctx.project.id, ctx.now, made).await?;
            record(ctx, &conn, "user.deletion_requested", actor, made).await
        })
        .await?;
    let confirmation = Confirmation { method: "typed", expires_at: deletion.expires_at };
    Ok(Requested { deletion_id: deletion.id, impact, confirmation })
}

/// The reason stays readable for good in the audit log, so it must not name the person.
fn check_reason(reason: &str, values: &[Option<&str>]) -> Result<()> {
    if !(10..=500).contains(&reason.chars().count()) {
        return Err(Error::invalid_field("reason", "reason has 10 to 500 characters"));
    }
    let reason = folded(reason);
    if values.iter().flatten().any(|value| reason.contains(&folded(value))) {
        return Err(Error::invalid_field(
            "reason",
            "reason must not contain the user's name or mail address",
        ));
    }
    Ok(())
}

enum Verdict {
    Executed,
    Refused(Error),
}

/// Confirms by the typed user name. A wrong one is counted and audited before the answer.
///
/// # Errors
/// 403 `confirmation_failed`; 409 when it is finished, has lapsed, or the user changed since the request.
pub async fn confirm(ctx: &Ctx, actor: &Actor, id: DeletionId, typed: &str) -> Result<()> {
    let verdict = ctx
        .app
        .db
        .unit(|conn| async move {
            let project = ctx.project.id;
            let found = deletions::find(&conn, project, id).await?;
            let deletion = found.filter(|found| found.actor == actor.name()).ok_or_else(no_deletion)?;
            if deletion.state != "pending" || deletion.expires_at <= ctx.now {
                return Ok(Verdict::Refused(conflict(
                    "this deletion is finished or its confirmation has lapsed",
                )));
            }
            let user = users::find(&conn, project, deletion.user_id).await?;
            let expected = user.and_then(|user| user.username).unwrap_or_default();
            if !equal_in_constant_time(expected.as_bytes(), typed.as_bytes()) {
                deletions::count_failure(&conn, project, id).await?;
                record(ctx, &conn, "user.deletion_confirmation_failed", actor, &deletion).await?;
                let refused = Error::new(Code::ConfirmationFailed, "the typed user name is not the user's");
                return Ok(Verdict::Refused(refused));
            }
            // An error from here on rolls everything back: never a half-deleted user.
            if deletions::erase_user(&conn, project, ctx.now, deletion.user_id, deletion.user_version).await?
                == 0
                || deletions::finish(&conn, project, ctx.now, id, "executed").await? == 0
            {
                return Err(conflict("the user was changed since the request; ask again"));
            }
            record(ctx, &conn, "user.deleted", actor, &deletion).await?;
            audit::erase(&conn, project, deletion.user_id, 1000).await?;
            Ok(Verdict::Executed)
        })
        .await?;
    match verdict {
        Verdict::Executed => Ok(()),
        Verdict::Refused(error) => Err(error),
    }
}

/// Cancels what has not been executed.
pub async fn cancel(ctx: &Ctx, actor: &Actor, id: DeletionId) -> Result<()> {
    ctx.app
        .db
        .unit(|conn| async move {
            let deletion = deletions::find(&conn, ctx.project.id, id).await?.ok_or_else(no_deletion)?;
            if deletions::finish(&conn, ctx.project.id, ctx.now, id, "cancelled").await? == 0 {
                return Err(conflict("this deletion is finished"));
            }
            record(ctx, &conn, "user.deletion_cancelled", actor, &deletion).await
        })
        .await
}

pub async fn state(ctx: &Ctx, id: DeletionId) -> Result<serde_json::Value> {
    let found =
        ctx.app.db.read(|conn| async move { deletions::find(&conn, ctx.project.id, id).await }).await?;
    let found = found.ok_or_else(no_deletion)?;
    Ok(json!({"deletion_id": found.id, "state": found.state, "expires_at": found.expires_at}))
}

async fn record(ctx: &Ctx, conn: &Conn, action: &str, actor: &Actor, deletion: &Deletion) -> Result<()> {
    let impact: serde_json::Value = serde_json::from_str(&deletion.impact).map_err(Error::internal)?;
    let target = audit::user_name(ctx, deletion.user_id);
    let detail = json!({"deletion_id": deletion.id, "method": "typed", "impact": impact});
    let event = actor.did(action, &target).because(&deletion.reason).with(detail);
    audit::append(conn, ctx.project.id, ctx.now, &event).await.map(|_| ())
}

fn no_user() -> Error {
    not_found("no such user")
}

fn no_deletion() -> Error {
    not_found("no such deletion")
}
