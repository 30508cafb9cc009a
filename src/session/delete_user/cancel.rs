//! Cancelling: until a deletion is executed, whoever may delete may also call it off, the requester or anybody else.

use serde_json::{Value, json};

use super::{closed, no_deletion, record_sealing, state, tell};
use crate::app::Ctx;
use crate::audit::{Actor, Personal};
use crate::error::Result;
use crate::ids::DeletionId;
use crate::mail::notices::{self, Notice};
use crate::model::deletion::State;
use crate::store::db::Conn;
use crate::store::deletions::{self, Deletion};
use crate::store::{erasing, mail_links};

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
            if !call_off(ctx, &conn, actor, &deletion, json!({}), None).await? {
                let deletion = deletions::find(&conn, project, id).await?.ok_or_else(no_deletion)?;
                return Err(closed(state(ctx, &deletion)?));
            }
            Ok(())
        })
        .await
}

/// The rest of the unit, which holds the user's row. `false`: it is closed by now. `more` is told to webhooks and joins the
/// detail of the event.
pub(super) async fn call_off(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    deletion: &Deletion,
    more: Value,
    personal: Option<&Personal>,
) -> Result<bool> {
    let (project, user) = (ctx.project.id, deletion.user_id);
    let Some(cancelled) = deletions::cancel(conn, project, ctx.now, deletion.id).await? else {
        return Ok(false);
    };
    // Of one that was pending nobody was told.
    if let Some(status) = &cancelled.former_status {
        erasing::restore_user(conn, project, ctx.now, user, status).await?;
        mail_links::delete_objections(conn, project, user).await?;
        if deletion.notify {
            notices::queue(ctx, conn, user, Notice::DeletionCancelled).await?;
        }
        tell(ctx, conn, "user.deletion_cancelled", deletion, more.clone()).await?;
    }
    let mut detail = json!({"former_status": cancelled.former_status});
    if let (Some(detail), Value::Object(more)) = (detail.as_object_mut(), more) {
        detail.extend(more);
    }
    record_sealing(ctx, conn, "user.deletion_cancelled", actor, deletion, detail, personal).await?;
    Ok(true)
}
