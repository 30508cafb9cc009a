//! JSON objects whose members are for the endpoint to know: each stands there once, at every depth.
//!
//! `serde_json` would take the last of two members with one name, and whoever reads along (a proxy, a log) may take the
//! first (RFC 8259, 4).

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

/// The members of an object.
#[derive(Debug, Default)]
pub struct Members(pub Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members(deserializer).map(Self)
    }
}

/// For a field that is such an object.
pub fn members<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    deserializer.deserialize_map(OfObject)
}

struct OfObject;

impl<'de> Visitor<'de> for OfObject {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            // Before the value, so that the place of the fault is the member's.
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            members.insert(name, access.next_value::<Each>()?.0);
        }
        Ok(members)
    }
}

/// Any value; the objects in it as above.
struct Each(Value);

impl<'de> Deserialize<'de> for Each {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfAny).map(Self)
    }
}

struct OfAny;

impl<'de> Visitor<'de> for OfAny {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element::<Each>()? {
            values.push(value.0);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        OfObject.visit_map(access).map(Value::Object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::body::parse;

    #[test]
    fn what_is_there_once_is_read_as_it_is() {
        let text = r#"{"a": {"b": [1, -2, 1.5, "x\u0000", null, true, {}]}, "c": 18446744073709551615}"#;
        let expected =
            json!({"a": {"b": [1, -2, 1.5, "x\u{0}", null, true, {}]}, "c": 18_446_744_073_709_551_615_u64});
        assert_eq!(Value::Object(parse::<Members>(text.as_bytes()).unwrap().0), expected);
    }

    #[test]
    fn what_is_there_twice_is_named() {
        for (text, field) in [
            (r#"{"a": 1, "a": 1}"#, "a"),
            (r#"{"a": {}, "a": {}}"#, "a"),
            (r#"{"a": [], "\u0061": []}"#, "a"),
            (r#"{"x": {"a": {"b": 1}, "a": 2}}"#, "x.a"),
            (r#"{"x": [{"a": 1}, {"a": 1, "b": {"c": 1, "c": {}}}]}"#, "x.b.c"),
        ] {
            let error = parse::<Members>(text.as_bytes()).unwrap_err();
            let description = format!("duplicate field {field}");
            assert_eq!((error.field(), error.description()), (Some(field), &*description), "{text}");
        }
    }
}
