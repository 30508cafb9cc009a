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
    let mut named = Vec::new();
    leaves(&document, changes, &mut Vec::new(), &mut named);
    for (path, value) in &named {
        // One at a time, so that the fault has a name.
        set(&mut document, path, value);
        let check: Result<T, _> = serde_json::from_value(Value::Object(document.clone()));
        check.map_err(|error| wrong_member(&format!("{within}{}", path.join(".")), value, &error))?;
    }
    serde_json::from_value(Value::Object(document)).map_err(Error::internal)
}

/// Each member that the changes name, with the way to it: an object within an object changes in part as well.
fn leaves(
    current: &Map<String, Value>,
    changes: &Map<String, Value>,
    within: &mut Vec<String>,
    named: &mut Vec<(Vec<String>, Value)>,
) {
    for (name, value) in changes {
        within.push(name.clone());
        match (current.get(name), value) {
            (Some(Value::Object(current)), Value::Object(changes)) => {
                leaves(current, changes, within, named);
            }
            (_, value) => named.push((within.clone(), value.clone())),
        }
        within.pop();
    }
}

fn set(document: &mut Map<String, Value>, path: &[String], value: &Value) {
    match path {
        [name] if value.is_null() && document.contains_key(name) => drop(document.remove(name)),
        [name] => drop(document.insert(name.clone(), value.clone())),
        [name, rest @ ..] => {
            if let Some(Value::Object(inner)) = document.get_mut(name) {
                set(inner, rest, value);
            }
        }
        [] => {}
    }
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
        timer: Timer,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Timer {
        on: i64,
        off: i64,
    }

    impl Default for Lamp {
        fn default() -> Self {
            Self { watts: 40, colour: None, shades: Vec::new(), timer: Timer::default() }
        }
    }

    fn merge(lamp: &Lamp, changes: Value) -> Result<Lamp> {
        merged(lamp, changes.as_object().unwrap(), "lamp.")
    }

    #[test]
    fn what_is_named_changes_and_null_is_the_default() {
        let lamp = Lamp {
            watts: 60,
            colour: Some("red".into()),
            shades: vec!["paper".into()],
            timer: Timer { on: 6, off: 22 },
        };
        let changed = merge(&lamp, json!({"watts": null, "colour": "blue"})).unwrap();
        assert_eq!((changed.watts, changed.colour.as_deref()), (40, Some("blue")));
        assert_eq!((&changed.shades, &changed.timer), (&lamp.shades, &lamp.timer));
        let seen = differences(&lamp, &changed).unwrap();
        let expected = json!({"watts": {"from": 60, "to": 40}, "colour": {"from": "red", "to": "blue"}});
        assert_eq!(Value::Object(seen), expected);
        let part = merge(&lamp, json!({"timer": {"on": 7}})).unwrap();
        assert_eq!(part.timer, Timer { on: 7, off: 22 });
        assert_eq!(merge(&lamp, json!({"timer": {"off": null}})).unwrap().timer, Timer { on: 6, off: 0 });
        assert_eq!(merge(&lamp, json!({"timer": null})).unwrap().timer, Timer::default());
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
            (json!({"timer": {"on": "secret"}}), "lamp.timer.on", "lamp.timer.on must be a whole number"),
            (json!({"timer": {"at": 7}}), "lamp.timer.at", "unknown field lamp.timer.at"),
        ] {
            let error = merge(&Lamp::default(), changes).unwrap_err();
            assert_eq!((error.field(), error.description()), (Some(field), description));
        }
    }
}
