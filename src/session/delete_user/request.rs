//! The request: what a deletion would end, why it is asked for, and how it has to be confirmed. Nothing is deleted yet.

use serde::Serialize;
use serde_json::{Value, json};

use super::{closed, guards, mass, no_user, record};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict};
use crate::events;
use crate::ids::{DeletionId, UserId};
use crate::model::deletion::{Impact, State, check_notify_reason, check_reason, values_in};
use crate::model::project::DeletionConfirmation;
use crate::model::timestamp::Timestamp;
use crate::projects::admins::step_up::no_factor;
use crate::projects::refusals;
use crate::session::holder::Holder;
use crate::store::db::Conn;
use crate::store::deletions::{self, Deletion};
use crate::store::erasing::{self, Person};
use crate::store::users;

/// A confirmation may be given for this long.
pub const CONFIRM_SECONDS: i64 = 900;

/// A deletion that waits for its confirmation.
#[derive(Debug, Serialize)]
pub struct Requested {
    pub deletion_id: DeletionId,
    pub impact: Impact,
    pub notify: bool,
    pub confirmation: Confirmation,
}

#[derive(Debug, Serialize)]
pub struct Confirmation {
    pub method: DeletionConfirmation,
    pub expires_at: Timestamp,
}

/// Whether the user is told by mail, and why not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notify<'a> {
    /// `None`: when there is an address to write to.
    pub wanted: Option<bool>,
    /// Needed for `Some(false)`, and for nothing else.
    pub reason: Option<&'a str>,
}

impl Notify<'_> {
    /// # Errors
    /// `invalid_request` naming `notify_reason`: silence has a reason, and nothing else has.
    pub(super) fn check(self, values: &[String]) -> Result<()> {
        match (self.wanted, self.reason) {
            (Some(false), None) => {
                Err(Error::invalid_field("notify_reason", "notify: false needs a notify_reason"))
            }
            (Some(false), Some(reason)) => check_notify_reason(reason, values.iter().map(String::as_str)),
            (_, Some(_)) => Err(Error::invalid_field("notify_reason", "notify_reason is for notify: false")),
            (_, None) => Ok(()),
        }
    }
}

/// What would happen; changes nothing. Reasons, when given, are checked as for the request.
pub async fn preview(ctx: &Ctx, user: UserId, reason: Option<&str>, notify: Notify<'_>) -> Result<Impact> {
    let (person, impact) = look(ctx, user).await?;
    reason.map_or(Ok(()), |reason| check(ctx, reason, &person))?;
    if notify.reason.is_some() {
        notify.check(&values_of(&person)?)?;
    }
    Ok(impact)
}

/// Asks for a deletion.
///
/// # Errors
/// A reason that is out of bounds or names the person, or one that is missing; 403 when the project asks for a factor that
/// a key does not have; 409 with the id of a deletion of this user that is open already, or naming what keeps the user.
pub async fn request(
    ctx: &Ctx,
    actor: &Actor,
    user: UserId,
    reason: &str,
    notify: Notify<'_>,
) -> Result<Requested> {
    let (person, impact) = look(ctx, user).await?;
    check(ctx, reason, &person)?;
    notify.check(&values_of(&person)?)?;
    let by = actor.name();
    let method = ctx.app.db.read(|conn| async move { mass::method(ctx, &conn, by).await }).await?;
    if method == DeletionConfirmation::SecondFactor && actor.person().is_none() {
        refused(ctx, actor, Some(user), "no_factor").await?;
        return Err(no_factor());
    }
    ask(ctx, actor, user, (&person, impact), method, reason, notify).await
}

/// The reason of a person's own deletion. It is ours, so it says nothing about them, whatever they are called.
const OWN_REASON: &str = "asked for on the account page";

/// The person asks, and will confirm by the user name, typed again, whatever the project asks of admins.
///
/// # Errors
/// 409 with the id of a deletion of this user that is open already.
pub async fn request_own(ctx: &Ctx, holder: &Holder<'_>) -> Result<DeletionId> {
    let user = holder.user();
    let (person, impact) = look(ctx, user).await?;
    let method = DeletionConfirmation::Typed;
    let notify = Notify::default();
    let asked = ask(ctx, &holder.actor(ctx), user, (&person, impact), method, OWN_REASON, notify).await?;
    Ok(asked.deletion_id)
}

async fn ask(
    ctx: &Ctx,
    actor: &Actor,
    user: UserId,
    (person, impact): (&Person, Impact),
    method: DeletionConfirmation,
    reason: &str,
    notify: Notify<'_>,
) -> Result<Requested> {
    let guarded = ctx.app.db.read(|conn| async move { guards::of(ctx, &conn, user).await }).await?;
    if let Some(guard) = guarded {
        refused(ctx, actor, Some(user), guard.as_str()).await?;
        return Err(guards::refusal(guard));
    }
    let deletion = Deletion {
        id: ctx.app.entropy.id(ctx.now)?,
        user_id: user,
        user_version: person.version,
        state: State::Pending.as_str().into(),
        method: method.as_str().into(),
        restore_days: ctx.project.settings.deletion_restore_days,
        actor: actor.name().into(),
        confirmed_by: None,
        reason: reason.into(),
        notify: notify.wanted.unwrap_or(true) && person.email.is_some(),
        notify_reason: notify.reason.map(str::to_owned),
        impact: serde_json::to_string(&impact).map_err(Error::internal)?,
        requested_at: ctx.now,
        expires_at: ctx.now.plus_seconds(CONFIRM_SECONDS),
        confirmed_at: None,
        execute_at: None,
        finished_at: None,
        clock_offset: ctx.project.clock_offset,
    };
    let asked = &deletion;
    ctx.app.db.unit(|conn| async move { open(ctx, &conn, actor, asked).await }).await?;
    let confirmation = Confirmation { method, expires_at: deletion.expires_at };
    Ok(Requested { deletion_id: deletion.id, impact, notify: deletion.notify, confirmation })
}

/// Leaves the trace of a deletion that is refused, before that is answered.
pub async fn refused(ctx: &Ctx, actor: &Actor, user: Option<UserId>, why: &'static str) -> Result<()> {
    let target =
        user.map_or_else(|| format!("project:{}", ctx.project.id), |user| audit::user_name(ctx, user));
    let target = target.as_str();
    let trace = |conn: Conn| async move {
        let event = actor.did("user.deletion_refused", target).with(json!({"why": why}));
        refusals::record(&conn, ctx, event).await
    };
    ctx.app.db.unit(trace).await?;
    events::note_refused_deletion(ctx);
    Ok(())
}

/// Opens the deletion, unless the user has another open one: two admins should know of each other.
async fn open(ctx: &Ctx, conn: &Conn, actor: &Actor, asked: &Deletion) -> Result<()> {
    let (project, user) = (ctx.project.id, asked.user_id);
    // What the user changes at this very moment comes before or after, and takes the deletion along.
    if erasing::hold_at(conn, project, user, asked.user_version).await? == 0 {
        return Err(conflict("the user was changed at this very moment; ask again"));
    }
    deletions::expire_stale(conn, project, ctx.now, user, asked.user_version).await?;
    give_way(ctx, conn, actor, user).await?;
    if deletions::insert(conn, project, asked).await? == 0 {
        let other = deletions::find_open(conn, project, user).await?;
        // It was closed this very moment.
        let other = other.ok_or_else(|| closed(State::Pending))?;
        return Err(conflict("a deletion of this user is open already; confirm it or cancel it")
            .with_details(json!({"deletion_id": other.id, "state": other.state})));
    }
    record(ctx, conn, "user.deletion_requested", actor, asked, json!({})).await
}

/// What somebody has asked for of their own account, and not confirmed, stands in nobody's way.
pub(super) async fn give_way(ctx: &Ctx, conn: &Conn, actor: &Actor, user: UserId) -> Result<()> {
    let own = audit::user_name(ctx, user);
    let open = deletions::find_open(conn, ctx.project.id, user).await?;
    let open = open.filter(|open| open.actor == own && actor.name() != own);
    let Some(open) = open.filter(|open| open.state == State::Pending.as_str()) else { return Ok(()) };
    if deletions::cancel(conn, ctx.project.id, ctx.now, open.id).await?.is_some() {
        record(ctx, conn, "user.deletion_cancelled", actor, &open, json!({"why": "replaced"})).await?;
    }
    Ok(())
}

async fn look(ctx: &Ctx, user: UserId) -> Result<(Person, Impact)> {
    ctx.app
        .db
        .read(|conn| async move {
            let person = erasing::find_person(&conn, ctx.project.id, user).await?.ok_or_else(no_user)?;
            let impact = impact(ctx, &conn, user, &person).await?;
            Ok((person, impact))
        })
        .await
}

/// What there is of a person now.
pub(super) async fn impact(ctx: &Ctx, conn: &Conn, user: UserId, person: &Person) -> Result<Impact> {
    let (project, now) = (ctx.project.id, ctx.now);
    let groups: Vec<String> = serde_json::from_str(&person.groups).map_err(Error::internal)?;
    Ok(Impact {
        families: users::count_live_families(conn, project, now, user).await?,
        browser_sessions: users::count_live_browser_sessions(conn, project, now, user).await?,
        factors: erasing::count_factors(conn, project, user).await?,
        groups: i64::try_from(groups.len()).map_err(Error::internal)?,
        audit_events_kept: audit::count_of(conn, project, &audit::user_name(ctx, user)).await?,
    })
}

/// The rule for reasons that stay in the log for good, for whatever is done to a user.
pub(super) async fn check_reason_for(ctx: &Ctx, user: UserId, reason: &str) -> Result<()> {
    let find = |conn| async move { erasing::find_person(&conn, ctx.project.id, user).await };
    let person = ctx.app.db.read(find).await?.ok_or_else(no_user)?;
    check(ctx, reason, &person)
}

pub(super) fn check(ctx: &Ctx, reason: &str, person: &Person) -> Result<()> {
    let values = values_of(person)?;
    check_reason(reason, &ctx.project.settings.deletion_reasons, values.iter().map(String::as_str))
}

/// What must stand in nothing that stays.
pub(super) fn values_of(person: &Person) -> Result<Vec<String>> {
    let mut values: Vec<String> = [&person.username, &person.email].into_iter().flatten().cloned().collect();
    for document in [&person.profile, &person.attributes] {
        values.extend(values_in(&serde_json::from_str::<Value>(document).map_err(Error::internal)?));
    }
    Ok(values)
}
