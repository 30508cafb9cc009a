//! A logout request that another site posted, on its way to where our cookie is: sealed, so that no ID token stands in an
//! address, which logs and histories keep; and good for the moment that a redirect takes.

use serde::{Deserialize, Serialize};

use super::frame::in_language;
use crate::app::Ctx;
use crate::error::{Error, Result, refused};
use crate::keys::master::Place;
use crate::model::timestamp::Timestamp;
use crate::oauth::authorize::parse;
use crate::oauth::parameters::Parameters;
use crate::secret::{decode_base64url, encode_base64url};

/// The query that carries it. It may be half as long again as a request.
const QUERY: &str = "carried=";

const SECONDS: i64 = 120;

#[derive(Serialize, Deserialize)]
struct Carried {
    parameters: String,
    expires_at: Timestamp,
}

/// The address that goes on with a request, given as it was posted.
pub fn link(ctx: &Ctx, posted: &str) -> Result<String> {
    let carried = Carried { parameters: posted.to_owned(), expires_at: ctx.now.plus_seconds(SECONDS) };
    let plain = serde_json::to_vec(&carried).map_err(Error::internal)?;
    let sealed = ctx.app.master_keys.seal(&ctx.app.entropy, &place(ctx), &plain)?;
    let link = format!("{}/oauth2/logout?{QUERY}{}", ctx.project.issuer, encode_base64url(&sealed));
    Ok(in_language(ctx, &link))
}

/// The parameters of a query, carried or not.
///
/// # Errors
/// `invalid_request` for what this project did not seal for this, or did too long ago.
pub fn read(ctx: &Ctx, query: &str) -> Result<Parameters> {
    let Some(text) = query.strip_prefix(QUERY) else { return parse(query) };
    let text = text.split('&').next().unwrap_or_default();
    let opened = || -> Option<Carried> {
        let plain = ctx.app.master_keys.open(&place(ctx), &decode_base64url(text)?).ok()?;
        serde_json::from_slice(&plain).ok()
    };
    match opened().filter(|carried| carried.expires_at > ctx.now) {
        Some(carried) => parse(&carried.parameters),
        None => Err(refused(|t| &t.errors.logout_stale)),
    }
}

fn place(ctx: &Ctx) -> Place<'_> {
    Place { table: "form", project: ctx.project.id, row: "", column: "carried_logout" }
}
