//! `/api/account/passkeys`: the own passkeys.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Rename, fresh_holder, holder};
use crate::error::{Error, Result};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::passkeys::{self, Answered, Asked, Purpose};
use crate::ids::PasskeyId;
use crate::session::holder::Holder;
use crate::session::verify::Live;

fn asked(live: &Live) -> Asked {
    Asked::of_family(Purpose::Enrolment, live.family.id, live.family.user_id)
}

pub async fn list(call: Call) -> Result<Response> {
    let (ctx, live) = holder(&call).await?;
    Ok(ok(&json!({"items": passkeys::list(&ctx, live.family.user_id).await?})))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub async fn begin(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let Nothing {} = call.json_or_default()?;
    let question = passkeys::begin(&ctx, &asked(&live), live.family.user_id).await?;
    Ok(ok(&json!({"options": question.options, "challenge": question.challenge})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    challenge: String,
    credential: Value,
    name: Option<String>,
}

/// Judged as it was when it began: since then the person may have made a better proof than this one.
pub async fn finish(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let body: Finish = call.json()?;
    let credential = &serde_json::to_string(&body.credential).map_err(Error::internal)?;
    let answered = Answered { challenge: &body.challenge, credential };
    let (asked, holder) = (asked(&live), Holder::Application(&live));
    let (made, _) = passkeys::finish(&ctx, &asked, &holder, &answered, body.name.as_deref(), None).await?;
    Ok((StatusCode::CREATED, ok(&made)).into_response())
}

pub async fn rename(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let (id, body): (PasskeyId, Rename) = (call.path("id")?, call.json()?);
    Ok(ok(&passkeys::rename(&ctx, &Holder::Application(&live), id, &body.name).await?))
}

pub async fn remove(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let id: PasskeyId = call.path("id")?;
    passkeys::remove(&ctx, &Holder::Application(&live), id).await?;
    Ok(ok(&json!({"id": id})))
}
