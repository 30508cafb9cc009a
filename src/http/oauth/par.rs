//! `oauth2/par` (RFC 9126, 2).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::form::posted;
use crate::error::Result;
use crate::http::answer::with_dpop_nonce;
use crate::http::call::Call;
use crate::oauth::dpop;
use crate::oauth::par::{self, Pushed};

pub async fn push(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let (credentials, form) = posted(&call)?;
    let key = dpop::admit(&visit, call.proof()?).await?;
    let next_nonce = key.as_ref().and_then(|key| key.next_nonce.clone());
    let (credentials, address) = (credentials.with_key(key), call.client_address());
    let Pushed { request_uri, expires_in } = par::push(&visit, credentials, form, &address).await?;
    let body = json!({"request_uri": request_uri.expose(), "expires_in": expires_in});
    Ok(with_dpop_nonce((StatusCode::CREATED, Json(body)).into_response(), next_nonce.as_deref()))
}
