//! Swagger UI, from inside the binary: nothing is fetched from elsewhere.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::Config;

use crate::error::{Error, Result, not_found};

/// The viewer styles what it draws inline; scripts come from us alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// `GET /docs`: relative names need the slash.
pub async fn viewer() -> Redirect {
    Redirect::permanent("/docs/")
}

/// `GET /docs/{file}`
pub async fn file(name: Option<Path<String>>) -> Result<Response> {
    let name = name.map_or_else(String::new, |Path(name)| name);
    let config = Arc::new(Config::new(["/openapi.json"]).try_it_out_enabled(true));
    let found = utoipa_swagger_ui::serve(&name, config).map_err(Error::internal)?;
    let file = found.ok_or_else(|| not_found("there is no such file"))?;
    let headers = [
        (header::CONTENT_TYPE, file.content_type.as_str()),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
    ];
    Ok((headers, file.bytes.into_owned()).into_response())
}
