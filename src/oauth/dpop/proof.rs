//! A proof, read and checked (RFC 9449, 4.3): a JWT, signed by the key that it carries, for one request.

use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use super::Presented;
use crate::keys::jwks::thumbprint;
use crate::model::signing_key::Alg;
use crate::model::timestamp::Timestamp;
use crate::secret::{decode_base64url, encode_base64url, equal_in_constant_time, sha256};

/// A proof may be this many seconds old, or so far ahead of our clock.
pub const WINDOW_SECONDS: i64 = 60;
const MOST_BYTES: usize = 8 * 1024;

/// Members of a JWK that only a private or a shared key has (RFC 7518, 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A proof whose signature, request and time are right.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The thumbprint of its key (RFC 7638).
    pub jkt: String,
    pub nonce: Option<String>,
    pub iat: i64,
    jti: String,
    ath: Option<String>,
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
    nonce: Option<String>,
    ath: Option<String>,
}

impl Proof {
    /// Whether it names this access token (RFC 9449, 4.2).
    pub fn is_for(&self, token: &str) -> bool {
        let hash = encode_base64url(&sha256(token.as_bytes()));
        self.ath.as_ref().is_some_and(|ath| equal_in_constant_time(ath.as_bytes(), hash.as_bytes()))
    }

    pub fn is_by(&self, jkt: &str) -> bool {
        equal_in_constant_time(self.jkt.as_bytes(), jkt.as_bytes())
    }

    /// What makes it this proof and no other: no key can use up another key's names.
    pub fn fingerprint(&self) -> Vec<u8> {
        sha256([self.jkt.as_bytes(), b"\0", self.jti.as_bytes()].concat().as_slice())
    }
}

/// # Errors
/// What is wrong with it.
pub fn read(presented: &Presented, now: Timestamp) -> Result<Proof, &'static str> {
    let proof = presented.proof.as_str();
    let parts: Vec<&str> = proof.split('.').collect();
    let [header, payload, signature] = parts[..] else { return Err("the DPoP proof is not a signed JWT") };
    if proof.len() > MOST_BYTES {
        return Err("the DPoP proof is longer than 8192 bytes");
    }
    let header_read: Header = parsed(header).ok_or("the DPoP proof has no typ, alg and jwk")?;
    let signed = &proof[..header.len() + 1 + payload.len()];
    let jkt = verified(header_read, signed, signature)?;
    let claims: Claims = parsed(payload).ok_or("the DPoP proof has no jti, htm, htu and iat")?;
    if !(1..=256).contains(&claims.jti.len()) {
        return Err("the jti of the DPoP proof has 1 to 256 bytes");
    }
    if claims.htm != presented.method {
        return Err("the DPoP proof is for another method");
    }
    if !same_target(&claims.htu, &presented.url) {
        return Err("the DPoP proof is for another address");
    }
    if claims.iat.abs_diff(now.unix()) > WINDOW_SECONDS.unsigned_abs() {
        return Err("the DPoP proof is not of this minute");
    }
    Ok(Proof { jkt, nonce: claims.nonce, iat: claims.iat, jti: claims.jti, ath: claims.ath })
}

fn parsed<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&decode_base64url(part)?).ok()
}

/// The thumbprint of the key that signed.
fn verified(header: Header, signed: &str, signature: &str) -> Result<String, &'static str> {
    if header.typ != "dpop+jwt" {
        return Err("the typ of the DPoP proof is dpop+jwt");
    }
    // RFC 7515, 4.1.11: `crit` names what we do not understand.
    if header.crit.is_some() {
        return Err("the DPoP proof has a crit header");
    }
    let alg = Alg::named(&header.alg).ok_or("the alg of the DPoP proof is ES256, RS256 or EdDSA")?;
    if PRIVATE.iter().any(|member| header.jwk.get(member).is_some()) {
        return Err("the jwk of the DPoP proof holds a private key, which is leaked now");
    }
    let wrong_key = "the jwk of the DPoP proof is not a public key for its alg";
    let jkt = thumbprint(alg, &header.jwk).ok_or(wrong_key)?;
    let jwk = serde_json::from_value(header.jwk).map_err(|_| wrong_key)?;
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| wrong_key)?;
    let algorithm = header.alg.parse().map_err(|_| wrong_key)?;
    match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, algorithm) {
        Ok(true) => Ok(jkt),
        _ => Err("the signature of the DPoP proof does not fit"),
    }
}

/// Compared as URIs: scheme and host without case, and without query and fragment.
fn same_target(claimed: &str, requested: &str) -> bool {
    let bare = |text: &str| {
        let mut url = url::Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    bare(claimed).is_some_and(|claimed| bare(requested) == Some(claimed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_compared_as_addresses() {
        let ours = "https://id.example/projects/shop/oauth2/token";
        for same in [
            "https://id.example/projects/shop/oauth2/token?a=b#c",
            "HTTPS://ID.Example:443/projects/shop/oauth2/token",
        ] {
            assert!(same_target(same, ours), "{same}");
        }
        for other in [
            "http://id.example/projects/shop/oauth2/token",
            "https://id.example/projects/shop/oauth2/token/",
            "https://id.example/projects/Shop/oauth2/token",
            "https://id.example:8443/projects/shop/oauth2/token",
            "https://me@id.example/projects/shop/oauth2/token",
            "/projects/shop/oauth2/token",
            "",
        ] {
            assert!(!same_target(other, ours), "{other}");
        }
    }
}
