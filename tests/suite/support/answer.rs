//! What comes back: JSON answers, redirects, pages.

use reqwest::Response;
use serde_json::{Value, json};
use url::Url;

#[derive(Clone)]
pub struct Tokens(pub Value);

impl Tokens {
    pub fn get(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }
}

/// A status and a JSON body, without the request id (which differs each time, and must be there in an error).
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub etag: Option<String>,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.headers().contains_key("x-request-id"));
        let etag = response.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned());
        let mut body: Value = response.json().await.unwrap();
        if status >= 400 {
            assert!(body.as_object_mut().unwrap().remove("request_id").is_some(), "{body}");
        }
        Self { status, body, etag }
    }

    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// The exact error.
    pub fn refused(self, status: u16, code: &str, description: &str) {
        let expected = json!({"error": code, "error_description": description});
        assert_eq!((self.status, self.body), (status, expected));
    }

    /// The exact error, which names a field.
    pub fn refused_for(self, status: u16, code: &str, field: &str, description: &str) {
        let expected = json!({"error": code, "error_description": description, "field": field});
        assert_eq!((self.status, self.body), (status, expected));
    }

    /// 201 with its body.
    pub fn created(self) -> Value {
        assert_eq!(self.status, 201, "{}", self.body);
        self.body
    }
}

pub fn cookie_of(response: &Response) -> String {
    let text = response.headers()["set-cookie"].to_str().unwrap();
    text.split(';').next().unwrap().to_owned()
}

pub fn sealed_of(page: &str) -> String {
    let after = page.split(r#"name="request""#).nth(1).unwrap();
    after.split(r#"value=""#).nth(1).unwrap().split('"').next().unwrap().to_owned()
}

pub fn location_of(response: &Response) -> Url {
    Url::parse(response.headers()["location"].to_str().unwrap()).unwrap()
}

pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The code of a sign-in; `None` when a sign-out or a reset overtook it, which the application is told.
pub fn code_unless_overtaken(response: &Response) -> Option<String> {
    let location = location_of(response);
    let code = parameter(&location, "code");
    assert!(
        code.is_some() || parameter(&location, "error").as_deref() == Some("access_denied"),
        "{location}"
    );
    code
}

pub fn code_of(response: &Response) -> String {
    parameter(&location_of(response), "code").unwrap()
}
