//! Asking: nothing has ended yet.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Subject, at_hand, closed, record, refused};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Error, Result, conflict};
use crate::ids::ConfirmationId;
use crate::model::confirmation::State;
use crate::model::project::DeletionConfirmation;
use crate::model::timestamp::Timestamp;
use crate::projects::admins::step_up::no_factor;
use crate::session::delete_user::CONFIRM_SECONDS;
use crate::store::confirmations::{self, ConfirmationRow};
use crate::store::db::Conn;

/// What waits for its confirmation, as whoever asked is told.
#[derive(Debug, Serialize)]
pub struct Waiting {
    pub confirmation_id: ConfirmationId,
    pub method: DeletionConfirmation,
    pub expires_at: Timestamp,
    /// What would end; null when there is too much to be counted in time.
    pub impact: Value,
}

/// # Errors
/// 403 when the project asks for a factor that a key does not have; 409 with the id of the one that waits already.
pub async fn ask(ctx: &Ctx, actor: &Actor, subject: Subject<'_>, impact: Value) -> Result<Waiting> {
    let method = method_for(ctx, actor, subject).await?;
    let row = &prepare(ctx, actor, subject, method, &impact)?;
    ctx.app.db.unit(|conn| async move { open(ctx, &conn, actor, subject, row).await }).await?;
    Ok(Waiting { confirmation_id: row.id, method, expires_at: row.expires_at, impact })
}

/// The method that is asked for. A refusal leaves a trace.
pub async fn method_for(ctx: &Ctx, actor: &Actor, subject: Subject<'_>) -> Result<DeletionConfirmation> {
    let permission = subject.what.permission();
    let strongest = |conn| async move { at_hand::strongest(ctx, &conn, actor.name(), permission).await };
    let method = ctx.app.db.read(strongest).await?;
    if method == DeletionConfirmation::SecondFactor && actor.person().is_none() {
        refused(ctx, actor, subject.what, subject.id, "no_factor").await?;
        return Err(no_factor());
    }
    Ok(method)
}

/// What is to be opened.
pub fn prepare(
    ctx: &Ctx,
    actor: &Actor,
    subject: Subject<'_>,
    method: DeletionConfirmation,
    impact: &Value,
) -> Result<ConfirmationRow> {
    Ok(ConfirmationRow {
        id: ctx.app.entropy.id(ctx.now)?,
        what: subject.what.as_str().into(),
        target_id: subject.id,
        target_version: subject.version,
        state: State::Pending.as_str().into(),
        method: method.as_str().into(),
        actor: actor.name().into(),
        confirmed_by: None,
        reason: subject.reason.into(),
        impact: impact.to_string(),
        requested_at: ctx.now,
        expires_at: ctx.now.plus_seconds(CONFIRM_SECONDS),
        finished_at: None,
        clock_offset: ctx.project.clock_offset,
    })
}

/// Opens it; the last statement of its unit.
pub async fn open(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    subject: Subject<'_>,
    row: &ConfirmationRow,
) -> Result<()> {
    let project = ctx.project.id;
    confirmations::expire_stale(conn, project, ctx.now, subject.id, subject.version).await?;
    if confirmations::insert(conn, project, row).await? == 0 {
        let other = confirmations::find_open(conn, project, subject.id).await?;
        // It was closed this very moment.
        let other = other.ok_or_else(|| closed(State::Pending))?;
        return Err(conflict("this waits for a confirmation already; confirm it or cancel it")
            .with_details(json!({"confirmation_id": other.id})));
    }
    let impact: Value = serde_json::from_str(&row.impact).map_err(Error::internal)?;
    record(ctx, conn, "deletion_requested", actor, row, json!({"impact": impact})).await
}
