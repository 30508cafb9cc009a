//! `delete-user` on the wire.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::answer::{JWT, ok, signed};
use super::call::Call;
use super::user_name::{UserName, find_user};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Error, Result};
use crate::ids::DeletionId;
use crate::session::delete_user::{self, Notify};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteUser {
    user: UserName,
    /// May be left out of a dry run.
    reason: Option<String>,
    notify: Option<bool>,
    /// Why not.
    notify_reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// Whoever may delete here. One who may not, but is somebody here, leaves a trace.
pub(super) async fn deleting(call: &Call, ctx: &Ctx) -> Result<Actor> {
    match call.project_admin(ctx).await {
        Ok(admin) => Ok(call.actor(&admin)),
        Err(error) => {
            if let Some(admin) = call.turned_away(ctx, &error).await? {
                delete_user::refused(ctx, &call.actor(&admin), None, "role").await?;
            }
            Err(error)
        }
    }
}

pub async fn request(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = deleting(&call, &ctx).await?;
    let body: DeleteUser = call.json()?;
    if body.reason.is_none() && !body.dry_run {
        return Err(Error::invalid_field("reason", "missing field reason"));
    }
    let user = find_user(&ctx, body.user).await?;
    let notify = Notify { wanted: body.notify, reason: body.notify_reason.as_deref() };
    if body.dry_run {
        let impact = delete_user::preview(&ctx, user, body.reason.as_deref(), notify).await?;
        return Ok(ok(&json!({"impact": impact})));
    }
    let reason = body.reason.unwrap_or_default();
    let requested = delete_user::request(&ctx, &actor, user, &reason, notify).await?;
    Ok((StatusCode::ACCEPTED, ok(&requested)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    deletion_id: DeletionId,
    /// The user name, typed again.
    confirmation: Option<String>,
}

pub async fn confirm(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = deleting(&call, &ctx).await?;
    let body: Confirm = call.json()?;
    delete_user::confirm(&ctx, &actor, body.deletion_id, body.confirmation.as_deref()).await?;
    Ok(ok(&delete_user::show(&ctx, body.deletion_id).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    deletion_id: DeletionId,
}

pub async fn cancel(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = deleting(&call, &ctx).await?;
    let body: Cancel = call.json()?;
    delete_user::cancel(&ctx, &actor, body.deletion_id).await?;
    Ok(ok(&delete_user::show(&ctx, body.deletion_id).await?))
}

/// The erasure record, signed.
pub async fn record(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(signed(JWT, delete_user::erasure_record(&ctx, call.path("deletion_id")?).await?))
}

pub async fn state(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&delete_user::show(&ctx, call.path("deletion_id")?).await?))
}
