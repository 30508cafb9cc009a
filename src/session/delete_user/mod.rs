//! `delete-user`: a governed act. Asked for with a reason, confirmed by the project's method, executed in one unit with
//! its audit event, at once or after a restore window.
//!
//! ```text
//! request -> pending -> confirm -> executed
//!               |  |        \----> scheduled -> executed (by a job)
//!               |  \-> expired         |
//!               \-----> cancelled <----/
//! ```

pub mod bulk;
mod cancel;
mod confirm;
mod execute;
pub mod guards;
mod mass;
mod objection;
mod record;
mod request;

use serde::Serialize;
use serde_json::{Value, json};

pub use self::cancel::cancel;
pub use self::confirm::{MOST_FAILURES, confirm, confirm_own};
pub use self::execute::{erase_again, execute_due, record_again, sweep};
pub use self::objection::{object, objected_to};
pub use self::record::{ErasureRecord, erasure_record};
pub use self::request::{CONFIRM_SECONDS, Notify, Requested, preview, refused, request, request_own};
use crate::app::Ctx;
use crate::audit::{self, Actor, Personal};
use crate::error::{Error, Result, conflict, not_found};
use crate::ids::{DeletionId, UserId};
use crate::model::deletion::{Impact, State};
use crate::model::timestamp::Timestamp;
use crate::projects::{refusals, webhooks};
use crate::store::bulk_users;
use crate::store::db::Conn;
use crate::store::deletions::{self, Deletion};

/// A deletion as the API shows one.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub deletion_id: DeletionId,
    pub state: State,
    pub user: UserId,
    pub reason: String,
    pub method: String,
    /// Whether the user is told by mail.
    pub notify: bool,
    /// Why not, where an admin wants it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_reason: Option<String>,
    /// Expected, or what has ended once it is executed.
    pub impact: Impact,
    pub requested_by: String,
    pub requested_at: Timestamp,
    /// Until when it can be confirmed.
    pub expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// The end of the restore window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execute_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// # Errors
/// 404 for an unknown deletion.
pub async fn show(ctx: &Ctx, id: DeletionId) -> Result<Shown> {
    let found =
        ctx.app.db.read(|conn| async move { deletions::find(&conn, ctx.project.id, id).await }).await?;
    let found = found.ok_or_else(no_deletion)?;
    Ok(Shown {
        deletion_id: found.id,
        state: state(ctx, &found)?,
        user: found.user_id,
        reason: found.reason,
        method: found.method,
        notify: found.notify,
        notify_reason: found.notify_reason,
        impact: serde_json::from_str(&found.impact).map_err(Error::internal)?,
        requested_by: found.actor,
        requested_at: found.requested_at,
        expires_at: found.expires_at,
        confirmed_by: found.confirmed_by,
        confirmed_at: found.confirmed_at,
        execute_at: found.execute_at,
        finished_at: found.finished_at,
    })
}

/// The state as it is now: a pending deletion that was not confirmed in time has expired, whether that is stored or not.
fn state(ctx: &Ctx, deletion: &Deletion) -> Result<State> {
    let state: State = deletion.state.parse()?;
    let too_late = state == State::Pending && deletion.expires_at <= ctx.now;
    Ok(if too_late { State::Expired } else { state })
}

/// Why a deletion that is not pending cannot be confirmed, or one that is closed not be cancelled.
fn closed(state: State) -> Error {
    conflict(match state {
        State::Executed => "this deletion has been executed",
        State::Cancelled => "this deletion has been cancelled",
        State::Expired => "this deletion has expired; ask again",
        State::Scheduled => "this deletion has been confirmed already",
        State::Pending => "this deletion was changed by somebody else at the same time; try again",
    })
}

/// Writes the event of a deletion: the last statement of its unit. `more` joins the detail.
async fn record(
    ctx: &Ctx,
    conn: &Conn,
    action: &str,
    actor: &Actor,
    deletion: &Deletion,
    more: Value,
) -> Result<()> {
    record_sealing(ctx, conn, action, actor, deletion, more, None).await
}

/// The same with what is personal in it.
async fn record_sealing(
    ctx: &Ctx,
    conn: &Conn,
    action: &str,
    actor: &Actor,
    deletion: &Deletion,
    more: Value,
    personal: Option<&Personal>,
) -> Result<()> {
    let detail = detail(deletion, more)?;
    let target = audit::user_name(ctx, deletion.user_id);
    let event = actor.did(action, &target).because(&deletion.reason).with(detail).sealing(personal);
    audit::append(conn, ctx.project.id, ctx.now, &event).await.map(|_| ())
}

/// The same for what may be tried, and refused, again and again.
async fn record_refusal(
    ctx: &Ctx,
    conn: &Conn,
    action: &str,
    actor: &Actor,
    deletion: &Deletion,
    more: Value,
) -> Result<()> {
    let (detail, target) = (detail(deletion, more)?, audit::user_name(ctx, deletion.user_id));
    let event = actor.did(action, &target).because(&deletion.reason).with(detail);
    refusals::record(conn, ctx, event).await
}

fn detail(deletion: &Deletion, more: Value) -> Result<Value> {
    let impact: Value = serde_json::from_str(&deletion.impact).map_err(Error::internal)?;
    let mut detail = json!({
        "deletion_id": deletion.id, "method": deletion.method, "notify": deletion.notify, "impact": impact,
        "requested_by": deletion.actor,
    });
    if let (Some(detail), Value::Object(more)) = (detail.as_object_mut(), more) {
        detail.extend(deletion.notify_reason.as_ref().map(|why| ("notify_reason".into(), json!(why))));
        detail.extend(more);
    }
    Ok(detail)
}

/// Tells the project's webhooks.
async fn tell(ctx: &Ctx, conn: &Conn, kind: &str, deletion: &Deletion, more: Value) -> Result<()> {
    let mut data = json!({"project": ctx.project.slug, "user": deletion.user_id, "deletion_id": deletion.id});
    if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    webhooks::tell(conn, ctx, kind, data).await
}

/// In the unit of what somebody changes of their own record: that stalls no deletion that an admin has asked for. The
/// versions are those of the record before and after.
///
/// What an admin confirms is bound to the record as it was at the request; whom it is about may not loosen that bond, or
/// nobody who keeps changing a nickname could be deleted.
pub async fn follow_own_change(ctx: &Ctx, conn: &Conn, user: UserId, versions: (i64, i64)) -> Result<()> {
    deletions::follow(conn, ctx.project.id, user, versions).await?;
    bulk_users::follow(conn, ctx.project.id, user, versions).await.map(|_| ())
}

fn no_user() -> Error {
    not_found("no such user")
}

fn no_deletion() -> Error {
    not_found("no such deletion")
}
