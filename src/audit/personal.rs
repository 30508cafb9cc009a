//! What is personal in an event: an address, a user agent, the values of attributes. It is sealed under a key of the
//! user's own, the chain covers a commitment to it, and the deletion of the user destroys the key and the blob.

use serde_json::Value;
use zeroize::Zeroizing;

use super::origin;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::{ProjectId, UserId};
use crate::keys::data_key::DataKey;
use crate::keys::master::{MasterKeys, Place};
use crate::secret::sha256;
use crate::store::db::{Conn, execute};
use crate::store::user_keys;

/// Personal values of one user, sealed for one event.
pub struct Personal {
    pub(super) user: UserId,
    pub(super) blob: Vec<u8>,
    pub(super) commitment: Vec<u8>,
}

/// Seals what an event keeps of `user`. Called before the unit, because a unit seals nothing, and the first call for a
/// user makes the key. `None`: the user has been deleted, and nothing is kept.
pub async fn seal(ctx: &Ctx, user: UserId, values: &Value) -> Result<Option<Personal>> {
    let Some(key) = data_key(ctx, user).await? else { return Ok(None) };
    seal_with(ctx, &key, user, values).map(Some)
}

/// Like [`seal`], for a user who is not stored yet. Gives the user's new data key as well, sealed, for the row that the unit
/// stores beside the user's.
pub fn seal_first(ctx: &Ctx, user: UserId, values: &Value) -> Result<(Personal, Vec<u8>)> {
    let (app, project) = (&ctx.app, ctx.project.id);
    let key = DataKey::generate(&app.entropy)?;
    let personal = seal_with(ctx, &key, user, values)?;
    Ok((personal, key.wrap(&app.master_keys, &app.entropy, project, user)?))
}

fn seal_with(ctx: &Ctx, key: &DataKey, user: UserId, values: &Value) -> Result<Personal> {
    let plain = Zeroizing::new(serde_json::to_vec(values).map_err(Error::internal)?);
    let blob = key.seal(&ctx.app.entropy, &place(ctx.project.id, &user.to_string()), &plain)?;
    Ok(Personal { user, commitment: commitment(&blob), blob })
}

/// Opens what [`seal`] made. `sealed_key` is the user's row in `user_keys`.
///
/// # Errors
/// A blob that was altered or that belongs to another user.
pub fn open(
    keys: &MasterKeys,
    project: ProjectId,
    user: UserId,
    sealed_key: &[u8],
    blob: &[u8],
) -> Result<Value> {
    let key = DataKey::unwrap(keys, project, user, sealed_key)?;
    let plain = key.open(&place(project, &user.to_string()), blob)?;
    serde_json::from_slice(&plain).map_err(Error::internal)
}

/// The hash that the chain covers. The blob's random nonce and key are its salt: once they are gone, nothing can be
/// guessed from it.
pub(super) fn commitment(blob: &[u8]) -> Vec<u8> {
    sha256(&[b"tessera/audit/sealed/v1", blob].concat())
}

async fn data_key(ctx: &Ctx, user: UserId) -> Result<Option<DataKey>> {
    let (app, project) = (&ctx.app, ctx.project.id);
    let find = || app.db.read(|conn| async move { user_keys::find(&conn, project, user).await });
    let mut found = find().await?;
    if found.is_none() {
        let fresh = DataKey::generate(&app.entropy)?.wrap(&app.master_keys, &app.entropy, project, user)?;
        let fresh = fresh.as_slice();
        app.db
            .write(|conn| async move { user_keys::insert(&conn, project, ctx.now, user, fresh).await })
            .await?;
        // Read back: another caller's key may have been first.
        found = find().await?;
    }
    found.map(|sealed| DataKey::unwrap(&app.master_keys, project, user, &sealed)).transpose()
}

fn place(project: ProjectId, row: &str) -> Place<'_> {
    Place { table: "audit_log", project, row, column: "sealed" }
}

/// Nulls what is sealed of a user, `most` entries at a time, and where their acts came from; gives the number of whichever was
/// more. To be called after [`super::append`] in the same unit: that holds the head of the chain, so no entry with something
/// sealed can slip in between. In the chains of other projects the user's row is held by whoever appends.
///
/// These are the only statements that change an entry, and nothing that the chain covers.
pub async fn erase(conn: &Conn, project: ProjectId, user: UserId, most: i64) -> Result<u64> {
    let origins = origin::erase(conn, (project, user), most).await?;
    let sealed = execute!(
        conn,
        "UPDATE audit_log SET sealed = NULL, user_id = NULL WHERE project_id = $1 AND seq IN (
           SELECT seq FROM audit_log WHERE project_id = $1 AND user_id = $2 LIMIT $3)",
        project,
        user,
        most
    )?;
    Ok(sealed.max(origins))
}
