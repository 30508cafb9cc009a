//! What a server was asked and what it answered, written so that two servers can be compared: whatever is made by chance
//! gets a number when it is first seen, so that it is the same thing again or it is not.

use std::collections::HashMap;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::TestApp;

pub struct Transcript<'a> {
    app: &'a TestApp,
    names: HashMap<String, usize>,
    pub lines: Vec<String>,
}

impl<'a> Transcript<'a> {
    pub fn new(app: &'a TestApp) -> Self {
        Self { app, names: HashMap::new(), lines: Vec::new() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.app.http.request(method, format!("{}{path}", self.app.base))
    }

    /// Sends, a second after the request before, and writes down the answer: status, headers, body. Gives headers and body.
    pub async fn send(&mut self, request: RequestBuilder) -> (reqwest::header::HeaderMap, Value) {
        self.app.app.clock.advance(1);
        let request = request.build().unwrap();
        let asked = self.named(&format!("{} {}", request.method(), request.url().path()));
        let answer = self.app.http.execute(request).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let mut line = format!("{asked}\n{status}\n");
        for (name, value) in &headers {
            // The machine's clock, and the length of what is numbered below.
            if !matches!(name.as_str(), "date" | "content-length") {
                line += &format!("{name}: {}\n", self.named(value.to_str().unwrap()));
            }
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        line += &format!("{:#}", self.named_value(&body));
        self.lines.push(line);
        (headers, body)
    }

    fn named_value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.named(text)),
            Value::Array(items) => items.iter().map(|item| self.named_value(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.named_value(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// The text with a number in the place of each id, secret and hash; a token is read.
    fn named(&mut self, text: &str) -> String {
        let mut named = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let run = &rest[..rest.find(|c: char| !is_part(c)).unwrap_or(rest.len())];
            let token = run.starts_with("eyJ").then(|| token_at(rest)).flatten();
            let (part, said) = match token {
                Some((token, claims)) => (token, self.named_value(&claims).to_string()),
                None if run.is_empty() => (&rest[..first.len_utf8()], first.to_string()),
                None if is_chance(run) => {
                    let next = self.names.len();
                    (run, format!("#{}", self.names.entry(run.to_owned()).or_insert(next)))
                }
                None => (run, run.to_owned()),
            };
            named += &said;
            rest = &rest[part.len()..];
        }
        named
    }
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// Long, and no word.
fn is_chance(run: &str) -> bool {
    run.len() >= 16 && run.chars().any(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// A signed token at the beginning of the text, and what it says.
fn token_at(text: &str) -> Option<(&str, Value)> {
    let length = text.find(|c: char| !is_part(c) && c != '.').unwrap_or(text.len());
    let token = text[..length].trim_end_matches('.');
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, _signature] = parts[..] else { return None };
    let read = |part| serde_json::from_slice::<Value>(&tessera::secret::decode_base64url(part)?).ok();
    Some((token, json!({"header": read(header)?, "claims": read(claims)?})))
}
