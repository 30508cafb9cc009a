//! Letting go of the beginning of a chain, where a project does not keep its log for good.
//!
//! It is cut at a signed checkpoint, which stays, and the chain says that it was cut and up to where, signed as well. So what
//! remains can be proven from there, and nobody who lacks the project's key can take a beginning away and call it a cut.

use sqlx::FromRow;

use super::checkpoint::sign_cut;
use super::walk::CUT;
use super::{Actor, append};
use crate::app::App;
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;
use crate::store::db::{Conn, fetch_optional};
use crate::store::retention;

/// Entries of one statement.
const BATCH: u64 = 500;

#[derive(FromRow)]
struct Detail {
    detail: String,
}

/// Up to where the chain says that it was cut; 0: never.
pub(super) async fn recorded(conn: &Conn, project: ProjectId) -> Result<i64> {
    let last = fetch_optional!(
        conn,
        Detail,
        "SELECT detail FROM audit_log WHERE project_id = $1 AND action = $2 ORDER BY seq DESC LIMIT 1",
        project,
        CUT
    )?;
    let detail: serde_json::Value =
        last.and_then(|last| serde_json::from_str(&last.detail).ok()).unwrap_or_default();
    Ok(detail["through"].as_i64().unwrap_or_default())
}

/// Cuts what the last checkpoint before `end` covers, batch by batch for as long as `may_go_on`. Gives the number of entries,
/// and whether there may be more.
///
/// # Errors
/// `forbidden` when the database does not let this program delete entries.
pub async fn cut(
    app: &App,
    project: ProjectId,
    actor: &Actor,
    (now, end): (Timestamp, Timestamp),
    may_go_on: impl Fn() -> bool,
) -> Result<(u64, bool)> {
    let db = &app.db;
    let read = |conn: Conn| async move {
        let through = retention::last_checkpoint_before(&conn, project, end).await?;
        Ok((through, recorded(&conn, project).await?))
    };
    let (Some(through), recorded) = db.read(read).await? else { return Ok((0, false)) };
    let mut cut = 0;
    if through > recorded {
        let Some(proof) = &sign_cut(app, project, through, now).await? else { return Ok((0, false)) };
        // With the first batch, so that the chain never speaks of a cut that the database refuses.
        let begin = |conn: Conn| async move {
            let cut = retention::delete_entries(&conn, project, through).await?;
            let target = format!("project:{project}");
            append(&conn, project, now, &actor.did(CUT, &target).with(proof.clone())).await?;
            Ok(cut)
        };
        cut = db.unit(begin).await?;
        if cut < BATCH {
            return finish(app, project, through).await.map(|()| (cut, false));
        }
    }
    loop {
        if !may_go_on() {
            return Ok((cut, true));
        }
        let more =
            |conn| async move { retention::delete_entries(&conn, project, through.max(recorded)).await };
        let batch = db.write(more).await?;
        cut += batch;
        if batch < BATCH {
            return finish(app, project, through.max(recorded)).await.map(|()| (cut, false));
        }
    }
}

/// The checkpoints before the one that stays prove nothing that is still there.
async fn finish(app: &App, project: ProjectId, through: i64) -> Result<()> {
    let delete = |conn| async move { retention::delete_checkpoints(&conn, project, through).await };
    app.db.write(delete).await.map(|_| ())
}
