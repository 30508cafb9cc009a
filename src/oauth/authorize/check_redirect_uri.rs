//! Where the answer may go: an address that the client has registered, to the letter.

use crate::error::{Result, refused};
use crate::model::client::Client;
use crate::oauth::parameters::Parameters;

/// Proves the redirect URI. Until this has passed, errors are shown on a page and never redirected.
pub fn check_redirect_uri(client: &Client, parameters: &Parameters) -> Result<String> {
    if parameters.is_repeated("redirect_uri") {
        return Err(refused(|t| &t.errors.redirect_twice));
    }
    let uri = match (parameters.get("redirect_uri"), client.settings.redirect_uris.as_slice()) {
        (Some(uri), _) => uri,
        (None, [only]) => only,
        (None, _) => return Err(refused(|t| &t.errors.redirect_missing)),
    };
    if client.allows_redirect(uri) {
        return Ok(uri.to_owned());
    }
    Err(refused(|t| &t.errors.address_unregistered))
}
