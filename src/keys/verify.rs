//! Reading a JWS that a stranger hands us: the signature first, the claims after (RFC 8725).

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::signing::{Alg, Verifier};
use crate::secret::decode_base64url;

/// More than the largest token that we make: 100 roles and 100 groups of 64 bytes and 4 KiB of attributes with 50 names are
/// 22 KiB of JSON, and a third more in base64url.
const MOST_BYTES: usize = 40 * 1024;

/// Why a token is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    Malformed,
    UnsupportedAlg,
    UnknownKey,
    BadSignature,
}

/// The header of a token whose signature fits.
#[derive(Clone, Debug)]
pub struct JwsHeader {
    pub alg: Alg,
    pub kid: String,
    pub typ: Option<String>,
}

/// Keys in the header (`jwk`, `jku`, `x5u`, `x5c`) are never followed: only `kid` chooses, among ours.
#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// Checks form, algorithm, key and signature, in this order. Time and meaning are for the caller.
pub fn verify_jws<C: DeserializeOwned>(
    token: &str,
    find: impl FnOnce(&str) -> Option<Arc<Verifier>>,
) -> Result<(JwsHeader, C), TokenFault> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { return Err(TokenFault::Malformed) };
    if token.len() > MOST_BYTES || parts.iter().any(|part| part.is_empty()) {
        return Err(TokenFault::Malformed);
    }
    let decode = |part| decode_base64url(part).ok_or(TokenFault::Malformed);
    let (header_bytes, payload_bytes) = (decode(header)?, decode(payload)?);
    let signature = decode(signature)?;
    let raw: RawHeader = serde_json::from_slice(&header_bytes).map_err(|_| TokenFault::Malformed)?;
    // RFC 7515, 4.1.11: what is critical and not understood makes the token invalid.
    if raw.crit.is_some() {
        return Err(TokenFault::Malformed);
    }
    let alg = Alg::named(&raw.alg).ok_or(TokenFault::UnsupportedAlg)?;
    let kid = raw.kid.ok_or(TokenFault::UnknownKey)?;
    let verifier = find(&kid).ok_or(TokenFault::UnknownKey)?;
    let signed = &token.as_bytes()[..header.len() + 1 + payload.len()];
    // The key says how it is checked; a header that says otherwise is a forgery (RFC 8725, 3.1).
    if verifier.alg() != alg || !verifier.fits(signed, &signature) {
        return Err(TokenFault::BadSignature);
    }
    let claims = serde_json::from_slice(&payload_bytes).map_err(|_| TokenFault::Malformed)?;
    Ok((JwsHeader { alg, kid, typ: raw.typ }, claims))
}
