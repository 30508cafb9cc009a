//! `/admin/projects/{project}/roles` and `…/groups`: names that users hold. One file for both, as they differ in nothing else.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::paging::{cursor, limit, page};
use super::rehearsal::Rehearsal;
use crate::error::{Error, Result};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::model::holding::LabelKind;
use crate::model::names::check_label;
use crate::projects::labels;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLabel {
    name: String,
    #[serde(default)]
    description: String,
}

pub async fn create(call: Call, kind: LabelKind) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let NewLabel { name, description } = call.json()?;
    let label = labels::create(&ctx, &actor, kind, name, description).await?;
    Ok((StatusCode::CREATED, ok(&label)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<i64>,
    after: Option<String>,
}

pub async fn list(call: Call, kind: LabelKind) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let Listing { limit: asked, after } = call.query()?;
    let (limit, after) = (limit(asked)?, after.unwrap_or_default());
    if !after.is_empty() && check_label(&after).is_err() {
        return Err(Error::invalid_field("after", "after is what next of the page before says"));
    }
    let found = labels::list(&ctx, kind, &after, limit + 1).await?;
    Ok(ok(&page(found, limit, |label| label.name.clone())))
}

pub async fn read(call: Call, kind: LabelKind) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&labels::find(&ctx, kind, &call.path::<String>("name")?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    description: String,
}

pub async fn change(call: Call, kind: LabelKind) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (name, Patch { description }) = (call.path::<String>("name")?, call.json()?);
    Ok(ok(&labels::describe(&ctx, &actor, kind, &name, &description).await?))
}

pub async fn delete(call: Call, kind: LabelKind) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (name, Rehearsal { dry_run }) = (call.path::<String>("name")?, call.query()?);
    let impact = match dry_run {
        true => labels::impact(&ctx, kind, &name).await?,
        false => labels::delete(&ctx, &actor, kind, &name).await?,
    };
    Ok(ok(&json!({"impact": impact})))
}

/// Who holds it.
pub async fn users(call: Call, kind: LabelKind) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: Listing = call.query()?;
    let (limit, after) = (limit(query.limit)?, cursor(query.after.as_deref())?);
    let found = labels::users(&ctx, kind, &call.path::<String>("name")?, after, limit + 1).await?;
    Ok(ok(&page(found, limit, |user| user.id.to_string())))
}
