//! The link that starts a sign-in. It names the client and nothing else, so it stays true when the client's redirect URIs
//! or its PKCE rule change; what it leads to is decided when it is opened.

use crate::model::client::Client;

/// `{issuer}/sign-in?client_id=…`. `None` for a client that no browser can be sent back to, such as a machine's.
pub fn login_link(issuer: &str, client: &Client) -> Option<String> {
    let settings = &client.settings;
    let has_a_way_back = !settings.redirect_uris.is_empty() || settings.initiate_login_uri.is_some();
    has_a_way_back.then(|| format!("{issuer}/sign-in?client_id={}", client.id))
}
