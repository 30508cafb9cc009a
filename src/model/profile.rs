//! What a project knows of a person beside name and mail address: standard claims (OpenID Connect Core, 5.1), as one
//! bounded JSON document.

use serde::Serialize;
use serde_json::{Map, Value};
use time::Date;
use time::macros::format_description;
use url::Url;

use crate::error::{Error, Result};

/// Of the whole document as JSON: it is read with every token that is judged.
const MOST_BYTES: usize = 4096;

/// A claim, what it may hold, and the scope that shows it (OpenID Connect Core, 5.4).
struct Claim {
    name: &'static str,
    scope: &'static str,
    check: fn(&Value) -> bool,
    /// What it is, for the one who got it wrong.
    bound: &'static str,
}

const TEXT: &str = "has 1 to 256 characters and no control characters";
const LINK: &str = "is an http or https URL of at most 1024 bytes";

const fn claim(
    name: &'static str,
    scope: &'static str,
    check: fn(&Value) -> bool,
    bound: &'static str,
) -> Claim {
    Claim { name, scope, check, bound }
}

const CLAIMS: [Claim; 15] = [
    claim("name", "profile", is_text, TEXT),
    claim("given_name", "profile", is_text, TEXT),
    claim("family_name", "profile", is_text, TEXT),
    claim("middle_name", "profile", is_text, TEXT),
    claim("nickname", "profile", is_text, TEXT),
    claim("profile", "profile", is_link, LINK),
    claim("picture", "profile", is_link, LINK),
    claim("website", "profile", is_link, LINK),
    claim("gender", "profile", is_text, TEXT),
    claim("birthdate", "profile", is_birthdate, "is YYYY-MM-DD, 0000-MM-DD or YYYY"),
    claim("zoneinfo", "profile", is_zone, "is a time zone such as Europe/Lisbon"),
    claim("locale", "profile", is_locale, "is a language tag such as pt-PT"),
    claim("phone_number", "phone", is_phone, "is + and 5 to 15 digits (E.164)"),
    claim("phone_number_verified", "phone", Value::is_boolean, "is true or false"),
    claim(
        "address",
        "address",
        is_address,
        "is an object of formatted, street_address, locality, region, \
        postal_code and country, each of at most 500 characters",
    ),
];

/// The claims that are set, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Profile(Map<String, Value>);

impl Profile {
    /// From the store.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map(Self).map_err(Error::internal)
    }

    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(&self.0).map_err(Error::internal)
    }

    /// Takes the members of a body that are claims of a profile, so that the rest has a shape of its own.
    pub fn split_off(body: &mut Map<String, Value>) -> Map<String, Value> {
        CLAIMS.iter().filter_map(|claim| body.remove_entry(claim.name)).collect()
    }

    /// Sets what is given and takes away what is null.
    ///
    /// # Errors
    /// `invalid_request` naming an unknown claim, or the bound of a known one.
    pub fn change(&mut self, changes: Map<String, Value>) -> Result<()> {
        // Another number is not the one that was verified.
        if changes.contains_key("phone_number") {
            self.0.remove("phone_number_verified");
        }
        for (name, value) in changes {
            let claim = CLAIMS.iter().find(|claim| claim.name == name).ok_or_else(|| unknown(&name))?;
            if value.is_null() {
                self.0.remove(&name);
            } else if (claim.check)(&value) {
                self.0.insert(name, value);
            } else {
                return Err(Error::invalid_field(claim.name, format!("{} {}", claim.name, claim.bound)));
            }
        }
        if self.0.contains_key("phone_number_verified") && !self.0.contains_key("phone_number") {
            let why = "phone_number_verified needs a phone_number";
            return Err(Error::invalid_field("phone_number_verified", why));
        }
        if self.to_json()?.len() > MOST_BYTES {
            let why = format!("the profile has more than {MOST_BYTES} bytes as JSON");
            return Err(Error::invalid_field("profile", why));
        }
        Ok(())
    }

    pub fn get(&self, claim: &str) -> Option<&Value> {
        self.0.get(claim)
    }
}

/// The scope that shows a claim of the profile.
pub fn scope_of(claim: &str) -> Option<&'static str> {
    CLAIMS.iter().find(|known| known.name == claim).map(|known| known.scope)
}

pub fn names() -> impl Iterator<Item = &'static str> {
    CLAIMS.iter().map(|claim| claim.name)
}

fn unknown(name: &str) -> Error {
    Error::invalid_field(name.to_owned(), format!("unknown field {name}"))
}

fn is_text(value: &Value) -> bool {
    let fits = |text: &str| (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    value.as_str().is_some_and(fits)
}

/// Nothing that runs when somebody follows it.
fn is_link(value: &Value) -> bool {
    let is_web = |text: &str| Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    value.as_str().is_some_and(|text| text.len() <= 1024 && is_web(text))
}

/// OpenID Connect Core, 5.1: the year may be left out as 0000, the day may be left out altogether.
fn is_birthdate(value: &Value) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_date = |text: &str| {
        // A year without a day in February 29 has to be a leap year.
        let text = text.strip_prefix("0000").map_or(text.to_owned(), |rest| format!("2000{rest}"));
        Date::parse(&text, format_description!("[year]-[month]-[day]")).is_ok()
    };
    value.as_str().is_some_and(|text| match text.len() {
        4 => digits(text),
        10 => is_date(text),
        _ => false,
    })
}

fn is_zone(value: &Value) -> bool {
    let shape = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-/".contains(&b));
    value.as_str().is_some_and(|text| (1..=64).contains(&text.len()) && shape(text))
}

/// The shape of a language tag (RFC 5646, 2.1).
fn is_locale(value: &Value) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    value.as_str().is_some_and(|text| text.len() <= 35 && text.split('-').all(part))
}

fn is_phone(value: &Value) -> bool {
    let digits = value.as_str().and_then(|text| text.strip_prefix('+'));
    digits
        .is_some_and(|digits| (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// OpenID Connect Core, 5.1.1.
fn is_address(value: &Value) -> bool {
    const MEMBERS: [&str; 6] =
        ["formatted", "street_address", "locality", "region", "postal_code", "country"];
    // Lines of an address may end in a newline.
    let odd = |c: char| c.is_control() && c != '\n' && c != '\r';
    let fits = |text: &str| text.chars().count() <= 500 && !text.chars().any(odd);
    value.as_object().is_some_and(|address| {
        let known = |(name, value): (&String, &Value)| {
            MEMBERS.contains(&name.as_str()) && value.as_str().is_some_and(fits)
        };
        !address.is_empty() && address.iter().all(known)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(profile: &mut Profile, change: Value) -> Result<()> {
        profile.change(change.as_object().unwrap().clone())
    }

    #[test]
    fn claims_are_typed_and_bounded() {
        for good in [
            json!({"name": "Ana Lima", "locale": "pt-PT", "zoneinfo": "Europe/Lisbon", "birthdate": "0000-02-29"}),
            json!({"picture": "https://example.com/a.png", "phone_number": "+351210000000"}),
            json!({"address": {"street_address": "Rua 1\nLisboa", "country": "PT"}, "birthdate": "1990"}),
        ] {
            assert!(changed(&mut Profile::default(), good.clone()).is_ok(), "{good}");
        }
        for (bad, field) in [
            (json!({"name": ""}), "name"),
            (json!({"name": 5}), "name"),
            (json!({"given_name": "a\u{7}"}), "given_name"),
            (json!({"picture": "javascript:alert(1)"}), "picture"),
            (json!({"birthdate": "1990-02-30"}), "birthdate"),
            (json!({"locale": "no locale"}), "locale"),
            (json!({"phone_number": "555"}), "phone_number"),
            (json!({"phone_number_verified": true}), "phone_number_verified"),
            (json!({"address": {"planet": "Mars"}}), "address"),
            (json!({"colour": "red"}), "colour"),
            (
                json!({"address": {"formatted": "x\ny".repeat(100), "region": "é".repeat(500), "locality": "日".repeat(500),
                "country": "日".repeat(500), "postal_code": "日".repeat(500)}}),
                "profile",
            ),
        ] {
            let error = changed(&mut Profile::default(), bad.clone()).unwrap_err();
            assert_eq!(error.field(), Some(field), "{bad}: {error}");
        }
    }

    #[test]
    fn another_number_is_not_verified() {
        let mut profile = Profile::default();
        changed(&mut profile, json!({"phone_number": "+35121000000", "phone_number_verified": true}))
            .unwrap();
        changed(&mut profile, json!({"phone_number": "+35121000001", "name": "Ana"})).unwrap();
        assert_eq!(
            (profile.get("phone_number").is_some(), profile.get("phone_number_verified")),
            (true, None)
        );
        changed(&mut profile, json!({"phone_number": null, "name": null})).unwrap();
        assert_eq!(profile, Profile::default());
    }
}
