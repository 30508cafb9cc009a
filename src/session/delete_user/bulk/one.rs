//! One user of many: whatever the job, its node or its clock do, in one unit and once.

use serde_json::json;

use super::{confirmer, record as record_whole};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Error, Result};
use crate::ids::{BulkId, DeletionId, UserId};
use crate::model::bulk::{Outcome, State as BulkState};
use crate::model::deletion::State;
use crate::session::delete_user::confirm::{restore_days, settle};
use crate::session::delete_user::execute::tidy_up;
use crate::session::delete_user::guards::{self, Guard};
use crate::session::delete_user::record;
use crate::session::delete_user::request::{give_way, impact};
use crate::store::bulk_deletions::{self, Bulk};
use crate::store::bulk_users;
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
pub async fn delete_one(ctx: &Ctx, id: BulkId, user: UserId) -> Result<Option<Outcome>> {
    let deletion: DeletionId = ctx.app.entropy.id(ctx.now)?;
    let unit = |conn: Conn| async move {
        let one = One { ctx, conn: &conn, bulk: id, user, deletion };
        Box::pin(one.decide()).await
    };
    let outcome = ctx.app.db.unit(unit).await?;
    if outcome == Some(Outcome::Executed) {
        tidy_up(&ctx.app, ctx.project.id, user).await;
    }
    Ok(outcome)
}

/// One unit.
struct One<'a> {
    ctx: &'a Ctx,
    conn: &'a Conn,
    bulk: BulkId,
    user: UserId,
    /// The id of the user's own deletion, should there be one.
    deletion: DeletionId,
}

impl One<'_> {
    /// The user's row is held first, then the whole: neither changes until the unit ends.
    async fn decide(&self) -> Result<Option<Outcome>> {
        let Self { ctx, conn, bulk, user, .. } = *self;
        let project = ctx.project.id;
        erasing::hold(conn, project, user).await?;
        if bulk_deletions::hold(conn, project, bulk).await? == 0 {
            return Ok(None);
        }
        let waiting = bulk_users::find_waiting(conn, project, bulk, user).await?;
        let whole = bulk_deletions::find(conn, project, bulk).await?;
        let Some((version, whole)) = waiting.zip(whole) else { return Ok(None) };
        if !confirmer::may_still(ctx, conn, &whole).await? {
            return self.stop(&whole).await.map(|()| None);
        }
        let Some(person) = erasing::find_person(conn, project, user).await? else {
            return self.settled(Outcome::NotFound, None).await;
        };
        // The confirmation was for the user as the request saw one, or as they have made themselves since.
        if person.version != version {
            return self.settled(Outcome::Changed, None).await;
        }
        let mut deletion = self.prepare(&whole, &person).await?;
        if let Some(guard) = guards::of(ctx, conn, user).await? {
            let outcome = match guard {
                Guard::LegalHold => Outcome::LegalHold,
                Guard::Protection => Outcome::DeletionProtection,
            };
            self.settled(outcome, None).await?;
            let more = json!({"why": guard.as_str(), "deletion_id": bulk});
            record(ctx, conn, "user.deletion_refused", &actor(), &deletion, more).await?;
            return Ok(Some(outcome));
        }
        self.carry_out(&mut deletion, &person).await
    }

    /// Whoever confirmed it may not any more: nobody else is deleted by their word.
    async fn stop(&self, whole: &Bulk) -> Result<()> {
        let Self { ctx, conn, bulk, .. } = *self;
        bulk_deletions::stop(conn, ctx.project.id, ctx.now, bulk, confirmer::GONE).await?;
        let more = json!({"why": confirmer::GONE, "confirmed_by": whole.confirmed_by});
        record_whole(ctx, conn, "users.deletion_cancelled", &actor(), whole, more).await
    }

    /// The user's own deletion, as the request of many asked for it.
    async fn prepare(&self, whole: &Bulk, person: &Person) -> Result<Deletion> {
        let Self { ctx, conn, user, .. } = *self;
        let impact = impact(ctx, conn, user, person).await?;
        Ok(Deletion {
            id: self.deletion,
            user_id: user,
            user_version: person.version,
            state: State::Pending.as_str().into(),
            method: whole.method.clone(),
            restore_days: whole.restore_days,
            actor: whole.actor.clone(),
            confirmed_by: whole.confirmed_by.clone(),
            reason: whole.reason.clone(),
            notify: whole.notify && person.email.is_some(),
            notify_reason: whole.notify_reason.clone(),
            impact: serde_json::to_string(&impact).map_err(Error::internal)?,
            requested_at: whole.requested_at,
            expires_at: ctx.now.plus_seconds(1),
            confirmed_at: None,
            execute_at: None,
            finished_at: None,
            clock_offset: ctx.project.clock_offset,
        })
    }

    async fn carry_out(&self, deletion: &mut Deletion, person: &Person) -> Result<Option<Outcome>> {
        let Self { ctx, conn, user, .. } = *self;
        let (project, actor) = (ctx.project.id, actor());
        deletions::expire_stale(conn, project, ctx.now, user, person.version).await?;
        give_way(ctx, conn, &actor, user).await?;
        if deletions::insert(conn, project, deletion).await? == 0 {
            return self.settled(Outcome::Open, None).await;
        }
        let outcome = match restore_days(ctx, deletion) {
            0 => Outcome::Executed,
            _ => Outcome::Scheduled,
        };
        self.settled(outcome, Some(deletion.id)).await?;
        let by = deletion.confirmed_by.clone().unwrap_or_default();
        match settle(ctx, conn, (&actor, &by), deletion, person).await? {
            Some(_) => Ok(Some(outcome)),
            None => Err(Error::internal("a deletion of a moment ago was not pending")),
        }
    }

    async fn settled(&self, outcome: Outcome, deletion: Option<DeletionId>) -> Result<Option<Outcome>> {
        let (project, now) = (self.ctx.project.id, self.ctx.now);
        let key = (self.bulk, self.user);
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
