//! The strongest way of confirming that is at hand: what the project asks for, or more where there is more.

use crate::app::Ctx;
use crate::error::Result;
use crate::model::project::DeletionConfirmation;
use crate::model::role::{Permission, Role};
use crate::projects::admin_keys::{id_in, party};
use crate::projects::admins::name_in;
use crate::store::admin_grants;
use crate::store::admin_keys::{self, Roles};
use crate::store::db::Conn;

/// How the log names people who act as admins.
pub const PERSON: &str = "admin:";

/// How whoever is named `requester` in the log has to have it confirmed. A person shows a second factor. A key has none: where
/// another admin could confirm, key or person, one has to. Who stands behind the key is no other.
pub async fn strongest(
    ctx: &Ctx,
    conn: &Conn,
    requester: &str,
    permission: Permission,
) -> Result<DeletionConfirmation> {
    let (project, settings) = (ctx.project.id, ctx.project.settings.deletion_confirmation);
    // Two people are more than one, whatever that one can show.
    if settings == DeletionConfirmation::SecondPerson {
        return Ok(settings);
    }
    if settings == DeletionConfirmation::SecondFactor || requester.starts_with(PERSON) {
        return Ok(DeletionConfirmation::SecondFactor);
    }
    let (roles, party) = (roles(ctx, permission), party(conn, requester).await?);
    let is_alone = !admin_keys::is_another(conn, project, (&party, id_in(&party)), roles).await?
        && !is_another_person(ctx, conn, &party, roles).await?;
    Ok(if is_alone { DeletionConfirmation::Typed } else { DeletionConfirmation::SecondPerson })
}

/// Which roles may, as the project has it.
pub fn roles(ctx: &Ctx, permission: Permission) -> Roles {
    let may = |role: Role| role.may(permission) || role.may_if_let(permission, &ctx.project.settings);
    Roles { admins: may(Role::Admin), user_managers: may(Role::UserManager) }
}

async fn is_another_person(ctx: &Ctx, conn: &Conn, party: &str, roles: Roles) -> Result<bool> {
    // Of two at most one is the party.
    let holders = admin_grants::list_holders(conn, ctx.project.id, roles, 2).await?;
    Ok(holders.iter().any(|holder| name_in(&ctx.app.master_keys, holder.project_id, holder.user_id) != party))
}
