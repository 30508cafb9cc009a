//! `/admin/projects/{project}/users/{user}/devices`: the browsers in which a user is not asked again for a second factor.

use axum::response::Response;
use serde_json::json;

use super::rehearsal;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::devices;
use crate::projects::users::find;

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let user = call.path("user")?;
    find(&ctx, user).await?;
    Ok(ok(&json!({"items": devices::list(&ctx, user).await?})))
}

pub async fn forget(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (user, only) = (call.path("user")?, Some(call.path("device")?));
    rehearsal::answer(&call, devices::forget_of(&ctx, &actor, user, only)).await
}

pub async fn forget_all(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    rehearsal::answer(&call, devices::forget_of(&ctx, &actor, call.path("user")?, None)).await
}
