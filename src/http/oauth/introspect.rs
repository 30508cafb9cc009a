//! `oauth2/introspect` (RFC 7662; signed: RFC 9701).

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::form::posted;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::oauth::introspect::{SIGNED, answer, signed};

pub async fn introspect(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let (credentials, form) = posted(&call)?;
    let mut response = match wants_signed(&call) {
        true => {
            let token = signed(&visit, credentials, form).await?;
            ([(header::CONTENT_TYPE, format!("application/{SIGNED}"))], token).into_response()
        }
        false => ok(&answer(&visit, credentials, form).await?),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// RFC 9701, 4: by the type in Accept, and by nothing as general as `*/*`.
fn wants_signed(call: &Call) -> bool {
    let lines = call.headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().and_then(|kind| kind.strip_prefix("application/"));
        let is_refused = |part: &str| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0_f32);
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(SIGNED)) && !parts.any(is_refused)
    })
}
