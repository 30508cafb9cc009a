//! `delete-user` on the wire.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::answer::ok;
use super::call::Call;
use super::session::{UserName, find_user};
use crate::error::Result;
use crate::ids::DeletionId;
use crate::session::delete_user;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteUser {
    user: UserName,
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

pub async fn request(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let body: DeleteUser = call.json()?;
    let user = find_user(&ctx, body.user).await?;
    if body.dry_run {
        return Ok(ok(&json!({"impact": delete_user::impact(&ctx, user).await?})));
    }
    let requested = delete_user::request(&ctx, &actor, user, &body.reason).await?;
    Ok((StatusCode::ACCEPTED, ok(&requested)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    deletion_id: DeletionId,
    confirmation: String,
}

pub async fn confirm(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let body: Confirm = call.json()?;
    delete_user::confirm(&ctx, &actor, body.deletion_id, &body.confirmation).await?;
    Ok(ok(&delete_user::state(&ctx, body.deletion_id).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    deletion_id: DeletionId,
}

pub async fn cancel(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let body: Cancel = call.json()?;
    delete_user::cancel(&ctx, &actor, body.deletion_id).await?;
    Ok(ok(&delete_user::state(&ctx, body.deletion_id).await?))
}

pub async fn state(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&delete_user::state(&ctx, call.path("deletion_id")?).await?))
}
