//! One user of many: whatever the job, its node or its clock do, in one unit and once.

use serde_json::json;

use super::record as record_whole;
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Error, Result};
use crate::ids::{BulkId, DeletionId, UserId};
use crate::jobs::outbox::Sealed;
use crate::model::bulk::{Outcome, State as BulkState};
use crate::model::deletion::{Impact, State};
use crate::session::delete_user::confirm::{restore_days, settle};
use crate::session::delete_user::execute::{notice, sweep};
use crate::session::delete_user::guards::{self, Guard};
use crate::session::delete_user::record;
use crate::session::delete_user::request::{give_way, impact};
use crate::store::bulk_deletions::{self, Bulk};
use crate::store::bulk_users::{self, Next};
use crate::store::db::Conn;
use crate::store::deletions::{self, Deletion};
use crate::store::erasing::{self, Person};

/// So often something of ours may go wrong with one user.
const MOST_ATTEMPTS: i64 = 3;

/// Who acts in the log: the job. Each event names who asked and who confirmed.
fn actor() -> Actor {
    Actor::system("bulk_deletions")
}

/// Deletes one user, or says what keeps that one. `None`: nothing was to be done any more.
pub async fn delete_one(ctx: &Ctx, id: BulkId, next: Next) -> Result<Option<Outcome>> {
    let (project, user) = (ctx.project.id, next.user_id);
    let look = |conn| async move {
        let bulk = bulk_deletions::find(&conn, project, id).await?;
        let person = erasing::find_person(&conn, project, user).await?;
        let impact = match &person {
            Some(person) => Some(impact(ctx, &conn, user, person).await?),
            None => None,
        };
        Ok(bulk.map(|bulk| (bulk, person, impact)))
    };
    let Some((bulk, person, impact)) = ctx.app.db.read(look).await? else { return Ok(None) };
    let Some((person, impact)) = person.zip(impact) else {
        let settle = |conn: Conn| async move {
            let runs = bulk_deletions::hold(&conn, project, id).await? > 0;
            let key = (id, user);
            let outcome = Outcome::NotFound;
            match runs && bulk_users::settle(&conn, project, ctx.now, key, outcome.as_str(), None).await? > 0
            {
                true => Ok(Some(outcome)),
                false => Ok(None),
            }
        };
        return ctx.app.db.unit(settle).await;
    };
    let deletion = &deletion(ctx, &bulk, user, &person, &impact)?;
    let letter = notice(ctx, deletion, &person)?;
    let (person, letter) = (&person, letter.as_ref());
    let unit = |conn: Conn| async move {
        let one = One { ctx, conn: &conn, bulk: id, version: next.user_version, deletion };
        Box::pin(one.decide(person, letter)).await
    };
    let outcome = ctx.app.db.unit(unit).await?;
    if outcome == Some(Outcome::Executed) {
        sweep(&ctx.app, project, user).await?;
    }
    Ok(outcome)
}

/// The user's own deletion, as the request of many asked for it.
fn deletion(ctx: &Ctx, bulk: &Bulk, user: UserId, person: &Person, impact: &Impact) -> Result<Deletion> {
    Ok(Deletion {
        id: ctx.app.entropy.id(ctx.now)?,
        user_id: user,
        user_version: person.version,
        state: State::Pending.as_str().into(),
        method: bulk.method.clone(),
        restore_days: bulk.restore_days,
        actor: bulk.actor.clone(),
        confirmed_by: bulk.confirmed_by.clone(),
        reason: bulk.reason.clone(),
        notify: bulk.notify && person.email.is_some(),
        impact: serde_json::to_string(impact).map_err(Error::internal)?,
        requested_at: bulk.requested_at,
        expires_at: ctx.now.plus_seconds(1),
        confirmed_at: None,
        execute_at: None,
        finished_at: None,
    })
}

/// One unit.
struct One<'a> {
    ctx: &'a Ctx,
    conn: &'a Conn,
    bulk: BulkId,
    /// To which the confirmation is bound.
    version: i64,
    deletion: &'a Deletion,
}

impl One<'_> {
    /// The user's row is held first, then the whole: neither changes until the unit ends.
    async fn decide(&self, person: &Person, letter: Option<&Sealed>) -> Result<Option<Outcome>> {
        let Self { ctx, conn, bulk, .. } = *self;
        let (project, user) = (ctx.project.id, self.deletion.user_id);
        let is_as_read = erasing::hold_at(conn, project, user, person.version).await? > 0;
        if bulk_deletions::hold(conn, project, bulk).await? == 0 {
            return Ok(None);
        }
        if !bulk_users::is_waiting(conn, project, bulk, user).await? {
            return Ok(None);
        }
        if !is_as_read && erasing::find_person(conn, project, user).await?.is_none() {
            return self.settled(Outcome::NotFound, None).await;
        }
        // The confirmation was for the user as the request saw one.
        if !is_as_read || person.version != self.version {
            return self.settled(Outcome::Changed, None).await;
        }
        if let Some(guard) = guards::of(ctx, conn, user).await? {
            let outcome = match guard {
                Guard::LegalHold => Outcome::LegalHold,
                Guard::Protection => Outcome::DeletionProtection,
            };
            self.settled(outcome, None).await?;
            let more = json!({"why": guard.as_str(), "deletion_id": bulk});
            record(ctx, conn, "user.deletion_refused", &actor(), self.deletion, more).await?;
            return Ok(Some(outcome));
        }
        self.carry_out(person, letter).await
    }

    async fn carry_out(&self, person: &Person, letter: Option<&Sealed>) -> Result<Option<Outcome>> {
        let Self { ctx, conn, deletion, .. } = *self;
        let (project, actor) = (ctx.project.id, actor());
        deletions::expire_stale(conn, project, ctx.now, deletion.user_id, person.version).await?;
        give_way(ctx, conn, &actor, deletion.user_id).await?;
        if deletions::insert(conn, project, deletion).await? == 0 {
            return self.settled(Outcome::Open, None).await;
        }
        let days = restore_days(ctx, deletion);
        let outcome = if days == 0 { Outcome::Executed } else { Outcome::Scheduled };
        self.settled(outcome, Some(deletion.id)).await?;
        let by = deletion.confirmed_by.as_deref().unwrap_or_default();
        match settle(ctx, conn, (&actor, by), &mut deletion.clone(), person, letter).await? {
            Some(_) => Ok(Some(outcome)),
            None => Err(Error::internal("a deletion of a moment ago was not pending")),
        }
    }

    async fn settled(&self, outcome: Outcome, deletion: Option<DeletionId>) -> Result<Option<Outcome>> {
        let (project, now) = (self.ctx.project.id, self.ctx.now);
        let key = (self.bulk, self.deletion.user_id);
        bulk_users::settle(self.conn, project, now, key, outcome.as_str(), deletion).await?;
        Ok(Some(outcome))
    }
}

/// Something of ours went wrong with one user; after some tries that one is given up, so that the others are not kept waiting.
pub async fn give_up(ctx: &Ctx, id: BulkId, user: UserId) -> Result<()> {
    let count = |conn| async move {
        bulk_users::count_failure(&conn, ctx.project.id, ctx.now, (id, user), MOST_ATTEMPTS).await
    };
    ctx.app.db.write(count).await.map(|_| ())
}

/// Nobody waits any more.
pub async fn finish(ctx: &Ctx, id: BulkId) -> Result<()> {
    let project = ctx.project.id;
    let unit = |conn: Conn| async move {
        let Some(bulk) = bulk_deletions::find(&conn, project, id).await? else { return Ok(()) };
        let change = (BulkState::Running.as_str(), BulkState::Done.as_str());
        if bulk_deletions::close(&conn, project, ctx.now, id, change).await? == 0 {
            return Ok(());
        }
        let numbers = bulk_users::count(&conn, project, id).await?;
        let outcomes: serde_json::Map<String, serde_json::Value> =
            numbers.into_iter().filter_map(|number| Some((number.outcome?, json!(number.n)))).collect();
        let more = json!({"confirmed_by": bulk.confirmed_by, "outcomes": outcomes});
        record_whole(ctx, &conn, "users.deletion_finished", &actor(), &bulk, more).await
    };
    ctx.app.db.unit(unit).await
}
