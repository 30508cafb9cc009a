//! `/api/account/profile`: the own record.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::holder;
use crate::error::Result;
use crate::http::admin::users::with_claims;
use crate::http::answer::versioned;
use crate::http::call::Call;
use crate::http::members::members;
use crate::identity::account::profile::{self, ProfileChange};
use crate::session::holder::Holder;

pub async fn read(call: Call) -> Result<Response> {
    let (ctx, live) = holder(&call).await?;
    let user = profile::read(&ctx, &Holder::Application(&live)).await?;
    Ok(versioned(StatusCode::OK, user.version, &user))
}

/// What changes; standard claims stand beside it, and null takes one away, an attribute as well.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfilePatch {
    #[serde(default, deserialize_with = "members")]
    attributes: Map<String, Value>,
}

pub async fn change(call: Call) -> Result<Response> {
    let (ctx, live) = holder(&call).await?;
    let seen = call.if_match()?;
    let (ProfilePatch { attributes }, claims) = with_claims(&call)?;
    let change = ProfileChange::new(claims, attributes);
    let user = profile::change(&ctx, &Holder::Application(&live), change, seen).await?;
    Ok(versioned(StatusCode::OK, user.version, &user))
}
