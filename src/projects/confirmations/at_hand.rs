//! The strongest way of confirming that is at hand: what the project asks for, or more where there is more.

use crate::app::Ctx;
use crate::error::Result;
use crate::ids::AdminKeyId;
use crate::model::project::DeletionConfirmation;
use crate::model::role::{Permission, Role};
use crate::store::admin_grants;
use crate::store::admin_keys::{self, Roles};
use crate::store::db::Conn;

/// How the log names people who act as admins.
const PERSON: &str = "admin:";

/// How whoever is named `requester` in the log has to have it confirmed. A person shows a second factor. A key has none: where
/// another admin could confirm, key or person, one has to.
pub async fn strongest(
    ctx: &Ctx,
    conn: &Conn,
    requester: &str,
    permission: Permission,
) -> Result<DeletionConfirmation> {
    let may = |role: Role| role.may(permission) || role.may_if_let(permission, &ctx.project.settings);
    let roles = Roles { admins: may(Role::Admin), user_managers: may(Role::UserManager) };
    let own = requester.strip_prefix("admin_key:").and_then(|id| id.parse::<AdminKeyId>().ok());
    let (project, settings) = (ctx.project.id, ctx.project.settings.deletion_confirmation);
    // Two people are more than one, whatever that one can show.
    if settings == DeletionConfirmation::SecondPerson {
        return Ok(settings);
    }
    if settings == DeletionConfirmation::SecondFactor || requester.starts_with(PERSON) {
        return Ok(DeletionConfirmation::SecondFactor);
    }
    let is_alone = !admin_keys::is_another(conn, project, own, roles).await?
        && !admin_grants::is_one(conn, project, roles).await?;
    Ok(if is_alone { DeletionConfirmation::Typed } else { DeletionConfirmation::SecondPerson })
}
