//! `/admin/projects/{project}/users/{user}/sessions`: token families and browser sessions.

use axum::response::Response;
use serde::Deserialize;

use super::paging::{cursor, limit, page};
use super::rehearsal;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::projects::user_sessions;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<i64>,
    after: Option<String>,
}

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: Listing = call.query()?;
    let (limit, after) = (limit(query.limit)?, cursor(query.after.as_deref())?);
    let sessions = user_sessions::list(&ctx, call.path("user")?, after, limit + 1).await?;
    Ok(ok(&page(sessions, limit, |session| session.id.to_string())))
}

pub async fn end(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (user, session) = (call.path("user")?, call.path("sid")?);
    rehearsal::answer(&call, user_sessions::end(&ctx, &actor, user, session)).await
}
