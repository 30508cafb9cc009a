//! `oauth2/par` (RFC 9126, 2).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::form::posted;
use crate::error::Result;
use crate::http::call::Call;
use crate::oauth::dpop;
use crate::oauth::par::{self, Pushed};

pub async fn push(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let (credentials, form) = posted(&call)?;
    let key = dpop::admit(&visit, call.proof()?).await?;
    let Pushed { request_uri, expires_in } = par::push(&visit, credentials.with_key(key), form).await?;
    let body = json!({"request_uri": request_uri.expose(), "expires_in": expires_in});
    Ok((StatusCode::CREATED, Json(body)).into_response())
}
