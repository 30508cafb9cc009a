//! Cancelling: until a deletion is executed, whoever may delete may also call it off, the requester or anybody else.

use serde_json::json;

use super::{closed, no_deletion, record, state, tell};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::Result;
use crate::ids::DeletionId;
use crate::model::deletion::State;
use crate::store::{deletions, erasing};

/// Cancels a pending or scheduled deletion. The user of a scheduled one gets the former status back; what had ended stays
/// ended.
///
/// # Errors
/// 404 for an unknown deletion; 409 for one that is closed.
pub async fn cancel(ctx: &Ctx, actor: &Actor, id: DeletionId) -> Result<()> {
    let project = ctx.project.id;
    ctx.app
        .db
        .unit(|conn| async move {
            let deletion = deletions::find(&conn, project, id).await?.ok_or_else(no_deletion)?;
            match state(ctx, &deletion)? {
                State::Pending | State::Scheduled => {}
                state => return Err(closed(state)),
            }
            erasing::hold(&conn, project, deletion.user_id).await?;
            let Some(cancelled) = deletions::cancel(&conn, project, ctx.now, id).await? else {
                let deletion = deletions::find(&conn, project, id).await?.ok_or_else(no_deletion)?;
                return Err(closed(state(ctx, &deletion)?));
            };
            if let Some(status) = &cancelled.former_status {
                erasing::restore_user(&conn, project, ctx.now, deletion.user_id, status).await?;
            }
            // Of one that was pending nobody was told.
            if cancelled.former_status.is_some() {
                tell(ctx, &conn, "user.deletion_cancelled", &deletion, json!({})).await?;
            }
            let more = json!({"former_status": cancelled.former_status});
            record(ctx, &conn, "user.deletion_cancelled", actor, &deletion, more).await
        })
        .await
}
