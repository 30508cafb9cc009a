//! The confirmation: bound to who asked, to the user and to the user's version, and good for one use.

use serde_json::json;

use super::execute::{execute, notice, set_impact, tidy_up};
use super::{closed, guards, mass, no_deletion, objection, record, record_refusal, state, tell};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Code, Error, Result, conflict, forbidden};
use crate::ids::DeletionId;
use crate::ledger::file::copy_soon;
use crate::model::deletion::State;
use crate::model::project::{DeletionConfirmation, MOST_RESTORE_DAYS};
use crate::projects::admins::step_up;
use crate::projects::confirmations::wrong_admin;
use crate::projects::refusals;
use crate::secret::equal_in_constant_time;
use crate::session::holder::Holder;
use crate::store::db::Conn;
use crate::store::deletions::{self, Deletion};
use crate::store::erasing::{self, Person};
use crate::store::{logout_tokens, projects};

/// So many wrong confirmations cancel the deletion.
pub const MOST_FAILURES: i64 = 5;

const DAY_SECONDS: i64 = 86_400;

const CHANGED: &str = "the user was changed since the request; ask again";

/// What the unit decided. A refusal may leave a trace, so it is committed before it is answered.
enum Verdict {
    Executed,
    Scheduled,
    Refused(Error),
}

/// Confirms a deletion: executed at once, or scheduled when the project has a restore window. `typed` is the user name
/// typed again; a second person may leave it out.
///
/// # Errors
/// 403 `confirmation_failed` for a wrong user name, 403 `forbidden` for the wrong admin, both audited; 401
/// `insufficient_user_authentication` where a second factor is to be shown first; 409 when the deletion is
/// closed, when the user has changed since the request, or when the project asks for more by now.
pub async fn confirm(ctx: &Ctx, actor: &Actor, id: DeletionId, typed: Option<&str>) -> Result<()> {
    confirm_by(ctx, actor, None, id, typed).await
}

/// The person confirms the own deletion.
///
/// # Errors
/// As [`confirm`]; `invalid_token` or `login_required` when the holder's session has ended.
pub async fn confirm_own(ctx: &Ctx, holder: &Holder<'_>, id: DeletionId, typed: &str) -> Result<()> {
    confirm_by(ctx, &holder.actor(ctx), Some(holder), id, Some(typed)).await
}

async fn confirm_by(
    ctx: &Ctx,
    actor: &Actor,
    holder: Option<&Holder<'_>>,
    id: DeletionId,
    typed: Option<&str>,
) -> Result<()> {
    let project = ctx.project.id;
    let find = |conn| async move { deletions::find(&conn, project, id).await };
    let found = ctx.app.db.read(find).await?.ok_or_else(no_deletion)?;
    if typed.is_none() && found.method == DeletionConfirmation::Typed.as_str() {
        return Err(Error::invalid_field("confirmation", "confirmation is the user name, typed again"));
    }
    let by = By { actor, holder };
    let verdict = ctx.app.db.unit(|conn| async move { decide(ctx, &conn, by, id, typed).await }).await?;
    match verdict {
        Verdict::Executed => {
            tidy_up(&ctx.app, project, found.user_id).await;
            copy_soon(&ctx.app).await;
            Ok(())
        }
        Verdict::Scheduled => Ok(()),
        Verdict::Refused(error) => {
            refusals::note(ctx, &error);
            Err(error)
        }
    }
}

/// Days between confirmation and execution: those of the request, or more when the project has more by now.
pub(super) fn restore_days(ctx: &Ctx, deletion: &Deletion) -> i64 {
    deletion.restore_days.max(ctx.project.settings.deletion_restore_days).clamp(0, MOST_RESTORE_DAYS)
}

/// Who confirms: an admin, or whoever is signed in.
#[derive(Clone, Copy)]
struct By<'a> {
    actor: &'a Actor,
    holder: Option<&'a Holder<'a>>,
}

async fn decide(ctx: &Ctx, conn: &Conn, by: By<'_>, id: DeletionId, typed: Option<&str>) -> Result<Verdict> {
    let (project, actor) = (ctx.project.id, by.actor);
    let found = deletions::find(conn, project, id).await?.ok_or_else(no_deletion)?;
    if found.actor != audit::user_name(ctx, found.user_id) {
        // Who confirms beside this waits, and counts this one.
        projects::hold(conn, project).await?;
    }
    // With the row held, what the user changes has taken the deletion along, or comes too late.
    erasing::hold(conn, project, found.user_id).await?;
    let deletion = deletions::find(conn, project, id).await?.ok_or_else(no_deletion)?;
    match state(ctx, &deletion)? {
        State::Pending => {}
        state => return Ok(Verdict::Refused(closed(state))),
    }
    let method: DeletionConfirmation = deletion.method.parse()?;
    if let Some(why) = asks_for_more(ctx, conn, &deletion, method).await? {
        return outdated(ctx, conn, actor, &deletion, why).await;
    }
    let is_requester = deletion.actor == actor.name();
    // Nothing is counted: whoever is asked for more comes again.
    if method == DeletionConfirmation::SecondFactor
        && (is_requester || actor.person().is_none())
        && let Err(more) =
            step_up::require_factor_since(ctx, actor, (deletion.requested_at, deletion.clock_offset))
    {
        return Ok(Verdict::Refused(more));
    }
    if let Some((said, why)) = wrong_admin(conn, method, &deletion.actor, actor.name()).await? {
        let more = json!({"why": said});
        record_refusal(ctx, conn, "user.deletion_confirmation_failed", actor, &deletion, more).await?;
        return Ok(Verdict::Refused(forbidden(why)));
    }
    let person = erasing::find_person(conn, project, deletion.user_id).await?;
    let Some(person) = person.filter(|person| person.version == deletion.user_version) else {
        return outdated(ctx, conn, actor, &deletion, CHANGED).await;
    };
    let name = person.username.as_deref().unwrap_or_default();
    if typed.is_some_and(|typed| !equal_in_constant_time(name.as_bytes(), typed.as_bytes())) {
        return wrong(ctx, conn, actor, &deletion).await;
    }
    carry_out(ctx, conn, by, deletion, &person).await
}

/// What a deletion was requested under holds; a project that asks for more by now gets more, be it by its settings or because
/// many users were deleted meanwhile. People confirm their own by their name, as long as the project lets them.
async fn asks_for_more(
    ctx: &Ctx,
    conn: &Conn,
    deletion: &Deletion,
    method: DeletionConfirmation,
) -> Result<Option<&'static str>> {
    if deletion.actor == audit::user_name(ctx, deletion.user_id) {
        let why = "the project does not let people delete their accounts themselves any more";
        return Ok((!ctx.project.settings.self_deletion).then_some(why));
    }
    let why = "the project asks for more to confirm a deletion by now; ask again";
    Ok((method < mass::method(ctx, conn, &deletion.actor).await?).then_some(why))
}

/// Counts a wrong confirmation; too many cancel the deletion.
async fn wrong(ctx: &Ctx, conn: &Conn, actor: &Actor, deletion: &Deletion) -> Result<Verdict> {
    let project = ctx.project.id;
    let counted = deletions::count_failure(conn, project, ctx.now, deletion.id, MOST_FAILURES).await?;
    let Some(failures) = counted else { return lost_race(ctx, conn, deletion.id).await };
    let more = json!({"why": "wrong_text", "failures": failures});
    record(ctx, conn, "user.deletion_confirmation_failed", actor, deletion, more).await?;
    if failures >= MOST_FAILURES {
        let more = json!({"why": "too_many_wrong_confirmations"});
        record(ctx, conn, "user.deletion_cancelled", actor, deletion, more).await?;
    }
    Ok(Verdict::Refused(Error::new(Code::ConfirmationFailed, "the typed user name is not the user's")))
}

/// The confirmation is right. The user's row is held first, then the deletion is taken: of two callers one goes on.
async fn carry_out(
    ctx: &Ctx,
    conn: &Conn,
    By { actor, holder }: By<'_>,
    mut deletion: Deletion,
    person: &Person,
) -> Result<Verdict> {
    let (project, id, user) = (ctx.project.id, deletion.id, deletion.user_id);
    if erasing::hold_at(conn, project, user, person.version).await? == 0 {
        return outdated(ctx, conn, actor, &deletion, CHANGED).await;
    }
    if let Some(holder) = holder {
        holder.require_still_live(ctx, conn).await?;
    }
    if let Some(guard) = guards::of(ctx, conn, user).await? {
        let more = json!({"why": guard.as_str()});
        record_refusal(ctx, conn, "user.deletion_refused", actor, &deletion, more).await?;
        return Ok(Verdict::Refused(guards::refusal(guard)));
    }
    match settle(ctx, conn, (actor, actor.name()), &mut deletion, person).await? {
        Some(State::Executed) => Ok(Verdict::Executed),
        Some(_) => Ok(Verdict::Scheduled),
        None => lost_race(ctx, conn, id).await,
    }
}

/// What a confirmed deletion comes to, while the user's row is held: executed at once, or scheduled where there is a restore
/// window. `by` confirmed it, `actor` carries it out. `None`: it is no longer pending.
pub(super) async fn settle(
    ctx: &Ctx,
    conn: &Conn,
    (actor, by): (&Actor, &str),
    deletion: &mut Deletion,
    person: &Person,
) -> Result<Option<State>> {
    let (project, id, user) = (ctx.project.id, deletion.id, deletion.user_id);
    let days = restore_days(ctx, deletion);
    deletion.confirmed_by = Some(by.into());
    if days == 0 {
        if deletions::confirm(conn, project, ctx.now, id, by).await? == 0 {
            return Ok(None);
        }
        let notice = notice(ctx, deletion, person)?;
        Box::pin(execute(ctx, conn, actor, deletion, person, notice.as_ref())).await?;
        return Ok(Some(State::Executed));
    }
    let execute_at = ctx.now.plus_seconds(days * DAY_SECONDS);
    let when = (execute_at, person.status.as_str());
    if deletions::schedule(conn, project, ctx.now, id, by, when).await? == 0 {
        return Ok(None);
    }
    set_impact(ctx, conn, deletion, person).await?;
    logout_tokens::owe_for_user(conn, project, ctx.now, user).await?;
    erasing::disable_user(conn, project, ctx.now, user).await?;
    let more = json!({"execute_at": execute_at});
    objection::invite(ctx, conn, deletion, execute_at).await?;
    tell(ctx, conn, "user.deletion_scheduled", deletion, more.clone()).await?;
    record(ctx, conn, "user.deletion_scheduled", actor, deletion, more).await?;
    Ok(Some(State::Scheduled))
}

/// Closes a deletion that nobody can confirm any more, so that it can be asked for again.
async fn outdated(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    deletion: &Deletion,
    why: &'static str,
) -> Result<Verdict> {
    if deletions::expire(conn, ctx.project.id, ctx.now, deletion.id).await? == 0 {
        return lost_race(ctx, conn, deletion.id).await;
    }
    let more = json!({"why": "outdated"});
    record(ctx, conn, "user.deletion_expired", actor, deletion, more).await?;
    Ok(Verdict::Refused(conflict(why)))
}

async fn lost_race(ctx: &Ctx, conn: &Conn, id: DeletionId) -> Result<Verdict> {
    let deletion = deletions::find(conn, ctx.project.id, id).await?.ok_or_else(no_deletion)?;
    Ok(Verdict::Refused(closed(state(ctx, &deletion)?)))
}
