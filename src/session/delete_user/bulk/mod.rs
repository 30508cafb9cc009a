//! `delete-users`: many at once. Asked for with one reason, shown before anything happens, confirmed once by the strongest
//! method at hand, and carried out by a job, one user after the other.
//!
//! ```text
//! request -> gathering -> pending -> confirm -> running -> done
//!                           |  \-> expired        |
//!                           \----> cancelled <----/
//! ```
//!
//! Each user's deletion is one like any other: a row, an audit event and a line in the ledger of its own. What keeps a user
//! keeps that user alone.

mod ask;
mod confirmer;
mod filter;
mod one;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

pub use self::ask::{MOST_LISTED, Requested, Which, request};
pub use self::filter::Filter;
pub use self::one::{delete_one, finish, give_up};
use crate::app::Ctx;
use crate::audit::{self, Actor, own_account};
use crate::error::{Error, Result, conflict, not_found};
use crate::ids::{BulkId, ConfirmationId, UserId};
use crate::model::bulk::{Outcome, State};
use crate::model::confirmation;
use crate::model::timestamp::Timestamp;
use crate::projects::admins::Person;
use crate::projects::confirmations::closed as closed_confirmation;
use crate::store::bulk_deletions::{self, Bulk};
use crate::store::bulk_users::{self, Of};
use crate::store::confirmations;
use crate::store::db::Conn;

/// A deletion of many as the API shows one.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub deletion_id: BulkId,
    pub state: State,
    pub reason: String,
    pub method: String,
    /// Whether users are told by mail.
    pub notify: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_reason: Option<String>,
    /// How many were asked for.
    pub users: i64,
    /// How many the job has not come to.
    pub waiting: i64,
    /// How many have come to what.
    pub outcomes: BTreeMap<&'static str, i64>,
    pub requested_by: String,
    pub requested_at: Timestamp,
    /// Until when it can be confirmed.
    pub expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmation_id: Option<ConfirmationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Why it stopped by itself: `confirmer_gone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_because: Option<String>,
}

/// # Errors
/// 404 for an unknown one.
pub async fn show(ctx: &Ctx, id: BulkId) -> Result<Shown> {
    let project = ctx.project.id;
    let (bulk, numbers, open) = ctx
        .app
        .db
        .read(|conn| async move {
            let bulk = bulk_deletions::find(&conn, project, id).await?.ok_or_else(no_bulk)?;
            let numbers = bulk_users::count(&conn, project, id).await?;
            let open = confirmations::find_open(&conn, project, id.0).await?;
            Ok((bulk, numbers, open))
        })
        .await?;
    let of = |outcome: Option<&str>| {
        numbers.iter().filter(|number| number.outcome.as_deref() == outcome).map(|number| number.n).sum()
    };
    let outcomes = Outcome::ALL.iter().map(|outcome| (outcome.as_str(), of(Some(outcome.as_str()))));
    let state = state(ctx, &bulk)?;
    Ok(Shown {
        deletion_id: bulk.id,
        state,
        waiting: of(None),
        outcomes: outcomes.filter(|(_, n)| *n > 0).collect(),
        reason: bulk.reason,
        method: bulk.method,
        notify: bulk.notify,
        notify_reason: bulk.notify_reason,
        users: bulk.users,
        requested_by: bulk.actor,
        requested_at: bulk.requested_at,
        expires_at: bulk.expires_at,
        confirmation_id: open.filter(|_| state == State::Pending).map(|open| open.id),
        confirmed_by: bulk.confirmed_by,
        confirmed_at: bulk.confirmed_at,
        finished_at: bulk.finished_at,
        cancelled_because: bulk.cancelled_because,
    })
}

/// What has become of each user, by id; `outcome` narrows. Who waits has none.
pub async fn results(
    ctx: &Ctx,
    id: BulkId,
    outcome: Option<Outcome>,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<Of>> {
    let (project, outcome) = (ctx.project.id, outcome.map(Outcome::as_str));
    let after = after.unwrap_or(UserId(uuid::Uuid::nil()));
    ctx.app
        .db
        .read(|conn| async move {
            bulk_deletions::find(&conn, project, id).await?.ok_or_else(no_bulk)?;
            bulk_users::list(&conn, project, id, outcome, (after, limit)).await
        })
        .await
}

/// Stops what waits or runs. Whoever is deleted already stays so; after the answer nobody else is.
///
/// # Errors
/// 404 for an unknown one; 409 for one that is closed.
pub async fn cancel(ctx: &Ctx, actor: &Actor, id: BulkId) -> Result<()> {
    let project = ctx.project.id;
    ctx.app
        .db
        .unit(|conn| async move {
            let bulk = bulk_deletions::find(&conn, project, id).await?.ok_or_else(no_bulk)?;
            let from = match state(ctx, &bulk)? {
                state @ (State::Pending | State::Running) => state,
                state => return Err(closed(state)),
            };
            if let Some(open) = confirmations::find_open(&conn, project, id.0).await? {
                let cancelled = confirmation::State::Cancelled.as_str();
                confirmations::close(&conn, project, ctx.now, open.id, cancelled, None).await?;
            }
            // A user that the job is at is deleted before this goes on, and none after it.
            let change = (from.as_str(), State::Cancelled.as_str());
            if bulk_deletions::close(&conn, project, ctx.now, id, change).await? == 0 {
                let bulk = bulk_deletions::find(&conn, project, id).await?.ok_or_else(no_bulk)?;
                return Err(closed(state(ctx, &bulk)?));
            }
            record(ctx, &conn, "users.deletion_cancelled", actor, &bulk, json!({})).await
        })
        .await
}

/// The confirmation was given, in the unit of the caller: from now on the job deletes.
pub async fn start(ctx: &Ctx, conn: &Conn, actor: &Actor, id: BulkId, confirmed: Value) -> Result<()> {
    let bulk = bulk_deletions::find(conn, ctx.project.id, id).await?.ok_or_else(no_bulk)?;
    // What somebody else has asked for is not theirs to confirm either: ids are nobody else's in any project.
    if let Some(own) = actor.person().map(Person::user)
        && bulk_users::find_waiting(conn, ctx.project.id, id, own).await?.is_some()
    {
        return Err(own_account());
    }
    if bulk_deletions::start(conn, ctx.project.id, ctx.now, id, actor.name()).await? == 0 {
        return Err(closed(state(ctx, &bulk)?));
    }
    record(ctx, conn, "users.deletion_confirmed", actor, &bulk, confirmed).await
}

/// Its confirmation can no longer be given: nobody is deleted.
pub async fn drop_with_confirmation(
    ctx: &Ctx,
    conn: &Conn,
    id: BulkId,
    closed: confirmation::State,
) -> Result<()> {
    let to = match closed {
        confirmation::State::Cancelled => State::Cancelled,
        _ => State::Expired,
    };
    let change = (State::Pending.as_str(), to.as_str());
    bulk_deletions::close(conn, ctx.project.id, ctx.now, id, change).await.map(|_| ())
}

/// How many would be deleted; `None` when it waits no longer.
pub async fn users_of_pending(ctx: &Ctx, conn: &Conn, id: BulkId) -> Result<Option<i64>> {
    let bulk = bulk_deletions::find(conn, ctx.project.id, id).await?;
    let Some(bulk) = bulk else { return Ok(None) };
    Ok(Some(bulk.users).filter(|_| state(ctx, &bulk).is_ok_and(|state| state == State::Pending)))
}

/// What is typed to confirm it.
pub fn words(users: i64) -> String {
    format!("delete {users} users")
}

/// The state as it is now: what was not confirmed in time has expired, whether that is stored or not.
pub fn state(ctx: &Ctx, bulk: &Bulk) -> Result<State> {
    let state: State = bulk.state.parse()?;
    let too_late = state == State::Pending && bulk.expires_at <= ctx.now;
    Ok(if too_late { State::Expired } else { state })
}

fn closed(state: State) -> Error {
    match state {
        State::Done => conflict("this deletion is done"),
        State::Running => conflict("this deletion has been confirmed already"),
        State::Cancelled => closed_confirmation(confirmation::State::Cancelled),
        State::Expired => closed_confirmation(confirmation::State::Expired),
        State::Pending | State::Gathering => closed_confirmation(confirmation::State::Pending),
    }
}

pub fn target(id: BulkId) -> String {
    format!("users:{id}")
}

/// Writes the event of the whole: the last statement of its unit. `more` joins the detail.
async fn record(ctx: &Ctx, conn: &Conn, action: &str, actor: &Actor, bulk: &Bulk, more: Value) -> Result<()> {
    let detail = json!({"deletion_id": bulk.id, "method": bulk.method, "notify": bulk.notify, "users": bulk.users,
        "requested_by": bulk.actor});
    let target = target(bulk.id);
    let detail = crate::projects::confirmations::merge(detail, more);
    let event = actor.did(action, &target).because(&bulk.reason).with(detail);
    audit::append(conn, ctx.project.id, ctx.now, &event).await.map(|_| ())
}

fn no_bulk() -> Error {
    not_found("no such deletion")
}
