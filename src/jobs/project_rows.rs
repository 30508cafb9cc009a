//! Removes the rows of deleted projects, in batches. The project itself was gone the moment it was deleted.

use super::{Done, Run};
use crate::audit::checkpoint;
use crate::error::Result;
use crate::ids::ProjectId;
use crate::store::project_rows;

/// Requests that were under way when the project was deleted have ended by then, and with them the last rows have come.
const WAIT_SECONDS: i64 = 600;

/// Projects of one run.
const MOST_PROJECTS: i64 = 20;

pub(super) async fn remove(run: &Run) -> Result<Done> {
    let db = &run.app.db;
    let end = run.app.clock.now().plus_seconds(-WAIT_SECONDS);
    let deleted =
        db.read(|conn| async move { project_rows::list_deleted(&conn, end, MOST_PROJECTS).await }).await?;
    let (mut rows, mut emptied) = (0, 0);
    for project in &deleted {
        if !empty(run, *project, &mut rows).await? {
            break;
        }
        emptied += 1;
    }
    let more = emptied < deleted.len() || deleted.len() >= MOST_PROJECTS as usize;
    Ok(Done { summary: format!("{emptied} projects emptied, {rows} rows"), more })
}

/// Whether nothing is left. A run that has to end goes on where it stopped.
async fn empty(run: &Run, project: ProjectId, rows: &mut u64) -> Result<bool> {
    let db = &run.app.db;
    // The key goes, so this is the last time that it can say what the log is.
    checkpoint::make(&run.app, project, run.app.clock.now()).await?;
    for kind in 0..project_rows::KINDS {
        loop {
            if !run.may_go_on() {
                return Ok(false);
            }
            let one = |conn| async move { project_rows::delete_batch(&conn, project, kind).await };
            let removed = db.write(one).await?;
            *rows += removed;
            if removed == 0 {
                break;
            }
        }
    }
    let now = run.app.clock.now();
    db.write(|conn| async move { project_rows::finish(&conn, project, now).await }).await?;
    Ok(true)
}
