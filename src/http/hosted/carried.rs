//! A logout request that another site posted, on its way to where our cookie is: sealed, so that no ID token stands in an
//! address, which logs and histories keep; and good for the moment that a redirect takes.

use serde::{Deserialize, Serialize};

use crate::app::Ctx;
use crate::error::{Error, Result, invalid_request};
use crate::keys::master::Place;
use crate::model::timestamp::Timestamp;
use crate::oauth::authorize::parse;
use crate::oauth::parameters::Parameters;
use crate::secret::{decode_base64url, encode_base64url};

/// The parameter that carries it.
pub const CARRIED: &str = "carried";

/// What a request may hold: its seal is half as long again, and servers on the way know limits as well.
pub const MOST_BYTES: usize = 8 * 1024;

const SECONDS: i64 = 120;

#[derive(Serialize, Deserialize)]
struct Carried {
    parameters: String,
    expires_at: Timestamp,
}

/// The address that goes on with the request.
pub fn link(ctx: &Ctx, parameters: &Parameters) -> Result<String> {
    let carried = Carried { parameters: parameters.to_query(), expires_at: ctx.now.plus_seconds(SECONDS) };
    let plain = serde_json::to_vec(&carried).map_err(Error::internal)?;
    let sealed = ctx.app.master_keys.seal(&ctx.app.entropy, &place(ctx), &plain)?;
    Ok(format!("{}/oauth2/logout?{CARRIED}={}", ctx.project.issuer, encode_base64url(&sealed)))
}

/// # Errors
/// `invalid_request` for what this project did not seal for this, or did too long ago.
pub fn open(ctx: &Ctx, text: &str) -> Result<Parameters> {
    let opened = || -> Option<Carried> {
        let plain = ctx.app.master_keys.open(&place(ctx), &decode_base64url(text)?).ok()?;
        serde_json::from_slice(&plain).ok()
    };
    match opened().filter(|carried| carried.expires_at > ctx.now) {
        Some(carried) => parse(&carried.parameters),
        None => Err(invalid_request(
            "This address was good for one moment. Please go back to the application and sign out again.",
        )),
    }
}

fn place(ctx: &Ctx) -> Place<'_> {
    Place { table: "form", project: ctx.project.id, row: "", column: "carried_logout" }
}
