//! `/admin/projects/{project}/confirmations`: what ends for good and for many is confirmed here.

use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::fields::Fields;
use crate::app::Ctx;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::model::confirmation::What;
use crate::projects::admins::Admin;
use crate::projects::confirmations::{self, Ended, Waiting};
use crate::session::delete_user::bulk;

/// Whoever may ask for this. One who may not, but is somebody here, leaves a trace.
pub(super) async fn asking(call: &Call, ctx: &Ctx, what: What, id: uuid::Uuid) -> Result<Admin> {
    let refusal = match call.project_admin(ctx).await {
        Ok(admin) => return Ok(admin),
        Err(refusal) => refusal,
    };
    if let Some(admin) = call.turned_away(ctx, &refusal).await? {
        confirmations::refused(ctx, &call.actor(&admin), what, id, "role").await?;
    }
    Err(refusal)
}

/// 202: it waits for its confirmation.
pub(super) fn waiting(waiting: &Waiting) -> Response {
    (axum::http::StatusCode::ACCEPTED, ok(waiting)).into_response()
}

pub async fn read(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&confirmations::show(&ctx, call.path("id")?).await?))
}

pub async fn confirm(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let admin = call.project_admin(&ctx).await?;
    let mut fields = Fields::of_optional(&call)?;
    let typed: Option<String> = fields.optional("confirmation")?;
    fields.finish()?;
    let (actor, role, id) = (call.actor(&admin), admin.role_in(ctx.project.id), call.path("id")?);
    let ended = confirmations::confirm(&ctx, &actor, role, id, typed.as_deref()).await?;
    Ok(match ended {
        Ended::Project => ok(&json!({"id": ctx.project.id, "slug": ctx.project.slug, "deleted": true})),
        Ended::Client(id) => ok(&json!({"client_id": id, "deleted": true})),
        Ended::Users(id) => ok(&bulk::show(&ctx, id).await?),
    })
}

pub async fn cancel(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let admin = call.project_admin(&ctx).await?;
    let (id, role) = (call.path("id")?, admin.role_in(ctx.project.id));
    confirmations::cancel(&ctx, &call.actor(&admin), role, id).await?;
    Ok(ok(&confirmations::show(&ctx, id).await?))
}
