//! The server's nonces (RFC 9449, 8): a client that was given one cannot have made its proof ahead of time.
//!
//! A nonce is the number of a span of time and a MAC over it, so nothing is stored and every node knows those of the others.

use crate::app::Ctx;
use crate::error::{Code, Error, Result};
use crate::secret::{decode_base64url, encode_base64url};

/// A nonce serves in the span it was made in and in the one that follows: two to four minutes.
const SPAN_SECONDS: i64 = 120;
const PURPOSE: &str = "dpop-nonce";

/// Today's nonce of the project.
pub fn current(ctx: &Ctx) -> Result<String> {
    let (keys, span) = (&ctx.app.master_keys, ctx.now.unix() / SPAN_SECONDS);
    let mac = keys.mac(keys.current_id(), PURPOSE, &bytes(ctx, span));
    let mac = mac.ok_or_else(|| Error::internal("there is no master key"))?;
    Ok(encode_base64url(&[&span.to_be_bytes()[..], &mac].concat()))
}

/// Whether it is of the last minutes. Another node's clock may be a little ahead of ours.
pub fn is_fresh(ctx: &Ctx, nonce: &str) -> bool {
    let Some(decoded) = decode_base64url(nonce) else { return false };
    let Some((span, mac)) = decoded.split_first_chunk::<8>() else { return false };
    let span = i64::from_be_bytes(*span);
    let keys = &ctx.app.master_keys;
    let made_here = keys.ids().any(|id| keys.is_mac(id, PURPOSE, &bytes(ctx, span), mac));
    made_here && (ctx.now.unix() / SPAN_SECONDS).abs_diff(span) <= 1
}

/// Asks for a proof with a nonce, and gives it.
pub fn demanded(ctx: &Ctx) -> Error {
    match current(ctx) {
        Ok(nonce) => {
            Error::new(Code::UseDpopNonce, "the DPoP proof needs the nonce of the DPoP-Nonce header")
                .with_dpop_nonce(nonce)
        }
        Err(error) => error,
    }
}

fn bytes(ctx: &Ctx, span: i64) -> Vec<u8> {
    [&ctx.project.id.0.as_bytes()[..], &span.to_be_bytes()].concat()
}
