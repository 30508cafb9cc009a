//! `…/users/{user}/legal-hold` and `…/deletion-protection`: what keeps a user from being deleted.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::fields::Fields;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::session::delete_user::guards::{self, Guard};

pub async fn read(call: Call, guard: Guard) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&guards::find(&ctx, call.path("user")?, guard).await?))
}

pub async fn place(call: Call, guard: Guard) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let reason = reason(&call)?;
    let placed = guards::place(&ctx, &actor, call.path("user")?, guard, &reason).await?;
    Ok((StatusCode::CREATED, Json(placed)).into_response())
}

pub async fn lift(call: Call, guard: Guard) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let reason = reason(&call)?;
    guards::lift(&ctx, &actor, call.path("user")?, guard, &reason).await?;
    Ok(ok(&json!({"lifted": true})))
}

fn reason(call: &Call) -> Result<String> {
    let mut fields = Fields::of(call)?;
    let reason = fields.required("reason")?;
    fields.finish().map(|()| reason)
}
