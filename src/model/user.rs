//! A person's record in one project.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::FromRow;

use super::profile::Profile;
use super::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::ids::UserId;

/// Whether a person may sign in. A deleted one is no longer shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    Active,
    Disabled,
}

impl UserStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

impl FromStr for UserStatus {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "active" => Ok(Self::Active),
            "disabled" => Ok(Self::Disabled),
            _ => Err(Error::invalid_field("status", "status is active or disabled")),
        }
    }
}

/// A user as the store holds it: lists, attributes and profile are JSON text, resolved on the row.
#[derive(Clone, Debug, FromRow)]
pub struct UserRow {
    pub id: UserId,
    pub status: String,
    pub username: Option<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub profile: String,
    pub token_epoch: i64,
    pub browser_epoch: i64,
    pub version: i64,
    pub roles: String,
    pub groups: String,
    pub attributes: String,
    pub last_sign_in_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A user as the API shows one.
#[derive(Clone, Debug, Serialize)]
pub struct User {
    pub id: UserId,
    pub username: Option<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub status: String,
    #[serde(flatten)]
    pub profile: Profile,
    pub attributes: Map<String, Value>,
    pub roles: Vec<String>,
    pub groups: Vec<String>,
    pub version: i64,
    pub last_sign_in_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl TryFrom<UserRow> for User {
    type Error = Error;
    fn try_from(row: UserRow) -> Result<Self> {
        Ok(Self {
            profile: Profile::parse(&row.profile)?,
            attributes: serde_json::from_str(&row.attributes).map_err(Error::internal)?,
            roles: serde_json::from_str(&row.roles).map_err(Error::internal)?,
            groups: serde_json::from_str(&row.groups).map_err(Error::internal)?,
            id: row.id,
            username: row.username,
            email: row.email,
            email_verified: row.email_verified,
            status: row.status,
            version: row.version,
            last_sign_in_at: row.last_sign_in_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
