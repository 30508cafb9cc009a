//! `/admin/admin-keys`: only owners; an owner of one project makes, sees and revokes that project's keys.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::fields::Fields;
use super::paging::{Page, page};
use super::rehearsal;
use super::within::{List, named_project};
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::ids::{AdminKeyId, ProjectId};
use crate::model::role::Permission;
use crate::model::timestamp::Timestamp;
use crate::projects::admin_keys::{self, NewAdminKey};
use crate::store::admin_keys::Listed;

#[derive(Serialize)]
struct Shown {
    id: AdminKeyId,
    name: String,
    role: String,
    /// `null`: every project.
    project: Option<ProjectId>,
    created_at: Timestamp,
    /// Who stands behind it, as the log names them; `null`: it was made on the command line.
    made_by: Option<String>,
}

impl From<Listed> for Shown {
    fn from(Listed { key, created_at, made_by }: Listed) -> Self {
        Self { id: key.id, name: key.name, role: key.role, project: key.project_id, created_at, made_by }
    }
}

pub async fn list(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let List { within, after, limit } = List::of(&call, &admin).await?;
    let found = admin_keys::list(&call.app, within, after, limit + 1).await?;
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
        "created_at": made.created_at, "made_by": made.made_by});
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
    let revoke = async {
        let within = &admin.within(Permission::Own);
        let (_, revoked_at) = admin_keys::revoke(&call.app, &actor, within, id).await?;
        Ok(json!({"id": id.to_string(), "revoked_at": revoked_at}))
    };
    rehearsal::answer(&call, revoke).await
}
