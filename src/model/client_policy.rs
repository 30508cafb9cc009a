//! What a client tightens of its project's policy: it asks for more, takes fewer kinds of second factors, and believes browsers
//! for fewer days. It never loosens anything, also when the project is changed later.

use super::client_settings::ClientSettings;
use super::proven::Proven;
use super::sign_in_policy::{FactorKind, SecondFactor, SignInPolicy};
use crate::error::{Error, Result};

/// What holds at one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPolicy {
    pub second_factor: SecondFactor,
    pub factors: Vec<FactorKind>,
    pub remember_device_days: i64,
    /// Kinds that count in the project and not here.
    pub refused: Vec<FactorKind>,
    /// Whether anything but `second_factor` is stricter than in the project.
    pub is_narrower: bool,
}

impl SignInPolicy {
    pub fn at(&self, client: Option<&ClientSettings>) -> ClientPolicy {
        let own = client.and_then(|client| client.second_factor);
        let takes = |kind: &FactorKind| {
            client.and_then(|client| client.factors.as_ref()).is_none_or(|kinds| kinds.contains(kind))
        };
        let (factors, refused): (Vec<_>, Vec<_>) = self.factors.iter().copied().partition(takes);
        let days = client.and_then(|client| client.remember_device_days);
        let remember_device_days = days.unwrap_or(i64::MAX).min(self.remember_device_days);
        ClientPolicy {
            second_factor: own.map_or(self.second_factor, |own| own.max(self.second_factor)),
            is_narrower: !refused.is_empty() || remember_device_days < self.remember_device_days,
            factors,
            remember_device_days,
            refused,
        }
    }
}

impl ClientPolicy {
    /// What of it counts here. A passkey is the strongest there is, and counts everywhere.
    pub fn counted(&self, proven: Proven) -> Proven {
        if self.refused.is_empty() { proven } else { proven.without_codes_of(&self.refused) }
    }
}

impl ClientSettings {
    /// # Errors
    /// `invalid_request` naming the member that loosens something, or that leaves nobody a way.
    pub fn check_policy(&self) -> Result<()> {
        if self.second_factor == Some(SecondFactor::Off) {
            let bound = "second_factor is optional, required, or left out: a client asks for no less than its project";
            return Err(Error::invalid_field("second_factor", bound));
        }
        if self.remember_device_days.is_some_and(|days| !(0..=90).contains(&days)) {
            let bound = "remember_device_days must lie between 0 and 90";
            return Err(Error::invalid_field("remember_device_days", bound));
        }
        let Some(kinds) = &self.factors else { return Ok(()) };
        let mut known = kinds.clone();
        known.sort_unstable();
        known.dedup();
        if known.len() != kinds.len() || kinds.is_empty() {
            let bound = "factors names one kind at least, and each once";
            return Err(Error::invalid_field("factors", bound));
        }
        Ok(())
    }

    /// The same beside what the project says now. What was there before stays as it is: it may have been narrowed since.
    ///
    /// # Errors
    /// `invalid_request` naming the member that would be wider than the project's.
    pub fn check_within(&self, policy: &SignInPolicy, old: &Self) -> Result<()> {
        let kinds = self.factors.as_ref().filter(|_| self.factors != old.factors);
        if kinds.is_some_and(|kinds| !kinds.iter().all(|kind| policy.counts(*kind))) {
            let bound = "factors names kinds that count in the project (settings.sign_in.factors)";
            return Err(Error::invalid_field("factors", bound));
        }
        let days =
            self.remember_device_days.filter(|_| self.remember_device_days != old.remember_device_days);
        if days.is_some_and(|days| days > policy.remember_device_days) {
            let bound =
                "remember_device_days is at most the project's (settings.sign_in.remember_device_days)";
            return Err(Error::invalid_field("remember_device_days", bound));
        }
        Ok(())
    }

    /// The settings by which the client lets people in with less than before, for whoever reads the audit log.
    pub fn weakened_by(&self, new: &Self, policy: &SignInPolicy) -> Vec<&'static str> {
        let (old, now) = (policy.at(Some(self)), policy.at(Some(new)));
        [
            ("second_factor", new.second_factor < self.second_factor),
            ("factors", now.factors.iter().any(|kind| !old.factors.contains(kind))),
            ("remember_device_days", now.remember_device_days > old.remember_device_days),
        ]
        .into_iter()
        .filter(|(_, weaker)| *weaker)
        .map(|(name, _)| name)
        .collect()
    }
}
