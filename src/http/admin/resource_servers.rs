//! `/admin/projects/{project}/resource-servers`: the APIs that take tokens of the project (RFC 8707).

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
use crate::ids::ResourceServerId;
use crate::model::scope::Names;
use crate::projects::resource_servers::{self, ResourceServerChange};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    identifier: String,
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

pub async fn create(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let NewBody { identifier, name, scopes } = call.json()?;
    let content = ResourceServerChange { name, scopes: Some(Names(scopes)) };
    let made = resource_servers::create(&ctx, &actor, identifier, content).await?;
    Ok((StatusCode::CREATED, ok(&made)).into_response())
}

/// All of them: there are at most 100.
pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&Page { items: resource_servers::list(&ctx).await?, next: None }))
}

pub async fn read(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&resource_servers::find(&ctx, call.path("id")?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Vec<String>>,
}

pub async fn change(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let Patch { name, scopes } = call.json()?;
    let change = ResourceServerChange { name, scopes: scopes.map(Names) };
    Ok(ok(&resource_servers::change(&ctx, &actor, call.path("id")?, &change).await?))
}

pub async fn delete(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let id: ResourceServerId = call.path("id")?;
    let delete = async {
        resource_servers::delete(&ctx, &actor, id).await?;
        Ok(json!({"id": id, "deleted": true}))
    };
    rehearsal::answer(&call, delete).await
}
