//! Everything that is held on a person, for the person: one JSON document, without secrets.

use serde_json::Value;

use super::{Act, count};
use crate::app::Ctx;
use crate::audit;
use crate::error::Result;
use crate::identity::held::{self, Held};
use crate::session::holder::Holder;
use crate::session::sign_out::sealed_origin;

/// The download is an event itself. `origin`: where the user calls from, kept sealed.
///
/// # Errors
/// `invalid_token` or `login_required` when the holder's session has ended.
pub async fn download(ctx: &Ctx, holder: &Holder<'_>, origin: &Value) -> Result<Held> {
    let user = holder.user();
    count(ctx, holder, Act::Download).await?;
    let personal = sealed_origin(ctx, user, origin).await;
    let (actor, personal) = (&holder.actor(ctx), personal.as_ref());
    ctx.app
        .db
        .unit(|conn| async move {
            holder.hold(ctx, &conn, None).await?;
            let target = audit::user_name(ctx, user);
            let event = actor.did("user.data_downloaded", &target).sealing(personal);
            audit::append(&conn, ctx.project.id, ctx.now, &event).await.map(drop)
        })
        .await?;
    held::gather(ctx, user).await
}
