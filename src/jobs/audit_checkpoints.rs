//! Signs the ends of chains, so that what lies before is provably what it was, however the store is changed later.

use super::{Done, Run};
use crate::audit::checkpoint;
use crate::error::Result;
use crate::ids::ProjectId;
use crate::store::audit_checkpoints;

/// A chain that has grown gets a checkpoint after an hour, or after so many entries.
const AGED_SECONDS: i64 = 3600;
const MOST_ENTRIES: i64 = 1000;

/// Projects read at a time.
const PAGE: i64 = 100;

/// One that fails does not keep the others from being signed.
pub(super) async fn sign(run: &Run) -> Result<Done> {
    let now = run.app.clock.now();
    let aged = now.plus_seconds(-AGED_SECONDS);
    let (mut made, mut failure, mut after) = (0, None, ProjectId::INSTANCE);
    let of_instance =
        |conn| async move { audit_checkpoints::is_due(&conn, ProjectId::INSTANCE, aged, MOST_ENTRIES).await };
    if run.app.db.read(of_instance).await? {
        made += u64::from(checkpoint::make(&run.app, ProjectId::INSTANCE, now).await?.is_some());
    }
    loop {
        let due = |conn| async move {
            audit_checkpoints::due_projects(&conn, after, aged, MOST_ENTRIES, PAGE).await
        };
        let page = run.app.db.read(due).await?;
        let Some(last) = page.last().copied() else { break };
        for project in page {
            if !run.may_go_on() {
                return Ok(Done { summary: format!("{made} signed"), more: true });
            }
            match checkpoint::make(&run.app, project, now).await {
                Ok(outcome) => made += u64::from(outcome.is_some_and(|(_, new)| new)),
                Err(error) => {
                    tracing::error!(%project, code = error.code().as_str(), "no checkpoint was signed");
                    failure.get_or_insert(error);
                }
            }
        }
        after = last;
    }
    failure.map_or(Ok(Done { summary: format!("{made} signed"), more: false }), Err)
}
