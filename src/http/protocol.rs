//! The OpenID Connect face: discovery, keys, token endpoint, userinfo.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::answer::ok;
use super::call::Call;
use crate::error::{Code, Error, Result, invalid_request};
use crate::oauth::discovery::Published;
use crate::secret::Secret;
use crate::session::{exchange, refresh, user_info as userinfo};

const CACHED: &str = "public, max-age=300";

/// Seconds for which these documents are served from memory.
const RECENT_SECONDS: i64 = 5;

/// OpenID Connect Discovery 1.0, 4 and RFC 8414, 3.
pub async fn discovery(call: Call) -> Result<Response> {
    let ctx = call.visit_by_slug()?.recent(RECENT_SECONDS).await?;
    Ok(published(&call, &ctx.entry.discovery))
}

/// RFC 7517, 5.
pub async fn jwks(call: Call) -> Result<Response> {
    let ctx = call.visit_by_slug()?.recent(RECENT_SECONDS).await?;
    Ok(published(&call, &ctx.entry.jwks))
}

/// The document, or 304 for whoever has it already (RFC 9110, 13.1.2).
fn published(call: &Call, document: &Published) -> Response {
    let mut lines = call.headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let is_known = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == document.etag;
    let headers = [(header::CACHE_CONTROL, CACHED), (header::ETAG, &document.etag)];
    if lines.any(|line| line.split(',').map(str::trim).any(is_known)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(header::CONTENT_TYPE, "application/json")], document.text.clone()).into_response()
}

#[derive(Deserialize)]
struct TokenForm {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    code: Option<Secret>,
    redirect_uri: Option<String>,
    code_verifier: Option<Secret>,
    refresh_token: Option<Secret>,
    scope: Option<String>,
}

/// RFC 6749, 3.2: the same decisions as the session API, form-encoded.
pub async fn token(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let kind = call.header("content-type").and_then(|text| text.split(';').next()).map(str::trim);
    if kind != Some("application/x-www-form-urlencoded") {
        return Err(Error::new(
            Code::UnsupportedMediaType,
            "the body must be application/x-www-form-urlencoded",
        ));
    }
    // serde refuses a parameter given twice (RFC 6749, 3.2).
    let form: TokenForm = serde_urlencoded::from_bytes(&call.body)
        .map_err(|_| invalid_request("the body is not form-encoded, or a parameter is given twice"))?;
    let credentials = call.credentials(form.client_id, form.client_secret)?;
    match form.grant_type.as_deref() {
        Some("authorization_code") => {
            let request = exchange::Request {
                code: form.code.ok_or_else(|| Error::invalid_field("code", "code is missing"))?,
                redirect_uri: form
                    .redirect_uri
                    .ok_or_else(|| Error::invalid_field("redirect_uri", "redirect_uri is missing"))?,
                code_verifier: form.code_verifier,
                offline: false,
            };
            Ok(ok(&exchange::exchange(&visit, &credentials, &request).await?))
        }
        Some("refresh_token") => {
            let token = form
                .refresh_token
                .ok_or_else(|| Error::invalid_field("refresh_token", "refresh_token is missing"))?;
            Ok(ok(&refresh::refresh(&visit, credentials, &token, form.scope.as_deref()).await?))
        }
        Some(_) => Err(Error::new(Code::UnsupportedGrantType, "this grant type is not supported")),
        None => Err(Error::invalid_field("grant_type", "grant_type is missing")),
    }
}

/// OpenID Connect Core, 5.3: by GET or POST, the token in the Authorization header.
pub async fn user_info(call: Call) -> Result<Response> {
    let token = call.access_token(None)?;
    Ok(ok(&userinfo::user_info(&call.visit_by_slug()?, token.expose()).await?))
}
