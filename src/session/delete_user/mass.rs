//! One deletion after the other: from a number within the hour on, each asks for the strongest method at hand.

use crate::app::Ctx;
use crate::error::Result;
use crate::model::project::DeletionConfirmation;
use crate::model::role::Permission;
use crate::projects::confirmations::at_hand;
use crate::store::db::Conn;
use crate::store::deletions;

const HOUR: i64 = 3600;

/// How a deletion that `requester` asks for has to be confirmed now. All that admins asked for in the project count, whoever it
/// was and whether they are executed or wait for their day.
pub(super) async fn method(ctx: &Ctx, conn: &Conn, requester: &str) -> Result<DeletionConfirmation> {
    let settings = &ctx.project.settings;
    let lately = deletions::count_since(conn, ctx.project.id, ctx.now.plus_seconds(-HOUR)).await?;
    if lately < settings.deletion_mass_threshold {
        return Ok(settings.deletion_confirmation);
    }
    at_hand::strongest(ctx, conn, requester, Permission::DeleteUsers).await
}
