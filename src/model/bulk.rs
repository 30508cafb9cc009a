//! The deletion of many users at once: where it stands, and what becomes of each of them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its users are being looked up; nobody knows of it yet.
    Gathering,
    /// Asked for; nothing has changed yet.
    Pending,
    /// Confirmed; a job deletes one user after the other.
    Running,
    Done,
    /// What is done is done; nobody else is deleted.
    Cancelled,
    /// Not confirmed in time.
    Expired,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Gathering, Self::Pending, Self::Running, Self::Done, Self::Cancelled, Self::Expired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gathering => "gathering",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for State {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| Error::internal("an unknown state of a deletion of many in the store"))
    }
}

/// What has become of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Executed,
    /// Disabled until the restore window ends.
    Scheduled,
    /// Kept: the record must be.
    LegalHold,
    /// Kept: protected against mistakes.
    DeletionProtection,
    /// Kept: changed since the request.
    Changed,
    /// Kept: somebody else's deletion of the user is open.
    Open,
    /// There is no such user, or no longer.
    NotFound,
    /// Something went wrong on our side, again and again.
    Failed,
}

impl Outcome {
    pub const ALL: [Self; 8] = [
        Self::Executed,
        Self::Scheduled,
        Self::LegalHold,
        Self::DeletionProtection,
        Self::Changed,
        Self::Open,
        Self::NotFound,
        Self::Failed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Scheduled => "scheduled",
            Self::LegalHold => "legal_hold",
            Self::DeletionProtection => "deletion_protection",
            Self::Changed => "changed",
            Self::Open => "open",
            Self::NotFound => "not_found",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for Outcome {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|outcome| outcome.as_str() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid_field("outcome", format!("outcome is one of {names}"))
        })
    }
}
