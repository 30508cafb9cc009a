//! `/admin/admins`: roles of people of the built-in project. Only owners; an owner of one project gives, sees and revokes
//! roles in that project.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::fields::Fields;
use super::paging::{Page, page};
use super::rehearsal;
use super::within::{List, named_project};
use crate::app::Ctx;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::http::user_name::find_user;
use crate::ids::{AdminGrantId, ProjectId, UserId};
use crate::model::role::Permission;
use crate::model::timestamp::Timestamp;
use crate::projects::admins::grants::{self, NewGrant, project_of};
use crate::projects::admins::name;
use crate::store::admin_grants::GrantRow;

#[derive(Serialize)]
pub struct Shown {
    id: AdminGrantId,
    user: UserId,
    username: Option<String>,
    /// As the audit log names them when they act.
    name_in_log: String,
    role: String,
    /// `null`: every project.
    project: Option<ProjectId>,
    created_at: Timestamp,
}

impl Shown {
    fn new(ctx: &Ctx, row: GrantRow) -> Self {
        let (project, name_in_log) = (project_of(&row), name(ctx, row.user_id));
        let GrantRow { id, user_id, username, role, created_at, .. } = row;
        Self { id, user: user_id, username, name_in_log, role, project, created_at }
    }
}

pub async fn list(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let List { within, after, limit } = List::of(&call, &admin).await?;
    let found = grants::list(&call.app, within, after, limit + 1).await?;
    let Page { items, next } = page(found, limit, |row: &GrantRow| row.id.to_string());
    let ctx = grants::home(&call.app, &call.request_id).await?;
    Ok(ok(&Page { items: items.into_iter().map(|row| Shown::new(&ctx, row)).collect(), next }))
}

pub async fn create(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let mut fields = Fields::of(&call)?;
    let (user, role) = (fields.required("user")?, fields.required("role")?);
    let project: Option<String> = fields.optional("project")?;
    fields.finish()?;
    let project = named_project(&call.app, &admin.within(Permission::Own), project.as_deref()).await?;
    let ctx = grants::home(&call.app, &call.request_id).await?;
    let new = NewGrant { user: find_user(&ctx, user).await?, role, project };
    let made = grants::grant(&ctx, &call.actor(&admin), Some(&admin), new).await?;
    Ok((StatusCode::CREATED, ok(&Shown::new(&ctx, made))).into_response())
}

pub async fn read(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let found = grants::get(&call.app, &admin.within(Permission::Own), call.path("id")?).await?;
    let ctx = grants::home(&call.app, &call.request_id).await?;
    Ok(ok(&Shown::new(&ctx, found)))
}

pub async fn revoke(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let id: AdminGrantId = call.path("id")?;
    let ctx = grants::home(&call.app, &call.request_id).await?;
    let revoke = async {
        grants::revoke(&ctx, &call.actor(&admin), &admin.within(Permission::Own), id).await?;
        Ok(json!({"id": id, "revoked_at": ctx.now}))
    };
    rehearsal::answer(&call, revoke).await
}
