//! `/admin/projects/{project}/sandbox`: the clock, what was caught, faults, and the way back to the start.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::paging::{limit, page};
use super::users::given;
use crate::error::{Error, Result, invalid_request};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::ids::OutboxId;
use crate::model::timestamp::moment;
use crate::sandbox::clock::Move;
use crate::sandbox::faults::{Kind, NewFault};
use crate::sandbox::messages::Caught;
use crate::sandbox::{clock, faults as armed, messages as caught, seed};

/// Routes have at most this many characters.
const MOST_ENDPOINT: usize = 64;

pub async fn read_clock(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&clock::read(&ctx)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(default, deserialize_with = "given")]
    advance_seconds: Option<i64>,
    #[serde(default, deserialize_with = "given")]
    now: Option<String>,
}

pub async fn advance_clock(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let Advance { advance_seconds, now } = call.json()?;
    let by = match (advance_seconds, moment("now", now.as_deref())?) {
        (Some(seconds), None) => Move::By(seconds),
        (None, Some(moment)) => Move::To(moment),
        (None, None) => return Err(invalid_request("advance_seconds or now is missing")),
        (Some(_), Some(_)) => return Err(invalid_request("advance_seconds and now do not go together")),
    };
    Ok(ok(&clock::advance(&ctx, &actor, by).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    limit: Option<i64>,
    after: Option<OutboxId>,
}

pub async fn messages(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: List = call.query()?;
    let limit = limit(query.limit)?;
    let found = caught::list(&ctx, query.after, limit + 1).await?;
    Ok(ok(&page(found, limit, |message: &Caught| message.id.to_string())))
}

pub async fn faults(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&json!({"items": armed::list(&ctx).await?})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arm {
    endpoint: String,
    kind: Kind,
    #[serde(default, deserialize_with = "given")]
    delay_ms: Option<i64>,
    #[serde(default, deserialize_with = "given")]
    times: Option<i64>,
}

pub async fn arm(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let Arm { endpoint, kind, delay_ms, times } = call.json()?;
    check_endpoint(&endpoint)?;
    let fault = armed::arm(&ctx, &actor, NewFault { endpoint, kind, delay_ms, times }).await?;
    Ok((StatusCode::CREATED, ok(&fault)).into_response())
}

/// A route as it is documented, without the project and its first slash.
fn check_endpoint(endpoint: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.{}*".contains(c);
    if (1..=MOST_ENDPOINT).contains(&endpoint.len())
        && endpoint.chars().all(plain)
        && !endpoint.starts_with('/')
    {
        return Ok(());
    }
    let bound = "endpoint is * or a route under the project, such as api/refresh or oauth2/token";
    Err(Error::invalid_field("endpoint", bound))
}

pub async fn disarm(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    Ok(ok(&json!({"disarmed": armed::disarm(&ctx, &actor).await?})))
}

/// There is nothing to choose, so whatever a body names is refused.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub async fn plant(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let Nothing {} = call.json_or_default()?;
    Ok(ok(&json!({"users": seed::plant(&ctx, &actor).await?})))
}

pub async fn reset(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let Nothing {} = call.json_or_default()?;
    Ok(ok(&json!({"users": seed::reset(&ctx, &actor).await?})))
}
