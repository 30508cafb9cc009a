//! The JWK Set of a project (RFC 7517, 5).

use serde_json::{Value, json};

use crate::model::signing_key::Alg;
use crate::secret::{encode_base64url, sha256};

/// The published halves. What the store holds as a public JWK has no private member: see [`super::generate`].
pub fn jwks_document(public_jwks: &[String]) -> Value {
    let keys: Vec<Value> = public_jwks.iter().filter_map(|jwk| serde_json::from_str(jwk).ok()).collect();
    json!({"keys": keys})
}

/// The thumbprint of a public JWK of this algorithm (RFC 7638, 3; RFC 8037, 2); `None` for a key of another kind.
pub fn thumbprint(alg: Alg, jwk: &Value) -> Option<String> {
    let (kty, curve) = match alg {
        Alg::ES256 => ("EC", Some("P-256")),
        Alg::RS256 => ("RSA", None),
        Alg::EdDSA => ("OKP", Some("Ed25519")),
    };
    let member = |name: &str| jwk.get(name).and_then(Value::as_str);
    if member("kty") != Some(kty) || member("crv") != curve {
        return None;
    }
    let required: &[&str] = match alg {
        Alg::ES256 => &["crv", "kty", "x", "y"],
        Alg::RS256 => &["e", "kty", "n"],
        Alg::EdDSA => &["crv", "kty", "x"],
    };
    // In the order of their names, without space (RFC 7638, 3.3).
    let members = required.iter().map(|name| Some(format!("{}:{}", json!(name), json!(member(name)?))));
    let canonical = format!("{{{}}}", members.collect::<Option<Vec<_>>>()?.join(","));
    Some(encode_base64url(&sha256(canonical.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_of_rfc_7638() {
        let jwk = json!({"kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29", "n":
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"});
        assert_eq!(
            thumbprint(Alg::RS256, &jwk).as_deref(),
            Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
        );
        assert_eq!(thumbprint(Alg::ES256, &jwk), None);
    }
}
