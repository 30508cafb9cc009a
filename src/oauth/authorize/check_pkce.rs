//! PKCE with S256 and nothing weaker (RFC 7636, 4.2; RFC 9700, 2.1.1).

use crate::error::{Result, invalid_request};
use crate::model::client::Client;
use crate::oauth::parameters::Parameters;

pub fn check_pkce(client: &Client, parameters: &Parameters) -> Result<Option<String>> {
    let challenge = parameters.get("code_challenge");
    match (challenge, parameters.get("code_challenge_method")) {
        (None, None) if !client.requires_pkce() => Ok(None),
        (None, _) => Err(invalid_request("code_challenge is missing: this client must use PKCE with S256")),
        (Some(_), method) if method != Some("S256") => {
            Err(invalid_request("code_challenge_method must be S256"))
        }
        (Some(challenge), _) => is_hash(challenge)
            .then(|| Some(challenge.to_owned()))
            .ok_or_else(|| invalid_request("code_challenge has 43 base64url characters")),
    }
}

/// SHA-256 in base64url.
pub fn is_hash(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
