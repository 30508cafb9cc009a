//! What whoever is signed in has allowed applications of others.

use crate::app::Ctx;
use crate::error::Result;
use crate::ids::ClientId;
use crate::projects::consents::{self, Withdrawn, withdraw_held};
use crate::session::holder::Holder;
use crate::store::consents::Listed;

pub async fn list(
    ctx: &Ctx,
    holder: &Holder<'_>,
    after: Option<ClientId>,
    limit: i64,
) -> Result<Vec<Listed>> {
    consents::list(ctx, holder.user(), after, limit).await
}

/// Ends what the application got by it, too.
///
/// # Errors
/// 404 when this client was allowed nothing; `invalid_token` or `login_required` when the holder's session has ended.
pub async fn withdraw(ctx: &Ctx, holder: &Holder<'_>, client: ClientId) -> Result<Withdrawn> {
    let (actor, user) = (&holder.actor(ctx), holder.user());
    ctx.app
        .db
        .unit(|conn| async move {
            holder.hold(ctx, &conn, None).await?;
            withdraw_held(ctx, &conn, actor, user, client).await
        })
        .await
}
