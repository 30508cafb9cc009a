//! `/admin/projects/{project}/scopes`: what applications may ask for beside the scopes of OpenID Connect.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::paging::Page;
use super::rehearsal;
use super::users::given;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::model::scope::Names;
use crate::projects::scopes::{self, ScopeChange};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    claims: Vec<String>,
    #[serde(default)]
    attributes: Vec<String>,
}

pub async fn create(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let NewBody { name, description, claims, attributes } = call.json()?;
    let content = ScopeChange {
        description: Some(description),
        claims: Some(Names(claims)),
        attributes: Some(Names(attributes)),
    };
    Ok((StatusCode::CREATED, ok(&scopes::define(&ctx, &actor, name, content).await?)).into_response())
}

/// All of them: there are at most 100.
pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&Page { items: scopes::list(&ctx).await?, next: None }))
}

pub async fn read(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&scopes::find(&ctx, &call.path::<String>("name")?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    #[serde(default, deserialize_with = "given")]
    claims: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    attributes: Option<Vec<String>>,
}

pub async fn change(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let Patch { description, claims, attributes } = call.json()?;
    let change = ScopeChange { description, claims: claims.map(Names), attributes: attributes.map(Names) };
    Ok(ok(&scopes::change(&ctx, &actor, &call.path::<String>("name")?, &change).await?))
}

pub async fn delete(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let name = call.path::<String>("name")?;
    let delete = async {
        scopes::delete(&ctx, &actor, &name).await?;
        Ok(json!({"name": name, "deleted": true}))
    };
    rehearsal::answer(&call, delete).await
}
