//! An authorization request as it was understood, and the way back to who made it.

use serde::{Deserialize, Serialize};

use super::{AskedClaims, IdTokenHint, Prompt, ResponseMode};
use crate::error::{Result, refused};
use crate::ids::ClientId;
use crate::model::client::Client;
use crate::model::proven::Acr;
use crate::model::timestamp::Timestamp;
use crate::oauth::parameters::Parameters;

/// A request is at most this many bytes: proxies commonly refuse longer ones.
pub const MOST_BYTES: usize = 8192;

/// What an application asks for. It travels sealed in the pages' forms: nobody has signed in yet, so nothing is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client_id: ClientId,
    pub back: WayBack,
    pub scope: String,
    /// What was asked for, where it is not the scope.
    pub requested_scope: Option<String>,
    /// The resource servers that the tokens will be for; none: the client's own audience.
    pub resources: Vec<String>,
    pub nonce: Option<String>,
    pub code_challenge: Option<String>,
    /// The thumbprint of the key that the code is for (RFC 9449, 10).
    pub dpop_jkt: Option<String>,
    pub prompt: Prompt,
    /// Seconds that a sign-in may lie back.
    pub max_age: Option<i64>,
    pub login_hint: Option<String>,
    /// How sure the sign-in should be, in the order of preference.
    #[serde(default)]
    pub acr_values: Vec<String>,
    /// Single claims that are asked for.
    pub claims: Option<AskedClaims>,
    /// The name of the request, if it was pushed: a code uses it up.
    pub request_uri: Option<String>,
    /// The object that the client signed, if it came as one.
    #[serde(default)]
    pub request_object: Option<String>,
    /// The one person who will do.
    pub hint: Option<IdTokenHint>,
}

/// The proven redirect URI, and how the answer gets there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WayBack {
    pub redirect_uri: String,
    pub response_mode: ResponseMode,
    pub state: Option<String>,
}

impl WayBack {
    /// Of a request whose redirect URI is proven, and nothing else yet. Which of two states is meant, nobody knows.
    pub fn new(redirect_uri: String, parameters: &Parameters) -> Self {
        let state = parameters.get("state").filter(|_| !parameters.is_repeated("state"));
        let response_mode = ResponseMode::of_errors(parameters);
        Self { redirect_uri, response_mode, state: state.map(str::to_owned) }
    }
}

impl AuthorizationRequest {
    /// The `aud` of the tokens, as words.
    pub fn audience(&self, client: &Client) -> String {
        if self.resources.is_empty() { client.audience() } else { self.resources.join(" ") }
    }

    /// Whether a sign-in is young enough (OpenID Connect Core, 3.1.2.1).
    pub fn accepts_age(&self, auth_time: Timestamp, now: Timestamp) -> bool {
        self.max_age.is_none_or(|age| now < auth_time.plus_seconds(age))
    }

    /// Whether only certain people will do.
    pub fn means_somebody(&self) -> bool {
        self.hint.is_some() || self.claims.as_ref().is_some_and(|claims| claims.subjects.is_some())
    }

    /// Whether this is the person that is meant, if any one is.
    pub fn accepts_subject(&self, subject: &str) -> bool {
        let named = self.claims.as_ref().and_then(|claims| claims.subjects.as_ref());
        self.hint.as_ref().is_none_or(|hint| hint.subject == subject)
            && named.is_none_or(|subjects| subjects.iter().any(|known| known == subject))
    }

    /// The values of `acr` one of which is needed (OpenID Connect Core, 5.5.1.1).
    fn essential_acrs(&self) -> Option<&Vec<String>> {
        self.claims.as_ref().and_then(|claims| claims.acrs.as_ref())
    }

    /// Those that are asked for, the one that is liked most first.
    fn wished_acrs(&self) -> impl Iterator<Item = &String> {
        self.acr_values.iter().chain(self.claims.iter().flat_map(|claims| &claims.wished_acrs))
    }

    /// What a sign-in has to be worth at least: of several values any one will do.
    pub fn least_acr(&self) -> Acr {
        let values = self.essential_acrs().into_iter().flatten();
        values.filter_map(|value| Acr::named(value)).min().unwrap_or(Acr::One)
    }

    /// What it should be worth, if the person gets there.
    pub fn wished_acr(&self) -> Acr {
        self.wished_acrs().find_map(|value| Acr::named(value)).unwrap_or(Acr::One)
    }

    /// The `acr` of the tokens: one of the values that were asked for, if the sign-in is good for any of them.
    pub fn shown_acr(&self, of_sign_in: &str) -> String {
        let Some(worth) = Acr::named(of_sign_in) else { return of_sign_in.to_owned() };
        let asked: Vec<&String> = match self.essential_acrs() {
            Some(essential) => essential.iter().collect(),
            None => self.wished_acrs().collect(),
        };
        let known = asked.into_iter().filter_map(|value| Acr::named(value)).filter(|value| *value <= worth);
        known.max().unwrap_or(worth).as_str().to_owned()
    }

    /// The parameters again, for a link that makes the same request.
    pub fn to_query(&self) -> String {
        for (name, whole) in [("request_uri", &self.request_uri), ("request", &self.request_object)] {
            if let Some(whole) = whole {
                return url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("client_id", &self.client_id.to_string())
                    .append_pair(name, whole)
                    .finish();
            }
        }
        let (max_age, prompt) = (self.max_age.map(|seconds| seconds.to_string()), self.prompt.to_text());
        let acr_values = (!self.acr_values.is_empty()).then(|| self.acr_values.join(" "));
        let mode = (self.back.response_mode != ResponseMode::Query).then(|| self.back.response_mode.as_str());
        let optional = [
            ("response_mode", mode),
            ("state", self.back.state.as_deref()),
            ("nonce", self.nonce.as_deref()),
            ("code_challenge", self.code_challenge.as_deref()),
            ("code_challenge_method", self.code_challenge.as_ref().map(|_| "S256")),
            ("dpop_jkt", self.dpop_jkt.as_deref()),
            ("login_hint", self.login_hint.as_deref()),
            ("acr_values", acr_values.as_deref()),
            ("claims", self.claims.as_ref().map(|claims| claims.text.as_str())),
            ("id_token_hint", self.hint.as_ref().map(|hint| hint.token.as_str())),
            ("prompt", Some(prompt.as_str()).filter(|prompt| !prompt.is_empty())),
            ("max_age", max_age.as_deref()),
        ];
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id.to_string())
            .append_pair("redirect_uri", &self.back.redirect_uri)
            .append_pair("scope", self.requested_scope.as_deref().unwrap_or(&self.scope))
            .extend_pairs(self.resources.iter().map(|resource| ("resource", resource)))
            .extend_pairs(optional.iter().filter_map(|(name, value)| value.map(|value| (name, value))))
            .finish()
    }
}

/// # Errors
/// A request that is too long or not UTF-8. Nobody is proven yet, so the text is for the person.
pub fn parse(text: &str) -> Result<Parameters> {
    if text.len() > MOST_BYTES {
        return Err(refused(|t| &t.errors.request_long));
    }
    Parameters::parse(text).ok_or_else(|| refused(|t| &t.errors.request_not_text))
}
