//! `oauth2/register` (RFC 7591, 3) and what stands below it for each client (RFC 7592, 2).

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::app::Ctx;
use crate::error::Result;
use crate::http::answer::{bearer, ok};
use crate::http::call::Call;
use crate::http::members::Members;
use crate::oauth::registration::{self, Own};
use crate::secret::Secret;

pub async fn register(call: Call) -> Result<Response> {
    let ctx = call.visit_by_slug()?.current().await?;
    let by = registration::admit(&ctx, bearer(&call.headers).map(Secret::new).as_ref()).await?;
    let Members(metadata) = call.json()?;
    let registered = registration::register(&ctx, by, metadata).await?;
    Ok((StatusCode::CREATED, ok(&registered)).into_response())
}

/// The client that the path names, which the caller has to be.
async fn own(call: &Call) -> Result<(Ctx, Own)> {
    let ctx = call.visit_by_slug()?.current().await?;
    let client: String = call.path("client_id")?;
    let own = registration::own(&ctx, &client, bearer(&call.headers).map(Secret::new)).await?;
    Ok((ctx, own))
}

pub async fn read(call: Call) -> Result<Response> {
    let (ctx, own) = own(&call).await?;
    Ok(ok(&registration::show(&ctx, &own)?))
}

pub async fn replace(call: Call) -> Result<Response> {
    let (ctx, own) = own(&call).await?;
    let Members(metadata) = call.json()?;
    Ok(ok(&registration::replace(&ctx, &own, metadata).await?))
}

pub async fn delete(call: Call) -> Result<Response> {
    let (ctx, own) = own(&call).await?;
    registration::delete(&ctx, &own).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
