//! `/admin/projects/{project}/invitations`: who may make an account of their own.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::paging::{limit, page};
use super::rehearsal;
use super::users::given;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::invitations::{self, Invitation, NewInvitation};
use crate::ids::MailLinkId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    email: String,
    #[serde(default, deserialize_with = "given")]
    username: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default, deserialize_with = "given")]
    expires_in_hours: Option<i64>,
    #[serde(default, deserialize_with = "given")]
    language: Option<String>,
}

pub async fn create(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let NewBody { email, username, roles, groups, expires_in_hours, language } = call.json()?;
    let new = NewInvitation { email, username, roles, groups, expires_in_hours, language };
    let invitation = invitations::invite(&ctx, &actor, new).await?;
    Ok((StatusCode::CREATED, ok(&invitation)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    limit: Option<i64>,
    after: Option<MailLinkId>,
}

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: List = call.query()?;
    let limit = limit(query.limit)?;
    let found = invitations::list(&ctx, query.after, limit + 1).await?;
    Ok(ok(&page(found, limit, |invitation: &Invitation| invitation.id.to_string())))
}

pub async fn withdraw(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let id: MailLinkId = call.path("id")?;
    let withdraw = async {
        invitations::withdraw(&ctx, &actor, id).await?;
        Ok(json!({"id": id, "withdrawn_at": ctx.now}))
    };
    rehearsal::answer(&call, withdraw).await
}
