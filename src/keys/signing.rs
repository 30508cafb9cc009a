//! The project's signing keys: made once, sealed, published by `kid`.

use std::str::FromStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::secret::{encode_base64url, sha256};

/// A signature algorithm (RFC 7518, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alg {
    ES256,
}

impl Alg {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
        }
    }

    pub(super) const fn jwt(self) -> Algorithm {
        match self {
            Self::ES256 => Algorithm::ES256,
        }
    }
}

impl FromStr for Alg {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "ES256" => Ok(Self::ES256),
            _ => Err(Error::internal("an unknown signature algorithm in the store")),
        }
    }
}

/// A key just made; the private half is sealed before it is stored.
pub struct NewKey {
    pub kid: String,
    pub alg: Alg,
    pub public_jwk: String,
    pub private_der: Zeroizing<Vec<u8>>,
}

/// Makes a P-256 key; its `kid` is the thumbprint of RFC 7638.
pub fn generate() -> Result<NewKey> {
    let fail = |_| Error::internal("no signing key could be made");
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).map_err(fail)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())
        .map_err(Error::internal)?;
    // SEC 1, 2.3.3: 04, x, y.
    let point = pair.public_key().as_ref();
    let halves = point.get(1..33).zip(point.get(33..65));
    let (x, y) = halves.ok_or_else(|| Error::internal("a public key has an unexpected form"))?;
    let (x, y) = (encode_base64url(x), encode_base64url(y));
    let kid =
        encode_base64url(&sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes()));
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": kid});
    let private_der = Zeroizing::new(pkcs8.as_ref().to_vec());
    Ok(NewKey { kid, alg: Alg::ES256, public_jwk: jwk.to_string(), private_der })
}

/// Signs JWTs with one key.
pub struct Signer {
    header: Header,
    key: EncodingKey,
}

impl Signer {
    pub fn new(alg: Alg, kid: &str, private_der: &[u8]) -> Result<Self> {
        let mut header = Header::new(alg.jwt());
        header.kid = Some(kid.to_owned());
        Ok(Self { header, key: EncodingKey::from_ec_der(private_der) })
    }

    /// A compact JWS with `typ`, `alg` and `kid` in its header.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String> {
        let mut header = self.header.clone();
        header.typ = Some(typ.to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(Error::internal)
    }
}

/// Checks signatures of one key.
pub struct Verifier {
    pub(super) alg: Alg,
    pub(super) key: DecodingKey,
}

impl Verifier {
    pub fn new(alg: Alg, public_jwk: &str) -> Result<Self> {
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(public_jwk).map_err(Error::internal)?;
        Ok(Self { alg, key: DecodingKey::from_jwk(&jwk).map_err(Error::internal)? })
    }
}
