//! `/admin/projects/{project}/audit` and `/admin/audit`: the chain of a project, and the instance's own.

use axum::response::Response;
use serde::Deserialize;

use super::paging::{limit, page};
use crate::app::Ctx;
use crate::audit::{self, Filter, Order, Shown};
use crate::error::{Error, Result};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::moment;

/// Filters are at most this many bytes, as are the values that they are compared with.
const MOST_BYTES: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    limit: Option<i64>,
    after: Option<i64>,
    order: Option<String>,
    since: Option<String>,
    until: Option<String>,
    actor: Option<String>,
    action: Option<String>,
    target: Option<String>,
    user: Option<String>,
}

pub async fn of_project(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let mut query: Query = call.query()?;
    if let Some(user) = query.user.take() {
        query.target = Some(named_user(&ctx, &user, query.target.as_deref())?);
    }
    answer(&call, ctx.project.id, query).await
}

pub async fn of_instance(call: Call) -> Result<Response> {
    call.admin().await?;
    let query: Query = call.query()?;
    if query.user.is_some() {
        return Err(Error::invalid_field("user", "the instance's own events are about no user"));
    }
    answer(&call, ProjectId::INSTANCE, query).await
}

/// The log knows users by a keyed hash, so we look for that; a deleted user's id finds what was kept.
fn named_user(ctx: &Ctx, user: &str, target: Option<&str>) -> Result<String> {
    if target.is_some() {
        return Err(Error::invalid_field(
            "user",
            "user and target are two names for the same thing: give one",
        ));
    }
    let user: UserId = user.parse().map_err(|_| Error::invalid_field("user", "user must be a user's id"))?;
    Ok(audit::user_name(ctx, user))
}

async fn answer(call: &Call, chain: ProjectId, query: Query) -> Result<Response> {
    let limit = limit(query.limit)?;
    let order = match query.order.as_deref() {
        None | Some("desc") => Order::NewestFirst,
        Some("asc") => Order::OldestFirst,
        Some(_) => return Err(Error::invalid_field("order", "order must be asc or desc")),
    };
    let filter = Filter {
        since: moment("since", query.since.as_deref())?,
        until: moment("until", query.until.as_deref())?,
        actor: bounded("actor", query.actor)?,
        action: bounded("action", query.action)?,
        target: bounded("target", query.target)?,
    };
    let found = audit::list(&call.app, chain, &filter, order, query.after, limit + 1).await?;
    Ok(ok(&page(found, limit, |event: &Shown| event.seq.to_string())))
}

fn bounded(name: &'static str, text: Option<String>) -> Result<Option<String>> {
    if text.as_ref().is_some_and(|text| text.len() > MOST_BYTES) {
        return Err(Error::invalid_field(name, format!("{name} has at most {MOST_BYTES} bytes")));
    }
    Ok(text)
}
