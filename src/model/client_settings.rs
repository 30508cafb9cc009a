//! What an admin may set on a client, and within which bounds. Field names follow RFC 7591 where it has them.

use serde::{Deserialize, Serialize};

use super::client::ClientKind;
use super::grant_type::{self, GrantType};
use super::names::{check_label, is_audience};
use super::scope::MOST_RESOURCE_SERVERS;
use super::sign_in_policy::{FactorKind, SecondFactor};
use super::signing_key::Alg;
use super::uris::{check_return_uri, check_web_uri};
use super::validity::Validity;
use crate::error::{Error, Result};

/// OpenID Connect Core, 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    Public,
    Pairwise,
}

/// How a client proves itself (RFC 7591, 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    ClientSecretBasic,
    ClientSecretPost,
    /// RFC 7523, 2.2 (OpenID Connect Core, 9).
    PrivateKeyJwt,
    None,
}

/// What an admin may set on a client: one JSON document in the store. A member is here only if something honours it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSettings {
    pub redirect_uris: Vec<String>,
    pub grant_types: Vec<GrantType>,
    /// `None`: the header or the body, as the client likes; `none` for public clients.
    pub token_endpoint_auth_method: Option<AuthMethod>,
    /// Its public keys (RFC 7517, 5), for `private_key_jwt` and request objects.
    pub jwks: Option<serde_json::Value>,
    /// Where it publishes them instead.
    pub jwks_uri: Option<String>,
    /// The one algorithm of its assertions. `None`: any that we know.
    pub token_endpoint_auth_signing_alg: Option<Alg>,
    /// What it may exchange other clients' tokens for (RFC 8693, 2.1), beside its own audience.
    pub token_exchange_audiences: Vec<String>,
    /// Whether it may exchange what another client got in exchange.
    pub token_exchange_chain: bool,
    /// The scopes that it may ask for, separated by spaces. `None`: those of every project but `account`.
    pub scope: Option<String>,
    /// Where the application starts a sign-in of its own (OpenID Connect Core, 4).
    pub initiate_login_uri: Option<String>,
    /// Nobody is asked whether a project's own applications may see what they ask for.
    pub first_party: bool,
    /// What people are shown beside the name (RFC 7591, 2).
    pub client_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub tos_uri: Option<String>,
    /// Seconds that a sign-in may lie back where a request names no `max_age` (OpenID Connect Registration, 2).
    pub default_max_age: Option<i64>,
    /// What the client asks for beside the password, where the project asks for less.
    pub second_factor: Option<SecondFactor>,
    /// Which of the project's kinds it takes. `None`: all of them.
    pub factors: Option<Vec<FactorKind>>,
    /// Days for which it believes a remembered browser, where the project does for longer. 0: it never does.
    pub remember_device_days: Option<i64>,
    /// Whether it knows people by their ids, or by subjects of its own (OpenID Connect Core, 8).
    pub subject_type: SubjectType,
    /// The document that lists the redirect URIs of all applications which know people by the same subjects.
    pub sector_identifier_uri: Option<String>,
    pub require_pkce: bool,
    /// RFC 9126, 6.
    pub require_pushed_authorization_requests: bool,
    /// RFC 9101, 10.5.
    pub require_signed_request_object: bool,
    /// The one algorithm of its request objects. `None`: any that we know.
    pub request_object_signing_alg: Option<Alg>,
    /// RFC 9449, 5.2: its tokens are bound to a key, or there are none.
    pub dpop_bound_access_tokens: bool,
    /// Its proofs have a nonce of ours (RFC 9449, 8).
    pub require_dpop_nonce: bool,
    /// `None`: on for public clients, off for confidential ones (FAPI 2.0, 5.3.2.1).
    pub refresh_rotation: Option<bool>,
    pub refresh_retry: RefreshRetry,
    /// Seconds in which a lost refresh response may be asked for again.
    pub refresh_grace_seconds: i64,
    pub audience: Option<String>,
    /// Identifiers of the resource servers that it may ask for tokens for (RFC 8707).
    pub resource_servers: Vec<String>,
    /// Identifiers of the resource servers that it is: tokens for them are meant for it.
    pub serves: Vec<String>,
    /// OpenID Connect Registration, 2. A project has the key before a client names it.
    pub id_token_signed_response_alg: Alg,
    pub access_token_signed_response_alg: Alg,
    /// `None`: userinfo answers with JSON.
    pub userinfo_signed_response_alg: Option<Alg>,
    /// Of answers to its introspection where it asks for a signed one (RFC 9701, 6). `None`: RS256.
    pub introspection_signed_response_alg: Option<Alg>,
    /// OpenID Connect RP-Initiated Logout 1.0, 3.1.
    pub post_logout_redirect_uris: Vec<String>,
    /// Where logout tokens are posted to (OpenID Connect Back-Channel Logout 1.0, 2.2).
    pub backchannel_logout_uri: Option<String>,
    /// Every logout token has a `sid` anyway.
    pub backchannel_logout_session_required: bool,
    /// Web origins whose pages may call this project.
    pub allowed_origins: Vec<String>,
    pub validity: Validity,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            redirect_uris: Vec::new(),
            grant_types: GrantType::usual(ClientKind::Confidential),
            token_endpoint_auth_method: None,
            jwks: None,
            jwks_uri: None,
            token_endpoint_auth_signing_alg: None,
            token_exchange_audiences: Vec::new(),
            token_exchange_chain: false,
            scope: None,
            initiate_login_uri: None,
            first_party: true,
            client_uri: None,
            policy_uri: None,
            tos_uri: None,
            default_max_age: None,
            second_factor: None,
            factors: None,
            remember_device_days: None,
            subject_type: SubjectType::Public,
            sector_identifier_uri: None,
            require_pkce: true,
            require_pushed_authorization_requests: false,
            require_signed_request_object: false,
            request_object_signing_alg: None,
            dpop_bound_access_tokens: false,
            require_dpop_nonce: false,
            refresh_rotation: None,
            refresh_retry: RefreshRetry::Window,
            refresh_grace_seconds: 30,
            audience: None,
            resource_servers: Vec::new(),
            serves: Vec::new(),
            id_token_signed_response_alg: Alg::default(),
            access_token_signed_response_alg: Alg::default(),
            userinfo_signed_response_alg: None,
            introspection_signed_response_alg: None,
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            allowed_origins: Vec::new(),
            validity: Validity::default(),
        }
    }
}

const MOST_REDIRECT_URIS: usize = 20;
const MOST_AUDIENCES: usize = 20;
/// What a `max_age` may be: 32 bits.
const MOST_MAX_AGE: i64 = u32::MAX as i64;

impl ClientSettings {
    /// # Errors
    /// `invalid_request` naming the first member that is out of bounds, or that does not fit a client of this kind.
    pub fn check(&self, kind: ClientKind) -> Result<()> {
        if self.redirect_uris.len() > MOST_REDIRECT_URIS {
            let bound = format!("redirect_uris has at most {MOST_REDIRECT_URIS} entries");
            return Err(Error::invalid_field("redirect_uris", bound));
        }
        self.redirect_uris.iter().try_for_each(|uri| check_return_uri("redirect_uris", uri))?;
        self.check_pages()?;
        if self.default_max_age.is_some_and(|seconds| !(0..=MOST_MAX_AGE).contains(&seconds)) {
            let bound = format!("default_max_age must lie between 0 and {MOST_MAX_AGE}");
            return Err(Error::invalid_field("default_max_age", bound));
        }
        self.check_policy()?;
        grant_type::check(&self.grant_types, kind)?;
        if !(0..=60).contains(&self.refresh_grace_seconds) {
            let bound = "refresh_grace_seconds must lie between 0 and 60";
            return Err(Error::invalid_field("refresh_grace_seconds", bound));
        }
        if self.audience.as_deref().is_some_and(|audience| !is_audience(audience)) {
            return Err(Error::invalid_field("audience", "audience has 1 to 255 visible ASCII characters"));
        }
        let is_scope = |word: &str| SCOPES.contains(&word) || check_label(word).is_ok();
        if self.scope.as_deref().is_some_and(|scope| !scope.split(' ').all(is_scope)) {
            return Err(unknown_scope());
        }
        for (field, servers) in [("resource_servers", &self.resource_servers), ("serves", &self.serves)] {
            if servers.len() > MOST_RESOURCE_SERVERS {
                let bound = format!("{field} has at most {MOST_RESOURCE_SERVERS} entries");
                return Err(Error::invalid_field(field, bound));
            }
        }
        if !self.first_party && self.names_scope(ACCOUNT) {
            let bound = "scope names account for a first-party client only";
            return Err(Error::invalid_field("scope", bound));
        }
        self.check_sector()?;
        self.check_kind(kind)?;
        self.check_keys()?;
        self.check_exchange()?;
        self.check_places()?;
        self.validity.check()
    }

    /// `private_key_jwt` and signed requests need keys. Whether they are good is for `keys::client_keys`.
    fn check_keys(&self) -> Result<()> {
        let asserts = self.token_endpoint_auth_method == Some(AuthMethod::PrivateKeyJwt);
        let refuse = |field: &'static str, why: &'static str| Err(Error::invalid_field(field, why));
        // RFC 7591, 2: one of the two.
        match (asserts, self.jwks.is_some(), self.jwks_uri.is_some()) {
            (true, false, false) => refuse(
                "jwks",
                "jwks, or jwks_uri, has the public keys of a client with token_endpoint_auth_method private_key_jwt",
            ),
            (_, true, true) => refuse("jwks_uri", "jwks_uri is not for a client that registers jwks"),
            (false, false, false) if self.require_signed_request_object => refuse(
                "require_signed_request_object",
                "require_signed_request_object is for clients with jwks or jwks_uri",
            ),
            (false, ..) if self.token_endpoint_auth_signing_alg.is_some() => refuse(
                "token_endpoint_auth_signing_alg",
                "token_endpoint_auth_signing_alg is for token_endpoint_auth_method private_key_jwt",
            ),
            _ => self.jwks_uri.iter().try_for_each(|uri| check_web_uri("jwks_uri", uri)),
        }
    }

    fn check_exchange(&self) -> Result<()> {
        let refuse = |why: &'static str| Err(Error::invalid_field("token_exchange_audiences", why));
        let audiences = &self.token_exchange_audiences;
        if audiences.len() > MOST_AUDIENCES || !audiences.iter().all(|audience| is_audience(audience)) {
            return refuse(
                "token_exchange_audiences has at most 20 entries of 1 to 255 visible ASCII characters",
            );
        }
        if self.token_exchange_chain && !self.grant_types.contains(&GrantType::TokenExchange) {
            let bound = "token_exchange_chain is for clients with the grant of token exchange";
            return Err(Error::invalid_field("token_exchange_chain", bound));
        }
        if !audiences.is_empty() && !self.grant_types.contains(&GrantType::TokenExchange) {
            return refuse("token_exchange_audiences is for clients with the grant of token exchange");
        }
        Ok(())
    }

    fn check_pages(&self) -> Result<()> {
        for (field, uri) in [
            ("initiate_login_uri", &self.initiate_login_uri),
            ("client_uri", &self.client_uri),
            ("policy_uri", &self.policy_uri),
            ("tos_uri", &self.tos_uri),
            ("sector_identifier_uri", &self.sector_identifier_uri),
        ] {
            uri.iter().try_for_each(|uri| check_web_uri(field, uri))?;
        }
        Ok(())
    }

    fn check_sector(&self) -> Result<()> {
        if self.subject_type == SubjectType::Pairwise && self.sector().is_none() {
            let bound = "subject_type pairwise needs redirect_uris of one host, or a sector_identifier_uri";
            return Err(Error::invalid_field("subject_type", bound));
        }
        Ok(())
    }

    /// Whether nobody but the client can make its authorization requests.
    pub fn starts_alone(&self) -> bool {
        self.require_pushed_authorization_requests || self.require_signed_request_object
    }

    /// Those with whom it shares what it calls people by: the host of the sector's document, or of all redirect URIs
    /// (OpenID Connect Core, 8.1).
    pub fn sector(&self) -> Option<String> {
        let host = |uri: &String| url::Url::parse(uri).ok()?.host_str().map(str::to_owned);
        match &self.sector_identifier_uri {
            Some(uri) => host(uri),
            None => {
                let first = host(self.redirect_uris.first()?)?;
                self.redirect_uris.iter().all(|uri| host(uri).as_ref() == Some(&first)).then_some(first)
            }
        }
    }

    /// Whether the registered scope names it; one that is left out names none.
    pub fn names_scope(&self, scope: &str) -> bool {
        self.scope.as_deref().is_some_and(|registered| registered.split(' ').any(|word| word == scope))
    }

    fn check_kind(&self, kind: ClientKind) -> Result<()> {
        let without_secret = self.token_endpoint_auth_method.map(|method| method == AuthMethod::None);
        let refuse = |field: &'static str, why: &'static str| Err(Error::invalid_field(field, why));
        match kind {
            ClientKind::Confidential | ClientKind::Service if without_secret == Some(true) => {
                refuse("token_endpoint_auth_method", "token_endpoint_auth_method none is for public clients")
            }
            ClientKind::Service if !self.redirect_uris.is_empty() => {
                refuse("redirect_uris", "redirect_uris is not for a service: no browser comes back to it")
            }
            ClientKind::Service if self.initiate_login_uri.is_some() => {
                refuse("initiate_login_uri", "initiate_login_uri is not for a service: nobody signs in there")
            }
            // Whoever has its name would be the API.
            ClientKind::Public if !self.serves.is_empty() => {
                refuse("serves", "serves is for clients that prove themselves")
            }
            ClientKind::Public if without_secret == Some(false) => {
                refuse("token_endpoint_auth_method", "token_endpoint_auth_method of a public client is none")
            }
            // RFC 9700, 2.1.1.
            ClientKind::Public if !self.require_pkce => {
                refuse("require_pkce", "require_pkce of a public client is true")
            }
            // RFC 9700, 2.2.2.
            ClientKind::Public if self.refresh_rotation == Some(false) => {
                refuse("refresh_rotation", "refresh_rotation of a public client is true")
            }
            _ => Ok(()),
        }
    }
}

/// A registration that names a scope which there is not.
pub fn unknown_scope() -> Error {
    let known = SCOPES.join(" ");
    let bound = format!("scope names some of {known} and of the project's own, each separated by one space");
    Error::invalid_field("scope", bound)
}

/// The scopes of every project, in the order in which tokens name them.
pub const SCOPES: [&str; 7] = ["openid", "profile", "email", "address", "phone", "offline_access", ACCOUNT];

/// Acting on the account. Nobody but a first-party client gets it.
pub const ACCOUNT: &str = "account";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefreshRetry {
    Window,
    UntilUsed,
}
