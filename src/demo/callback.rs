//! What the redirect page of the demo says about a code: whose it is, and the line that exchanges it.
//!
//! A redirect URI does not tell which client it was for; the store does, because the page is the server's own.

use super::lines::{Caller, Text, code_verifier, exchange, sign_in_link};
use crate::app::Ctx;
use crate::error::Result;
use crate::model::client::Client;
use crate::secret::Secret;
use crate::store::{clients, codes};

/// What became of a code.
pub enum Standing {
    /// The name of its client, the line that exchanges it, and where another sign-in starts.
    Fresh {
        client: String,
        line: String,
        again: String,
    },
    Used,
    Expired,
    Unknown,
}

/// Looks a code up without using it.
pub async fn standing(ctx: &Ctx, code: &str) -> Result<Standing> {
    let hash = &Secret::new(code).sha256();
    let row = ctx.app.db.read(|conn| async move { codes::find(&conn, ctx.project.id, hash).await }).await?;
    let Some(row) = row else { return Ok(Standing::Unknown) };
    if row.consumed_at.is_some() {
        return Ok(Standing::Used);
    }
    if row.expires_at <= ctx.now {
        return Ok(Standing::Expired);
    }
    let id = row.client_id;
    let client =
        ctx.app.db.read(|conn| async move { clients::find(&conn, ctx.project.id, id).await }).await?;
    let Some(client) = client else { return Ok(Standing::Unknown) };
    let caller = Caller {
        client_id: id,
        client_secret: secret(ctx, &client),
        code_verifier: row.code_challenge.as_deref().map(code_verifier),
    };
    let line = exchange(&ctx.project.issuer, &caller, Text::Literal(code), &row.redirect_uri);
    let again = sign_in_link(&ctx.project.issuer, id, client.is_public());
    Ok(Standing::Fresh { client: client.name, line, again })
}

/// Where a sign-in to the demo starts.
pub fn sign_in_to_demo(ctx: &Ctx) -> Option<String> {
    let demo = ctx.app.demo.as_ref()?;
    let client = demo.clients.first()?;
    Some(sign_in_link(&demo.issuer, client.client_id, client.client_secret.is_none()))
}

/// The secret of a demo client is known; those of others are stored as hashes alone.
fn secret<'a>(ctx: &'a Ctx, client: &Client) -> Option<Text<'a>> {
    if client.is_public() {
        return None;
    }
    let known = ctx.app.demo.as_ref().and_then(|demo| demo.client(client.id));
    let known = known.and_then(|client| client.client_secret.as_deref());
    Some(known.map_or(Text::Variable("CLIENT_SECRET"), Text::Literal))
}
