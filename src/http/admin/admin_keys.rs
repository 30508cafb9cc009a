//! `/admin/admin-keys`: only owners; an owner of one project makes, sees and revokes that project's keys.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::fields::Fields;
use super::paging::{Page, limit, page};
use crate::app::App;
use crate::error::{Error, Result, not_found};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::ids::{AdminKeyId, ProjectId};
use crate::model::role::Permission;
use crate::model::timestamp::Timestamp;
use crate::projects::admin_keys::{self, NewAdminKey};
use crate::projects::admins::Within;
use crate::projects::find_id;
use crate::store::admin_keys::Listed;

#[derive(Serialize)]
struct Shown {
    id: AdminKeyId,
    name: String,
    role: String,
    /// `null`: every project.
    project: Option<ProjectId>,
    created_at: Timestamp,
}

impl From<Listed> for Shown {
    fn from(Listed { key, created_at }: Listed) -> Self {
        Self { id: key.id, name: key.name, role: key.role, project: key.project_id, created_at }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    limit: Option<i64>,
    after: Option<AdminKeyId>,
    project: Option<String>,
}

pub async fn list(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let query: List = call.query()?;
    let limit = limit(query.limit)?;
    let own = admin.within(Permission::Own);
    let within = match named_project(&call.app, &own, query.project.as_deref()).await? {
        None => own.one()?,
        named => named,
    };
    let found = admin_keys::list(&call.app, within, query.after, limit + 1).await?;
    let Page { items, next } = page(found, limit, |listed: &Listed| listed.key.id.to_string());
    Ok(ok(&Page { items: items.into_iter().map(Shown::from).collect(), next }))
}

pub async fn create(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let mut fields = Fields::of(&call)?;
    let (name, role) = (fields.required("name")?, fields.required("role")?);
    let project: Option<String> = fields.optional("project")?;
    fields.finish()?;
    let own = admin.within(Permission::Own);
    let project = named_project(&call.app, &own, project.as_deref()).await?;
    let new = NewAdminKey { name, role, project };
    let (made, key) = admin_keys::create(&call.app, &call.actor(&admin), Some(&admin), new).await?;
    let (key, made) = (json!(key.expose()), Shown::from(made));
    let body = json!({"id": made.id, "key": key, "name": made.name, "role": made.role, "project": made.project,
        "created_at": made.created_at});
    Ok((StatusCode::CREATED, ok(&body)).into_response())
}

pub async fn read(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let found = admin_keys::get(&call.app, &admin.within(Permission::Own), call.path("id")?).await?;
    Ok(ok(&Shown::from(found)))
}

pub async fn revoke(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let (actor, id) = (call.actor(&admin), call.path("id")?);
    let (_, revoked_at) = admin_keys::revoke(&call.app, &actor, &admin.within(Permission::Own), id).await?;
    Ok(ok(&json!({"id": id.to_string(), "revoked_at": revoked_at})))
}

/// The project that a body or query names by slug or id; one beyond the caller's reach is not found.
pub(super) async fn named_project(
    app: &App,
    within: &Within,
    name: Option<&str>,
) -> Result<Option<ProjectId>> {
    let Some(name) = name else { return Ok(None) };
    if name.chars().any(char::is_control) {
        return Err(Error::invalid_field("project", "project has no control characters"));
    }
    let found = find_id(app, name).await?;
    let found = found.filter(|id| within.contains(Some(*id)));
    found.map(Some).ok_or_else(|| not_found("no such project").with_field("project"))
}
