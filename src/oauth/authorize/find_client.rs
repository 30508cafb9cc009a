//! Who asks.

use crate::app::Ctx;
use crate::error::{Error, Result, refused};
use crate::ids::ClientId;
use crate::model::client::Client;
use crate::oauth::parameters::Parameters;
use crate::store::clients;

/// The active client that the request names.
pub async fn find_client(ctx: &Ctx, parameters: &Parameters) -> Result<Client> {
    if parameters.is_repeated("client_id") {
        return Err(refused(|t| &t.errors.client_twice));
    }
    let id = parameters.get("client_id").and_then(|id| id.parse().ok()).ok_or_else(unknown_client)?;
    active_client(ctx, id).await
}

pub async fn active_client(ctx: &Ctx, id: ClientId) -> Result<Client> {
    let found = ctx.app.db.read(|conn| async move { clients::find(&conn, ctx.project.id, id).await }).await?;
    found.filter(Client::is_active).ok_or_else(unknown_client)
}

pub fn unknown_client() -> Error {
    refused(|t| &t.errors.client_unknown)
}
