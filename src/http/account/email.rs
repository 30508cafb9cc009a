//! `/api/account/email`: letters that prove the mail address, or move the account to another one.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::fresh_holder;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::addresses;
use crate::session::holder::Holder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    email: String,
}

/// Nothing changes until the link in the letter is followed.
pub async fn change(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let body: Change = call.json()?;
    addresses::ask_own_change(&ctx, &Holder::Application(&live), &body.email).await?;
    Ok((StatusCode::ACCEPTED, ok(&json!({"sent_to": body.email}))).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub async fn verify(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let Nothing {} = call.json_or_default()?;
    addresses::ask_own_verification(&ctx, &Holder::Application(&live)).await?;
    Ok((StatusCode::ACCEPTED, ok(&json!({"sent": true}))).into_response())
}
