//! `attribute-update`: attributes, roles and groups of one user, all or nothing. Tokens granted before are stale from then
//! on, and say so when they are verified; they live on.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::delete_user::follow_own_change;
use super::holder::Holder;
use super::person::{Person, Shown, parsed, still_granted};
use super::verify::Live;
use crate::app::Ctx;
use crate::audit::{self, Actor, Personal};
use crate::error::{Error, Result, forbidden};
use crate::ids::UserId;
use crate::model::user::{User, UserRow};
use crate::projects::holdings::{self, Change, Writer};
use crate::projects::users::locked;
use crate::store::db::Conn;

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
    User::try_from(write(ctx, actor, user, change, seen, None).await?)
}

/// What a user's token is told of its user.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Own {
    /// A project's own application knows everybody as the project does.
    Whole(Box<User>),
    /// One that knows people by names of its sector learns no other one, and what its scopes show.
    Shown {
        id: String,
        version: i64,
        #[serde(flatten)]
        claims: Map<String, Value>,
    },
}

impl Own {
    pub fn version(&self) -> i64 {
        match self {
            Self::Whole(user) => user.version,
            Self::Shown { version, .. } => *version,
        }
    }
}

/// For the user of a live token: what its definition leaves to users.
///
/// # Errors
/// As [`update`]; `forbidden` for roles, groups, and attributes that only admins write; `invalid_token` with the reason when
/// the token's family has ended meanwhile.
pub async fn update_own(ctx: &Ctx, live: &Live, change: &Change, seen: Option<i64>) -> Result<Own> {
    for (field, labels) in [("roles", &change.roles), ("groups", &change.groups)] {
        if !labels.is_empty() {
            return Err(forbidden(format!("{field} are changed by admin keys only")).with_field(field));
        }
    }
    let user = live.family.user_id;
    let row = write(ctx, &Actor::user(ctx, user), user, change, seen, Some(live)).await?;
    let is_own = live.family.allowed_as_of().is_none() && live.family.subject.is_none();
    if is_own { User::try_from(row).map(Box::new).map(Own::Whole) } else { shown(ctx, live, &row) }
}

/// What the scopes of the token show, and what its user writes.
fn shown(ctx: &Ctx, Live { claims, family, .. }: &Live, row: &UserRow) -> Result<Own> {
    let scope = still_granted(&ctx.entry, &claims.scope, family.allowed_as_of());
    let mut claims = Shown::by_scope(&ctx.entry, &scope).of(&Person::from(row))?;
    let Value::Object(all) = parsed(&row.attributes)? else {
        return Err(Error::internal("attributes are a JSON object"));
    };
    let writes =
        |name: &str| ctx.entry.definitions.iter().any(|known| known.user_writable && known.name == name);
    let written = all.into_iter().filter(|(name, _)| writes(name));
    if let Some(attributes) = claims.entry("attributes").or_insert_with(|| json!({})).as_object_mut() {
        attributes.extend(written);
    }
    Ok(Own::Shown { id: family.subject(), version: row.version, claims })
}

/// `live`: the user's token, when a user writes.
async fn write(
    ctx: &Ctx,
    actor: &Actor,
    user: UserId,
    change: &Change,
    seen: Option<i64>,
    live: Option<&Live>,
) -> Result<UserRow> {
    // The names of what changes stand in the event for everybody who reads it; the values are personal.
    let personal = sealed(ctx, user, change).await?;
    let personal = personal.as_ref();
    ctx.app
        .db
        .unit(|conn| async move {
            let (row, writer) = match live {
                Some(live) => (Holder::Application(live).hold(ctx, &conn, seen).await?, Writer::User),
                None => (locked(ctx, &conn, user, seen).await?, Writer::Admin),
            };
            let before = row.version;
            let row = write_held(ctx, &conn, actor, row, change, writer, personal).await?;
            if live.is_some() {
                follow_own_change(ctx, &conn, user, (before, row.version)).await?;
            }
            Ok(row)
        })
        .await
}

/// The values that change are personal: they are sealed, before the unit.
pub async fn sealed(ctx: &Ctx, user: UserId, change: &Change) -> Result<Option<Personal>> {
    match change.set.is_empty() {
        true => Ok(None),
        false => audit::seal(ctx, user, &json!({"set": change.set})).await,
    }
}

/// The rest of the unit, which holds `row`.
pub async fn write_held(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    row: UserRow,
    change: &Change,
    writer: Writer,
    personal: Option<&Personal>,
) -> Result<UserRow> {
    let (project, now) = (ctx.project.id, ctx.now);
    let Some(applied) = holdings::apply(conn, project, now, &row, change, writer).await? else {
        return Ok(row);
    };
    let target = audit::user_name(ctx, row.id);
    let event = actor.did("user.attributes_changed", &target).with(applied.detail).sealing(personal);
    audit::append(conn, project, now, &event).await?;
    Ok(applied.row)
}
