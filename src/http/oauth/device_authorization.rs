//! `oauth2/device_authorization` (RFC 8628, 3.1).

use axum::response::Response;
use serde_json::json;

use super::form::posted;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::sign_in::Browser;
use crate::oauth::device::{self, Begun, LIVES_SECONDS, POLL_SECONDS};

pub async fn begin(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let (credentials, form) = posted(&call)?;
    let device = Browser { user_agent: call.user_agent(), address: call.client_address() };
    let Begun { device_code, user_code, verification_uri } =
        device::begin(&visit, credentials, &form, device).await?;
    Ok(ok(&json!({
        "device_code": device_code.expose(),
        "user_code": user_code.to_string(),
        "verification_uri": verification_uri,
        "verification_uri_complete": format!("{verification_uri}?user_code={user_code}"),
        "expires_in": LIVES_SECONDS,
        "interval": POLL_SECONDS,
    })))
}
