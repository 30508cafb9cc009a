//! Custom attributes of users, as a project defines them.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::timestamp::Timestamp;

/// What an attribute may hold, who may write it, and whether access tokens carry it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, Deserialize)]
pub struct AttributeDefinition {
    pub name: String,
    /// `string`, `number`, `boolean` or `string_list`
    #[sqlx(rename = "type")]
    #[serde(rename = "type")]
    pub kind: String,
    pub description: String,
    pub user_writable: bool,
    pub in_access_token: bool,
    /// Of the value as JSON.
    pub max_bytes: i64,
    pub created_at: Timestamp,
}
