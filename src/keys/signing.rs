//! Signing and checking with one key. Both sides parse the key once and then serve any number of threads.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
pub use crate::model::signing_key::Alg;
use crate::secret::{decode_base64url, encode_base64url};

/// `at_hash` (OpenID Connect Core, 3.1.3.6): the left half of the token's hash, by the hash of the ID token's `alg`.
///
/// `EdDSA` does not name one. Ed25519 hashes with SHA-512 inside (RFC 8032, 5.1), the OpenID working group settled on
/// that, and so do the libraries in use (oidc-token-hash, which openid-client and node-oidc-provider lean on;
/// openidconnect-rs; zitadel/oidc).
pub fn token_hash(alg: Alg, token: &str) -> String {
    let algorithm = match alg {
        Alg::ES256 | Alg::RS256 => &SHA256,
        Alg::EdDSA => &SHA512,
    };
    let hash = digest(algorithm, token.as_bytes());
    let (left, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
    encode_base64url(left)
}

/// Signs JWTs with one key. The pair is kept parsed, because jsonwebtoken would parse it again for each token.
pub struct Signer {
    alg: Alg,
    kid: String,
    pair: Pair,
}

enum Pair {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// RFC 7515, 4.1.
#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'a str,
    kid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a Value>,
}

impl Signer {
    /// # Errors
    /// A private key that is not PKCS#8 of the algorithm.
    pub fn new(alg: Alg, kid: &str, private_der: &[u8]) -> Result<Self> {
        let pair = match alg {
            Alg::ES256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private_der).map(Pair::P256)
            }
            Alg::RS256 => RsaKeyPair::from_pkcs8(private_der).map(Pair::Rsa),
            Alg::EdDSA => Ed25519KeyPair::from_pkcs8(private_der).map(Pair::Ed25519),
        };
        Ok(Self { alg, kid: kid.to_owned(), pair: pair.map_err(Error::internal)? })
    }

    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// A compact JWS (RFC 7515, 3.1) with `typ`, `alg` and `kid` in its header.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String> {
        self.compact(typ, None, claims)
    }

    /// Like [`Self::sign`], with the public key in the header (RFC 7515, 4.1.3), for what is checked when the key is no
    /// longer published. Nothing proves itself by that: who reads it has to know the `kid` from elsewhere.
    pub fn sign_with_key(&self, typ: &str, public: &Value, claims: &impl Serialize) -> Result<String> {
        self.compact(typ, Some(public), claims)
    }

    fn compact(&self, typ: &str, jwk: Option<&Value>, claims: &impl Serialize) -> Result<String> {
        let header = Header { typ, alg: self.alg.as_str(), kid: &self.kid, jwk };
        let header = serde_json::to_vec(&header).map_err(Error::internal)?;
        let claims = serde_json::to_vec(claims).map_err(Error::internal)?;
        let mut token = String::with_capacity((header.len() + claims.len()) * 4 / 3 + 360);
        URL_SAFE_NO_PAD.encode_string(header, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>> {
        let failed = |_| Error::internal("signing failed");
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

/// Checks signatures of one key, by the one algorithm that the key is for (RFC 8725, 3.1).
pub struct Verifier {
    alg: Alg,
    key: ParsedPublicKey,
}

/// The members of a JWK that matter (RFC 7518, 6; RFC 8037, 2).
#[derive(Deserialize)]
struct PublicJwk {
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Verifier {
    /// # Errors
    /// A JWK that is not a key of the algorithm.
    pub fn new(alg: Alg, public_jwk: &str) -> Result<Self> {
        let jwk: PublicJwk = serde_json::from_str(public_jwk).map_err(Error::internal)?;
        let bytes = |member: Option<String>| {
            let bytes = member.and_then(|text| decode_base64url(&text));
            bytes.ok_or_else(|| Error::internal("a public key in the store lacks a member"))
        };
        let key = match alg {
            Alg::ES256 => {
                let point = [&[4][..], &bytes(jwk.x)?, &bytes(jwk.y)?].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            }
            Alg::RS256 => RsaPublicKeyComponents { n: bytes(jwk.n)?, e: bytes(jwk.e)? }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256),
            Alg::EdDSA => ParsedPublicKey::new(&ED25519, bytes(jwk.x)?),
        };
        Ok(Self { alg, key: key.map_err(Error::internal)? })
    }

    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// Whether the key made this signature of `message`.
    pub fn fits(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}
