//! Admin keys: who may call the admin API, and for which project.

use crate::app::App;
use crate::error::{Error, Result, invalid_token};
use crate::ids::{AdminKeyId, ProjectId};
use crate::model::role::Role;
use crate::secret::Secret;
use crate::store::admin_keys::{self, AdminKey};

/// What every admin key begins with.
pub const PREFIX: &str = "tak_";

/// A live admin key, as its role and its reach.
#[derive(Clone, Debug)]
pub struct Admin {
    pub id: AdminKeyId,
    pub role: Role,
    /// `None`: every project.
    pub project: Option<ProjectId>,
}

impl TryFrom<AdminKey> for Admin {
    type Error = Error;
    fn try_from(key: AdminKey) -> Result<Self> {
        let role = key.role.parse().map_err(|_| Error::internal("an unknown role in the store"))?;
        Ok(Self { id: key.id, role, project: key.project_id })
    }
}

/// # Errors
/// `invalid_token` for a key that is unknown or revoked.
pub async fn authenticate(app: &App, key: &Secret) -> Result<Admin> {
    let hash = &key.sha256();
    let found = app.db.read(|conn| async move { admin_keys::find_live(&conn, hash).await }).await?;
    found.ok_or_else(|| invalid_token("the admin key is not valid here"))?.try_into()
}
