//! An application registered in a project. Field names follow RFC 7591 where it has them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx::FromRow;

pub use super::client_settings::{
    ACCOUNT, AuthMethod, ClientSettings, RefreshRetry, SCOPES, SubjectType, unknown_scope,
};
pub use super::grant_type::GrantType;
use super::status::Status;
use super::timestamp::Timestamp;
use super::token::Audience;
use crate::error::{Error, Result};
use crate::ids::ClientId;

/// Whether the application can keep a secret (RFC 6749, 2.1). Fixed when it is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    Confidential,
    Public,
    /// A program without people: it acts in its own name, or for whoever called it.
    Service,
}

impl ClientKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confidential => "confidential",
            Self::Public => "public",
            Self::Service => "service",
        }
    }
}

impl FromStr for ClientKind {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let known =
            [Self::Confidential, Self::Public, Self::Service].into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| Error::invalid_field("type", "type must be confidential, public or service"))
    }
}
/// A client as the store holds it.
#[derive(Clone, Debug, FromRow)]
pub struct ClientRow {
    pub id: ClientId,
    pub client_name: String,
    #[sqlx(rename = "type")]
    pub kind: String,
    pub status: String,
    pub token_epoch: i64,
    pub version: i64,
    pub shortened_in: i64,
    pub settings: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A client with its settings read.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: ClientId,
    pub name: String,
    pub kind: ClientKind,
    pub status: Status,
    pub token_epoch: i64,
    pub version: i64,
    /// The version that shortened the lifetimes last; 0: none has.
    pub shortened_in: i64,
    pub settings: ClientSettings,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl TryFrom<ClientRow> for Client {
    type Error = Error;
    fn try_from(row: ClientRow) -> Result<Self> {
        let settings = serde_json::from_str(&row.settings).map_err(Error::internal)?;
        Ok(Self {
            id: row.id,
            name: row.client_name,
            kind: row.kind.parse().map_err(Error::internal)?,
            status: row.status.parse()?,
            token_epoch: row.token_epoch,
            version: row.version,
            shortened_in: row.shortened_in,
            settings,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Client {
    pub fn is_public(&self) -> bool {
        self.kind == ClientKind::Public
    }

    /// Whether it proves itself by a secret that we made.
    pub fn has_secret(&self) -> bool {
        !self.is_public() && self.settings.token_endpoint_auth_method != Some(AuthMethod::PrivateKeyJwt)
    }

    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// Whether it is registered for the grant.
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.settings.grant_types.contains(&grant)
    }

    /// Exact string comparison, nothing else (RFC 9700, 4.1.3).
    pub fn allows_redirect(&self, uri: &str) -> bool {
        self.settings.redirect_uris.iter().any(|registered| registered == uri)
    }

    /// Whether its registration names the scope, or none at all. [`ACCOUNT`] has to be named, by a first-party client, and
    /// scopes of the project's own have to be.
    pub fn may_ask_for(&self, scope: &str) -> bool {
        let named = self.settings.names_scope(scope);
        match scope {
            ACCOUNT => named && self.settings.first_party,
            // What a project defines may be worth a lot, so that nobody gets it unnamed.
            _ => named || (self.settings.scope.is_none() && SCOPES.contains(&scope)),
        }
    }

    /// What it may ask for of a scope that it was to get: its registration may have changed since.
    pub fn allowed_scope(&self, scope: &str) -> String {
        scope.split(' ').filter(|word| self.may_ask_for(word)).collect::<Vec<_>>().join(" ")
    }

    /// Public clients always prove possession of the code's verifier (RFC 9700, 2.1.1).
    pub fn requires_pkce(&self) -> bool {
        self.is_public() || self.settings.require_pkce
    }

    pub fn rotates_refresh_tokens(&self) -> bool {
        self.settings.refresh_rotation.unwrap_or_else(|| self.is_public())
    }

    /// Whether a token is meant for it: as itself, or as a resource server that it is. What it may ask for tokens for is
    /// somebody else.
    pub fn is_meant_by(&self, audience: &Audience) -> bool {
        let own = [self.id.to_string(), self.audience()];
        own.iter().chain(&self.settings.serves).any(|name| audience.has(name))
    }

    /// The `aud` of its access tokens (RFC 9068, 2.2).
    pub fn audience(&self) -> String {
        self.settings.audience.clone().unwrap_or_else(|| self.id.to_string())
    }
}
