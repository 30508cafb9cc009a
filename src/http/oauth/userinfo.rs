//! `oauth2/userinfo` (OpenID Connect Core, 5.3).

use axum::response::Response;

use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::session::user_info;

/// By GET or POST, the token in the Authorization header.
pub async fn user_info(call: Call) -> Result<Response> {
    let token = call.access_token(None)?;
    Ok(ok(&user_info::user_info(&call.visit_by_slug()?, &token).await?))
}
