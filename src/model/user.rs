//! A person's record in one project.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::FromRow;

use super::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::ids::UserId;

/// A user as the store holds it: lists and attributes are JSON text, resolved on the row.
#[derive(Clone, Debug, FromRow)]
pub struct UserRow {
    pub id: UserId,
    pub status: String,
    pub username: Option<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub token_epoch: i64,
    pub browser_epoch: i64,
    pub version: i64,
    pub roles: String,
    pub groups: String,
    pub attributes: String,
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
    pub attributes: BTreeMap<String, serde_json::Value>,
    pub roles: Vec<String>,
    pub groups: Vec<String>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl TryFrom<UserRow> for User {
    type Error = Error;
    fn try_from(row: UserRow) -> Result<Self> {
        Ok(Self {
            attributes: serde_json::from_str(&row.attributes).map_err(Error::internal)?,
            roles: serde_json::from_str(&row.roles).map_err(Error::internal)?,
            groups: serde_json::from_str(&row.groups).map_err(Error::internal)?,
            id: row.id,
            username: row.username,
            email: row.email,
            email_verified: row.email_verified,
            status: row.status,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
