//! `oauth2/introspect` (RFC 7662).

use axum::response::Response;

use super::form::posted;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::oauth::introspect::answer;

pub async fn introspect(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let (credentials, form) = posted(&call)?;
    Ok(ok(&answer(&visit, credentials, form).await?))
}
