//! The public keys of a client (RFC 7517), as it registered them or publishes them. They prove its assertions.

use serde_json::{Map, Value};

use super::signing::{Alg, Verifier};
use crate::error::{Error, Result};
use crate::secret::decode_base64url;

const MOST_KEYS: usize = 10;
const MOST_BYTES: usize = 16 * 1024;

/// Bytes of an RSA modulus: 2048 to 4096 bits (RFC 7518, 3.3).
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// Members of private and symmetric keys (RFC 7518, 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

struct ClientKey {
    kid: Option<String>,
    verifier: Verifier,
}

/// Those keys of a client that are for signatures of an algorithm that we know.
#[derive(Default)]
pub struct ClientKeys(Vec<ClientKey>);

impl ClientKeys {
    /// # Errors
    /// `invalid_request` naming `jwks` and its bound. A private key is refused: whoever hands it over has lost it.
    pub fn parse(set: &Value) -> Result<Self> {
        let refuse = |why: &'static str| Err(Error::invalid_field("jwks", why));
        let Some(keys) = set.get("keys").and_then(Value::as_array) else {
            return refuse("jwks is an object with a list of keys");
        };
        if keys.is_empty() || keys.len() > MOST_KEYS || set.to_string().len() > MOST_BYTES {
            return refuse("jwks has 1 to 10 keys in at most 16384 bytes");
        }
        let mut known: Vec<ClientKey> = Vec::new();
        for key in keys {
            let Some(jwk) = key.as_object() else { return refuse("each key of jwks is an object") };
            if PRIVATE.iter().any(|member| jwk.contains_key(*member)) || text(jwk, "kty") == Some("oct") {
                return refuse("jwks has public keys only");
            }
            let kid = text(jwk, "kid").map(str::to_owned);
            if kid.is_some() && known.iter().any(|other| other.kid == kid) {
                return refuse("jwks names each kid once");
            }
            // RFC 7517, 5: what is for something else is passed over.
            if let Some(alg) = alg_of(jwk) {
                match verifier(alg, jwk) {
                    Some(verifier) => known.push(ClientKey { kid, verifier }),
                    None => {
                        return refuse(
                            "each key of jwks is one on P-256 or Ed25519, or RSA of 2048 to 4096 bits",
                        );
                    }
                }
            }
        }
        if known.is_empty() { refuse("jwks has a key for ES256, RS256 or EdDSA") } else { Ok(Self(known)) }
    }

    /// The keys that may have made a signature of this algorithm: the one with the `kid`, or all where none is named.
    pub fn candidates(&self, kid: Option<&str>, alg: Alg) -> impl Iterator<Item = &Verifier> {
        let named = move |key: &&ClientKey| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid));
        self.0.iter().filter(named).map(|key| &key.verifier).filter(move |verifier| verifier.alg() == alg)
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    jwk.get(member).and_then(Value::as_str)
}

/// The one algorithm that the key is for (RFC 8725, 3.1); `None`: not one of ours.
fn alg_of(jwk: &Map<String, Value>) -> Option<Alg> {
    let alg = match (text(jwk, "kty")?, text(jwk, "crv")) {
        ("EC", Some("P-256")) => Alg::ES256,
        ("RSA", None) => Alg::RS256,
        ("OKP", Some("Ed25519")) => Alg::EdDSA,
        _ => return None,
    };
    let says = |member: &str, expected: &str| text(jwk, member).is_none_or(|said| said == expected);
    (says("use", "sig") && says("alg", alg.as_str())).then_some(alg)
}

fn verifier(alg: Alg, jwk: &Map<String, Value>) -> Option<Verifier> {
    if alg == Alg::RS256 {
        let modulus = decode_base64url(text(jwk, "n")?)?;
        let significant = modulus.iter().skip_while(|byte| **byte == 0).count();
        if !MODULUS_BYTES.contains(&significant) {
            return None;
        }
    }
    Verifier::new(alg, &Value::Object(jwk.clone()).to_string()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn p256(more: Value) -> Value {
        let mut jwk = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y});
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwk
    }

    #[test]
    fn a_key_is_chosen_by_its_id_and_its_algorithm() {
        let keys = json!({"keys": [p256(json!({"kid": "a"})), p256(json!({"kid": "b", "use": "sig"})),
            p256(json!({"kid": "e", "use": "enc"})), {"kty": "EC", "crv": "P-521", "kid": "p"}]});
        let keys = ClientKeys::parse(&keys).unwrap();
        let count = |kid, alg| keys.candidates(kid, alg).count();
        assert_eq!((count(Some("a"), Alg::ES256), count(None, Alg::ES256)), (1, 2));
        assert_eq!(
            (count(Some("e"), Alg::ES256), count(Some("a"), Alg::RS256), count(Some("x"), Alg::ES256)),
            (0, 0, 0)
        );
    }

    #[test]
    fn what_cannot_be_registered() {
        for (set, why) in [
            (json!([]), "jwks is an object with a list of keys"),
            (json!({"keys": []}), "jwks has 1 to 10 keys in at most 16384 bytes"),
            (json!({"keys": ["x"]}), "each key of jwks is an object"),
            (json!({"keys": [p256(json!({"d": "AA"}))]}), "jwks has public keys only"),
            (json!({"keys": [{"kty": "oct", "k": "AA"}]}), "jwks has public keys only"),
            (
                json!({"keys": [p256(json!({"kid": "a"})), p256(json!({"kid": "a"}))]}),
                "jwks names each kid once",
            ),
            (json!({"keys": [p256(json!({"use": "enc"}))]}), "jwks has a key for ES256, RS256 or EdDSA"),
            (
                json!({"keys": [p256(json!({"y": X}))]}),
                "each key of jwks is one on P-256 or Ed25519, or RSA of 2048 to 4096 bits",
            ),
            (
                json!({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}),
                "each key of jwks is one on P-256 or Ed25519, or RSA of 2048 to 4096 bits",
            ),
        ] {
            let error = ClientKeys::parse(&set).err().unwrap();
            assert_eq!((error.field(), error.description()), (Some("jwks"), why), "{set}");
        }
    }
}
