//! The execution: epochs rise, rows go, a tombstone, a line in the ledger and the audit event stay, all in one unit.

use serde_json::json;

use super::request::impact;
use super::{guards, record, tell};
use crate::app::{App, Ctx};
use crate::audit::{self, Actor};
use crate::error::{Error, Result};
use crate::events;
use crate::identity::links::address_key;
use crate::ids::{DeletionId, ProjectId, UserId};
use crate::jobs::outbox::{Sealed, seal_letter};
use crate::ledger::{self, Erased, Line};
use crate::mail::notices::language_of;
use crate::mail::{Letter, Order};
use crate::store::db::Conn;
use crate::store::deletions::{self, Deletion};
use crate::store::erasing::{self, Person};
use crate::store::{deletions_due, logout_tokens, outbox};

/// Rows of one kind that one unit deletes. What goes beyond is dead already, and follows in units of its own.
const BATCH: i64 = 1000;

/// The letter that tells the user. The address is erased with its delivery.
pub(super) fn notice(ctx: &Ctx, deletion: &Deletion, person: &Person) -> Result<Option<Sealed>> {
    let Some(to) = person.email.as_deref().filter(|_| deletion.notify) else { return Ok(None) };
    let letter = Order::new(Letter::AccountDeleted, to, &language_of(&person.profile, None));
    seal_letter(&ctx.app, ctx.project.id, ctx.now, &letter).map(Some)
}

/// Executes a deletion that has been taken, while the user's row is held. `person` is the row as it was when it was held.
pub(super) async fn execute(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    deletion: &mut Deletion,
    person: &Person,
    notice: Option<&Sealed>,
) -> Result<()> {
    let (project, user) = (ctx.project.id, deletion.user_id);
    // Whoever calls: nobody gets around it.
    if let Some(guard) = guards::of(ctx, conn, user).await? {
        return Err(guards::refusal(guard));
    }
    // The epochs of a scheduled one rose on the day it was confirmed, and what they ended was counted then.
    if deletion.execute_at.is_none() {
        set_impact(ctx, conn, deletion, person).await?;
    }
    erase(ctx, conn, user).await?;
    if let Some(notice) = notice {
        outbox::enqueue(conn, project, ctx.now, notice.id, notice.kind.as_str(), &notice.body).await?;
    }
    tell(ctx, conn, "user.deleted", deletion, json!({})).await?;
    let erased = Erased::User { project, user, deletion: deletion.id };
    // A rehearsal is nothing that a restored backup has to remember: a reset brings the same people back.
    if !ctx.project.is_sandbox() {
        ledger::append(conn, &ctx.app.master_keys, ctx.now, &erased).await?;
    }
    let more = json!({"confirmed_by": deletion.confirmed_by, "told": notice.is_some()});
    record(ctx, conn, "user.deleted", actor, deletion, more).await?;
    audit::erase(conn, project, user, BATCH).await.map(|_| ())
}

/// Counts what ends, before the epochs rise and after whoever was signing in or out has let go of the row.
pub(super) async fn set_impact(
    ctx: &Ctx,
    conn: &Conn,
    deletion: &mut Deletion,
    person: &Person,
) -> Result<()> {
    let ended = impact(ctx, conn, deletion.user_id, person).await?;
    deletion.impact = serde_json::to_string(&ended).map_err(Error::internal)?;
    deletions::set_impact(conn, ctx.project.id, deletion.id, &deletion.impact).await.map(|_| ())
}

/// Epochs rise first, and what they end goes second: an exchange in between waits for the row and then finds it dead. What
/// lived is told to its clients, by ids alone.
async fn erase(ctx: &Ctx, conn: &Conn, user: UserId) -> Result<()> {
    logout_tokens::owe_for_user(conn, ctx.project.id, ctx.now, user).await?;
    let person = erasing::find_person(conn, ctx.project.id, user).await?;
    if let Some(address) = person.and_then(|person| person.email) {
        erasing::delete_of_address(conn, ctx.project.id, &address_key(ctx, &address)).await?;
    }
    erasing::erase_user(conn, ctx.project.id, ctx.now, user).await?;
    erasing::delete_belongings(conn, ctx.project.id, user, BATCH).await.map(|_| ())
}

/// Deletes what the unit of a deletion left, and what a sign-in that ran beside it may have written after it. What this node
/// has noted of the user and not yet written is written first, so that it goes as well.
pub async fn sweep(app: &App, project: ProjectId, user: UserId) -> Result<()> {
    events::flush(app).await?;
    loop {
        let more = app
            .db
            .unit(|conn| async move {
                let more = erasing::delete_belongings(&conn, project, user, BATCH).await?;
                let sealed = audit::erase(&conn, project, user, BATCH).await?;
                Ok(more || sealed >= BATCH.unsigned_abs())
            })
            .await?;
        if !more {
            return Ok(());
        }
    }
}

/// What is left to do for a deletion that is done: nobody is told that it failed because this does, and the clock makes up for
/// it.
pub(super) async fn tidy_up(app: &App, project: ProjectId, user: UserId) {
    if let Err(error) = sweep(app, project, user).await {
        let cause = error.cause().map(|cause| format!("{cause:#}")).unwrap_or_default();
        tracing::error!(%project, cause, "what a deletion left was not swept up yet");
    }
}

/// Executes a scheduled deletion whose day has come. Gives whether it did: it may have been cancelled meanwhile.
pub async fn execute_due(ctx: &Ctx, id: DeletionId) -> Result<bool> {
    let project = ctx.project.id;
    let found = ctx
        .app
        .db
        .read(|conn| async move {
            let Some(deletion) = deletions::find(&conn, project, id).await? else { return Ok(None) };
            let person = erasing::find_person(&conn, project, deletion.user_id).await?;
            Ok(person.map(|person| (deletion, person)))
        })
        .await?;
    let Some((deletion, person)) = found else { return Ok(false) };
    let (notice, user) = (notice(ctx, &deletion, &person)?, deletion.user_id);
    let (deletion, person, notice) = (&deletion, &person, notice.as_ref());
    let executed = ctx
        .app
        .db
        .unit(|conn| async move {
            // Somebody changed the user this very moment, or keeps it: a later run finds the deletion again.
            if erasing::hold_at(&conn, project, user, person.version).await? == 0
                || guards::of(ctx, &conn, user).await?.is_some()
                || deletions_due::take(&conn, project, ctx.now, id).await? == 0
            {
                return Ok(false);
            }
            let actor = Actor::system("deletions");
            Box::pin(execute(ctx, &conn, &actor, &mut deletion.clone(), person, notice)).await?;
            Ok(true)
        })
        .await?;
    if executed {
        tidy_up(&ctx.app, project, user).await;
        ledger::file::copy_soon(&ctx.app).await;
    }
    Ok(executed)
}

/// Erases a user whom a restored backup has brought back; gives whether it had. The caller goes on with the ledger, and
/// then with [`record_again`].
pub async fn erase_again(conn: &Conn, ctx: &Ctx, user: UserId, deletion: DeletionId) -> Result<bool> {
    let project = ctx.project.id;
    if erasing::find_person(conn, project, user).await?.is_none() {
        return Ok(false);
    }
    erasing::hold(conn, project, user).await?;
    deletions::close_erased(conn, project, ctx.now, user, deletion).await?;
    erase(ctx, conn, user).await?;
    Ok(true)
}

/// The event of [`erase_again`]: the last statements of its unit.
pub async fn record_again(
    conn: &Conn,
    ctx: &Ctx,
    line: &Line,
    user: UserId,
    deletion: DeletionId,
) -> Result<()> {
    let project = ctx.project.id;
    let target = audit::user_name(ctx, user);
    let detail = json!({"deletion_id": deletion, "ledger_line": line.seq, "erased_at": line.at});
    let actor = Actor::command_line();
    let event =
        actor.did("user.deleted", &target).because("erased before the backup was restored").with(detail);
    audit::append(conn, project, ctx.now, &event).await?;
    audit::erase(conn, project, user, BATCH).await.map(|_| ())
}
