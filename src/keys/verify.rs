//! Reading a JWS that a stranger hands us: the signature first, the claims after (RFC 8725).

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::signing::{Alg, Verifier};
use crate::secret::decode_base64url;

const MOST_BYTES: usize = 16 * 1024;

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
    decode(signature)?;
    let raw: RawHeader = serde_json::from_slice(&header_bytes).map_err(|_| TokenFault::Malformed)?;
    // RFC 7515, 4.1.11: what is critical and not understood makes the token invalid.
    if raw.crit.is_some() {
        return Err(TokenFault::Malformed);
    }
    let alg: Alg = raw.alg.parse().map_err(|_| TokenFault::UnsupportedAlg)?;
    let kid = raw.kid.ok_or(TokenFault::UnknownKey)?;
    let verifier = find(&kid).ok_or(TokenFault::UnknownKey)?;
    let signed = &token.as_bytes()[..header.len() + 1 + payload.len()];
    let fits = verifier.alg == alg
        && jsonwebtoken::crypto::verify(signature, signed, &verifier.key, alg.jwt()).unwrap_or(false);
    if !fits {
        return Err(TokenFault::BadSignature);
    }
    let claims = serde_json::from_slice(&payload_bytes).map_err(|_| TokenFault::Malformed)?;
    Ok((JwsHeader { alg, kid, typ: raw.typ }, claims))
}

/// The JWK Set of the published halves (RFC 7517, 5).
pub fn jwks_document(public_jwks: &[String]) -> Value {
    let keys: Vec<Value> = public_jwks.iter().filter_map(|jwk| serde_json::from_str(jwk).ok()).collect();
    json!({"keys": keys})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::signing::{Signer, generate};
    use crate::secret::encode_base64url;

    fn forged(header: &str, payload: &str, signature: &str) -> String {
        format!(
            "{}.{}.{signature}",
            encode_base64url(header.as_bytes()),
            encode_base64url(payload.as_bytes())
        )
    }

    #[test]
    fn only_what_the_key_signed_passes() {
        let key = generate().unwrap();
        let verifier = Arc::new(Verifier::new(key.alg, &key.public_jwk).unwrap());
        let find = |kid: &str| (kid == key.kid).then(|| verifier.clone());
        let judge = |token: &str| verify_jws::<Value>(token, find).err();
        let token = Signer::new(key.alg, &key.kid, &key.private_der)
            .unwrap()
            .sign("at+jwt", &json!({"a": 1}))
            .unwrap();
        let (header, claims) = verify_jws::<Value>(&token, find).unwrap();
        assert_eq!((header.typ.as_deref(), claims), (Some("at+jwt"), json!({"a": 1})));

        let kid = &key.kid;
        let (head, rest) = token.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let payload = encode_base64url(br#"{"a":2}"#);
        assert_eq!(judge(&format!("{head}.{payload}.{signature}")), Some(TokenFault::BadSignature));
        let zero = encode_base64url(&[0; 64]);
        assert_eq!(judge(&format!("{head}.{payload}.{zero}")), Some(TokenFault::BadSignature));
        let none = format!(r#"{{"alg":"none","kid":"{kid}"}}"#);
        assert_eq!(judge(&forged(&none, "{}", "AA")), Some(TokenFault::UnsupportedAlg));
        let confused = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
        assert_eq!(judge(&forged(&confused, "{}", "AA")), Some(TokenFault::UnsupportedAlg));
        let critical = format!(r#"{{"alg":"ES256","kid":"{kid}","crit":["exp"]}}"#);
        assert_eq!(judge(&forged(&critical, "{}", "AA")), Some(TokenFault::Malformed));
        assert_eq!(
            judge(&forged(r#"{"alg":"ES256","kid":"../x"}"#, "{}", "AA")),
            Some(TokenFault::UnknownKey)
        );
        assert_eq!(judge(&forged(r#"{"alg":"ES256"}"#, "{}", "AA")), Some(TokenFault::UnknownKey));
        for malformed in ["", "a.b", "..", "a.b.c.d", "!.!.!"] {
            assert_eq!(judge(malformed), Some(TokenFault::Malformed), "{malformed}");
        }
    }
}
