//! The deletion of a user: its states, what it would end, and the rule for its reason.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::names::folded;
use crate::error::{Error, Result};

/// Where a deletion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Asked for; nothing has changed yet.
    Pending,
    /// Confirmed; the user is disabled until the restore window ends.
    Scheduled,
    Executed,
    Cancelled,
    /// Not confirmed in time, or the user was changed since the request.
    Expired,
}

impl State {
    const ALL: [Self; 5] = [Self::Pending, Self::Scheduled, Self::Executed, Self::Cancelled, Self::Expired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Scheduled => "scheduled",
            Self::Executed => "executed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for State {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| Error::internal("an unknown state of a deletion in the store"))
    }
}

/// What a deletion would end, and what it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    /// Live token families.
    pub families: i64,
    /// Live browser sessions.
    pub browser_sessions: i64,
    pub factors: i64,
    pub groups: i64,
    /// Events about the user or by the user. They stay, without what is personal.
    pub audit_events_kept: i64,
}

const MOST_CHARACTERS: usize = 500;

/// Shorter values count only as a whole word: "a" is in every other sentence.
const LEAST_ANYWHERE: usize = 4;

const MOST_WORDS_OF_A_NAME: usize = 4;

/// A reason is a sentence, unless the project has words for it.
const LEAST_CHARACTERS: usize = 10;

/// Checks the reason of a deletion, which is one of `known` or says enough. It stays readable for good in the audit log, so it must contain none of the user's
/// `values`, in whatever case or form of letters, and no word of one that may be a name. What has fewer than four characters counts as a whole word only.
///
/// # Errors
/// `invalid_request` naming the field and the bound, and never the value.
pub fn check_reason<'a>(
    reason: &str,
    known: &[String],
    values: impl IntoIterator<Item = &'a str>,
) -> Result<()> {
    if known.iter().any(|known| known == reason) {
        return Ok(());
    }
    let bound = "has 10 to 500 characters, none of them a control character but line breaks, or is one of the project's";
    check_words(("reason", bound), reason, values)
}

/// The same of the reason why somebody is not told, for which projects have no words of their own.
///
/// # Errors
/// As [`check_reason`].
pub fn check_notify_reason<'a>(reason: &str, values: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let bound = "has 10 to 500 characters, none of them a control character but line breaks";
    check_words(("notify_reason", bound), reason, values)
}

fn check_words<'a>(
    (field, bound): (&'static str, &'static str),
    reason: &str,
    values: impl IntoIterator<Item = &'a str>,
) -> Result<()> {
    let refuse = |why: &str| Err(Error::invalid_field(field, format!("{field} {why}")));
    let length = reason.chars().count();
    let said = reason.trim().chars().count();
    if said < LEAST_CHARACTERS || length > MOST_CHARACTERS || reason.chars().any(is_unprintable) {
        return refuse(bound);
    }
    let reason = comparable(reason);
    if values.into_iter().any(|value| names(&reason, &comparable(value))) {
        return refuse(
            "must not contain the user's name, mail address, or any other value of the profile or attributes",
        );
    }
    Ok(())
}

/// Every text and number in a JSON document.
pub fn values_in(document: &Value) -> Vec<String> {
    match document {
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Array(items) => items.iter().flat_map(values_in).collect(),
        Value::Object(members) => members.values().flat_map(values_in).collect(),
        // Yes and no say nothing that a reason could give away.
        Value::Bool(_) | Value::Null => Vec::new(),
    }
}

fn is_unprintable(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\r' && c != '\t'
}

/// Folded, and with one space between words however they were separated.
fn comparable(text: &str) -> String {
    folded(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the reason has a value, a word of one that may be a name, or what stands before the @ of a mail address.
fn names(reason: &str, value: &str) -> bool {
    let words: Vec<&str> = value.split(' ').collect();
    // A longer text is no name, and its words are everybody's.
    let may_be_name = words.len() <= MOST_WORDS_OF_A_NAME;
    let local = value.split_once('@').map(|(local, _)| local);
    let parts = words.into_iter().filter(|_| may_be_name).chain(local);
    let mut telling = parts.filter(|part| part.chars().count() >= LEAST_ANYWHERE);
    mentions(reason, value) || telling.any(|part| mentions_word(reason, part))
}

fn mentions_word(reason: &str, word: &str) -> bool {
    reason.match_indices(word).any(|(at, _)| is_word(reason, at, at + word.len()))
}

fn mentions(reason: &str, value: &str) -> bool {
    if value.is_empty() {
        return false;
    }
    let anywhere = value.chars().count() >= LEAST_ANYWHERE;
    reason.match_indices(value).any(|(at, _)| anywhere || is_word(reason, at, at + value.len()))
}

/// Whether no letter or digit touches the part of `text` from `start` to `end`.
fn is_word(text: &str, start: usize, end: usize) -> bool {
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    !before.into_iter().chain(after).any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reason_names_nobody() {
        let values = [
            "Alice",
            "ben.bold@example.com",
            "Ana  Lima",
            "a",
            "42",
            "Zürich",
            "likes to write about the company here",
        ];
        for good in
            ["asked for it in writing", "left the company at 1420", "one line\nand another", "about ma-cat"]
        {
            assert!(check_reason(good, &[], values).is_ok(), "{good}");
        }
        for bad in [
            "ALICE asked for it",
            "account malice2",
            "Ａｌｉｃｅ left us",
            "ana lima asked",
            "Lima asked for it",
            "mail from ben.bold",
            "ana\n\tLIMA asked",
            "user a asked",
            "the one with (42)",
            "moved from zürich",
            "moved from ZU\u{308}RICH",
        ] {
            assert_eq!(check_reason(bad, &[], values).unwrap_err().field(), Some("reason"), "{bad}");
        }
    }

    #[test]
    fn a_reason_has_bounds() {
        for bad in [
            "",
            "  \n",
            "123456789",
            "  1234567  ",
            "much longer\0b",
            "more \u{1b}[2J than",
            &"x".repeat(501),
        ] {
            assert!(check_reason(bad, &[], []).is_err(), "{bad}");
        }
        assert!(
            check_reason("1234567890", &[], []).is_ok() && check_reason(&"é".repeat(500), &[], []).is_ok()
        );
        assert!(check_reason("gone", &["gone".into()], []).is_ok());
        assert!(check_reason("Gone", &["gone".into()], []).is_err());
    }

    #[test]
    fn documents_give_their_texts_and_numbers() {
        let document = json!({"a": "x", "b": [1, "y", null, true], "c": {"d": 2.5}});
        assert_eq!(values_in(&document), ["x", "1", "y", "2.5"]);
    }
}
