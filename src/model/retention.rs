//! How long a project keeps what it has to keep for a while.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What is not named here is kept as [`jobs::clean_up`](crate::jobs) has it, alike for all projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days that an entry of the audit log is kept, 30 to 3650, and until the next signed checkpoint; `null`: for good.
    pub audit_days: Option<i64>,
    /// Days that sign-ins, refreshes and failures are kept, 0 to 400; 0: none is noted.
    pub sign_in_events_days: i64,
    /// Days that a session is kept after its end, 1 to 31.
    pub dead_sessions_days: i64,
    /// Hours that a code is kept after its end, 1 to 24. So long a second use is found, and ends what the first one got.
    pub codes_hours: i64,
}

/// The most that any project keeps a dead session for.
pub const MOST_DEAD_SESSIONS_DAYS: i64 = 31;

/// The most that any project keeps an expired code for.
pub const MOST_CODES_HOURS: i64 = 24;

impl Default for Retention {
    fn default() -> Self {
        Self {
            audit_days: None,
            sign_in_events_days: 90,
            dead_sessions_days: MOST_DEAD_SESSIONS_DAYS,
            codes_hours: MOST_CODES_HOURS,
        }
    }
}

impl Retention {
    /// # Errors
    /// `invalid_request` naming the first setting out of bounds.
    pub fn check(&self) -> Result<()> {
        let within = |name: &str, asked: i64, least: i64, most: i64| {
            if (least..=most).contains(&asked) {
                return Ok(());
            }
            let name = format!("settings.retention.{name}");
            let bound = format!("{name} must lie between {least} and {most}");
            Err(Error::invalid_field(name, bound))
        };
        if let Some(days) = self.audit_days {
            within("audit_days", days, 30, 3650)?;
        }
        within("sign_in_events_days", self.sign_in_events_days, 0, 400)?;
        within("dead_sessions_days", self.dead_sessions_days, 1, MOST_DEAD_SESSIONS_DAYS)?;
        within("codes_hours", self.codes_hours, 1, MOST_CODES_HOURS)
    }

    /// Whether `new` lets go of the audit log sooner.
    pub fn is_audited_longer_than(&self, new: &Self) -> bool {
        let days = |retention: &Self| retention.audit_days.unwrap_or(i64::MAX);
        days(new) < days(self)
    }
}
