//! What waits to be confirmed, and where it stands.

use std::str::FromStr;

use serde::Serialize;

use super::role::Permission;
use crate::error::{Error, Result};

/// What ends with a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Project,
    Client,
    /// Many users at once.
    Users,
}

impl What {
    const ALL: [Self; 3] = [Self::Project, Self::Client, Self::Users];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Client => "client",
            Self::Users => "users",
        }
    }

    /// What asking, confirming and cancelling take.
    pub const fn permission(self) -> Permission {
        match self {
            Self::Project => Permission::Own,
            Self::Client | Self::Users => Permission::Administer,
        }
    }
}

impl FromStr for What {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|what| what.as_str() == text);
        known.ok_or_else(|| Error::internal("an unknown kind of confirmation in the store"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Asked for; nothing has changed yet.
    Pending,
    Confirmed,
    Cancelled,
    /// Not confirmed in time, or its target was changed since.
    Expired,
}

impl State {
    const ALL: [Self; 4] = [Self::Pending, Self::Confirmed, Self::Cancelled, Self::Expired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for State {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| Error::internal("an unknown state of a confirmation in the store"))
    }
}
