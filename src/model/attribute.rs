//! Custom attributes of users, as a project defines them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;

use super::timestamp::Timestamp;
use crate::error::{Error, Result};

/// A project has at most so many definitions.
pub const MOST_DEFINITIONS: usize = 50;
/// No value is larger.
pub const MOST_VALUE_BYTES: i64 = 2048;
/// Attributes in access tokens have at most so many bytes together.
pub const MOST_TOKEN_BYTES: i64 = 4096;

/// What an attribute may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeType {
    String,
    Number,
    Boolean,
    StringList,
}

impl AttributeType {
    pub const ALL: [Self; 4] = [Self::String, Self::Number, Self::Boolean, Self::StringList];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::StringList => "string_list",
        }
    }

    fn holds(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::StringList => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        }
    }
}

impl std::str::FromStr for AttributeType {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| Error::invalid_field("type", "type is string, number, boolean or string_list"))
    }
}

/// What an attribute may hold, who may write it, and whether access tokens carry it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, Deserialize)]
pub struct AttributeDefinition {
    pub name: String,
    /// `string`, `number`, `boolean` or `string_list`
    #[sqlx(rename = "type")]
    #[serde(rename = "type")]
    pub kind: String,
    pub description: String,
    pub user_writable: bool,
    pub in_access_token: bool,
    /// Of the value as JSON, without the quotes of a string.
    pub max_bytes: i64,
    pub created_at: Timestamp,
}

impl AttributeDefinition {
    /// Whether the value may be stored; `field` is how the request names it.
    ///
    /// # Errors
    /// `invalid_request` naming the field and the type or the bound.
    pub fn check(&self, field: &str, value: &Value) -> Result<()> {
        let refuse = |why: String| Err(Error::invalid_field(field.to_owned(), why));
        if value.is_null() {
            return refuse(format!("{field} must not be null: remove takes a value away"));
        }
        let kind: AttributeType = self.kind.parse().map_err(Error::internal)?;
        if !kind.holds(value) {
            return refuse(format!("{field} is a {}", kind.as_str()));
        }
        let quotes = if value.is_string() { 2 } else { 0 };
        let bytes = i64::try_from(value.to_string().len() - quotes).unwrap_or(i64::MAX);
        if bytes > self.max_bytes {
            return refuse(format!("{field} has at most {} bytes", self.max_bytes));
        }
        Ok(())
    }
}

/// Whether a definition may stand beside the others: at most 50, and what access tokens carry is bounded.
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn check_together<'a>(definitions: impl Iterator<Item = &'a AttributeDefinition>) -> Result<()> {
    let (mut count, mut in_tokens) = (0, 0);
    for definition in definitions {
        count += 1;
        in_tokens += if definition.in_access_token { definition.max_bytes } else { 0 };
    }
    if count > MOST_DEFINITIONS {
        return Err(Error::invalid_field(
            "name",
            format!("a project has at most {MOST_DEFINITIONS} attributes"),
        ));
    }
    if in_tokens > MOST_TOKEN_BYTES {
        let why = format!(
            "attributes in access tokens have at most {MOST_TOKEN_BYTES} bytes together; their max_bytes would be {in_tokens}"
        );
        return Err(Error::invalid_field("in_access_token", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(kind: AttributeType, max_bytes: i64) -> AttributeDefinition {
        AttributeDefinition {
            name: "x".into(),
            kind: kind.as_str().into(),
            description: String::new(),
            user_writable: false,
            in_access_token: true,
            max_bytes,
            created_at: Timestamp::from_unix(0),
        }
    }

    #[test]
    fn values_have_a_type_and_a_size() {
        for (kind, good, bad) in [
            (AttributeType::String, json!("12345678"), json!("123456789")),
            (AttributeType::String, json!("é"), json!(5)),
            (AttributeType::String, json!("\n\n\n\n"), json!("\n\n\n\n\n")),
            (AttributeType::Number, json!(12.5), json!("5")),
            (AttributeType::Number, json!(12_345_678), json!(123_456_789)),
            (AttributeType::Boolean, json!(false), json!(null)),
            (AttributeType::StringList, json!(["a"]), json!([1])),
            (AttributeType::StringList, json!([]), json!(["a", "b", "c"])),
        ] {
            let definition = definition(kind, 8);
            assert!(definition.check("set.x", &good).is_ok(), "{good}");
            assert_eq!(definition.check("set.x", &bad).unwrap_err().field(), Some("set.x"), "{bad}");
        }
    }

    #[test]
    fn tokens_stay_small() {
        let large = [definition(AttributeType::String, 2048), definition(AttributeType::String, 2048)];
        assert!(check_together(large.iter()).is_ok());
        let more = definition(AttributeType::Boolean, 1);
        assert_eq!(check_together(large.iter().chain([&more])).unwrap_err().field(), Some("in_access_token"));
        let many: Vec<_> = (0..51).map(|_| definition(AttributeType::Boolean, 1)).collect();
        assert_eq!(check_together(many.iter()).unwrap_err().field(), Some("name"));
    }
}
