//! The objection: whoever is told that their account will be deleted may call it off by a link, until that is done.

use serde_json::{Value, json};

use super::cancel::call_off;
use super::no_deletion;
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::Result;
use crate::identity::links::{Content, Found, NewLink};
use crate::mail::notices::{self, Notice, language_of};
use crate::model::names::folded;
use crate::model::timestamp::Timestamp;
use crate::session::sign_out::sealed_origin;
use crate::store::db::Conn;
use crate::store::deletions::{self, Deletion};
use crate::store::{erasing, mail_links, users};

/// A legal hold puts the execution off, and the objection is heard until then.
const LONGEST_WAIT_SECONDS: i64 = 90 * 86_400;

/// Tells the user what is going to happen, and when, in the unit of the confirmation. The link goes to a verified address
/// alone: a stranger who has a mistyped one would keep the account alive by it.
pub(super) async fn invite(ctx: &Ctx, conn: &Conn, deletion: &Deletion, execute_at: Timestamp) -> Result<()> {
    let user = deletion.user_id;
    let row = users::find(conn, ctx.project.id, user).await?.filter(|_| deletion.notify);
    let Some((row, address)) = row.and_then(|row| row.email.clone().map(|address| (row, address))) else {
        return Ok(());
    };
    let date = execute_at.to_the_minute();
    if !row.email_verified {
        return notices::queue_to(ctx, conn, &row, Notice::DeletionScheduledUnverified { date: &date }).await;
    }
    let language = language_of(&row.profile, None);
    let content = Content { address, language, ..Content::default() };
    let until = execute_at.plus_seconds(LONGEST_WAIT_SECONDS);
    let link = NewLink::of_objection(ctx, (deletion.id, user), &content, until)?;
    link.store(ctx, conn).await?;
    notices::queue_to(ctx, conn, &row, Notice::DeletionScheduled { date: &date, link: &link.url }).await
}

/// When that would happen to which a link objects.
///
/// # Errors
/// 404 for another kind of link.
pub async fn objected_to(ctx: &Ctx, link: &Found) -> Result<Timestamp> {
    let (id, _) = link.objection().ok_or_else(no_deletion)?;
    let find = |conn| async move { deletions::find(&conn, ctx.project.id, id).await };
    let deletion = ctx.app.db.read(find).await?.ok_or_else(no_deletion)?;
    Ok(deletion.execute_at.unwrap_or(deletion.expires_at))
}

/// Objects: the deletion is cancelled, as the user's own act. `false`: the link is used up, or there is nothing to object
/// to any more. `origin`: where the user calls from, kept sealed.
pub async fn object(ctx: &Ctx, link: &Found, origin: &Value) -> Result<bool> {
    let project = ctx.project.id;
    let Some((id, user)) = link.objection() else { return Ok(false) };
    let personal = sealed_origin(ctx, user, origin).await;
    let (actor, personal) = (&Actor::user(ctx, user), personal.as_ref());
    ctx.app
        .db
        .unit(|conn| async move {
            // The row first, like a confirmation and an execution: what is done at the last second is done whole.
            erasing::hold(&conn, project, user).await?;
            // A mailbox that an admin has taken the account away from has no say any more, nor one that counts as unproved again.
            let row = users::find(&conn, project, user).await?;
            let address = row
                .filter(|row| row.email_verified)
                .and_then(|row| row.email)
                .map(|address| folded(&address));
            if address != Some(folded(&link.content.address)) {
                return Ok(false);
            }
            if mail_links::consume_objection(&conn, project, ctx.now, link.row.id).await? == 0 {
                return Ok(false);
            }
            let Some(deletion) = deletions::find(&conn, project, id).await? else { return Ok(false) };
            call_off(ctx, &conn, actor, &deletion, json!({"why": "objection"}), personal).await
        })
        .await
}
