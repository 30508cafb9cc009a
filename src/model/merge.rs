//! Partial changes of a settings document (RFC 7396): what is named changes, `null` is the default again, the rest stays.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// `current` with `changes`. The document must refuse unknown fields and have a default for each.
///
/// # Errors
/// `invalid_request` naming the member that is unknown or has the wrong type; `within` is written before its name.
pub fn merged<T>(current: &T, changes: &Map<String, Value>, within: &str) -> Result<T>
where
    T: Serialize + DeserializeOwned,
{
    let Value::Object(mut document) = serde_json::to_value(current).map_err(Error::internal)? else {
        return Err(Error::internal("settings are a JSON object"));
    };
    for (name, value) in changes {
        // One at a time, so that the fault has a name.
        match value {
            Value::Null if document.contains_key(name) => document.remove(name),
            value => document.insert(name.clone(), value.clone()),
        };
        let check: Result<T, _> = serde_json::from_value(Value::Object(document.clone()));
        check.map_err(|error| wrong_member(&format!("{within}{name}"), value, &error))?;
    }
    serde_json::from_value(Value::Object(document)).map_err(Error::internal)
}

/// Names the member, and what it must be; never its value.
pub fn wrong_member(name: &str, value: &Value, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| expected.replace('`', ""));
    let description = match expected {
        _ if text.starts_with("unknown field") => format!("unknown field {name}"),
        Some(expected) if value.is_array() => format!("each of {name} must be {}", plain(&expected)),
        Some(expected) => format!("{name} must be {}", plain(&expected)),
        None => format!("{name} has the wrong type"),
    };
    Error::invalid_field(name.to_owned(), description)
}

/// serde speaks of Rust's types; callers know JSON's.
fn plain(expected: &str) -> &str {
    match expected {
        "i64" | "u64" | "u32" => "a whole number",
        "a sequence" => "a list",
        "a map" => "an object",
        other => other,
    }
}

/// The members that differ, each with both values: what the audit log says of a change.
pub fn differences<T: Serialize>(from: &T, to: &T) -> Result<Map<String, Value>> {
    let object = |value: &T| match serde_json::to_value(value) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Error::internal("settings are a JSON object")),
    };
    let (mut from, to) = (object(from)?, object(to)?);
    let mut changed = Map::new();
    for (name, new) in to {
        let old = from.remove(&name).unwrap_or_default();
        if old != new {
            changed.insert(name, serde_json::json!({"from": old, "to": new}));
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Lamp {
        watts: i64,
        colour: Option<String>,
        shades: Vec<String>,
    }

    impl Default for Lamp {
        fn default() -> Self {
            Self { watts: 40, colour: None, shades: Vec::new() }
        }
    }

    fn merge(lamp: &Lamp, changes: Value) -> Result<Lamp> {
        merged(lamp, changes.as_object().unwrap(), "lamp.")
    }

    #[test]
    fn what_is_named_changes_and_null_is_the_default() {
        let lamp = Lamp { watts: 60, colour: Some("red".into()), shades: vec!["paper".into()] };
        let changed = merge(&lamp, json!({"watts": null, "colour": "blue"})).unwrap();
        assert_eq!(changed, Lamp { watts: 40, colour: Some("blue".into()), shades: vec!["paper".into()] });
        let seen = differences(&lamp, &changed).unwrap();
        let expected = json!({"watts": {"from": 60, "to": 40}, "colour": {"from": "red", "to": "blue"}});
        assert_eq!(Value::Object(seen), expected);
    }

    #[test]
    fn faults_have_a_name_and_show_no_value() {
        for (changes, field, description) in [
            (json!({"watts": "secret"}), "lamp.watts", "lamp.watts must be a whole number"),
            (json!({"colour": 7}), "lamp.colour", "lamp.colour must be a string"),
            (json!({"shades": "secret"}), "lamp.shades", "lamp.shades must be a list"),
            (json!({"shades": [1]}), "lamp.shades", "each of lamp.shades must be a string"),
            (json!({"volts": 1}), "lamp.volts", "unknown field lamp.volts"),
            (json!({"volts": null}), "lamp.volts", "unknown field lamp.volts"),
        ] {
            let error = merge(&Lamp::default(), changes).unwrap_err();
            assert_eq!((error.field(), error.description()), (Some(field), description));
        }
    }
}
