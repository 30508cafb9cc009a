//! `/admin/projects/{project}/webhooks`: where a project is told of what happens to its users.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::rehearsal;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::ids::WebhookId;
use crate::projects::webhooks;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    uri: String,
}

pub async fn create(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let NewBody { uri } = call.json()?;
    let (made, secret) = webhooks::create(&ctx, &actor, uri).await?;
    let body =
        json!({"id": made.id, "uri": made.uri, "created_at": made.created_at, "secret": secret.expose()});
    Ok((StatusCode::CREATED, ok(&body)).into_response())
}

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&json!({"items": webhooks::list(&ctx).await?})))
}

pub async fn delete(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let id: WebhookId = call.path("id")?;
    let delete = async {
        webhooks::delete(&ctx, &actor, id).await?;
        Ok(json!({"id": id, "deleted": true}))
    };
    rehearsal::answer(&call, delete).await
}
