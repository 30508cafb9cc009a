//! `…/audit/export`: a chain as JSON Lines, page by page.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::audit::{self, MOST_LINES};
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::ids::ProjectId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    after: Option<i64>,
    limit: Option<i64>,
}

pub async fn of_project(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let path = format!("projects/{}/audit/export", ctx.project.slug);
    answer(&call, ctx.project.id, &path).await
}

pub async fn of_instance(call: Call) -> Result<Response> {
    call.admin().await?;
    answer(&call, ProjectId::INSTANCE, "audit/export").await
}

/// While there is more, `Link` leads on (RFC 8288); the last page may be empty.
async fn answer(call: &Call, chain: ProjectId, path: &str) -> Result<Response> {
    let query: Query = call.query()?;
    let limit = query.limit.unwrap_or(MOST_LINES);
    if !(1..=MOST_LINES).contains(&limit) {
        return Err(Error::invalid_field("limit", format!("limit must lie between 1 and {MOST_LINES}")));
    }
    let page = audit::export(&call.app.db, chain, query.after.unwrap_or(0), limit).await?;
    let mut response = ([(header::CONTENT_TYPE, "application/x-ndjson")], page.text).into_response();
    if let Some(last) = page.last.filter(|_| page.more) {
        let base = &call.app.base_url;
        let next = format!("<{base}/admin/{path}?after={last}&limit={limit}>; rel=\"next\"");
        let next = HeaderValue::from_str(&next).map_err(Error::internal)?;
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}
