//! Making signing keys: the private half as PKCS#8, the public half as a JWK named by its thumbprint.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::model::signing_key::Alg;
use crate::secret::{encode_base64url, sha256};

/// A key just made; the private half is sealed before it is stored.
pub struct NewKey {
    pub kid: String,
    pub alg: Alg,
    pub public_jwk: String,
    /// PKCS#8 (RFC 5208).
    pub private_der: Zeroizing<Vec<u8>>,
}

/// The length of an RSA modulus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsaSize {
    #[default]
    Bits2048,
    Bits3072,
}

impl RsaSize {
    /// # Errors
    /// `invalid_request` for a length that is neither 2048 nor 3072.
    pub fn from_bits(bits: usize) -> Result<Self> {
        match bits {
            2048 => Ok(Self::Bits2048),
            3072 => Ok(Self::Bits3072),
            _ => Err(Error::invalid_field("rsa_bits", "an RSA key has 2048 or 3072 bits")),
        }
    }
}

/// Makes a key; `size` matters to RS256 alone, whose search for primes leaves the async threads.
pub async fn generate(alg: Alg, size: RsaSize) -> Result<NewKey> {
    match alg {
        Alg::ES256 => p256(),
        Alg::RS256 => tokio::task::spawn_blocking(move || rsa(size)).await.map_err(Error::internal)?,
        Alg::EdDSA => ed25519(),
    }
}

fn failed(_: aws_lc_rs::error::Unspecified) -> Error {
    Error::internal("no signing key could be made")
}

fn p256() -> Result<NewKey> {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(failed)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())
        .map_err(Error::internal)?;
    // SEC 1, 2.3.3: 04, x, y.
    let point = pair.public_key().as_ref();
    let halves = point.get(1..33).zip(point.get(33..65));
    let (x, y) = halves.ok_or_else(|| Error::internal("a public key has an unexpected form"))?;
    let (x, y) = (encode_base64url(x), encode_base64url(y));
    NewKey::new(Alg::ES256, pkcs8.as_ref(), &[("crv", "P-256"), ("kty", "EC"), ("x", &x), ("y", &y)])
}

fn rsa(size: RsaSize) -> Result<NewKey> {
    let bits = match size {
        RsaSize::Bits2048 => KeySize::Rsa2048,
        RsaSize::Bits3072 => KeySize::Rsa3072,
    };
    let pair = RsaKeyPair::generate(bits).map_err(failed)?;
    let (public, pkcs8) = (pair.public_key(), pair.as_der().map_err(failed)?);
    let n = encode_base64url(public.modulus().big_endian_without_leading_zero());
    let e = encode_base64url(public.exponent().big_endian_without_leading_zero());
    NewKey::new(Alg::RS256, pkcs8.as_ref(), &[("e", &e), ("kty", "RSA"), ("n", &n)])
}

fn ed25519() -> Result<NewKey> {
    let pair = Ed25519KeyPair::generate().map_err(failed)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(failed)?;
    let x = encode_base64url(pair.public_key().as_ref());
    NewKey::new(Alg::EdDSA, pkcs8.as_ref(), &[("crv", "Ed25519"), ("kty", "OKP"), ("x", &x)])
}

impl NewKey {
    /// `required` are the members that the thumbprint covers, in the order of their names (RFC 7638, 3.2 and RFC 8037, 2).
    fn new(alg: Alg, private_der: &[u8], required: &[(&str, &str)]) -> Result<Self> {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::from(*value));
        // serde_json writes the members of a map in the order of their names, without spaces: the form of RFC 7638, 3.
        let mut jwk: Map<String, Value> = required.iter().map(text).collect();
        let kid = encode_base64url(&sha256(&serde_json::to_vec(&jwk).map_err(Error::internal)?));
        jwk.extend([("alg", alg.as_str()), ("kid", &kid), ("use", "sig")].iter().map(text));
        let public_jwk = serde_json::to_string(&jwk).map_err(Error::internal)?;
        Ok(Self { kid, alg, public_jwk, private_der: Zeroizing::new(private_der.to_vec()) })
    }
}
