//! What tokens say, and the family they descend from.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::timestamp::Timestamp;
use crate::ids::{BrowserSessionId, ClientId, FamilyId, UserId};

/// The claims of an access token (RFC 9068, 2.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessClaims {
    pub iss: String,
    pub sub: String,
    pub aud: Audience,
    pub client_id: String,
    pub exp: i64,
    pub iat: i64,
    pub jti: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// The session that it belongs to; a machine's token has none.
    #[serde(flatten)]
    pub session: Option<SessionClaims>,
    /// Of project and client, where the client acts in its own name: with what it got in exchange for a session's token
    /// (RFC 8693), or for its credentials. Such a token ends with the client, and may be revoked alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<[i64; 2]>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sandbox: bool,
    /// The key that the token is bound to (RFC 9449, 6.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Who acts for the subject (RFC 8693, 4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// The tokens that it was got with, beside the session's: it dies with each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<Link>,
    /// Those whose definition says so.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

/// An actor, and who acted before (RFC 8693, 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Act>>,
}

/// A token of a client's own name in a chain of exchanges.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Link {
    pub client_id: ClientId,
    /// Of the client when it was given.
    pub epoch: i64,
    pub jti: String,
}

/// What an access token says of the session and its user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionClaims {
    pub sid: String,
    pub auth_time: i64,
    pub acr: String,
    pub amr: Vec<String>,
    /// Of a user whom an application of others may not see so far, these three say nothing.
    #[serde(default)]
    pub roles: Vec<String>,
    #[serde(default)]
    pub groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_version: Option<i64>,
}

/// Whom a token is for: one text, or a list of them (RFC 7519, 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    /// From words that stand one space apart.
    pub fn of_words(words: &str) -> Self {
        match words.contains(' ') {
            true => Self::Many(words.split(' ').map(str::to_owned).collect()),
            false => Self::One(words.to_owned()),
        }
    }

    pub fn words(&self) -> impl Iterator<Item = &str> {
        let words = match self {
            Self::One(known) => std::slice::from_ref(known),
            Self::Many(known) => known.as_slice(),
        };
        words.iter().map(String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::One(known) => known == name,
            Self::Many(known) => known.iter().any(|known| known == name),
        }
    }
}

/// RFC 7800, 3.1 and RFC 9449, 6.1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confirmation {
    pub jkt: String,
}

/// The claims of an ID token (OpenID Connect Core, 2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdClaims {
    pub iss: String,
    pub sub: String,
    pub aud: String,
    pub exp: i64,
    pub iat: i64,
    pub auth_time: i64,
    pub sid: String,
    pub acr: String,
    pub amr: Vec<String>,
    pub at_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The project is a sandbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sandbox: bool,
    /// Claims of the person that were asked for one by one.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// A token family beside today's epochs and states: all that liveness needs, from one statement.
#[derive(Clone, Debug, FromRow)]
pub struct Family {
    pub id: FamilyId,
    pub client_id: ClientId,
    /// The version of the client whose settings its lifetimes were judged by.
    pub client_version: i64,
    pub user_id: UserId,
    pub browser_session_id: Option<BrowserSessionId>,
    pub scope: String,
    /// What was asked for, where it is not the scope.
    pub requested_scope: Option<String>,
    /// Words, each a resource server or the client's own.
    pub audience: String,
    /// Whether they are resource servers that the client asked for.
    pub for_resources: bool,
    /// What was asked for beyond the scope: a JSON document.
    pub claims: Option<String>,
    /// Whether the client was the project's own when it was granted.
    pub first_party: bool,
    /// The project's version when the person's permission was judged.
    pub scopes_as_of: i64,
    /// The `sub` by which the client knows the user; `None`: the user's id.
    pub subject: Option<String>,
    pub auth_time: Timestamp,
    pub amr: String,
    pub acr: String,
    /// The thumbprint of the key that tokens are bound to (RFC 9449, 6).
    pub cnf_jkt: Option<String>,
    pub seq: i64,
    pub prev_seq: Option<i64>,
    pub rotated_at: Timestamp,
    pub mac_key_id: String,
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub project_epoch: i64,
    pub client_epoch: i64,
    pub user_epoch: i64,
    pub user_status: String,
    pub user_token_epoch: i64,
    pub user_version: i64,
    pub username: Option<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub profile: String,
    pub roles: String,
    pub groups: String,
    pub attributes: String,
    pub user_updated_at: Timestamp,
    pub client_status: String,
    pub client_token_epoch: i64,
    /// Whether it is the project's own now.
    pub client_first_party: bool,
    pub project_status: String,
    pub project_token_epoch: i64,
}

/// Why a family no longer lives, in the order in which faults are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    ProjectDisabled,
    ClientDisabled,
    ClientDeleted,
    UserDisabled,
    UserDeleted,
    SessionRevoked,
    TokenRevoked,
    SessionExpired,
    SignedOut,
}

impl Ended {
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ProjectDisabled => "project_disabled",
            Self::ClientDisabled => "client_disabled",
            Self::ClientDeleted => "client_deleted",
            Self::UserDisabled => "user_disabled",
            Self::UserDeleted => "user_deleted",
            Self::SessionRevoked => "session_revoked",
            Self::TokenRevoked => "token_revoked",
            Self::SessionExpired => "session_expired",
            Self::SignedOut => "signed_out",
        }
    }
}

/// What it depends on whether a session lives.
#[derive(Clone, Copy, Debug)]
pub struct Vitals<'a> {
    pub project_status: &'a str,
    pub client_status: &'a str,
    pub user_status: &'a str,
    pub revoked: bool,
    /// The one token that is judged was revoked by itself.
    pub token_revoked: bool,
    pub expired: bool,
    /// Its epochs equal today's.
    pub same_epochs: bool,
}

impl<'a> Vitals<'a> {
    /// As far as a project alone says.
    pub fn of_project(project_status: &'a str) -> Self {
        Self {
            project_status,
            client_status: "active",
            user_status: "active",
            revoked: false,
            token_revoked: false,
            expired: false,
            same_epochs: true,
        }
    }

    /// A client has to live as well: the one that acts.
    #[must_use]
    pub fn with_client(self, status: &'a str, same_epochs: bool) -> Self {
        let client_status = if self.client_status == "active" { status } else { self.client_status };
        Self { client_status, same_epochs: self.same_epochs && same_epochs, ..self }
    }

    /// Why it no longer lives: the first fault.
    pub fn ended(self) -> Option<Ended> {
        let ended = match (self.project_status, self.client_status, self.user_status) {
            ("active", "active", "active") => None,
            ("active", "active", "deleted") => Some(Ended::UserDeleted),
            ("active", "active", _) => Some(Ended::UserDisabled),
            ("active", "deleted", _) => Some(Ended::ClientDeleted),
            ("active", _, _) => Some(Ended::ClientDisabled),
            _ => Some(Ended::ProjectDisabled),
        };
        ended
            .or(self.revoked.then_some(Ended::SessionRevoked))
            .or(self.token_revoked.then_some(Ended::TokenRevoked))
            .or(self.expired.then_some(Ended::SessionExpired))
            .or((!self.same_epochs).then_some(Ended::SignedOut))
    }
}

impl Family {
    /// The `sub` of its tokens.
    pub fn subject(&self) -> String {
        self.subject.clone().unwrap_or_else(|| self.user_id.to_string())
    }

    /// `None` for one of the project's own applications, which nobody was asked for. Otherwise the version of the project
    /// that the person allowed its scopes in.
    pub fn allowed_as_of(&self) -> Option<i64> {
        let is_own = self.first_party && self.client_first_party;
        (!is_own).then_some(self.scopes_as_of)
    }

    /// Alive when project, client and user are active, it is neither revoked nor expired, and its epochs equal today's.
    pub fn ended(&self, now: Timestamp) -> Option<Ended> {
        self.vitals(now).ended()
    }

    pub fn vitals(&self, now: Timestamp) -> Vitals<'_> {
        Vitals {
            project_status: &self.project_status,
            client_status: &self.client_status,
            user_status: &self.user_status,
            revoked: self.revoked_at.is_some(),
            token_revoked: false,
            expired: now >= self.expires_at || now >= self.idle_expires_at,
            same_epochs: self.project_epoch == self.project_token_epoch
                && self.client_epoch == self.client_token_epoch
                && self.user_epoch == self.user_token_epoch,
        }
    }
}
