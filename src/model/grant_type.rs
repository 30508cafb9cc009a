//! What a client gets tokens for (RFC 7591, 2), and which kind of client may.

use serde::{Deserialize, Serialize};

use super::client::ClientKind;
use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
    /// RFC 6749, 4.4.
    ClientCredentials,
    /// RFC 8693.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
    /// RFC 8628.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
}

impl GrantType {
    pub const ALL: [Self; 5] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::TokenExchange,
        Self::DeviceCode,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
        }
    }

    /// The grant type of that exact name.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text)
    }

    /// What a client of this kind may be registered for.
    pub const fn of_kind(kind: ClientKind) -> &'static [Self] {
        match kind {
            ClientKind::Confidential => &Self::ALL,
            ClientKind::Public => &[Self::AuthorizationCode, Self::RefreshToken, Self::DeviceCode],
            ClientKind::Service => &[Self::ClientCredentials, Self::TokenExchange],
        }
    }

    /// What a client of this kind is registered for when nobody says.
    pub fn usual(kind: ClientKind) -> Vec<Self> {
        match kind {
            ClientKind::Confidential | ClientKind::Public => {
                vec![Self::AuthorizationCode, Self::RefreshToken]
            }
            ClientKind::Service => vec![Self::ClientCredentials],
        }
    }

    /// Whether it begins a session, which a refresh token renews.
    const fn begins_session(self) -> bool {
        matches!(self, Self::AuthorizationCode | Self::DeviceCode)
    }
}

/// Whether a client of this kind may be registered for these.
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn check(grants: &[GrantType], kind: ClientKind) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid_field("grant_types", why));
    if grants.is_empty() || grants.iter().enumerate().any(|(i, grant)| grants[..i].contains(grant)) {
        return refuse("grant_types names at least one, and each once".into());
    }
    let allowed = GrantType::of_kind(kind);
    if !grants.iter().all(|grant| allowed.contains(grant)) {
        let names: Vec<&str> = allowed.iter().map(|grant| grant.as_str()).collect();
        return refuse(format!("grant_types of a {} client are {}", kind.as_str(), names.join(", ")));
    }
    if grants.contains(&GrantType::RefreshToken) && !grants.iter().any(|grant| grant.begins_session()) {
        return refuse("grant_types with refresh_token has a grant that begins a session".into());
    }
    Ok(())
}
