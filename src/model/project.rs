//! A tenant, and the epoch rule that every liveness check rests on.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::ids::ProjectId;

/// A project: isolated users, clients, keys, and an issuer of its own.
#[derive(Clone, Debug, Serialize)]
pub struct Project {
    pub id: ProjectId,
    pub slug: String,
    pub name: String,
    pub kind: String,
    pub issuer: String,
    pub status: String,
    #[serde(skip)]
    pub token_epoch: i64,
    pub version: i64,
    pub settings: ProjectSettings,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What an admin may set on a project: one JSON document in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectSettings {
    /// Live token families per user and client; the longest unused ends.
    pub max_families: i64,
}

impl Default for ProjectSettings {
    fn default() -> Self {
        Self { max_families: 100 }
    }
}

/// A project as the store holds it.
#[derive(Clone, Debug, FromRow)]
pub struct ProjectRow {
    id: ProjectId,
    slug: String,
    name: String,
    kind: String,
    issuer: String,
    status: String,
    token_epoch: i64,
    version: i64,
    settings: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<ProjectRow> for Project {
    type Error = Error;
    fn try_from(row: ProjectRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            slug: row.slug,
            name: row.name,
            kind: row.kind,
            issuer: row.issuer,
            status: row.status,
            token_epoch: row.token_epoch,
            version: row.version,
            settings: serde_json::from_str(&row.settings).map_err(Error::internal)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Project {
    pub fn is_active(&self) -> bool {
        self.status == "active"
    }

    pub fn is_sandbox(&self) -> bool {
        self.kind == "sandbox"
    }
}

/// The epoch that follows `old`: it only grows, and restarts ahead of everything a restored backup may hold.
pub fn next_epoch(old: i64, now: Timestamp) -> i64 {
    now.micros().max(old.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_only_grow() {
        assert_eq!(next_epoch(5, Timestamp::from_micros(9)), 9);
        assert_eq!(next_epoch(9, Timestamp::from_micros(9)), 10);
        assert_eq!(next_epoch(90, Timestamp::from_micros(9)), 91);
    }
}
