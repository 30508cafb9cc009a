//! A deletion of many runs by the word of whoever confirmed it, as long as they could give it: a key that was stolen, and is
//! revoked, deletes nobody any more.

use crate::app::Ctx;
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::confirmation::What;
use crate::projects::admin_keys::id_in;
use crate::projects::admins::name_in;
use crate::projects::confirmations::at_hand::{self, PERSON};
use crate::store::admin_grants::{self, Holder};
use crate::store::admin_keys::{self, Roles};
use crate::store::bulk_deletions::Bulk;
use crate::store::db::Conn;
use crate::store::users;

/// Why it stops.
pub const GONE: &str = "confirmer_gone";

/// More admins than a project has.
const MOST_ADMINS: i64 = 10_000;

/// Whether whoever confirmed could do so now. The revocation of the key, or the end of the person's role, waits from here to the
/// end of the unit: after its answer nobody is deleted.
pub(super) async fn may_still(ctx: &Ctx, conn: &Conn, whole: &Bulk) -> Result<bool> {
    let name = whole.confirmed_by.as_deref().unwrap_or_default();
    // The command line is whoever has the store.
    if let Some(key) = id_in(name) {
        return Ok(admin_keys::hold(conn, key).await? > 0);
    }
    if name.starts_with(PERSON) {
        return is_admin(ctx, conn, name).await;
    }
    Ok(true)
}

/// Roles of keys never change, those of people do.
async fn is_admin(ctx: &Ctx, conn: &Conn, name: &str) -> Result<bool> {
    let roles = at_hand::roles(ctx, What::Users.permission());
    let Some(holder) = find(ctx, conn, name, roles).await? else { return Ok(false) };
    users::lock(conn, holder.project_id, holder.user_id).await?;
    admin_grants::hold(conn, holder.project_id, holder.user_id).await?;
    Ok(find(ctx, conn, name, roles).await?.is_some())
}

async fn find(ctx: &Ctx, conn: &Conn, name: &str, roles: Roles) -> Result<Option<Holder>> {
    let project: ProjectId = ctx.project.id;
    let holders = admin_grants::list_holders(conn, project, roles, MOST_ADMINS).await?;
    let is_it = |holder: &Holder| name_in(&ctx.app.master_keys, holder.project_id, holder.user_id) == name;
    Ok(holders.into_iter().find(is_it))
}
