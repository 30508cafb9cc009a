//! Checks of an authorization request, in the order that keeps redirects safe: client, redirect URI, then the rest.

use serde::{Deserialize, Serialize};

use super::parameters::Parameters;
use crate::app::Ctx;
use crate::error::{Code, Error, Result, invalid_request, invalid_scope};
use crate::ids::ClientId;
use crate::model::client::{ACCOUNT, Client, SCOPES};
use crate::model::timestamp::Timestamp;
use crate::store::clients;

/// A request is at most this many bytes: proxies commonly refuse longer ones.
const MOST_BYTES: usize = 8192;

/// A scope that was asked for is kept up to this many bytes.
const MOST_SCOPE_BYTES: usize = 1024;

/// What an application asks for. It travels sealed in the sign-in form: nobody has signed in yet, so nothing is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client_id: ClientId,
    pub redirect_uri: String,
    pub scope: String,
    /// What was asked for, where it is not the scope.
    pub requested_scope: Option<String>,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub code_challenge: Option<String>,
    pub prompt: Prompt,
    /// Seconds that a sign-in may lie back.
    pub max_age: Option<i64>,
    pub login_hint: Option<String>,
}

/// Whether the person is to be asked (OpenID Connect Core, 3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prompt {
    WhenNeeded,
    Never,
    Always,
}

impl AuthorizationRequest {
    /// Whether a browser that signed in at `auth_time` may go on without being asked.
    pub fn accepts(&self, auth_time: Timestamp, now: Timestamp) -> bool {
        self.prompt != Prompt::Always && self.max_age.is_none_or(|age| now < auth_time.plus_seconds(age))
    }

    /// The parameters again, for a link that makes the same request.
    pub fn to_query(&self) -> String {
        let max_age = self.max_age.map(|seconds| seconds.to_string());
        let prompt = match self.prompt {
            Prompt::WhenNeeded => None,
            Prompt::Never => Some("none"),
            Prompt::Always => Some("login"),
        };
        let optional = [
            ("state", self.state.as_deref()),
            ("nonce", self.nonce.as_deref()),
            ("code_challenge", self.code_challenge.as_deref()),
            ("code_challenge_method", self.code_challenge.as_ref().map(|_| "S256")),
            ("prompt", prompt),
            ("max_age", max_age.as_deref()),
            ("login_hint", self.login_hint.as_deref()),
        ];
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id.to_string())
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", self.requested_scope.as_deref().unwrap_or(&self.scope))
            .extend_pairs(optional.iter().filter_map(|(name, value)| value.map(|value| (name, value))))
            .finish()
    }
}

/// # Errors
/// A request that is too long or not UTF-8. Nobody is proven yet, so the text is for the person.
pub fn parse(text: &str) -> Result<Parameters> {
    if text.len() > MOST_BYTES {
        return Err(invalid_request("The application's request is longer than 8192 bytes."));
    }
    Parameters::parse(text).ok_or_else(|| invalid_request("The application's request is not UTF-8."))
}

/// The active client that the request names.
pub async fn find_client(ctx: &Ctx, parameters: &Parameters) -> Result<Client> {
    if parameters.is_repeated("client_id") {
        return Err(invalid_request("The application named itself twice."));
    }
    let id = parameters.get("client_id").and_then(|id| id.parse().ok()).ok_or_else(unknown_client)?;
    active_client(ctx, id).await
}

pub async fn active_client(ctx: &Ctx, id: ClientId) -> Result<Client> {
    let found = ctx.app.db.read(|conn| async move { clients::find(&conn, ctx.project.id, id).await }).await?;
    found.filter(Client::is_active).ok_or_else(unknown_client)
}

fn unknown_client() -> Error {
    invalid_request("This application is not known here.")
}

/// Proves the redirect URI. Until this has passed, errors are shown on a page and never redirected.
pub fn check_redirect_uri(client: &Client, parameters: &Parameters) -> Result<String> {
    if parameters.is_repeated("redirect_uri") {
        return Err(invalid_request("The application gave two addresses to return to."));
    }
    let uri = match (parameters.get("redirect_uri"), client.settings.redirect_uris.as_slice()) {
        (Some(uri), _) => uri,
        (None, [only]) => only,
        (None, _) => return Err(invalid_request("The application did not say where to return to.")),
    };
    if client.allows_redirect(uri) {
        return Ok(uri.to_owned());
    }
    Err(invalid_request("The application asked to return to an address that is not registered."))
}

/// Everything else; errors from here on are redirected to the proven URI.
pub fn check(client: &Client, redirect_uri: &str, parameters: &Parameters) -> Result<AuthorizationRequest> {
    if parameters.repeated().is_some() {
        return Err(invalid_request("a parameter is given twice"));
    }
    check_response_type(parameters)?;
    check_unsupported(parameters)?;
    let asked = parameters.get("scope").unwrap_or("openid");
    let scope = granted_scope(client, asked)?;
    let nonce = parameters.get("nonce");
    if nonce.is_some_and(|nonce| nonce.chars().any(char::is_control)) {
        return Err(invalid_request("nonce has no control characters"));
    }
    Ok(AuthorizationRequest {
        client_id: client.id,
        redirect_uri: redirect_uri.to_owned(),
        requested_scope: requested_scope(asked, &scope),
        scope,
        state: parameters.get("state").map(str::to_owned),
        nonce: nonce.map(str::to_owned),
        code_challenge: check_pkce(client, parameters)?,
        prompt: check_prompt(parameters)?,
        max_age: check_max_age(parameters)?,
        login_hint: parameters.get("login_hint").map(str::to_owned),
    })
}

fn check_response_type(parameters: &Parameters) -> Result<()> {
    match parameters.get("response_type") {
        Some("code") => {}
        Some(_) => {
            return Err(Error::new(Code::UnsupportedResponseType, "only response_type=code is supported"));
        }
        None => return Err(invalid_request("response_type is missing")),
    }
    match parameters.get("response_mode") {
        None | Some("query") => Ok(()),
        Some(_) => Err(invalid_request("only response_mode=query is supported")),
    }
}

/// What would change the request's meaning is refused, never ignored (OpenID Connect Core, 3.1.2.6).
fn check_unsupported(parameters: &Parameters) -> Result<()> {
    let refused = [
        ("request", Code::RequestNotSupported, "request objects are not supported"),
        ("request_uri", Code::RequestUriNotSupported, "request_uri is not supported"),
        ("registration", Code::RegistrationNotSupported, "registration is not supported"),
    ];
    match refused.into_iter().find(|(name, ..)| parameters.get(name).is_some()) {
        Some((_, code, description)) => Err(Error::new(code, description)),
        None => Ok(()),
    }
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

/// OpenID Connect Core, 3.1.2.1. We ask for no consent apart from the sign-in, so `consent` asks for that.
pub fn check_prompt(parameters: &Parameters) -> Result<Prompt> {
    let words: Vec<&str> = parameters.get("prompt").unwrap_or_default().split_ascii_whitespace().collect();
    match words[..] {
        [] => Ok(Prompt::WhenNeeded),
        ["none"] => Ok(Prompt::Never),
        _ if words.contains(&"none") => Err(invalid_request("prompt=none stands alone")),
        _ if words.iter().all(|word| matches!(*word, "login" | "select_account" | "consent")) => {
            Ok(Prompt::Always)
        }
        _ => Err(invalid_request("prompt is none, login, select_account or consent")),
    }
}

/// Seconds; 0 asks again (OpenID Connect Core, 3.1.2.1).
fn check_max_age(parameters: &Parameters) -> Result<Option<i64>> {
    let Some(text) = parameters.get("max_age") else { return Ok(None) };
    let seconds = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    seconds
        .map(|seconds| Some(i64::from(seconds)))
        .ok_or_else(|| invalid_request("max_age is a number of seconds from 0 to 4294967295"))
}

/// The scopes that we know and the client may ask for, in a fixed order; others are never granted (RFC 6749, 3.3).
///
/// # Errors
/// `invalid_scope` when somebody else's application asks to act on the account: it would wait for that in vain.
fn granted_scope(client: &Client, asked: &str) -> Result<String> {
    let asks_for = |scope: &str| asked.split(' ').any(|word| word == scope);
    if asks_for(ACCOUNT) && !client.settings.first_party {
        return Err(invalid_scope("the scope account is for first-party clients"));
    }
    let granted = SCOPES.into_iter().filter(|scope| asks_for(scope) && client.may_ask_for(scope));
    Ok(granted.collect::<Vec<_>>().join(" "))
}

/// What is kept of a scope that was not granted as it was asked for. A client may repeat it at a refresh.
fn requested_scope(asked: &str, granted: &str) -> Option<String> {
    // RFC 6749, 3.3: the characters of a scope.
    let is_scope = |word: &&str| word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    let asked = asked.split_ascii_whitespace().filter(is_scope).collect::<Vec<_>>().join(" ");
    (asked != granted && asked.len() <= MOST_SCOPE_BYTES).then_some(asked)
}
