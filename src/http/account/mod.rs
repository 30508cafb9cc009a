//! `/api/account/…`: what a project's own application does with the account of whoever is signed in, by their access token.
//! The account page is another face of the same decisions.

pub mod consents;
pub mod data;
pub mod devices;
pub mod email;
pub mod factors;
pub mod passkeys;
pub mod password;
pub mod profile;
pub mod sessions;

use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::routing::{Routes, delete, get, patch, post};
use super::session::require_account_access;
use crate::app::Ctx;
use crate::error::{Code, Error, Result, forbidden};
use crate::identity::fresh::FRESH_SECONDS;
use crate::session::holder::Holder;
use crate::session::verify::{Live, require_live};

/// Under `/projects/{project}`.
pub fn routes() -> Routes {
    Routes::default()
        .route("/api/account/profile", get(profile::read).patch(profile::change))
        .route("/api/account/sessions", get(sessions::list))
        .route("/api/account/sessions/end-others", post(sessions::end_others))
        .route("/api/account/sessions/{sid}", delete(sessions::end))
        .route("/api/account/consents", get(consents::list))
        .route("/api/account/consents/{client_id}", delete(consents::withdraw))
        .route("/api/account/passkeys", get(passkeys::list))
        .route("/api/account/passkeys/begin", post(passkeys::begin))
        .route("/api/account/passkeys/finish", post(passkeys::finish))
        .route("/api/account/passkeys/{id}", patch(passkeys::rename).delete(passkeys::remove))
        .route("/api/account/factors", get(factors::list))
        .route("/api/account/factors/{id}", patch(factors::rename).delete(factors::remove))
        .route("/api/account/factors/app", post(factors::begin_app))
        .route("/api/account/factors/app/confirm", post(factors::confirm_app))
        .route("/api/account/recovery-codes", post(factors::make_codes))
        .route("/api/account/devices", get(devices::list).delete(devices::forget_all))
        .route("/api/account/devices/{id}", delete(devices::forget))
        .route("/api/account/email", post(email::change))
        .route("/api/account/email/verify", post(email::verify))
        .route("/api/account/password", post(password::change))
        .route("/api/account/data", get(data::download))
        .route("/api/account/delete", post(data::delete))
}

/// Another name for something of theirs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    name: String,
}

/// The token of a user, at one of the project's own applications.
///
/// # Errors
/// `invalid_token` with the reason; `insufficient_scope` for an application of others; `forbidden` for one that knows people
/// by names of its own: an account is the whole of a person.
async fn holder(call: &Call) -> Result<(Ctx, Live)> {
    let token = call.access_token(None)?;
    let (ctx, live) = require_live(&call.visit()?, &token).await?;
    require_account_access(&ctx, &live).await?;
    if live.family.subject.is_some() {
        return Err(forbidden("a client with pairwise subjects does not see the account"));
    }
    Ok((ctx, live))
}

/// The same, where it could cost somebody the account: the person has proved who they are within the last minutes.
///
/// # Errors
/// `insufficient_user_authentication` (RFC 9470, 3): the application asks for a sign-in with this `max_age`, or these
/// `acr_values`.
async fn fresh_holder(call: &Call) -> Result<(Ctx, Live)> {
    let (ctx, live) = holder(call).await?;
    if Holder::Application(&live).is_fresh(&ctx).await? {
        return Ok((ctx, live));
    }
    let is_recent = ctx.now < live.family.auth_time.plus_seconds(FRESH_SECONDS);
    let (why, details) = match is_recent {
        true => ("a sign-in with a second factor is needed", json!({"acr_values": "2"})),
        false => ("a more recent sign-in is needed", json!({"max_age": FRESH_SECONDS})),
    };
    let error = Error::new(Code::InsufficientUserAuthentication, why);
    Err(error.with_details(details).at_resource())
}
