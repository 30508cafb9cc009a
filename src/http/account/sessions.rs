//! `/api/account/sessions`: the own sessions that live.

use axum::response::Response;
use serde::Deserialize;

use super::holder;
use crate::error::Result;
use crate::http::admin::paging::{cursor, limit, page};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::account::sessions;
use crate::session::holder::Holder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<i64>,
    after: Option<String>,
}

pub async fn list(call: Call) -> Result<Response> {
    let (ctx, live) = holder(&call).await?;
    let query: Listing = call.query()?;
    let (limit, after) = (limit(query.limit)?, cursor(query.after.as_deref())?);
    let found = sessions::list(&ctx, &Holder::Application(&live), after, limit + 1).await?;
    Ok(ok(&page(found, limit, |session| session.id.to_string())))
}

pub async fn end(call: Call) -> Result<Response> {
    let (ctx, live) = holder(&call).await?;
    Ok(ok(&sessions::end(&ctx, &Holder::Application(&live), call.path("sid")?).await?))
}

pub async fn end_others(call: Call) -> Result<Response> {
    let (ctx, live) = holder(&call).await?;
    Ok(ok(&sessions::end_all_others(&ctx, &Holder::Application(&live), &call.origin()).await?))
}
