//! `oauth2/introspect` (RFC 7662; signed: RFC 9701).

use axum::response::Response;

use super::form::posted;
use crate::error::Result;
use crate::http::answer::{accepts, by_accept, ok, signed as signed_answer};
use crate::http::call::Call;
use crate::oauth::introspect::{SIGNED, answer, signed};

pub async fn introspect(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let (credentials, form) = posted(&call)?;
    // RFC 9701, 4: by the type in Accept.
    let response = match accepts(&call.headers, SIGNED) {
        true => signed_answer(SIGNED, signed(&visit, credentials, form).await?),
        false => ok(&answer(&visit, credentials, form).await?),
    };
    Ok(by_accept(response))
}
