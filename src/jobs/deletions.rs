//! Deletions by the clock: those whose restore window has ended, and a last look at those executed a while ago.

use super::{Done, Run};
use crate::app::Visit;
use crate::error::{Code, Result};
use crate::session::delete_user::{execute_due, sweep};
use crate::store::deletions_due::{self, Due};

/// Deletions looked up at a time.
const BATCH: i64 = 50;

/// Longer than any unit may take: what ran beside the deletion has ended, and has written what it had to write.
const SETTLED_SECONDS: i64 = 60;

pub(super) async fn delete(run: &Run) -> Result<Done> {
    let (executed, more_due) = execute_all(run).await?;
    let (swept, more_left) = sweep_all(run).await?;
    Ok(Done { summary: format!("{executed} executed, {swept} looked at again"), more: more_due || more_left })
}

/// One that fails does not keep the others waiting; the next run finds it again.
async fn execute_all(run: &Run) -> Result<(u64, bool)> {
    let now = run.app.clock.now();
    let due = run.app.db.read(|conn| async move { deletions_due::list(&conn, now, BATCH).await }).await?;
    let full = is_full(&due);
    let (mut executed, mut failure) = (0, None);
    for Due { project_id, id, .. } in due {
        if !run.may_go_on() {
            return Ok((executed, true));
        }
        let visit = Visit::of_nobody(&run.app, project_id, now);
        let outcome = match visit.current().await {
            Ok(ctx) => Box::pin(execute_due(&ctx, id)).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(done) => executed += u64::from(done),
            // The project was deleted a moment ago, and its users go with it.
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => {
                tracing::error!(%project_id, deletion = %id, code = error.code().as_str(), "not executed");
                failure.get_or_insert(error);
            }
        }
    }
    failure.map_or(Ok((executed, full && executed > 0)), Err)
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
