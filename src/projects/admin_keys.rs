//! Admin keys: who may call the admin API, and for which project.

use serde_json::json;

use super::admins::{Admin, Within};
use crate::app::App;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, forbidden, invalid_token, not_found};
use crate::ids::{AdminKeyId, ProjectId};
use crate::model::names::check_display_name;
use crate::model::role::{Permission, Role};
use crate::model::timestamp::Timestamp;
use crate::secret::Secret;
use crate::store::admin_keys::{self, AdminKey, Listed};
use crate::store::db::Conn;

/// What every admin key begins with.
pub const PREFIX: &str = "tak_";

/// # Errors
/// `invalid_token` for a key that is unknown or revoked.
pub async fn authenticate(app: &App, key: &Secret) -> Result<Admin> {
    let hash = &key.sha256();
    let found = app.db.read(|conn| async move { admin_keys::find_live(&conn, hash).await }).await?;
    found.ok_or_else(not_valid)?.try_into()
}

/// A key that is unknown, revoked, or another project's: all of them answer alike.
pub fn not_valid() -> Error {
    invalid_token("the admin key is not valid here")
}

pub struct NewAdminKey {
    pub name: String,
    pub role: Role,
    /// `None`: for every project.
    pub project: Option<ProjectId>,
}

/// Makes a key, which is given once. One made `by` an admin reaches no further than that admin, and stands for whoever stands
/// behind that one.
///
/// # Errors
/// 403 when the new key would reach further than its maker.
pub async fn create(
    app: &App,
    actor: &Actor,
    by: Option<&Admin>,
    new: NewAdminKey,
) -> Result<(Listed, Secret)> {
    check_display_name("name", &new.name)?;
    if let Some(by) = by.filter(|by| !by.within(Permission::Own).contains(new.project)) {
        let why = format!("{} one project makes keys for that project only: name it", by.noun());
        return Err(forbidden(why));
    }
    let now = app.clock.now();
    let secret = app.entropy.token(PREFIX)?;
    let key = AdminKey {
        id: app.entropy.id(now)?,
        project_id: new.project,
        name: new.name,
        role: new.role.as_str().into(),
    };
    let (made, hash) = (&key, &secret.sha256());
    let made_by = app
        .db
        .unit(|conn| async move {
            let made_by = match by {
                Some(_) => Some(party(&conn, actor.name()).await?),
                None => None,
            };
            admin_keys::insert(&conn, now, made, hash, made_by.as_deref()).await?;
            let target = target(made.id);
            let detail = json!({"name": made.name, "role": made.role, "project": made.project_id});
            let event = actor.did("admin_key.created", &target).with(detail);
            audit::append(&conn, chain(made), now, &event).await?;
            Ok(made_by)
        })
        .await?;
    Ok((Listed { key, created_at: now, made_by }, secret))
}

/// Who stands behind an admin that the log names so: a person for themselves and for the keys that they made, directly or by
/// keys of theirs; a key that the command line made for itself and for all that were made with it.
pub async fn party(conn: &Conn, name: &str) -> Result<String> {
    let maker = match id_in(name) {
        Some(id) => admin_keys::find_maker(conn, id).await?,
        None => None,
    };
    Ok(maker.unwrap_or_else(|| name.to_owned()))
}

/// The key that the log names so, if it is one.
pub fn id_in(name: &str) -> Option<AdminKeyId> {
    name.strip_prefix("admin_key:")?.parse().ok()
}

/// Live keys by age; `within`: only those for this one project.
pub async fn list(
    app: &App,
    within: Option<ProjectId>,
    after: Option<AdminKeyId>,
    limit: i64,
) -> Result<Vec<Listed>> {
    app.db.read(|conn| async move { admin_keys::list(&conn, within, after, limit).await }).await
}

/// # Errors
/// 404 for a key that is unknown, revoked, or beyond `within`.
pub async fn get(app: &App, within: &Within, id: AdminKeyId) -> Result<Listed> {
    let found = app.db.read(|conn| async move { admin_keys::find(&conn, id).await }).await?;
    found.filter(|found| within.contains(found.key.project_id)).ok_or_else(no_key)
}

/// Revokes a key: every node refuses it from its next request on.
pub async fn revoke(
    app: &App,
    actor: &Actor,
    within: &Within,
    id: AdminKeyId,
) -> Result<(Listed, Timestamp)> {
    let now = app.clock.now();
    let revoked = app
        .db
        .unit(|conn| async move {
            // A key may revoke itself.
            actor.hold(&conn).await?;
            let found = admin_keys::find(&conn, id).await?;
            let found = found.filter(|found| within.contains(found.key.project_id)).ok_or_else(no_key)?;
            if admin_keys::revoke(&conn, now, id).await? == 0 {
                return Err(no_key());
            }
            let target = target(id);
            let event = actor.did("admin_key.revoked", &target).with(json!({"name": found.key.name}));
            audit::append(&conn, chain(&found.key), now, &event.by_an_ended_key()).await?;
            Ok(found)
        })
        .await?;
    Ok((revoked, now))
}

fn no_key() -> Error {
    not_found("no such admin key")
}

fn target(key: AdminKeyId) -> String {
    format!("admin_key:{key}")
}

/// A project's key is the project's affair, one for all projects the instance's.
fn chain(key: &AdminKey) -> ProjectId {
    key.project_id.unwrap_or(ProjectId::INSTANCE)
}
