//! `delete-users` on the wire.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::admin::paging::{Page, limit, page};
use super::answer::ok;
use super::call::Call;
use super::deletion::deleting;
use crate::error::{Error, Result};
use crate::ids::{BulkId, UserId};
use crate::model::bulk::Outcome;
use crate::session::delete_user::Notify;
use crate::session::delete_user::bulk::{self, Filter, MOST_LISTED, Which};
use crate::store::bulk_users::Of;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteUsers {
    users: Option<Vec<UserId>>,
    filter: Option<Filter>,
    reason: String,
    notify: Option<bool>,
    /// Why not.
    notify_reason: Option<String>,
}

impl DeleteUsers {
    fn which(users: Option<Vec<UserId>>, filter: Option<Filter>) -> Result<Which> {
        match (users, filter) {
            (Some(users), None) if (1..=MOST_LISTED).contains(&users.len()) => Ok(Which::Listed(users)),
            (Some(_), None) => Err(Error::invalid_field("users", "users has 1 to 1000 ids")),
            (None, Some(filter)) => Ok(Which::Matching(filter.matching()?)),
            _ => Err(Error::invalid_field("users", "who is meant is said by users or by filter")),
        }
    }
}

pub async fn request(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = deleting(&call, &ctx).await?;
    let DeleteUsers { users, filter, reason, notify, notify_reason } = call.json()?;
    let which = DeleteUsers::which(users, filter)?;
    let notify = Notify { wanted: notify, reason: notify_reason.as_deref() };
    let asked = bulk::request(&ctx, &actor, which, &reason, notify).await?;
    Ok((StatusCode::ACCEPTED, ok(&asked)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    deletion_id: BulkId,
}

pub async fn cancel(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = deleting(&call, &ctx).await?;
    let Cancel { deletion_id } = call.json()?;
    bulk::cancel(&ctx, &actor, deletion_id).await?;
    Ok(ok(&bulk::show(&ctx, deletion_id).await?))
}

pub async fn state(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&bulk::show(&ctx, call.path("deletion_id")?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    limit: Option<i64>,
    after: Option<UserId>,
    outcome: Option<String>,
}

pub async fn results(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: List = call.query()?;
    let limit = limit(query.limit)?;
    let outcome: Option<Outcome> = query.outcome.as_deref().map(str::parse).transpose()?;
    let found = bulk::results(&ctx, call.path("deletion_id")?, outcome, query.after, limit + 1).await?;
    let found: Page<Of> = page(found, limit, |of: &Of| of.user_id.to_string());
    Ok(ok(&found))
}
