//! What ends for good and for many is asked for first, and confirmed by the strongest method at hand: the deletion of a
//! project, of a client, or of many users at once. A confirmation is good for one use, for a short time, and for what was asked for: it is bound to
//! whoever asked, and to the version of its target.
//!
//! ```text
//! ask -> pending -> confirm -> confirmed
//!          |  \-> expired
//!          \----> cancelled
//! ```

mod ask;
pub mod at_hand;
mod confirm;
pub mod second_person;

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::ask::{Waiting, ask, method_for, open, prepare};
pub use self::confirm::{Ended, confirm, wrong_admin};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Code, Error, Result, conflict, forbidden, not_found};
use crate::events;
use crate::ids::{BulkId, ClientId, ConfirmationId, ProjectId};
use crate::model::confirmation::{State, What};
use crate::model::role::Role;
use crate::model::timestamp::Timestamp;
use crate::projects::refusals;
use crate::session::delete_user::bulk;
use crate::store::confirmations::{self, ConfirmationRow};
use crate::store::db::Conn;

/// What is to end.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub what: What,
    pub id: Uuid,
    pub version: i64,
    /// Why; empty where nobody asks.
    pub reason: &'a str,
}

/// A confirmation as the API shows one.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub confirmation_id: ConfirmationId,
    pub what: What,
    pub target: Uuid,
    pub state: State,
    pub method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What was expected to end when it was asked for.
    pub impact: Value,
    pub requested_by: String,
    pub requested_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// # Errors
/// 404 for an unknown confirmation.
pub async fn show(ctx: &Ctx, id: ConfirmationId) -> Result<Shown> {
    let find = |conn| async move { confirmations::find(&conn, ctx.project.id, id).await };
    let row = ctx.app.db.read(find).await?.ok_or_else(no_confirmation)?;
    Ok(Shown {
        confirmation_id: row.id,
        what: row.what.parse()?,
        target: row.target_id,
        state: state(ctx, &row)?,
        impact: serde_json::from_str(&row.impact).map_err(Error::internal)?,
        method: row.method,
        reason: row.reason,
        requested_by: row.actor,
        requested_at: row.requested_at,
        expires_at: row.expires_at,
        confirmed_by: row.confirmed_by,
        finished_at: row.finished_at,
    })
}

/// Calls off what waits: whoever asked may, and everybody who could confirm.
///
/// # Errors
/// 403 for a role that could not confirm; 404 for an unknown confirmation; 409 for one that is closed.
pub async fn cancel(ctx: &Ctx, actor: &Actor, role: Role, id: ConfirmationId) -> Result<()> {
    let refused = ctx
        .app
        .db
        .unit(|conn| async move {
            let row = confirmations::find(&conn, ctx.project.id, id).await?.ok_or_else(no_confirmation)?;
            if let Some(refusal) = refuse_role(ctx, &conn, actor, role, &row).await? {
                return Ok(Some(refusal));
            }
            if state(ctx, &row)? != State::Pending || !close(ctx, &conn, &row, State::Cancelled, None).await?
            {
                let row =
                    confirmations::find(&conn, ctx.project.id, id).await?.ok_or_else(no_confirmation)?;
                return Err(closed(state(ctx, &row)?));
            }
            follow(ctx, &conn, &row, State::Cancelled).await?;
            record(ctx, &conn, "deletion_cancelled", actor, &row, json!({})).await?;
            Ok(None)
        })
        .await?;
    let Some(refusal) = refused else { return Ok(()) };
    refusals::note(ctx, &refusal);
    Err(refusal)
}

/// Leaves the trace of a deletion that is refused, before that is answered.
pub async fn refused(ctx: &Ctx, actor: &Actor, what: What, id: Uuid, why: &'static str) -> Result<()> {
    let (action, target) = (format!("{}.deletion_refused", what.as_str()), target(what, id));
    let (action, target) = (action.as_str(), target.as_str());
    let trace = |conn: Conn| async move {
        let event = actor.did(action, target).with(json!({"why": why}));
        refusals::record(&conn, ctx, event).await
    };
    ctx.app.db.unit(trace).await?;
    events::note_refused_deletion(ctx);
    Ok(())
}

/// The end of a project takes another role than that of a client. A refusal leaves a trace.
async fn refuse_role(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    role: Role,
    row: &ConfirmationRow,
) -> Result<Option<Error>> {
    let what: What = row.what.parse()?;
    if role.may(what.permission()) {
        return Ok(None);
    }
    record_refusal(ctx, conn, "deletion_refused", actor, row, json!({"why": "role"})).await?;
    Ok(Some(forbidden(format!("the role {} may not do this", role.as_str()))))
}

/// Whether it was this call that closed it.
async fn close(
    ctx: &Ctx,
    conn: &Conn,
    row: &ConfirmationRow,
    state: State,
    confirmed_by: Option<&str>,
) -> Result<bool> {
    let closed =
        confirmations::close(conn, ctx.project.id, ctx.now, row.id, state.as_str(), confirmed_by).await?;
    Ok(closed > 0)
}

/// What waited for a confirmation that is closed goes with it.
async fn follow(ctx: &Ctx, conn: &Conn, row: &ConfirmationRow, state: State) -> Result<()> {
    match row.what.parse()? {
        What::Users => bulk::drop_with_confirmation(ctx, conn, BulkId(row.target_id), state).await,
        What::Project | What::Client => Ok(()),
    }
}

/// The state as it is now: what was not confirmed in time has expired, whether that is stored or not.
fn state(ctx: &Ctx, row: &ConfirmationRow) -> Result<State> {
    let state: State = row.state.parse()?;
    let too_late = state == State::Pending && row.expires_at <= ctx.now;
    Ok(if too_late { State::Expired } else { state })
}

/// Why what is not pending can be neither confirmed nor cancelled.
pub fn closed(state: State) -> Error {
    conflict(match state {
        State::Confirmed => "this has been confirmed already",
        State::Cancelled => "this has been cancelled",
        State::Expired => "this has expired; ask again",
        State::Pending => "this was changed by somebody else at the same time; try again",
    })
}

/// Writes the event: the last statement of its unit. `more` joins the detail.
async fn record(
    ctx: &Ctx,
    conn: &Conn,
    verb: &str,
    actor: &Actor,
    row: &ConfirmationRow,
    more: Value,
) -> Result<()> {
    let what: What = row.what.parse()?;
    let (action, target) = (format!("{}.{verb}", what.as_str()), target(what, row.target_id));
    let event = actor.did(&action, &target).because(&row.reason).with(merge(said_of(row), more));
    audit::append(conn, ctx.project.id, ctx.now, &event).await.map(|_| ())
}

/// The same for what may be tried, and refused, again and again.
async fn record_refusal(
    ctx: &Ctx,
    conn: &Conn,
    verb: &str,
    actor: &Actor,
    row: &ConfirmationRow,
    more: Value,
) -> Result<()> {
    let what: What = row.what.parse()?;
    let (action, target) = (format!("{}.{verb}", what.as_str()), target(what, row.target_id));
    let event = actor.did(&action, &target).because(&row.reason).with(merge(said_of(row), more));
    refusals::record(conn, ctx, event).await
}

/// What every event of it says, the end itself too.
pub fn said_of(row: &ConfirmationRow) -> Value {
    json!({"confirmation_id": row.id, "method": row.method, "requested_by": row.actor})
}

/// The members of both.
pub fn merge(mut detail: Value, more: Value) -> Value {
    if let (Some(detail), Value::Object(more)) = (detail.as_object_mut(), more) {
        detail.extend(more);
    }
    detail
}

/// What would end. What takes too long to be counted ends all the same.
pub fn counted<T: Serialize>(number: Result<T>) -> Result<Value> {
    match number {
        Ok(number) => serde_json::to_value(number).map_err(Error::internal),
        Err(error) if error.code() == Code::TemporarilyUnavailable => Ok(Value::Null),
        Err(error) => Err(error),
    }
}

fn target(what: What, id: Uuid) -> String {
    match what {
        What::Project => super::target(ProjectId(id)),
        What::Client => super::clients::target(ClientId(id)),
        What::Users => bulk::target(BulkId(id)),
    }
}

fn no_confirmation() -> Error {
    not_found("no such confirmation")
}
