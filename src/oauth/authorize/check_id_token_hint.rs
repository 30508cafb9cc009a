//! `id_token_hint`: the person whom the application has seen before (OpenID Connect Core, 3.1.2.1).

use serde::{Deserialize, Serialize};

use crate::app::Ctx;
use crate::error::{Result, invalid_request};
use crate::keys::verify::verify_jws;
use crate::model::client::Client;
use crate::model::token::IdClaims;
use crate::oauth::parameters::Parameters;

/// A hint that was proven, and whom it means: the `sub` by which the client knows them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdTokenHint {
    pub token: String,
    pub subject: String,
}

/// An ID token that this project made for this client. It may have expired: it says who is meant, and lets nobody in.
///
/// # Errors
/// `invalid_request` for anything else.
pub fn check_id_token_hint(
    ctx: &Ctx,
    client: &Client,
    parameters: &Parameters,
) -> Result<Option<IdTokenHint>> {
    let Some(token) = parameters.get("id_token_hint") else { return Ok(None) };
    let refused = || invalid_request("id_token_hint is not an ID token that this client got here");
    let (header, claims) =
        verify_jws::<IdClaims>(token, |kid| ctx.entry.verifier(kid)).map_err(|_| refused())?;
    let is_ours = header.typ.as_deref() == Some("JWT")
        && claims.iss == ctx.project.issuer
        && claims.aud == client.id.to_string();
    let hint = IdTokenHint { token: token.to_owned(), subject: claims.sub };
    if is_ours { Ok(Some(hint)) } else { Err(refused()) }
}
