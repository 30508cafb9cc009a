//! `/api/account/data` and `/api/account/delete`: all that is held on the person, and the end of it.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::fresh_holder;
use crate::error::Result;
use crate::http::answer::{JWT, accepts, by_accept, ok, signed};
use crate::http::call::Call;
use crate::identity::account::{data, deletion};
use crate::identity::held;
use crate::model::deletion::State;
use crate::session::holder::Holder;

pub async fn download(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let data = data::download(&ctx, &Holder::Application(&live), &call.origin()).await?;
    Ok(by_accept(match accepts(&call.headers, JWT) {
        true => signed(JWT, held::signed(&ctx, &data)?),
        false => ok(&data),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    /// The user name, typed again.
    confirmation: String,
}

pub async fn delete(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let body: Delete = call.json()?;
    let done = deletion::delete(&ctx, &Holder::Application(&live), &body.confirmation).await?;
    let status = if done.state == State::Executed { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, ok(&done)).into_response())
}
