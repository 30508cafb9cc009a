//! How long the tokens of a client live.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Lifetimes in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    pub access_token: i64,
    pub id_token: i64,
    pub refresh_token: i64,
    pub refresh_idle: i64,
}

impl Default for Validity {
    fn default() -> Self {
        Self { access_token: 3600, id_token: 3600, refresh_token: 30 * 86_400, refresh_idle: 30 * 86_400 }
    }
}

impl Validity {
    /// Access and ID tokens 5 minutes to 24 hours, refresh tokens 1 hour to 30 days.
    ///
    /// # Errors
    /// `invalid_request` naming the first field out of bounds.
    pub fn check(&self) -> Result<()> {
        let bounds = [
            ("access_token", self.access_token, 300, 86_400, "5 minutes and 24 hours"),
            ("id_token", self.id_token, 300, 86_400, "5 minutes and 24 hours"),
            ("refresh_token", self.refresh_token, 3600, 2_592_000, "1 hour and 30 days"),
            ("refresh_idle", self.refresh_idle, 3600, 2_592_000, "1 hour and 30 days"),
        ];
        for (field, value, least, most, words) in bounds {
            if !(least..=most).contains(&value) {
                return Err(Error::invalid_field(field, format!("{field} must lie between {words}")));
            }
        }
        Ok(())
    }
}
