//! What a project asks of people who sign in: which factors, which passwords, and who may sign up.

use serde::{Deserialize, Serialize};

use super::names::folded;
use crate::error::{Error, Result};

/// One member of the project's settings. A client may ask for a second factor where the project does not, never for less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SignInPolicy {
    pub second_factor: SecondFactor,
    /// What counts as a second factor.
    pub factors: Vec<FactorKind>,
    /// Whether a passkey alone signs in.
    pub passkey_sign_in: bool,
    /// Days that a device may be remembered, 0 to 90: it is not asked for a second factor meanwhile. 0: none is.
    pub remember_device_days: i64,
    pub password: PasswordPolicy,
    pub sign_up: SignUp,
    /// Letters in an hour that sign-ups cause, whoever gets them: 1 to 100000. Beyond that nothing is sent, and nothing said.
    pub sign_up_letters_per_hour: i64,
}

impl Default for SignInPolicy {
    fn default() -> Self {
        Self {
            second_factor: SecondFactor::default(),
            factors: vec![FactorKind::Totp, FactorKind::Passkey],
            passkey_sign_in: true,
            remember_device_days: 0,
            password: PasswordPolicy::default(),
            sign_up: SignUp::default(),
            sign_up_letters_per_hour: 500,
        }
    }
}

/// Whether something beside the password is asked for, from the weakest to the strongest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactor {
    /// Nobody is asked.
    Off,
    /// Whoever has one is asked.
    #[default]
    Optional,
    /// Everybody is, and whoever has none makes one while signing in.
    Required,
}

/// What may stand beside a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactorKind {
    /// Codes of an authenticator app (RFC 6238).
    Totp,
    /// Web Authentication.
    Passkey,
    /// A code that is mailed to the verified address.
    EmailCode,
}

impl FactorKind {
    pub const ALL: [Self; 3] = [Self::Totp, Self::Passkey, Self::EmailCode];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::EmailCode => "email_code",
        }
    }
}

/// Which passwords people may have. It is judged when a password is set, whoever sets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordPolicy {
    /// Characters, 8 to 128.
    pub min_length: i64,
    /// The least score of zxcvbn, 0 to 4.
    pub min_strength: i64,
    /// Words that no password contains, however they are written: at most 200 of 3 to 64 characters.
    pub blocklist: Vec<String>,
    /// Former passwords, the present one among them, that are not used again: 0 to 24.
    pub history: i64,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: 8, min_strength: 2, blocklist: Vec::new(), history: 0 }
    }
}

/// How somebody becomes a user without an admin who makes them one, from the strictest to the freest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SignUp {
    #[default]
    Closed,
    Invitation,
    Open,
}

const MOST_WORDS: usize = 200;

impl SignInPolicy {
    /// # Errors
    /// `invalid_request` naming the first member out of bounds.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, bound: &str| {
            let field = format!("settings.sign_in.{name}");
            Err(Error::invalid_field(field.clone(), format!("{field} {bound}")))
        };
        let mut kinds = self.factors.clone();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.len() != self.factors.len() {
            return refuse("factors", "names each kind once");
        }
        if self.factors.is_empty() && self.second_factor != SecondFactor::Off {
            return refuse("factors", "names one kind at least, unless second_factor is off");
        }
        let password = &self.password;
        for (name, value, least, most) in [
            ("remember_device_days", self.remember_device_days, 0, 90),
            ("sign_up_letters_per_hour", self.sign_up_letters_per_hour, 1, 100_000),
            ("password.min_length", password.min_length, 8, 128),
            ("password.min_strength", password.min_strength, 0, 4),
            ("password.history", password.history, 0, 24),
        ] {
            if !(least..=most).contains(&value) {
                return refuse(name, &format!("must lie between {least} and {most}"));
            }
        }
        let fits = |word: &String| {
            (3..=64).contains(&word.chars().count()) && !folded(word).is_empty() && word.trim() == word
        };
        if password.blocklist.len() > MOST_WORDS || !password.blocklist.iter().all(fits) {
            let bound = "has at most 200 words of 3 to 64 characters, with no space at either end";
            return refuse("password.blocklist", bound);
        }
        Ok(())
    }

    /// The settings that let people in with less than before, for whoever reads the audit log.
    pub fn weakened_by(&self, new: &Self) -> Vec<&'static str> {
        let (old, now) = (&self.password, &new.password);
        let more_kinds = new.factors.iter().any(|kind| !self.factors.contains(kind));
        [
            ("settings.sign_in.second_factor", new.second_factor < self.second_factor),
            ("settings.sign_in.factors", more_kinds),
            ("settings.sign_in.passkey_sign_in", new.passkey_sign_in && !self.passkey_sign_in),
            ("settings.sign_in.remember_device_days", new.remember_device_days > self.remember_device_days),
            ("settings.sign_in.sign_up", new.sign_up > self.sign_up),
            ("settings.sign_in.password.min_length", now.min_length < old.min_length),
            ("settings.sign_in.password.min_strength", now.min_strength < old.min_strength),
            (
                "settings.sign_in.password.blocklist",
                old.blocklist.iter().any(|word| !now.blocklist.contains(word)),
            ),
            ("settings.sign_in.password.history", now.history < old.history),
        ]
        .into_iter()
        .filter(|(_, weaker)| *weaker)
        .map(|(name, _)| name)
        .collect()
    }

    pub fn counts(&self, kind: FactorKind) -> bool {
        self.factors.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_asks_for_a_factor_has_one() {
        let none = SignInPolicy { factors: Vec::new(), ..SignInPolicy::default() };
        assert_eq!(none.check().unwrap_err().field(), Some("settings.sign_in.factors"));
        assert!(SignInPolicy { second_factor: SecondFactor::Off, ..none }.check().is_ok());
        let twice = vec![FactorKind::Totp, FactorKind::Totp];
        assert!(SignInPolicy { factors: twice, ..SignInPolicy::default() }.check().is_err());
    }

    #[test]
    fn what_weakens_is_named() {
        let old = SignInPolicy { second_factor: SecondFactor::Required, ..SignInPolicy::default() };
        let password = PasswordPolicy { min_strength: 1, history: 3, ..PasswordPolicy::default() };
        let sign_up = SignUp::Open;
        let new = SignInPolicy { remember_device_days: 30, password, sign_up, ..SignInPolicy::default() };
        let weaker = [
            "settings.sign_in.second_factor",
            "settings.sign_in.remember_device_days",
            "settings.sign_in.sign_up",
            "settings.sign_in.password.min_strength",
        ];
        assert_eq!(old.weakened_by(&new), weaker);
        assert!(old.weakened_by(&old).is_empty());
    }
}
