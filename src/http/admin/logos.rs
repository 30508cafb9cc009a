//! `/admin/projects/{project}/logo`.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::rehearsal::Rehearsal;
use crate::error::{Code, Error, Result};
use crate::http::answer::{ok, versioned};
use crate::http::call::Call;
use crate::model::logo::LogoKind;
use crate::projects::logos;

/// The picture is the body. What it is, its bytes say.
pub async fn put(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let admin = call.project_admin(&ctx).await?;
    let kind = call.header("content-type").unwrap_or_default();
    if !LogoKind::ALL.iter().any(|known| known.content_type() == kind) {
        let why = "the body must be image/png, image/jpeg or image/webp";
        return Err(Error::new(Code::UnsupportedMediaType, why));
    }
    let project = logos::put(&ctx, &call.actor(&admin), call.if_match()?, &call.body).await?;
    Ok(versioned(StatusCode::OK, project.version, &project))
}

pub async fn remove(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let admin = call.project_admin(&ctx).await?;
    let Rehearsal { dry_run } = call.query()?;
    let actor = call.actor(&admin);
    let remove = logos::remove(&ctx, &actor, call.if_match()?);
    if dry_run {
        call.app.db.rehearse(remove).await?;
        return Ok(ok(&json!({"dry_run": true})));
    }
    let project = remove.await?;
    Ok(versioned(StatusCode::OK, project.version, &project))
}
