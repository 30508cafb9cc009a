//! `delete-user` on the wire.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::RequestId;
use super::answer::{ok, parse_json};
use super::session::{UserName, find_user, require_admin};
use crate::app::{App, Ctx};
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

pub async fn request(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    let actor = require_admin(&ctx, &headers).await?;
    let body: DeleteUser = parse_json(&headers, &body)?;
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

pub async fn confirm(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    let actor = require_admin(&ctx, &headers).await?;
    let body: Confirm = parse_json(&headers, &body)?;
    delete_user::confirm(&ctx, &actor, body.deletion_id, &body.confirmation).await?;
    Ok(ok(&delete_user::state(&ctx, body.deletion_id).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    deletion_id: DeletionId,
}

pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    let actor = require_admin(&ctx, &headers).await?;
    let body: Cancel = parse_json(&headers, &body)?;
    delete_user::cancel(&ctx, &actor, body.deletion_id).await?;
    Ok(ok(&delete_user::state(&ctx, body.deletion_id).await?))
}

pub async fn state(
    State(app): State<Arc<App>>,
    Path((project, deletion)): Path<(String, DeletionId)>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Response> {
    let ctx = Ctx::load(app, &project, id).await?;
    require_admin(&ctx, &headers).await?;
    Ok(ok(&delete_user::state(&ctx, deletion).await?))
}
