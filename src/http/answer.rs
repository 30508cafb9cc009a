//! Errors and bodies on the wire.

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::body;
use crate::error::{Code, Error, Result, invalid_request};
use crate::oauth::dpop::ALGS;

tokio::task_local! {
    /// The id of the request that this task serves.
    pub static REQUEST_ID: String;
}

/// The id of the request that this task serves; empty outside of one.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        json_error(&self)
    }
}

/// `{"error", "error_description", "field"?, "request_id", …}`. The caller reads the description, the operator the cause.
pub fn json_error(error: &Error) -> Response {
    if let Some(cause) = error.cause() {
        tracing::error!(code = error.code().as_str(), cause = format!("{cause:#}"), "request failed");
    }
    let mut body = json!({
        "error": error.code().as_str(),
        "error_description": error.description(),
        "request_id": request_id(),
    });
    if let Some(object) = body.as_object_mut() {
        if let Some(field) = error.field() {
            object.insert("field".into(), Value::from(field));
        }
        if let Some(Value::Object(details)) = error.details() {
            object.extend(details.clone());
        }
    }
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    response.extensions_mut().insert(error.code());
    let headers = response.headers_mut();
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    // RFC 6749, 5.2 and RFC 6750, 3.
    match error.code() {
        Code::InvalidClient => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="tessera""#));
        }
        Code::InvalidToken | Code::InsufficientScope => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(bearer_challenge(error)));
        }
        Code::InsufficientUserAuthentication => {
            headers.extend(step_up_challenge(error).map(|value| (header::WWW_AUTHENTICATE, value)));
        }
        // The rest of the body may still come, and would be taken for the next request (RFC 9110, 15.5.9).
        Code::RequestTimeout => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    add_dpop(headers, error);
    response
}

/// RFC 6750, 3. A token that may not do something lacks what acting on the account takes.
fn bearer_challenge(error: &Error) -> &'static str {
    match error.code() {
        Code::InsufficientScope => r#"Bearer error="insufficient_scope", scope="account""#,
        _ if error.carries_nothing() => r#"Bearer realm="tessera""#,
        _ => r#"Bearer error="invalid_token""#,
    }
}

/// RFC 9470, 3: what the application's next authorization request asks for.
fn step_up_challenge(error: &Error) -> Option<HeaderValue> {
    let max_age = error.details().and_then(|details| details["max_age"].as_i64())?;
    let acr = error.details().and_then(|details| details["acr_values"].as_str());
    let acr = acr.map(|acr| format!(r#", acr_values="{acr}""#)).unwrap_or_default();
    let challenge = format!(
        r#"Bearer error="{}", error_description="{}"{acr}, max_age="{max_age}""#,
        error.code().as_str(),
        error.description(),
    );
    HeaderValue::from_str(&challenge).ok()
}

/// RFC 9449, 7.1 and 8: what the next request has to prove, and with which nonce.
fn add_dpop(headers: &mut HeaderMap, error: &Error) {
    if error.is_at_resource() {
        let challenge = match error.carries_nothing() {
            true => format!(r#"DPoP algs="{ALGS}""#),
            false => format!(r#"DPoP error="{}", algs="{ALGS}""#, error.code().as_str()),
        };
        headers.extend(HeaderValue::from_str(&challenge).map(|value| (header::WWW_AUTHENTICATE, value)));
    }
    if let Some(nonce) = error.dpop_nonce() {
        add_dpop_nonce(headers, nonce);
    }
}

/// The answer with the nonce for the client's next proof, if there is one (RFC 9449, 8.2).
pub fn with_dpop_nonce(mut response: Response, nonce: Option<&str>) -> Response {
    if let Some(nonce) = nonce {
        add_dpop_nonce(response.headers_mut(), nonce);
    }
    response
}

/// The nonce for the client's next proof.
fn add_dpop_nonce(headers: &mut HeaderMap, nonce: &str) {
    headers.extend(HeaderValue::from_str(nonce).map(|value| (HeaderName::from_static("dpop-nonce"), value)));
}

/// A JSON body of a known shape: unknown fields are refused by name, another content type with 415.
pub fn parse_json<T: DeserializeOwned>(headers: &HeaderMap, bytes: &Bytes) -> Result<T> {
    let content_type = header_text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Error::new(Code::UnsupportedMediaType, "the body must be application/json"));
    }
    body::parse(bytes)
}

/// A query of a known shape: unknown, missing and repeated parameters, and control characters, are refused by name.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    if let Some((name, _)) = pairs.find(|(_, value)| value.chars().any(char::is_control)) {
        return Err(Error::invalid_field(name.to_string(), format!("{name} has no control characters")));
    }
    serde_urlencoded::from_str(query).map_err(|error| {
        // The parser names the parameter between backticks, and quotes no value in these three.
        let text = error.to_string();
        let named = ["unknown field", "missing field", "duplicate field"];
        let what = named.into_iter().find(|what| text.starts_with(what));
        match (what, text.split('`').nth(1)) {
            (Some(what), Some(name)) => {
                let what = what.replace("field", "parameter");
                Error::invalid_field(name.to_owned(), format!("{what} {name}"))
            }
            _ => invalid_request("a parameter of the query has the wrong type"),
        }
    })
}

/// A header as text; `None` when missing or not visible ASCII.
pub fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The token of `Authorization: Bearer …` (RFC 6750, 2.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "bearer")
}

/// What `Authorization` has for this scheme, which may be written in any case.
pub fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (given, token) = header_text(headers, "authorization")?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| token.trim())
}

/// The subtype under which signed statements travel (RFC 7519, 10.3.1).
pub const JWT: &str = "jwt";

/// Whether `Accept` names `application/{kind}`, and not something as general as `*/*`.
pub fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().and_then(|named| named.strip_prefix("application/"));
        let is_refused = |part: &str| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0_f32);
        named.is_some_and(|named| named.eq_ignore_ascii_case(kind)) && !parts.any(is_refused)
    })
}

/// 200 with something signed, as `application/{kind}`.
pub fn signed(kind: &str, token: String) -> Response {
    ([(header::CONTENT_TYPE, format!("application/{kind}"))], token).into_response()
}

/// The answer depends on what the caller asks for.
pub fn by_accept(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// 200 with a JSON body.
pub fn ok(body: &impl Serialize) -> Response {
    Json(body).into_response()
}

/// A JSON body with the ETag of its version, for `If-Match`.
pub fn versioned(status: StatusCode, version: i64, body: &impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}
