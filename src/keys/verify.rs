//! Reading a JWS that a stranger hands us: the signature first, the claims after (RFC 8725).

use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

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

/// Keys in the header (`jwk`, `jku`, `x5u`, `x5c`) are never followed.
#[derive(Deserialize)]
pub struct RawHeader {
    pub alg: String,
    pub kid: Option<String>,
    pub typ: Option<String>,
    crit: Option<IgnoredAny>,
    jwk: Option<IgnoredAny>,
    jku: Option<IgnoredAny>,
    x5u: Option<IgnoredAny>,
    x5c: Option<IgnoredAny>,
}

impl RawHeader {
    /// Whether it brings a key along, or says where one is.
    pub fn names_a_key(&self) -> bool {
        self.jwk.is_some() || self.jku.is_some() || self.x5u.is_some() || self.x5c.is_some()
    }
}

/// A compact JWS taken apart (RFC 7515, 3.1). Nothing of it is proven.
pub struct Unproven<'a> {
    pub header: RawHeader,
    payload: Vec<u8>,
    signature: Vec<u8>,
    signed: &'a [u8],
}

impl<'a> Unproven<'a> {
    /// # Errors
    /// `Malformed`; also for a token that says something critical (RFC 7515, 4.1.11): we understand none of it.
    pub fn parse(token: &'a str) -> Result<Self, TokenFault> {
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else { return Err(TokenFault::Malformed) };
        if token.len() > MOST_BYTES || parts.iter().any(|part| part.is_empty()) {
            return Err(TokenFault::Malformed);
        }
        let decode = |part| decode_base64url(part).ok_or(TokenFault::Malformed);
        let signed = &token.as_bytes()[..header.len() + 1 + payload.len()];
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let header: RawHeader = serde_json::from_slice(&header).map_err(|_| TokenFault::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenFault::Malformed);
        }
        Ok(Self { header, payload, signature, signed })
    }

    /// # Errors
    /// An algorithm that is none of ours, such as `none` or HS256.
    pub fn alg(&self) -> Result<Alg, TokenFault> {
        Alg::named(&self.header.alg).ok_or(TokenFault::UnsupportedAlg)
    }

    /// What it says, whoever says it.
    pub fn claims<C: DeserializeOwned>(&self) -> Result<C, TokenFault> {
        serde_json::from_slice(&self.payload).map_err(|_| TokenFault::Malformed)
    }

    /// Whether the key made it. The key says how that is checked; a header that says otherwise is a forgery (RFC 8725, 3.1).
    pub fn is_by(&self, verifier: &Verifier) -> bool {
        self.alg() == Ok(verifier.alg()) && verifier.fits(self.signed, &self.signature)
    }
}

/// Checks form, algorithm, key and signature, in this order. Time and meaning are for the caller. `kid` chooses, among our
/// keys alone.
pub fn verify_jws<C: DeserializeOwned>(
    token: &str,
    find: impl FnOnce(&str) -> Option<Arc<Verifier>>,
) -> Result<(JwsHeader, C), TokenFault> {
    let unproven = Unproven::parse(token)?;
    let alg = unproven.alg()?;
    let kid = unproven.header.kid.clone().ok_or(TokenFault::UnknownKey)?;
    let verifier = find(&kid).ok_or(TokenFault::UnknownKey)?;
    if !unproven.is_by(&verifier) {
        return Err(TokenFault::BadSignature);
    }
    Ok((JwsHeader { alg, kid, typ: unproven.header.typ.clone() }, unproven.claims()?))
}
