//! `oauth2/token` (RFC 6749, 3.2).

use axum::response::Response;

use super::form::posted;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::oauth::token::{self, TokenRequest};

pub async fn token(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let (credentials, form) = posted(&call)?;
    Ok(ok(&token::answer(&visit, TokenRequest { credentials, form }).await?))
}
