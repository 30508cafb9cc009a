//! `…/audit/checkpoints`: what a key has signed of a chain.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fields::Fields;
use super::paging::{Page, limit, page};
use crate::audit::checkpoint;
use crate::error::{Result, conflict};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;
use crate::store::audit_checkpoints::CheckpointRow;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<i64>,
    after: Option<i64>,
}

/// Newest first.
pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    listed(&call, ctx.project.id).await
}

pub async fn list_of_instance(call: Call) -> Result<Response> {
    call.admin().await?;
    listed(&call, ProjectId::INSTANCE).await
}

async fn listed(call: &Call, chain: ProjectId) -> Result<Response> {
    let query: Listing = call.query()?;
    let limit = limit(query.limit)?;
    let found = checkpoint::list(&call.app, chain, query.after, limit + 1).await?;
    let Page { items, next } = page(found, limit, |row: &CheckpointRow| row.seq.to_string());
    let items: Vec<Value> = items.iter().map(shown).collect();
    Ok(ok(&Page { items, next }))
}

/// 201 with a new one; 200 with the last one while nothing has happened since.
pub async fn make(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    made(&call, ctx.project.id, ctx.now).await
}

pub async fn make_of_instance(call: Call) -> Result<Response> {
    call.admin().await?;
    made(&call, ProjectId::INSTANCE, call.app.clock.now()).await
}

async fn made(call: &Call, chain: ProjectId, now: Timestamp) -> Result<Response> {
    Fields::of_optional(call)?.finish()?;
    let made = checkpoint::make(&call.app, chain, now).await?;
    let (row, new) = made.ok_or_else(|| conflict("there is no key to sign with, or nothing to sign"))?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(shown(&row))).into_response())
}

fn shown(row: &CheckpointRow) -> Value {
    json!({"seq": row.seq, "at": row.at, "kid": row.kid, "jws": row.jws})
}
