//! What is held on a user, for an admin who answers whoever asks what is held on them.

use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::Result;
use crate::identity::held::{self, Held};
use crate::ids::UserId;
use crate::projects::users::locked;

/// The export is an event, and is written down before anything is given out.
///
/// # Errors
/// 404 for somebody who is not there.
pub async fn export(ctx: &Ctx, actor: &Actor, user: UserId) -> Result<Held> {
    ctx.app
        .db
        .unit(|conn| async move {
            locked(ctx, &conn, user, None).await?;
            let target = audit::user_name(ctx, user);
            let event = actor.did("user.data_exported", &target);
            audit::append(&conn, ctx.project.id, ctx.now, &event).await.map(drop)
        })
        .await?;
    held::gather(ctx, user).await
}
