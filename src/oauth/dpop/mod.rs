//! DPoP (RFC 9449): whoever sends a token proves with each request that they hold the key that the token is bound to.
//!
//! `proof` reads a proof, [`nonce`] makes and knows the server's nonces, and [`admit`] does both for a request to one of
//! our own endpoints, and sees to it that each proof is used once.

mod admit;
pub mod nonce;
mod proof;

use serde::Deserialize;

pub use self::admit::{Admitted, Sent, admit, spend_at_resource};
pub use self::proof::Proof;

/// What our endpoints take, as `dpop_signing_alg_values_supported` and the challenges name it.
pub const ALGS: &str = "ES256 RS256 EdDSA";

/// The proof, and the request that it must be for.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Presented {
    /// The `DPoP` header, as it came.
    pub proof: String,
    /// The method of the request that carried it.
    pub method: String,
    /// The address of that request.
    pub url: String,
}

impl Presented {
    /// The proof for this request and this token, by the key with this thumbprint (RFC 9449, 7.1); `None`: it is not.
    ///
    /// Whoever serves the request remembers the proofs that it has seen; the window bounds a replay.
    pub fn of_token(&self, token: &str, jkt: &str, now: crate::model::timestamp::Timestamp) -> Option<Proof> {
        proof::read(self, now).ok().filter(|proof| proof.is_for(token) && proof.is_by(jkt))
    }
}
