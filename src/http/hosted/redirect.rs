//! The way back to the application.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::form_urlencoded::Serializer;

use super::form_post;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::oauth::authorize::{ResponseMode, WayBack};
use crate::secret::Secret;

/// The authorization response, to a proven redirect URI: with `iss` (RFC 9207, 2), and `state` as it came.
pub fn to_client(ctx: &Ctx, back: &WayBack, outcome: Result<&Secret, &Error>) -> Result<Response> {
    let mut pairs = match outcome {
        Ok(code) => vec![("code", code.expose())],
        Err(error) => {
            super::log_cause(error);
            vec![("error", error.code().as_str()), ("error_description", error.description())]
        }
    };
    pairs.extend(back.state.as_deref().map(|state| ("state", state)));
    pairs.push(("iss", &ctx.project.issuer));
    match back.response_mode {
        ResponseMode::Query => see_other(&with_query(&back.redirect_uri, &pairs)),
        ResponseMode::FormPost => form_post::page(ctx, &back.redirect_uri, &pairs),
    }
}

/// What went wrong once the redirect URI was proven is for the application to know, with its `state` (RFC 6749, 4.1.2.1).
pub fn or_to_client(ctx: &Ctx, back: &WayBack, outcome: Result<Response>) -> Result<Response> {
    outcome.or_else(|error| to_client(ctx, back, Err(&error)))
}

/// Adds parameters to a registered URI and leaves it as it is to the byte otherwise (RFC 6749, 3.1.2).
pub fn with_query(uri: &str, pairs: &[(&str, &str)]) -> String {
    let separator = match uri.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{uri}{separator}{query}")
}

/// 303, so that a posted form is never repeated at the other end (RFC 9700, 4.12).
pub fn see_other(location: &str) -> Result<Response> {
    let headers = [
        (header::LOCATION, HeaderValue::from_str(location).map_err(Error::internal)?),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_uri_stays_as_it_is() {
        let pairs = [("code", "a b&c")];
        for (uri, whole) in [
            ("https://a.example", "https://a.example?code=a+b%26c"),
            ("https://A.example:443/../x?y=%7e", "https://A.example:443/../x?y=%7e&code=a+b%26c"),
            ("com.example.app:/cb?", "com.example.app:/cb?code=a+b%26c"),
            ("https://a.example/?x&", "https://a.example/?x&code=a+b%26c"),
        ] {
            assert_eq!(with_query(uri, &pairs), whole);
        }
    }
}
