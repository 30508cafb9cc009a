//! DPoP proofs (RFC 9449, 4): a signed note that the sender of a token holds the key that the token is bound to.

use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use crate::keys::jwks::thumbprint;
use crate::model::signing_key::Alg;
use crate::model::timestamp::Timestamp;
use crate::secret::{decode_base64url, encode_base64url, equal_in_constant_time, sha256};

/// A proof may be this many seconds old, or so far ahead of our clock.
const WINDOW_SECONDS: u64 = 60;
const MOST_BYTES: usize = 8 * 1024;

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

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Value,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    ath: String,
}

/// Whether the proof is for this request and this token, and by the key with this thumbprint (RFC 9449, 4.3).
///
/// The resource server sees each request and remembers the `jti` of those it has seen; here the window bounds a replay.
pub fn proves(presented: &Presented, token: &str, jkt: &str, now: Timestamp) -> bool {
    checked(presented, token, jkt, now).is_some()
}

fn checked(presented: &Presented, token: &str, jkt: &str, now: Timestamp) -> Option<()> {
    let proof = presented.proof.as_str();
    let mut parts = proof.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || proof.len() > MOST_BYTES {
        return None;
    }
    let head: Header = serde_json::from_slice(&decode_base64url(header)?).ok()?;
    // A private key in the proof is a leaked key; `crit` names what we do not understand (RFC 7515, 4.1.11).
    let leaks = ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|member| head.jwk.get(member).is_some());
    if head.typ != "dpop+jwt" || head.crit.is_some() || leaks {
        return None;
    }
    let alg = Alg::named(&head.alg)?;
    let own = thumbprint(alg, &head.jwk)?;
    let key = DecodingKey::from_jwk(&serde_json::from_value(head.jwk).ok()?).ok()?;
    let signed = proof.get(..header.len() + 1 + payload.len())?;
    let fits = jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, head.alg.parse().ok()?);
    if !equal_in_constant_time(own.as_bytes(), jkt.as_bytes()) || !fits.ok()? {
        return None;
    }
    let claims: Claims = serde_json::from_slice(&decode_base64url(payload)?).ok()?;
    let hash = encode_base64url(&sha256(token.as_bytes()));
    let fits = claims.htm == presented.method
        && same_target(&claims.htu, &presented.url)
        && claims.iat.abs_diff(now.unix()) <= WINDOW_SECONDS
        && (1..=256).contains(&claims.jti.len())
        && equal_in_constant_time(claims.ath.as_bytes(), hash.as_bytes());
    fits.then_some(())
}

/// RFC 9449, 4.3: compared as URIs, without query and fragment.
fn same_target(claimed: &str, requested: &str) -> bool {
    let bare = |text: &str| {
        let mut url = url::Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    bare(claimed).is_some_and(|claimed| bare(requested) == Some(claimed))
}
