//! Deletions by the clock, a sandbox's by its own: those whose restore window has ended, and a last look at those executed a
//! while ago.

use super::{Done, Run};
use crate::app::Visit;
use crate::error::{Code, Error, Result};
use crate::ids::{DeletionId, ProjectId};
use crate::model::timestamp::Timestamp;
use crate::session::delete_user::{execute_due, sweep};
use crate::store::deletions_due::{self, Ahead, BEGINNING, Due, Scheduled};

/// Deletions looked up at a time.
const BATCH: i64 = 50;

/// Longer than any unit may take: what ran beside the deletion has ended, and has written what it had to write.
const SETTLED_SECONDS: i64 = 60;

pub(super) async fn delete(run: &Run) -> Result<Done> {
    let (executed, more_due) = execute_all(run).await?;
    let (swept, more_left) = sweep_all(run).await?;
    Ok(Done { summary: format!("{executed} executed, {swept} looked at again"), more: more_due || more_left })
}

/// What one run has executed, and the first failure.
#[derive(Default)]
struct Tally {
    executed: u64,
    failure: Option<Error>,
}

/// One that fails does not keep the others waiting; the next run finds it again.
async fn execute_all(run: &Run) -> Result<(u64, bool)> {
    let (now, mut tally) = (run.app.clock.now(), Tally::default());
    let mut done = execute_until(run, None, now, &mut tally).await?;
    let mut after = ProjectId(uuid::Uuid::nil());
    while done {
        let list = |conn| async move { deletions_due::list_ahead(&conn, after, BATCH).await };
        let ahead = run.app.db.read(list).await?;
        let Some(last) = ahead.last() else { break };
        after = last.id;
        for Ahead { id, clock_offset } in ahead {
            done = done && execute_until(run, Some(id), now.plus_seconds(clock_offset), &mut tally).await?;
        }
    }
    tally.failure.map_or(Ok((tally.executed, !done)), Err)
}

/// Page after page of those whose day has come by `until`. Gives whether it came to the end, before the run had to.
async fn execute_until(
    run: &Run,
    project: Option<ProjectId>,
    until: Timestamp,
    tally: &mut Tally,
) -> Result<bool> {
    let mut after = BEGINNING;
    loop {
        let list = |conn| async move { deletions_due::list(&conn, project, until, after, BATCH).await };
        let due = run.app.db.read(list).await?;
        let Some(last) = due.last() else { return Ok(true) };
        after = (last.execute_at, last.id);
        for Scheduled { project_id, id, .. } in due {
            if !run.may_go_on() {
                return Ok(false);
            }
            tally.add(project_id, id, execute_one(run, project_id, id).await);
        }
    }
}

async fn execute_one(run: &Run, project: ProjectId, id: DeletionId) -> Result<bool> {
    let visit = Visit::of_nobody(&run.app, project, run.app.clock.now());
    let ctx = visit.current().await?;
    Box::pin(execute_due(&ctx, id)).await
}

impl Tally {
    fn add(&mut self, project: ProjectId, id: DeletionId, outcome: Result<bool>) {
        match outcome {
            Ok(done) => self.executed += u64::from(done),
            // The project was deleted a moment ago, and its users go with it.
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => {
                tracing::error!(%project, deletion = %id, code = error.code().as_str(), "not executed");
                self.failure.get_or_insert(error);
            }
        }
    }
}

async fn sweep_all(run: &Run) -> Result<(usize, bool)> {
    let now = run.app.clock.now();
    let settled = now.plus_seconds(-SETTLED_SECONDS);
    let due = run
        .app
        .db
        .read(|conn| async move { deletions_due::list_unswept(&conn, settled, BATCH).await })
        .await?;
    for (done, Due { project_id, id, user_id }) in due.iter().copied().enumerate() {
        if !run.may_go_on() {
            return Ok((done, true));
        }
        sweep(&run.app, project_id, user_id).await?;
        let mark = |conn| async move { deletions_due::mark_swept(&conn, project_id, now, id).await };
        run.app.db.write(mark).await?;
    }
    Ok((due.len(), is_full(&due)))
}

fn is_full(due: &[Due]) -> bool {
    due.len() as u64 >= BATCH.unsigned_abs()
}
