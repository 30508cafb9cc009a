//! `oauth2/token` (RFC 6749, 3.2).

use axum::response::Response;

use super::form::posted;
use crate::error::Result;
use crate::http::answer::{ok, with_dpop_nonce};
use crate::http::call::Call;
use crate::oauth::dpop;
use crate::oauth::token::{self, TokenRequest};

pub async fn token(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let (credentials, form) = posted(&call)?;
    let key = dpop::admit(&visit, call.proof()?).await?;
    let next_nonce = key.as_ref().and_then(|key| key.next_nonce.clone());
    let credentials = credentials.with_key(key);
    let tokens = token::answer(&visit, TokenRequest { credentials, form }).await?;
    Ok(with_dpop_nonce(ok(&tokens), next_nonce.as_deref()))
}
