//! A tenant, and the epoch rule that every liveness check rests on.

use serde::Serialize;
use sqlx::FromRow;

use super::timestamp::Timestamp;
use crate::ids::ProjectId;

/// A project: isolated users, clients, keys, and an issuer of its own.
#[derive(Clone, Debug, FromRow, Serialize)]
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
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
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
