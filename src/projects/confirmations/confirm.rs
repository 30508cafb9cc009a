//! The confirmation, and with it the end of what was asked for, in one unit.

use serde_json::json;
use uuid::Uuid;

use super::{
    at_hand, close, closed, follow, no_confirmation, record, record_refusal, refuse_role, said_of,
    second_person, state,
};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Code, Error, Result, conflict, forbidden};
use crate::ids::{BulkId, ClientId, ConfirmationId};
use crate::ledger::file::copy_soon;
use crate::model::confirmation::{State, What};
use crate::model::project::DeletionConfirmation;
use crate::model::role::Role;
use crate::model::status::Status;
use crate::projects::admins::step_up;
use crate::projects::{self, clients, refusals};
use crate::secret::equal_in_constant_time;
use crate::session::delete_user::{MOST_FAILURES, bulk};
use crate::store::clients as stored_clients;
use crate::store::confirmations::{self, ConfirmationRow};
use crate::store::db::Conn;

const CHANGED: &str = "it was changed since the request; ask again";
const MORE: &str = "more is asked for to confirm this by now; ask again";

/// What has ended.
#[derive(Clone, Copy, Debug)]
pub enum Ended {
    Project,
    Client(ClientId),
    /// It has begun.
    Users(BulkId),
}

/// What the unit decided. A refusal may leave a trace, so it is committed before it is answered.
enum Verdict {
    Ended(Ended),
    Refused(Error),
}

/// Confirms, and ends what was asked for. `typed` is what is to end, by its name; a second person may leave it out.
///
/// # Errors
/// 403 `confirmation_failed` for a wrong name, 403 `forbidden` for the wrong key or role, all of them audited; 404 for an
/// unknown confirmation; 409 when it is closed, when its target has changed, or when more is asked for by now.
pub async fn confirm(
    ctx: &Ctx,
    actor: &Actor,
    role: Role,
    id: ConfirmationId,
    typed: Option<&str>,
) -> Result<Ended> {
    let find = |conn| async move { confirmations::find(&conn, ctx.project.id, id).await };
    let found = ctx.app.db.read(find).await?.ok_or_else(no_confirmation)?;
    if typed.is_none() && found.method == DeletionConfirmation::Typed.as_str() {
        let why = match found.what.parse()? {
            What::Project => "confirmation is the slug of the project, typed again".to_owned(),
            What::Client => "confirmation is the client_id, typed again".to_owned(),
            What::Users => format!("confirmation is: {}", bulk::words(found.target_version)),
        };
        return Err(Error::invalid_field("confirmation", why));
    }
    let by = By { actor, role };
    match ctx.app.db.unit(|conn| async move { decide(ctx, &conn, by, id, typed).await }).await? {
        Verdict::Ended(ended) => {
            if matches!(ended, Ended::Project) {
                copy_soon(&ctx.app).await;
            }
            Ok(ended)
        }
        Verdict::Refused(error) => {
            refusals::note(ctx, &error);
            Err(error)
        }
    }
}

/// Who confirms.
#[derive(Clone, Copy)]
struct By<'a> {
    actor: &'a Actor,
    role: Role,
}

async fn decide(
    ctx: &Ctx,
    conn: &Conn,
    by: By<'_>,
    id: ConfirmationId,
    typed: Option<&str>,
) -> Result<Verdict> {
    let row = confirmations::find(conn, ctx.project.id, id).await?.ok_or_else(no_confirmation)?;
    let what: What = row.what.parse()?;
    if let Some(refusal) = refuse_role(ctx, conn, by.actor, by.role, &row).await? {
        return Ok(Verdict::Refused(refusal));
    }
    match state(ctx, &row)? {
        State::Pending => {}
        state => return Ok(Verdict::Refused(closed(state))),
    }
    let method: DeletionConfirmation = row.method.parse()?;
    if method < at_hand::strongest(ctx, conn, &row.actor, what.permission()).await? {
        return outdated(ctx, conn, by.actor, &row, MORE).await;
    }
    // Nothing is counted: whoever is asked for more comes again.
    let is_requester = row.actor == by.actor.name();
    if method == DeletionConfirmation::SecondFactor
        && (is_requester || by.actor.person().is_none())
        && let Err(more) = step_up::require_factor_since(ctx, by.actor, (row.requested_at, row.clock_offset))
    {
        return Ok(Verdict::Refused(more));
    }
    if let Some((said, why)) = wrong_admin(conn, method, &row.actor, by.actor.name()).await? {
        let (verb, more) = ("deletion_confirmation_failed", json!({"why": said}));
        record_refusal(ctx, conn, verb, by.actor, &row, more).await?;
        return Ok(Verdict::Refused(forbidden(why)));
    }
    let Some(name) = name_of(ctx, conn, what, &row).await? else {
        return outdated(ctx, conn, by.actor, &row, CHANGED).await;
    };
    if typed.is_some_and(|typed| !equal_in_constant_time(name.as_bytes(), typed.as_bytes())) {
        return wrong(ctx, conn, by.actor, &row, what).await;
    }
    // Of two callers one goes on.
    if !close(ctx, conn, &row, State::Confirmed, Some(by.actor.name())).await? {
        return lost_race(ctx, conn, id).await;
    }
    end(ctx, conn, by.actor, what, &row).await.map(Verdict::Ended)
}

/// Why whoever confirms is the wrong one: for the log, and for them.
pub async fn wrong_admin(
    conn: &Conn,
    method: DeletionConfirmation,
    requester: &str,
    confirmer: &str,
) -> Result<Option<(&'static str, &'static str)>> {
    let why = match method {
        DeletionConfirmation::SecondPerson => {
            let same = second_person::compare(conn, requester, confirmer).await?;
            return Ok(same.map(|same| (same.as_str(), same.refusal())));
        }
        _ if requester == confirmer => return Ok(None),
        DeletionConfirmation::Typed => "the key that asked has to confirm this deletion",
        DeletionConfirmation::SecondFactor => "the admin who asked has to confirm this deletion",
    };
    Ok(Some(("wrong_key", why)))
}

/// What is typed for the target. `None`: it is no longer what it was when it was asked for.
async fn name_of(ctx: &Ctx, conn: &Conn, what: What, row: &ConfirmationRow) -> Result<Option<String>> {
    let (version, name) = match what {
        What::Project => (ctx.project.version, ctx.project.slug.clone()),
        What::Users => match bulk::users_of_pending(ctx, conn, BulkId(row.target_id)).await? {
            Some(users) => (users, bulk::words(users)),
            None => return Ok(None),
        },
        What::Client => match client(ctx, conn, row.target_id).await? {
            Some(client) => (client.version, client.id.to_string()),
            None => return Ok(None),
        },
    };
    Ok(Some(name).filter(|_| version == row.target_version))
}

async fn client(ctx: &Ctx, conn: &Conn, id: Uuid) -> Result<Option<crate::model::client::Client>> {
    let found = stored_clients::find(conn, ctx.project.id, ClientId(id)).await?;
    Ok(found.filter(|client| client.status != Status::Deleted))
}

/// A change that comes at this moment makes the whole unit come to nothing.
async fn end(ctx: &Ctx, conn: &Conn, actor: &Actor, what: What, row: &ConfirmationRow) -> Result<Ended> {
    match what {
        What::Project => {
            projects::deletion::delete_confirmed(ctx, conn, actor, row).await?;
            Ok(Ended::Project)
        }
        What::Client => {
            let client = client(ctx, conn, row.target_id).await?.ok_or_else(|| conflict(CHANGED))?;
            let confirmed = (row.reason.as_str(), said_of(row));
            clients::delete_confirmed(ctx, conn, actor, &client, confirmed).await?;
            Ok(Ended::Client(client.id))
        }
        What::Users => {
            let id = BulkId(row.target_id);
            bulk::start(ctx, conn, actor, id, said_of(row)).await?;
            Ok(Ended::Users(id))
        }
    }
}

/// Closes what nobody can confirm any more, so that it can be asked for again.
async fn outdated(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    row: &ConfirmationRow,
    why: &'static str,
) -> Result<Verdict> {
    if !close(ctx, conn, row, State::Expired, None).await? {
        return lost_race(ctx, conn, row.id).await;
    }
    follow(ctx, conn, row, State::Expired).await?;
    record(ctx, conn, "deletion_expired", actor, row, json!({"why": "outdated"})).await?;
    Ok(Verdict::Refused(conflict(why)))
}

/// Counts a wrong confirmation; too many cancel.
async fn wrong(ctx: &Ctx, conn: &Conn, actor: &Actor, row: &ConfirmationRow, what: What) -> Result<Verdict> {
    let counted = confirmations::count_failure(conn, ctx.project.id, ctx.now, row.id, MOST_FAILURES).await?;
    let Some(failures) = counted else { return lost_race(ctx, conn, row.id).await };
    let more = json!({"why": "wrong_text", "failures": failures});
    record(ctx, conn, "deletion_confirmation_failed", actor, row, more).await?;
    if failures >= MOST_FAILURES {
        follow(ctx, conn, row, State::Cancelled).await?;
        let more = json!({"why": "too_many_wrong_confirmations"});
        record(ctx, conn, "deletion_cancelled", actor, row, more).await?;
    }
    let why = match what {
        What::Project => "the typed slug is not the project's",
        What::Client => "the typed client_id is not the client's",
        What::Users => "the typed words are not those that confirm this deletion",
    };
    Ok(Verdict::Refused(Error::new(Code::ConfirmationFailed, why)))
}

async fn lost_race(ctx: &Ctx, conn: &Conn, id: ConfirmationId) -> Result<Verdict> {
    let row = confirmations::find(conn, ctx.project.id, id).await?.ok_or_else(no_confirmation)?;
    Ok(Verdict::Refused(closed(state(ctx, &row)?)))
}
