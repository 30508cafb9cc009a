//! `/api/account/consents`: what the person has allowed applications of others.

use axum::response::Response;
use serde::Deserialize;

use super::holder;
use crate::error::Result;
use crate::http::admin::paging::{limit, page};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::account::consents;
use crate::ids::ClientId;
use crate::session::holder::Holder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<i64>,
    after: Option<ClientId>,
}

pub async fn list(call: Call) -> Result<Response> {
    let (ctx, live) = holder(&call).await?;
    let query: Listing = call.query()?;
    let limit = limit(query.limit)?;
    let found = consents::list(&ctx, &Holder::Application(&live), query.after, limit + 1).await?;
    Ok(ok(&page(found, limit, |consent| consent.client_id.to_string())))
}

pub async fn withdraw(call: Call) -> Result<Response> {
    let (ctx, live) = holder(&call).await?;
    Ok(ok(&consents::withdraw(&ctx, &Holder::Application(&live), call.path("client_id")?).await?))
}
