//! The sign-in form. The authorization request travels in it, sealed: nobody has signed in, so nothing is stored.

use axum::body::Bytes;
use serde::{Deserialize, Serialize};

use crate::app::Ctx;
use crate::error::{Error, Result, invalid_request};
use crate::keys::master::Place;
use crate::model::timestamp::Timestamp;
use crate::oauth::authorize::AuthorizationRequest;
use crate::secret::{Secret, decode_base64url, encode_base64url};

/// A form may be filled in for this long.
const FORM_SECONDS: i64 = 3600;

#[derive(Deserialize)]
pub struct Fields {
    pub request: String,
    #[serde(default)]
    pub username: String,
    pub password: Secret,
}

pub fn parse(body: &Bytes) -> Result<Fields> {
    serde_urlencoded::from_bytes(body).map_err(|_| invalid_request("The form is not complete."))
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    request: AuthorizationRequest,
    expires_at: Timestamp,
}

/// The seal covers the project and the hash of the browser's cookie: another browser's form does not open.
pub fn seal(ctx: &Ctx, request: &AuthorizationRequest, cookie: &Secret) -> Result<String> {
    let sealed = Sealed { request: request.clone(), expires_at: ctx.now.plus_seconds(FORM_SECONDS) };
    let plain = serde_json::to_vec(&sealed).map_err(Error::internal)?;
    let row = encode_base64url(&cookie.sha256());
    let blob = ctx.app.master_keys.seal(&ctx.app.entropy, &place(ctx, &row), &plain)?;
    Ok(encode_base64url(&blob))
}

pub fn open(ctx: &Ctx, text: &str, cookie: &Secret) -> Option<AuthorizationRequest> {
    let row = encode_base64url(&cookie.sha256());
    let plain = ctx.app.master_keys.open(&place(ctx, &row), &decode_base64url(text)?).ok()?;
    let sealed: Sealed = serde_json::from_slice(&plain).ok()?;
    (sealed.expires_at > ctx.now).then_some(sealed.request)
}

fn place<'a>(ctx: &Ctx, row: &'a str) -> Place<'a> {
    Place { table: "form", project: ctx.project.id, row, column: "sign_in" }
}
