//! `attribute-update`: attributes, roles and groups of one user, all or nothing. Tokens granted before are stale from then
//! on, and say so when they are verified; they live on.

use serde_json::json;

use super::verify::{Live, require_still_live};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Result, forbidden};
use crate::ids::UserId;
use crate::model::user::User;
use crate::projects::holdings::{self, Change, Writer};
use crate::projects::users::locked;
use crate::store::users;

/// For an admin: any attribute, role and group. `seen` is the version that the caller has seen.
///
/// # Errors
/// `invalid_request` naming the field and the bound; 404 for an unknown user; 412 when the record is no longer `seen`.
pub async fn update(
    ctx: &Ctx,
    actor: &Actor,
    user: UserId,
    change: &Change,
    seen: Option<i64>,
) -> Result<User> {
    write(ctx, actor, user, change, seen, None).await
}

/// For the user of a live token: what its definition leaves to users.
///
/// # Errors
/// As [`update`]; `forbidden` for roles, groups, and attributes that only admins write; `invalid_token` with the reason when
/// the token's family has ended meanwhile.
pub async fn update_own(ctx: &Ctx, live: &Live, change: &Change, seen: Option<i64>) -> Result<User> {
    for (field, labels) in [("roles", &change.roles), ("groups", &change.groups)] {
        if !labels.is_empty() {
            return Err(forbidden(format!("{field} are changed by admin keys only")).with_field(field));
        }
    }
    let user = live.family.user_id;
    write(ctx, &Actor::user(ctx, user), user, change, seen, Some(live)).await
}

/// `live`: the user's token, when a user writes.
async fn write(
    ctx: &Ctx,
    actor: &Actor,
    user: UserId,
    change: &Change,
    seen: Option<i64>,
    live: Option<&Live>,
) -> Result<User> {
    // The names of what changes stand in the event for everybody who reads it; the values are personal.
    let personal = match change.set.is_empty() {
        true => None,
        false => audit::seal(ctx, user, &json!({"set": change.set})).await?,
    };
    let personal = personal.as_ref();
    ctx.app
        .db
        .unit(|conn| async move {
            let (project, now) = (ctx.project.id, ctx.now);
            if let Some(live) = live {
                users::lock(&conn, project, user).await?;
                require_still_live(ctx, &conn, live).await?;
            }
            let row = locked(ctx, &conn, user, seen).await?;
            let writer = if live.is_some() { Writer::User } else { Writer::Admin };
            let Some(applied) = holdings::apply(&conn, project, now, &row, change, writer).await? else {
                return User::try_from(row);
            };
            let target = audit::user_name(ctx, user);
            let event = actor.did("user.attributes_changed", &target).with(applied.detail).sealing(personal);
            audit::append(&conn, project, now, &event).await?;
            User::try_from(applied.row)
        })
        .await
}
