//! `/api/account/devices`: the browsers that are not asked again for a second factor.

use axum::response::Response;
use serde_json::json;

use super::{fresh_holder, holder};
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::devices;
use crate::session::holder::Holder;

pub async fn list(call: Call) -> Result<Response> {
    let (ctx, live) = holder(&call).await?;
    Ok(ok(&json!({"items": devices::list(&ctx, live.family.user_id).await?})))
}

pub async fn forget(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let only = Some(call.path("id")?);
    Ok(ok(&devices::forget_own(&ctx, &Holder::Application(&live), only).await?))
}

pub async fn forget_all(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    Ok(ok(&devices::forget_own(&ctx, &Holder::Application(&live), None).await?))
}
