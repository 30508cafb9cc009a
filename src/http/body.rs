//! JSON bodies: read into their types, and what is wrong with one that does not fit, by the name of the field.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::error::{Error, Result, invalid_request};

/// Reads a body. A refusal never repeats a value: it may be a secret.
///
/// # Errors
/// `invalid_request` naming the field that is unknown, missing, given twice, or of another type.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // serde would take a list for a struct, too.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid_request("the body must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        // An enum that gets null or a number calls it a fault of the JSON.
        if error.classify() != Category::Data && serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
            return invalid_request("the body is not valid JSON");
        }
        let named = ["unknown field", "missing field", "duplicate field"];
        // serde names the field between backticks: "unknown field `x`, expected …".
        let name = text.split('`').nth(1);
        if let (Some(what), Some(name)) = (named.into_iter().find(|what| text.starts_with(what)), name) {
            let within = path_at(bytes, error.line(), error.column(), true);
            let field = [within, vec![name.to_owned()]].concat().join(".");
            return Error::invalid_field(field.clone(), format!("{what} {field}"));
        }
        let field = path_at(bytes, error.line(), error.column(), false).join(".");
        if field.is_empty() {
            return invalid_request("the body has the wrong type");
        }
        let expected = text.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
        let expected = expected.rsplit_once(" at line").map_or(expected, |(expected, _)| expected);
        let description = match plain(expected) {
            Some(kind) => format!("{field} must be {kind}"),
            // What is expected in the place of a variant are words of ours.
            None if text.starts_with("unknown variant") => {
                format!("{field} must be {}", expected.replace('`', ""))
            }
            None => format!("{field} has the wrong type"),
        };
        Error::invalid_field(field, description)
    })
}

/// serde speaks of Rust's types; callers know JSON's.
fn plain(expected: &str) -> Option<&str> {
    match expected {
        "a string" | "a boolean" | "an id or an object with a username" => Some(expected),
        "i64" | "u64" | "u32" => Some("a whole number"),
        "a sequence" => Some("a list"),
        "a map" => Some("an object"),
        _ => expected.strip_prefix("struct ").map(|_| "an object"),
    }
}

/// The names that lead to a place in a JSON text: of the objects around it alone, or of the member there as well. Lists
/// have no part in it. The text is well-formed up to there, or the parser would not have come so far.
fn path_at(bytes: &[u8], line: usize, column: usize, around: bool) -> Vec<String> {
    let start: usize =
        bytes.split_inclusive(|b| *b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let end = (start + column).min(bytes.len());
    // For each open bracket, whether it is an object, and the member it is in.
    let mut open: Vec<(bool, Option<String>)> = Vec::new();
    let mut at = 0;
    let mut text: Option<String> = None;
    while at < end {
        match bytes[at] {
            b'"' => {
                let begin = at;
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                text = serde_json::from_slice(&bytes[begin..bytes.len().min(at + 1)]).ok();
            }
            b':' => {
                if let Some((true, member)) = open.last_mut() {
                    *member = text.take();
                }
            }
            b'{' => open.push((true, None)),
            b'[' => open.push((false, None)),
            // The closing bracket at the place itself still belongs to what is wrong.
            b'}' | b']' if at + 1 < end => {
                open.pop();
            }
            _ => {}
        }
        at += 1;
    }
    if around {
        // The innermost object is the one that has, or lacks, the member.
        while open.pop().is_some_and(|(object, _)| !object) {}
    }
    open.into_iter().filter_map(|(_, member)| member).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the reading is tested")]
    struct Body {
        name: String,
        #[serde(default)]
        kind: Kind,
        #[serde(default)]
        lists: Lists,
        number: Option<i64>,
        id: Option<uuid::Uuid>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        #[default]
        OneThing,
        Other,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Lists {
        add: Vec<String>,
        flag: bool,
    }

    #[test]
    fn refusals_name_the_field() {
        for (body, field, description) in [
            (r#"{"name": 5}"#, Some("name"), "name must be a string"),
            (r#"{"name":{"a":1}}"#, Some("name"), "name must be a string"),
            (r#"{"name": ["x"]}"#, Some("name"), "name must be a string"),
            (r#"{"name": null}"#, Some("name"), "name must be a string"),
            (
                "{\n \"name\": \"a\\\"b:\",\n \"number\": \"x\"}",
                Some("number"),
                "number must be a whole number",
            ),
            (
                r#"{"name": "a", "number": 1.5, "kind": "other"}"#,
                Some("number"),
                "number must be a whole number",
            ),
            (r#"{"name": "a", "kind": "x"}"#, Some("kind"), "kind must be one_thing or other"),
            (r#"{"name": "a", "kind": null}"#, Some("kind"), "kind has the wrong type"),
            (r#"{"name": "a", "kind": 5, "number": 1}"#, Some("kind"), "kind has the wrong type"),
            (r#"{"name": "a", "lists": {"add": ["b", 5]}}"#, Some("lists.add"), "lists.add must be a string"),
            (
                r#"{"name": "a", "lists": {"add": [], "flag": 0}}"#,
                Some("lists.flag"),
                "lists.flag must be a boolean",
            ),
            (r#"{"name": "a", "lists": {"add": {}}}"#, Some("lists.add"), "lists.add must be a list"),
            (r#"{"name": "a", "lists": true}"#, Some("lists"), "lists must be an object"),
            (r#"{"name": "a", "id": "no id"}"#, Some("id"), "id has the wrong type"),
            (r#"{"name": "a", "lists": {"x": 1}}"#, Some("lists.x"), "unknown field lists.x"),
            (r#"{"name": "a", "x": 1}"#, Some("x"), "unknown field x"),
            (r#"{"name": "a", "name": "b"}"#, Some("name"), "duplicate field name"),
            (r#"{"lists": {"add": ["x"]}, "number": 1}"#, Some("name"), "missing field name"),
            ("{}", Some("name"), "missing field name"),
            ("5", None, "the body must be a JSON object"),
            (r#"["a"]"#, None, "the body must be a JSON object"),
            ("{", None, "the body is not valid JSON"),
        ] {
            let error = parse::<Body>(body.as_bytes()).unwrap_err();
            assert_eq!((error.field(), error.description()), (field, description), "{body}");
        }
    }
}
