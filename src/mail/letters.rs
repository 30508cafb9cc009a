//! The letters: which there are, what stands in them, and where their words come from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::texts::{self, Text, Texts};

/// What a letter is about. A new one gets a row in `LETTERS`, its words in [`Letter::words`], and a section in each file
/// of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Letter {
    AccountDeleted,
    AddressChangeAsked,
    AddressChanged,
    ChangeAddress,
    CodesRefused,
    DeletionCancelled,
    DeletionScheduled,
    DeletionScheduledUnverified,
    EmailCode,
    FactorAdded,
    FactorRemoved,
    Invitation,
    NewPassword,
    PasswordChanged,
    RecoveryCodeUsed,
    SignInsRefused,
    SignUp,
    SignUpKnown,
    VerifyAddress,
}

/// A letter, its name, and the places that its words may have; those that they must have stand in [`REQUIRED`].
type Row = (Letter, &'static str, &'static [&'static str]);

const LETTERS: [Row; 19] = [
    (Letter::AccountDeleted, "account_deleted", &["project"]),
    (Letter::AddressChangeAsked, "address_change_asked", &["project", "username", "address"]),
    (Letter::AddressChanged, "address_changed", &["project", "username"]),
    (Letter::ChangeAddress, "change_address", &["project", "username", "link", "hours"]),
    (Letter::CodesRefused, "codes_refused", &["project", "username"]),
    (Letter::DeletionCancelled, "deletion_cancelled", &["project", "username"]),
    (Letter::DeletionScheduled, "deletion_scheduled", &["project", "username", "date", "link"]),
    (Letter::DeletionScheduledUnverified, "deletion_scheduled_unverified", &["project", "date"]),
    (Letter::EmailCode, "email_code", &["project", "username", "code", "minutes"]),
    (Letter::FactorAdded, "factor_added", &["project", "username", "factor"]),
    (Letter::FactorRemoved, "factor_removed", &["project", "username", "factor"]),
    (Letter::Invitation, "invitation", &["project", "link", "hours"]),
    (Letter::NewPassword, "new_password", &["project", "username", "link", "minutes"]),
    (Letter::PasswordChanged, "password_changed", &["project", "username"]),
    (Letter::RecoveryCodeUsed, "recovery_code_used", &["project", "username", "left"]),
    (Letter::SignInsRefused, "sign_ins_refused", &["project", "username"]),
    (Letter::SignUp, "sign_up", &["project", "link", "hours"]),
    (Letter::SignUpKnown, "sign_up_known", &["project", "username"]),
    (Letter::VerifyAddress, "verify_address", &["project", "username", "link", "hours"]),
];

/// Without these a letter is of no use.
const REQUIRED: [&str; 2] = ["link", "code"];

impl Letter {
    pub fn all() -> impl Iterator<Item = Self> {
        LETTERS.into_iter().map(|(letter, ..)| letter)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        LETTERS.into_iter().find(|row| row.1 == name).map(|row| row.0)
    }

    fn row(self) -> Row {
        LETTERS.into_iter().find(|row| row.0 == self).unwrap_or((self, "", &[]))
    }

    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The places that its words may have.
    pub fn places(self) -> &'static [&'static str] {
        self.row().2
    }

    /// The places that its text must have.
    pub fn required(self) -> impl Iterator<Item = &'static str> {
        self.places().iter().copied().filter(|place| REQUIRED.contains(place))
    }

    /// The subject and the text that every project has.
    pub fn words(self, t: &Texts) -> (&Text, &Text) {
        macro_rules! words {
            ($($letter:ident => $section:ident),* $(,)?) => {
                match self { $(Self::$letter => (&t.$section.subject, &t.$section.text)),* }
            };
        }
        words! {
            AccountDeleted => mail_account_deleted,
            AddressChangeAsked => mail_address_change_asked,
            AddressChanged => mail_address_changed,
            ChangeAddress => mail_change_address,
            CodesRefused => mail_codes_refused,
            DeletionCancelled => mail_deletion_cancelled,
            DeletionScheduled => mail_deletion_scheduled,
            DeletionScheduledUnverified => mail_deletion_scheduled_unverified,
            EmailCode => mail_email_code,
            FactorAdded => mail_factor_added,
            FactorRemoved => mail_factor_removed,
            Invitation => mail_invitation,
            NewPassword => mail_new_password,
            PasswordChanged => mail_password_changed,
            RecoveryCodeUsed => mail_recovery_code_used,
            SignInsRefused => mail_sign_ins_refused,
            SignUp => mail_sign_up,
            SignUpKnown => mail_sign_up_known,
            VerifyAddress => mail_verify_address,
        }
    }
}

/// A letter that is to be written: to whom, in which language, with what in its places. Its words are looked up when it
/// leaves. It is personal as a whole, like a message.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub letter: Letter,
    pub to: String,
    /// The tag of one of our languages.
    pub language: String,
    values: BTreeMap<String, String>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Order({})", self.letter.name())
    }
}

impl Order {
    pub fn new(letter: Letter, to: &str, language: &str) -> Self {
        Self { letter, to: to.to_owned(), language: language.to_owned(), values: BTreeMap::new() }
    }

    #[must_use]
    pub fn with(mut self, place: &str, value: impl ToString) -> Self {
        self.values.insert(place.to_owned(), value.to_string());
        self
    }

    pub fn texts(&self) -> &'static Texts {
        texts::find(&self.language).unwrap_or_else(texts::english)
    }

    /// What stands in a place. Factors are called by what they are in the language of the letter.
    pub fn value(&self, place: &str) -> &str {
        let value = self.values.get(place).map_or("", String::as_str);
        let t = &self.texts().mail_factors;
        match (place, value) {
            ("factor", "totp") => t.totp.as_str(),
            ("factor", "passkey") => t.passkey.as_str(),
            ("factor", "recovery_codes") => t.recovery_codes.as_str(),
            ("factor", "email_code") => t.email_code.as_str(),
            _ => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_places_of_their_letter() {
        for letter in Letter::all() {
            assert_eq!(Letter::from_name(letter.name()), Some(letter));
            for t in texts::all() {
                let (subject, text) = letter.words(t);
                for place in subject.places().into_iter().chain(text.places()) {
                    assert!(letter.places().contains(&place), "{place} in {}", letter.name());
                }
                for place in letter.required() {
                    assert!(text.places().contains(&place), "no {place} in {}", letter.name());
                    assert!(!subject.places().contains(&place), "{place} in a subject");
                }
            }
        }
    }
}
