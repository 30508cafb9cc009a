//! `/admin/projects/{project}/users/{user}/factors`: what a user has beside a password.

use axum::response::Response;

use super::rehearsal;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::factors;
use crate::projects::users::find;

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let user = call.path("user")?;
    find(&ctx, user).await?;
    Ok(ok(&factors::list(&ctx, user).await?))
}

pub async fn reset(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    rehearsal::answer(&call, factors::reset(&ctx, &actor, call.path("user")?, None)).await
}

pub async fn reset_one(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (user, factor) = (call.path("user")?, call.path("factor")?);
    rehearsal::answer(&call, factors::reset(&ctx, &actor, user, Some(factor))).await
}
