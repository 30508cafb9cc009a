//! Whether a project or a client serves.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    /// Switched off; may be switched on again.
    Disabled,
    /// For good: only the row stays, so that its id is never given out again.
    Deleted,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }

    /// What a PATCH may ask for: deleting is a request of its own.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn check_settable(self) -> Result<()> {
        match self {
            Self::Active | Self::Disabled => Ok(()),
            Self::Deleted => Err(Error::invalid_field("status", "status must be active or disabled")),
        }
    }
}

impl FromStr for Status {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let known = [Self::Active, Self::Disabled, Self::Deleted];
        let known = known.into_iter().find(|status| status.as_str() == text);
        known.ok_or_else(|| Error::internal("an unknown status in the store"))
    }
}
