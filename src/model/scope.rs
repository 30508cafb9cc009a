//! Scopes that a project defines beside the ones of OpenID Connect, and the resource servers at which they mean something.

use serde::Serialize;
use sqlx::FromRow;

use super::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::ids::ResourceServerId;

/// A project has at most so many of either.
pub const MOST_SCOPES: usize = 100;
pub const MOST_RESOURCE_SERVERS: usize = 100;
/// What one scope shows, or one resource server knows, has at most so many names.
pub const MOST_NAMES: usize = 50;

/// A list of names, which the store holds as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Names(pub Vec<String>);

impl TryFrom<String> for Names {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        serde_json::from_str(&text).map(Self).map_err(Error::internal)
    }
}

impl Names {
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(&self.0).map_err(Error::internal)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }

    /// # Errors
    /// `invalid_request` for too many, and for the first that is unknown, or there twice.
    pub fn check(&self, field: &'static str, is_known: impl Fn(&str) -> bool) -> Result<()> {
        let refuse = |why: String| Err(Error::invalid_field(field, why));
        if self.0.len() > MOST_NAMES {
            return refuse(format!("{field} has at most {MOST_NAMES} entries"));
        }
        for (place, name) in self.0.iter().enumerate() {
            if !is_known(name) {
                return refuse(format!("{field} names something that is not there"));
            }
            if self.0[..place].contains(name) {
                return refuse(format!("{field} names something twice"));
            }
        }
        Ok(())
    }
}

/// What an application may ask for, and what it is shown for it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct Scope {
    pub name: String,
    /// For the person who is asked.
    pub description: String,
    #[sqlx(try_from = "String")]
    pub claims: Names,
    #[sqlx(try_from = "String")]
    pub attributes: Names,
    pub created_at: Timestamp,
    /// The project's when it was made, or last began to show more: what people allowed before was something else.
    #[serde(skip)]
    pub version: i64,
}

/// An API that takes tokens of the project (RFC 8707).
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct ResourceServer {
    pub id: ResourceServerId,
    /// The audience of the tokens that are meant for it.
    pub identifier: String,
    pub name: String,
    #[sqlx(try_from = "String")]
    pub scopes: Names,
    pub created_at: Timestamp,
}

/// RFC 8707, 2: an absolute URI without fragment. It is compared to the letter, and carried in tokens.
pub fn is_identifier(text: &str) -> bool {
    let visible = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    visible && !text.contains('#') && url::Url::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_absolute() {
        for good in ["https://api.example/orders", "urn:example:orders", "https://api.example/?v=1"] {
            assert!(is_identifier(good), "{good}");
        }
        let long = format!("https://api.example/{}", "x".repeat(256));
        for bad in
            ["", "orders", "/orders", "https://api.example/#x", "https://api.example/ x", "urn:é", &long]
        {
            assert!(!is_identifier(bad), "{bad}");
        }
    }
}
