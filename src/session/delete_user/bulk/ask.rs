//! Asking for many: who they are is looked up and kept, so that what is confirmed is what was shown.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;

use super::{no_bulk, words};
use crate::app::Ctx;
use crate::audit::{Actor, own_account};
use crate::error::{Code, Error, Result, conflict};
use crate::ids::{BulkId, ConfirmationId, UserId};
use crate::model::bulk::State;
use crate::model::confirmation::What;
use crate::model::deletion::check_reason;
use crate::model::timestamp::Timestamp;
use crate::projects::admins::{Person, home};
use crate::projects::confirmations::{self, Subject};
use crate::session::delete_user::Notify;
use crate::session::delete_user::request::{CONFIRM_SECONDS, check, values_of};
use crate::store::bulk_deletions::{self, Bulk};
use crate::store::bulk_users::{self, Matching, Preview};
use crate::store::db::Conn;

/// Users that one request may name.
pub const MOST_LISTED: usize = 1000;

/// Users that a filter may match.
const MOST_MATCHING: i64 = 10_000;

/// Rows of one unit, and of one read.
const BATCH: usize = 200;

/// Ids that the answer shows.
const MOST_SHOWN: i64 = 20;

/// Who is to be deleted.
pub enum Which {
    Listed(Vec<UserId>),
    Matching(Matching),
}

/// A deletion of many that waits for its confirmation.
#[derive(Debug, Serialize)]
pub struct Requested {
    pub deletion_id: BulkId,
    pub impact: Preview,
    /// The first of them.
    pub first: Vec<UserId>,
    pub notify: bool,
    pub confirmation: Confirmation,
}

#[derive(Debug, Serialize)]
pub struct Confirmation {
    pub confirmation_id: ConfirmationId,
    pub method: String,
    pub expires_at: Timestamp,
    /// What is typed.
    pub words: String,
}

/// Asks for the deletion of many. Nothing is deleted yet.
///
/// # Errors
/// 400 for a reason that is out of bounds or names one of them, for nobody, and for too many; 403 when the project asks for a
/// factor that a key does not have; 409 while another one waits for its confirmation.
pub async fn request(
    ctx: &Ctx,
    actor: &Actor,
    which: Which,
    reason: &str,
    notify: Notify<'_>,
) -> Result<Requested> {
    check_reason(reason, &ctx.project.settings.deletion_reasons, [])?;
    notify.check(&[])?;
    let id: BulkId = ctx.app.entropy.id(ctx.now)?;
    let subject = Subject { what: What::Users, id: id.0, version: 0, reason };
    let pending = |conn| async move { bulk_deletions::find_pending(&conn, ctx.project.id).await };
    if let Some(other) = ctx.app.db.read(pending).await?.filter(|other| other.expires_at > ctx.now) {
        return Err(another(&other));
    }
    let method = confirmations::method_for(ctx, actor, subject).await?;
    let bulk = Bulk {
        id,
        state: State::Gathering.as_str().into(),
        method: method.as_str().into(),
        actor: actor.name().into(),
        confirmed_by: None,
        reason: reason.into(),
        notify: notify.wanted.unwrap_or(true),
        notify_reason: notify.reason.map(str::to_owned),
        restore_days: ctx.project.settings.deletion_restore_days,
        users: 0,
        requested_at: ctx.now,
        expires_at: ctx.now.plus_seconds(CONFIRM_SECONDS),
        confirmed_at: None,
        finished_at: None,
        cancelled_because: None,
    };
    let made = &bulk;
    ctx.app.db.write(|conn| async move { bulk_deletions::insert(&conn, ctx.project.id, made).await }).await?;
    let asked = gather(ctx, actor, &bulk, which).await;
    if asked.is_err() {
        // What cannot be removed now is removed by the clean-up.
        remove(ctx, id).await.ok();
    }
    asked
}

async fn gather(ctx: &Ctx, actor: &Actor, bulk: &Bulk, which: Which) -> Result<Requested> {
    match which {
        Which::Listed(users) => insert_listed(ctx, bulk.id, users).await?,
        Which::Matching(matching) => insert_matching(ctx, bulk.id, &matching).await?,
    }
    refuse_oneself(ctx, actor, bulk.id).await?;
    check_people(ctx, bulk).await?;
    let (project, id) = (ctx.project.id, bulk.id);
    let look = |conn| async move {
        let preview = bulk_users::preview(&conn, project, ctx.now, id).await?;
        Ok((preview, bulk_users::list_ids(&conn, project, id, MOST_SHOWN).await?))
    };
    let (preview, first) = ctx.app.db.read(look).await?;
    let users = preview.users;
    if users == 0 {
        return Err(Error::invalid_field("users", "nobody would be deleted: there is no such user"));
    }
    let subject = Subject { what: What::Users, id: id.0, version: users, reason: &bulk.reason };
    let impact = serde_json::to_value(&preview).map_err(Error::internal)?;
    let row = &confirmations::prepare(ctx, actor, subject, bulk.method.parse()?, &impact)?;
    let unit = |conn: Conn| async move {
        open(ctx, &conn, id, users).await?;
        confirmations::open(ctx, &conn, actor, subject, row).await
    };
    ctx.app.db.unit(unit).await.map_err(|error| match error.code() {
        // Two at the same moment: the index lets one through.
        Code::Conflict if error.details().is_none() => conflict(ANOTHER),
        _ => error,
    })?;
    let confirmation = Confirmation {
        confirmation_id: row.id,
        method: row.method.clone(),
        expires_at: row.expires_at,
        words: words(users),
    };
    Ok(Requested { deletion_id: id, impact: preview, first, notify: bulk.notify, confirmation })
}

const ANOTHER: &str = "another deletion of many waits for its confirmation; confirm it or cancel it";

fn another(other: &Bulk) -> Error {
    conflict(ANOTHER).with_details(json!({"deletion_id": other.id}))
}

async fn open(ctx: &Ctx, conn: &Conn, id: BulkId, users: i64) -> Result<()> {
    let project = ctx.project.id;
    bulk_deletions::expire_stale(conn, project, ctx.now).await?;
    if let Some(other) = bulk_deletions::find_pending(conn, project).await? {
        return Err(another(&other));
    }
    match bulk_deletions::open(conn, project, id, users).await? {
        0 => Err(no_bulk()),
        _ => Ok(()),
    }
}

/// Each is there once, however often it is named.
async fn insert_listed(ctx: &Ctx, bulk: BulkId, users: Vec<UserId>) -> Result<()> {
    let users: Vec<UserId> = users.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    for some in users.chunks(BATCH) {
        let insert = |conn: Conn| async move {
            for user in some {
                bulk_users::insert(&conn, ctx.project.id, ctx.now, bulk, *user).await?;
            }
            Ok(())
        };
        ctx.app.db.unit(insert).await?;
    }
    Ok(())
}

async fn insert_matching(ctx: &Ctx, bulk: BulkId, matching: &Matching) -> Result<()> {
    let one_more = MOST_MATCHING + 1;
    let insert = |conn| async move {
        bulk_users::insert_matching(&conn, ctx.project.id, bulk, matching, one_more).await
    };
    if ctx.app.db.write(insert).await? > MOST_MATCHING.unsigned_abs() {
        let why = "filter matches more than 10000 users; ask for fewer at a time";
        return Err(Error::invalid_field("filter", why));
    }
    Ok(())
}

/// Nobody deletes themselves as an admin, among others neither.
async fn refuse_oneself(ctx: &Ctx, actor: &Actor, id: BulkId) -> Result<()> {
    let Some(own) = actor.person().map(Person::user) else { return Ok(()) };
    if !home::is_home(ctx).await? {
        return Ok(());
    }
    let find = |conn| async move { bulk_users::find_waiting(&conn, ctx.project.id, id, own).await };
    match ctx.app.db.read(find).await? {
        Some(_) => Err(own_account()),
        None => Ok(()),
    }
}

/// The reason stands in the log beside each of them, so it names none.
async fn check_people(ctx: &Ctx, bulk: &Bulk) -> Result<()> {
    let (project, id, most) = (ctx.project.id, bulk.id, i64::try_from(BATCH).map_err(Error::internal)?);
    let notify = Notify { wanted: Some(bulk.notify), reason: bulk.notify_reason.as_deref() };
    let mut after = UserId(uuid::Uuid::nil());
    loop {
        let list = |conn| async move { bulk_users::list_people(&conn, project, id, after, most).await };
        let people = ctx.app.db.read(list).await?;
        for named in &people {
            check(ctx, &bulk.reason, &named.person)?;
            notify.check(&values_of(&named.person)?)?;
        }
        match people.last() {
            Some(last) if people.len() >= BATCH => after = last.user_id,
            _ => return Ok(()),
        }
    }
}

async fn remove(ctx: &Ctx, id: BulkId) -> Result<()> {
    let one = |conn| async move { bulk_deletions::remove(&conn, ctx.project.id, id).await };
    while ctx.app.db.unit(one).await? {}
    Ok(())
}
