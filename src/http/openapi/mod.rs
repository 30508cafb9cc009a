//! The OpenAPI 3.1 document: one table of operations, and a viewer for it. A test holds the table against the routes.

mod account_operations;
mod admin_operations;
mod document;
mod mail_operations;
mod operations;
mod parts;
mod people_operations;
mod registration_operations;
mod viewer;

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};

pub use document::document;
pub use viewer::{file, viewer};

static DOCUMENT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));

/// The document as it is served and printed.
pub fn text() -> &'static str {
    &DOCUMENT
}

/// `GET /openapi.json`
pub async fn serve() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, text()).into_response()
}
