//! Tokens for resource servers alone (RFC 8707): an API that was handed one may not do with it here what the application may.

use super::verify::Live;
use crate::app::Ctx;
use crate::error::Result;

/// Whether the token is for resource servers, and not for the client that got it. Only such tokens ask for the client.
pub async fn is_for_servers_alone(ctx: &Ctx, live: &Live) -> Result<bool> {
    let Live { claims, family, .. } = live;
    let servers = &ctx.entry.resource_servers;
    let is_for_servers = match claims.epochs {
        None => family.for_resources,
        Some(_) => claims.aud.words().all(|word| servers.iter().any(|server| server.identifier == word)),
    };
    if !is_for_servers {
        return Ok(false);
    }
    let entry = live.client(ctx).await?;
    Ok(!claims.aud.has(&entry.client.audience()))
}
