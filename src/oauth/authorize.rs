//! Checks of an authorization request, in the order that keeps redirects safe: client, redirect URI, then the rest.

use serde::{Deserialize, Serialize};

use crate::app::Ctx;
use crate::error::{Code, Error, Result, invalid_request};
use crate::ids::ClientId;
use crate::model::client::Client;
use crate::store::clients;

/// What travels sealed in the sign-in form: nobody has signed in yet, so nothing is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client_id: ClientId,
    pub redirect_uri: String,
    pub scope: String,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub code_challenge: Option<String>,
    pub prompt: Option<String>,
}

/// The parameters, each at most once (RFC 6749, 3.1).
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// # Errors
    /// A duplicate or oversized parameter.
    pub fn parse(query: &str) -> Result<Self> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| invalid_request("the parameters are not form-encoded"))?;
        for (i, (name, value)) in pairs.iter().enumerate() {
            if pairs[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(invalid_request("a parameter is given twice"));
            }
            if value.len() > 4096 {
                return Err(invalid_request("a parameter is longer than 4096 bytes"));
            }
        }
        Ok(Self(pairs))
    }

    /// The value; an empty one counts as left out (RFC 6749, 3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }
}

/// Proves client and redirect URI. Until this has passed, errors are shown on a page and never redirected.
pub async fn find_client(ctx: &Ctx, parameters: &Parameters) -> Result<(Client, String)> {
    let unknown = || invalid_request("This application is not known here.");
    let id: ClientId = parameters.get("client_id").and_then(|id| id.parse().ok()).ok_or_else(unknown)?;
    let client = ctx
        .app
        .db
        .read(|conn| async move { clients::find(&conn, ctx.project.id, id).await })
        .await?
        .filter(Client::is_active)
        .ok_or_else(unknown)?;
    let uri = match (parameters.get("redirect_uri"), client.settings.redirect_uris.as_slice()) {
        (Some(uri), _) => uri.to_owned(),
        (None, [only]) => only.clone(),
        (None, _) => return Err(invalid_request("The application did not say where to return to.")),
    };
    if !client.allows_redirect(&uri) {
        return Err(invalid_request("The application asked to return to an address that is not registered."));
    }
    Ok((client, uri))
}

/// Everything else; errors from here on are redirected to the proven URI.
pub fn check(client: &Client, redirect_uri: String, parameters: &Parameters) -> Result<AuthorizationRequest> {
    match parameters.get("response_type") {
        Some("code") => {}
        Some(_) => {
            return Err(Error::new(Code::UnsupportedResponseType, "only response_type=code is supported"));
        }
        None => return Err(invalid_request("response_type is missing")),
    }
    if parameters.get("request").is_some() || parameters.get("request_uri").is_some() {
        return Err(invalid_request("request objects are not supported"));
    }
    if !matches!(parameters.get("response_mode"), None | Some("query")) {
        return Err(invalid_request("only response_mode=query is supported"));
    }
    let prompt = parameters.get("prompt").map(str::to_owned);
    if prompt.as_deref().is_some_and(|p| p != "none" && p.split(' ').any(|word| word == "none")) {
        return Err(invalid_request("prompt=none stands alone"));
    }
    Ok(AuthorizationRequest {
        client_id: client.id,
        redirect_uri,
        scope: granted_scope(parameters.get("scope").unwrap_or("openid")),
        state: parameters.get("state").map(str::to_owned),
        nonce: parameters.get("nonce").map(str::to_owned),
        code_challenge: check_pkce(client, parameters)?,
        prompt,
    })
}

/// S256 and nothing weaker (RFC 7636, 4.2; RFC 9700, 2.1.1).
fn check_pkce(client: &Client, parameters: &Parameters) -> Result<Option<String>> {
    let challenge = parameters.get("code_challenge");
    match (challenge, parameters.get("code_challenge_method")) {
        (None, None) if !client.requires_pkce() => Ok(None),
        (None, _) => Err(invalid_request("code_challenge is missing: this client must use PKCE with S256")),
        (Some(_), method) if method != Some("S256") => {
            Err(invalid_request("code_challenge_method must be S256"))
        }
        (Some(challenge), _) => {
            let shape = challenge.len() == 43
                && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            shape
                .then(|| Some(challenge.to_owned()))
                .ok_or_else(|| invalid_request("code_challenge has 43 base64url characters"))
        }
    }
}

/// The standard scopes we know, in a fixed order; unknown ones are never granted (RFC 6749, 3.3).
fn granted_scope(asked: &str) -> String {
    let known = ["openid", "profile", "email", "offline_access", "account"];
    known
        .into_iter()
        .filter(|scope| asked.split(' ').any(|word| word == *scope))
        .collect::<Vec<_>>()
        .join(" ")
}
