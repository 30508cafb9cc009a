//! Tokens for resource servers alone (RFC 8707): an API that was handed one may not do with it here what the application may.

use super::verify::Live;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::ClientId;
use crate::store::clients;

/// Whether the token is for resource servers, and not for the client that got it. Only such tokens cost a read.
pub async fn is_for_servers_alone(ctx: &Ctx, Live { claims, family }: &Live) -> Result<bool> {
    let servers = &ctx.entry.resource_servers;
    let is_for_servers = match claims.epochs {
        None => family.for_resources,
        Some(_) => claims.aud.words().all(|word| servers.iter().any(|server| server.identifier == word)),
    };
    if !is_for_servers {
        return Ok(false);
    }
    let id: ClientId = claims.client_id.parse().map_err(|_| Error::internal("a token is of no client"))?;
    let client =
        ctx.app.db.read(|conn| async move { clients::find(&conn, ctx.project.id, id).await }).await?;
    Ok(client.is_none_or(|client| !claims.aud.has(&client.audience())))
}
