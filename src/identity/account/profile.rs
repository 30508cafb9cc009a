//! The own record: read, and changed as far as it is for users to change.

use serde_json::{Map, Value};

use super::{Act, count};
use crate::app::Ctx;
use crate::error::{Error, Result, forbidden};
use crate::model::user::User;
use crate::projects::holdings::{Change, Writer};
use crate::projects::users::{UserChange, change_held, find};
use crate::session::attributes::{sealed, write_held};
use crate::session::delete_user::follow_own_change;
use crate::session::holder::Holder;

/// What changes: standard claims by name, of which null takes one away, and attributes.
pub struct ProfileChange {
    pub claims: Map<String, Value>,
    pub set: Map<String, Value>,
    pub remove: Vec<String>,
}

impl ProfileChange {
    /// From attributes by name, of which null takes one away.
    pub fn new(claims: Map<String, Value>, attributes: Map<String, Value>) -> Self {
        let (removed, set): (Map<_, _>, Map<_, _>) =
            attributes.into_iter().partition(|(_, value)| value.is_null());
        Self { claims, set, remove: removed.into_iter().map(|(name, _)| name).collect() }
    }
}

/// Claims that say what others have checked.
const NOT_THEIRS: [&str; 1] = ["phone_number_verified"];

pub async fn read(ctx: &Ctx, holder: &Holder<'_>) -> Result<User> {
    find(ctx, holder.user()).await
}

/// All or nothing. User name and mail address are not changed here: they are what somebody signs in and is reached by.
///
/// # Errors
/// `invalid_request` naming the field and the bound; `forbidden` for what only admins write; 412 when the record is no longer
/// the version that the caller has seen; `invalid_token` or `login_required` when the holder's session has ended.
pub async fn change(
    ctx: &Ctx,
    holder: &Holder<'_>,
    change: ProfileChange,
    seen: Option<i64>,
) -> Result<User> {
    if let Some(name) = NOT_THEIRS.into_iter().find(|name| change.claims.contains_key(*name)) {
        return Err(forbidden(format!("{name} is not for users to write")).with_field(name));
    }
    count(ctx, holder, Act::Change).await?;
    let record = &UserChange { profile: change.claims, ..UserChange::default() };
    let attributes = &Change { set: change.set, remove: change.remove, ..Change::default() };
    let personal = sealed(ctx, holder.user(), attributes).await?;
    let (actor, personal) = (&holder.actor(ctx), personal.as_ref());
    ctx.app
        .db
        .unit(|conn| async move {
            let row = holder.hold(ctx, &conn, seen).await?;
            let (user, before) = (row.id, row.version);
            let row = change_held(ctx, &conn, actor, row, record).await?;
            let row = write_held(ctx, &conn, actor, row, attributes, Writer::User, personal).await;
            let row = row.map_err(of_profile)?;
            follow_own_change(ctx, &conn, user, (before, row.version)).await?;
            User::try_from(row)
        })
        .await
}

/// A profile has `attributes` where a change has `set` and `remove`.
fn of_profile(error: Error) -> Error {
    let Some((old, name)) =
        error.field().and_then(|field| Some((field.to_owned(), field.split_once('.')?.1)))
    else {
        return error;
    };
    let field = format!("attributes.{name}");
    let description = error.description().replace(&old, &field);
    Error::new(error.code(), description).with_field(field)
}
