//! A client's key, and the proofs that it makes of it (RFC 9449).

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use tessera::keys::generate::{NewKey, RsaSize, generate};
use tessera::keys::jwks::thumbprint;
use tessera::model::signing_key::Alg;
use tessera::secret::{encode_base64url, sha256};

use super::TestApp;

pub struct ProofKey {
    key: NewKey,
    pub jkt: String,
    jwk: Value,
}

/// Each proof has a name of its own.
static PROOFS: AtomicU64 = AtomicU64::new(0);

impl ProofKey {
    pub async fn new() -> Self {
        Self::with(Alg::ES256).await
    }

    pub async fn with(alg: Alg) -> Self {
        let key = generate(alg, RsaSize::default()).await.unwrap();
        let public: Value = serde_json::from_str(&key.public_jwk).unwrap();
        let members = ["kty", "crv", "x", "y", "n", "e"].iter();
        let jwk = members.filter_map(|name| Some(((*name).to_owned(), public.get(*name)?.clone()))).collect();
        Self { jkt: thumbprint(alg, &public).unwrap(), key, jwk }
    }

    pub fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": self.key.alg, "jwk": self.jwk})
    }

    /// What a proof of now says.
    pub fn claims(app: &TestApp, method: &str, url: &str) -> Value {
        let name = format!("proof-{}", PROOFS.fetch_add(1, Ordering::Relaxed));
        json!({"jti": name, "htm": method, "htu": url, "iat": app.app.clock.now().unix()})
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| encode_base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        format!("{signed}.{}", encode_base64url(&self.signature(signed.as_bytes())))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let (der, random) = (&self.key.private_der, SystemRandom::new());
        match self.key.alg {
            Alg::ES256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).unwrap();
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Alg::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(der).unwrap();
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Alg::EdDSA => Ed25519KeyPair::from_pkcs8(der).unwrap().sign(message).as_ref().to_vec(),
        }
    }

    /// A proof for a request of now.
    pub fn proof(&self, app: &TestApp, method: &str, url: &str) -> String {
        self.sign(&self.header(), &Self::claims(app, method, url))
    }

    /// A proof for a request with an access token.
    pub fn proof_with(&self, app: &TestApp, method: &str, url: &str, token: &str) -> String {
        let mut claims = Self::claims(app, method, url);
        claims["ath"] = json!(encode_base64url(&sha256(token.as_bytes())));
        self.sign(&self.header(), &claims)
    }
}
