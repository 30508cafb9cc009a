//! Deletes the users of confirmed deletions of many: one after the other with a pause, so that nobody who signs in waits, and
//! by turns, so that no project's many stand before another's few.

use std::time::{Duration, Instant};

use super::{Done, Run};
use crate::app::{Ctx, Visit};
use crate::error::{Code, Result};
use crate::ids::UserId;
use crate::ledger::file::copy_soon;
use crate::model::bulk::Outcome;
use crate::session::delete_user::bulk;
use crate::store::bulk_deletions::{self, Running};
use crate::store::bulk_users;

/// Deletions of many that are worked on by turns.
const MOST: i64 = 20;

/// Users of one turn.
const BATCH: i64 = 20;

pub(super) async fn delete(run: &Run) -> Result<Done> {
    let (mut settled, mut cursors) = (0, std::collections::HashMap::new());
    loop {
        let list = |conn| async move { bulk_deletions::list_running(&conn, MOST).await };
        let running = run.app.db.read(list).await?;
        let mut went_on = false;
        for one in &running {
            let after = cursors.entry(one.id).or_insert(UserId(uuid::Uuid::nil()));
            let turn = turn(run, *one, after).await?;
            settled += turn.settled;
            went_on |= turn.went_on;
            if !run.may_go_on() {
                return Ok(said(settled, true));
            }
        }
        if !went_on {
            return Ok(said(settled, !running.is_empty()));
        }
    }
}

fn said(settled: u64, more: bool) -> Done {
    Done { summary: format!("{settled} users of many"), more }
}

#[derive(Default)]
struct Turn {
    settled: u64,
    /// Whether there was anybody left that this run had not come to.
    went_on: bool,
}

async fn turn(run: &Run, Running { project_id, id }: Running, after: &mut UserId) -> Result<Turn> {
    let visit = Visit::of_nobody(&run.app, project_id, run.app.clock.now());
    let ctx = match visit.current().await {
        Ok(ctx) => ctx,
        // The project was deleted a moment ago, and its users go with it.
        Err(error) if error.code() == Code::NotFound => return Ok(Turn::default()),
        Err(error) => return Err(error),
    };
    let from = *after;
    let list = |conn| async move { bulk_users::list_waiting(&conn, project_id, id, (from, BATCH)).await };
    let waiting = run.app.db.read(list).await?;
    if waiting.is_empty() {
        if from == UserId(uuid::Uuid::nil()) {
            bulk::finish(&ctx, id).await?;
        } else {
            // Those that failed are tried again, and who is left says whether all is done.
            *after = UserId(uuid::Uuid::nil());
            return Ok(Turn { settled: 0, went_on: true });
        }
        return Ok(Turn::default());
    }
    let mut turn = Turn { settled: 0, went_on: true };
    for user in waiting {
        if !run.may_go_on() {
            break;
        }
        let begun = Instant::now();
        *after = user;
        match Box::pin(bulk::delete_one(&ctx, id, user)).await {
            Ok(outcome) => {
                turn.settled += u64::from(outcome.is_some());
                // Nobody was there to take any time.
                if outcome == Some(Outcome::NotFound) {
                    continue;
                }
            }
            // The store is away: nobody is to blame, and the run ends.
            Err(error) if error.code() == Code::TemporarilyUnavailable => return Err(error),
            Err(error) => {
                tracing::error!(%project_id, deletion = %id, code = error.code().as_str(), "not deleted");
                bulk::give_up(&ctx, id, user).await?;
            }
        }
        rest(run, &ctx, begun).await;
    }
    copy_soon(&run.app).await;
    Ok(turn)
}

/// What is left of the time that one user may take.
async fn rest(run: &Run, ctx: &Ctx, begun: Instant) {
    let share = Duration::from_secs(1) / ctx.app.deletions_per_second.max(1);
    let mut stop = run.stop.clone();
    let pause = share.saturating_sub(begun.elapsed());
    // Whoever stops the node need not wait for the pause.
    let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
}
