//! What a project publishes of itself: its metadata and its keys.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::Result;
use crate::http::call::Call;
use crate::oauth::discovery::Published;

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
