//! `oauth2/revoke` (RFC 7009).

use axum::response::Response;
use serde_json::json;

use super::form::posted;
use crate::error::Result;
use crate::http::answer::{ok, with_dpop_nonce};
use crate::http::call::Call;
use crate::oauth::dpop;
use crate::oauth::revoke::end;

/// RFC 7009, 2.2: the status says it all. The empty object is for those who parse every answer.
pub async fn revoke(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let (credentials, form) = posted(&call)?;
    let key = dpop::admit(&visit, call.proof()?).await?;
    let next_nonce = key.as_ref().and_then(|key| key.next_nonce.clone());
    end(&visit, credentials.with_key(key), form).await?;
    Ok(with_dpop_nonce(ok(&json!({})), next_nonce.as_deref()))
}
