//! `oauth2/userinfo` (OpenID Connect Core, 5.3).

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::error::Result;
use crate::http::answer::{ok, with_dpop_nonce};
use crate::http::call::Call;
use crate::session::user_info::{self, Told, UserInfo};

/// By GET or POST, the token in the Authorization header.
pub async fn user_info(call: Call) -> Result<Response> {
    let token = call.access_token(None)?;
    let Told { answer, next_nonce } = user_info::user_info(&call.visit_by_slug()?, &token).await?;
    let response = match answer {
        UserInfo::Plain(claims) => ok(&claims),
        UserInfo::Signed(token) => ([(header::CONTENT_TYPE, "application/jwt")], token).into_response(),
    };
    Ok(with_dpop_nonce(response, next_nonce.as_deref()))
}
