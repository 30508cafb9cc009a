//! `/api/account/factors`: the own second factors, and recovery codes.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Rename, fresh_holder, holder};
use crate::error::{Code, Error, Result};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::account::{factors, profile};
use crate::identity::recovery::NewCodes;
use crate::identity::totp::Enrolment;
use crate::secret::Secret;
use crate::session::holder::Holder;

pub async fn list(call: Call) -> Result<Response> {
    let (ctx, live) = holder(&call).await?;
    Ok(ok(&factors::list(&ctx, &Holder::Application(&live)).await?))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What an app is told; nothing is stored until it has shown a code.
pub async fn begin_app(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let Nothing {} = call.json_or_default()?;
    let user = profile::read(&ctx, &Holder::Application(&live)).await?;
    let new = Enrolment::begin(&ctx, user.id, user.username.as_deref().unwrap_or_default())?;
    Ok(ok(&json!({"key": new.key, "uri": new.uri, "enrolment": new.sealed})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    enrolment: String,
    code: Secret,
    name: String,
}

pub async fn confirm_app(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let body: Confirm = call.json()?;
    let holder = Holder::Application(&live);
    let added = factors::add_app(&ctx, &holder, &body.enrolment, &body.code, &body.name).await?;
    let added = added.ok_or_else(|| {
        let why = "the code is not right, or the enrolment is too old";
        Error::new(Code::ConfirmationFailed, why).with_field("code")
    })?;
    let answer = json!({"factor": added.factor, "recovery_codes": added.codes.as_ref().map(texts)});
    Ok((StatusCode::CREATED, ok(&answer)).into_response())
}

pub async fn rename(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let (id, body): (Uuid, Rename) = (call.path("id")?, call.json()?);
    Ok(ok(&factors::rename(&ctx, &Holder::Application(&live), id, &body.name).await?))
}

pub async fn remove(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let id = call.path("id")?;
    factors::remove(&ctx, &Holder::Application(&live), id).await?;
    Ok(ok(&json!({"id": id})))
}

pub async fn make_codes(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let Nothing {} = call.json_or_default()?;
    let codes = factors::make_codes(&ctx, &Holder::Application(&live)).await?;
    Ok((StatusCode::CREATED, ok(&json!({"recovery_codes": texts(&codes)}))).into_response())
}

/// Shown this once.
fn texts(codes: &NewCodes) -> Vec<Value> {
    codes.codes.iter().map(|code| Value::from(code.expose())).collect()
}
