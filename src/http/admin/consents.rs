//! `/admin/projects/{project}/users/{user}/consents`: what a user has allowed applications of others.

use axum::response::Response;
use serde::Deserialize;

use super::paging::{limit, page};
use super::rehearsal;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::ids::ClientId;
use crate::projects::consents;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<i64>,
    after: Option<ClientId>,
}

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: Listing = call.query()?;
    let limit = limit(query.limit)?;
    let found = consents::list(&ctx, call.path("user")?, query.after, limit + 1).await?;
    Ok(ok(&page(found, limit, |consent| consent.client_id.to_string())))
}

pub async fn withdraw(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (user, client) = (call.path("user")?, call.path("client_id")?);
    rehearsal::answer(&call, consents::withdraw(&ctx, &actor, user, client)).await
}
