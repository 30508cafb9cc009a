//! `/admin/projects/{project}/attribute-definitions`: what a project knows of its users beside the standard claims.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::paging::Page;
use super::rehearsal::Rehearsal;
use super::users::given;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::model::attribute::AttributeType;
use crate::projects::attributes::{self, DefinitionChange, NewDefinition};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    name: String,
    r#type: AttributeType,
    #[serde(default)]
    description: String,
    #[serde(default)]
    user_writable: bool,
    #[serde(default)]
    in_access_token: bool,
    max_bytes: Option<i64>,
}

pub async fn create(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let body: NewBody = call.json()?;
    let new = NewDefinition {
        name: body.name,
        kind: body.r#type,
        description: body.description,
        user_writable: body.user_writable,
        in_access_token: body.in_access_token,
        max_bytes: body.max_bytes,
    };
    Ok((StatusCode::CREATED, ok(&attributes::define(&ctx, &actor, new).await?)).into_response())
}

/// All of them: there are at most 50.
pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&Page { items: attributes::list(&ctx).await?, next: None }))
}

pub async fn read(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&attributes::find(&ctx, &call.path::<String>("name")?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    #[serde(default, deserialize_with = "given")]
    user_writable: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    in_access_token: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    max_bytes: Option<i64>,
}

pub async fn change(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let Patch { description, user_writable, in_access_token, max_bytes } = call.json()?;
    let change = DefinitionChange { description, user_writable, in_access_token, max_bytes };
    Ok(ok(&attributes::change(&ctx, &actor, &call.path::<String>("name")?, &change).await?))
}

pub async fn delete(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (name, Rehearsal { dry_run }) = (call.path::<String>("name")?, call.query()?);
    let impact = match dry_run {
        true => attributes::impact(&ctx, &name).await?,
        false => attributes::delete(&ctx, &actor, &name).await?,
    };
    Ok(ok(&json!({"impact": impact})))
}
