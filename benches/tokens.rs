//! What one token costs: minting, verification, the refresh token's MAC, a password. `cargo bench --bench tokens`.
//! `jsonwebtoken` stands beside ours because it parses the key again for each token; see keys/signing.rs.
#![allow(clippy::unwrap_used, reason = "a benchmark may")]

use std::sync::Arc;

use divan::{Bencher, black_box};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use tessera::entropy::Entropy;
use tessera::identity::passwords::Hasher;
use tessera::ids::{FamilyId, ProjectId};
use tessera::keys::generate::{NewKey, RsaSize, generate};
use tessera::keys::master::MasterKeys;
use tessera::keys::refresh_token::RefreshToken;
use tessera::keys::signing::{Signer, Verifier};
use tessera::keys::verify::verify_jws;
use tessera::model::signing_key::Alg;
use tessera::secret::Secret;

fn main() {
    divan::main();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn key(alg: Alg) -> NewKey {
    runtime().block_on(generate(alg, RsaSize::default())).unwrap()
}

fn signer(key: &NewKey) -> Signer {
    Signer::new(key.alg, &key.kid, &key.private_der).unwrap()
}

/// The claims of an ordinary access token.
fn claims() -> Value {
    json!({
        "iss": "https://id.example/projects/shop", "sub": "01890a5d-ac96-774b-bcce-b302099a8057",
        "aud": "01890a5d-ac96-774b-bcce-b302099a8058", "client_id": "01890a5d-ac96-774b-bcce-b302099a8058",
        "exp": 4_000_000_000_i64, "iat": 1_800_000_000, "jti": "tR4bQ0Zk1m3nF5pX7sWcVg",
        "scope": "openid profile email", "sid": "01890a5d-ac96-774b-bcce-b302099a8059",
        "auth_time": 1_800_000_000, "acr": "1", "amr": ["pwd"], "roles": ["buyer"], "groups": [], "user_version": 3,
    })
}

#[divan::bench(args = Alg::ALL.map(Alg::as_str))]
fn mint(bencher: Bencher, alg: &str) {
    let (signer, claims) = (signer(&key(alg.parse().unwrap())), claims());
    bencher.bench_local(|| signer.sign("at+jwt", black_box(&claims)).unwrap());
}

#[divan::bench(args = Alg::ALL.map(Alg::as_str))]
fn mint_with_jsonwebtoken(bencher: Bencher, alg: &str) {
    let (key, claims) = (key(alg.parse().unwrap()), claims());
    let encoding = match key.alg {
        Alg::ES256 => EncodingKey::from_ec_der(&key.private_der),
        Alg::EdDSA => EncodingKey::from_ed_der(&key.private_der),
        Alg::RS256 => EncodingKey::from_rsa_der(&key.private_der[26..]),
    };
    let header = Header::new(alg.parse().unwrap());
    bencher.bench_local(|| jsonwebtoken::encode(&header, black_box(&claims), &encoding).unwrap());
}

#[divan::bench(args = Alg::ALL.map(Alg::as_str))]
fn verify(bencher: Bencher, alg: &str) {
    let key = key(alg.parse().unwrap());
    let token = signer(&key).sign("at+jwt", &claims()).unwrap();
    let verifier = Arc::new(Verifier::new(key.alg, &key.public_jwk).unwrap());
    bencher.bench_local(|| verify_jws::<Value>(black_box(&token), |_| Some(Arc::clone(&verifier))).unwrap());
}

#[divan::bench(args = Alg::ALL.map(Alg::as_str))]
fn verify_with_jsonwebtoken(bencher: Bencher, alg: &str) {
    let key = key(alg.parse().unwrap());
    let token = signer(&key).sign("at+jwt", &claims()).unwrap();
    let decoding = DecodingKey::from_jwk(&serde_json::from_str(&key.public_jwk).unwrap()).unwrap();
    let mut validation = Validation::new(alg.parse().unwrap());
    validation.validate_aud = false;
    bencher.bench_local(|| {
        jsonwebtoken::decode::<Value>(black_box(token.as_str()), &decoding, &validation).unwrap()
    });
}

/// What a cache of ready-made signers and verifiers saves.
#[divan::bench(args = Alg::ALL.map(Alg::as_str))]
fn parse_key_pair(bencher: Bencher, alg: &str) {
    let key = key(alg.parse().unwrap());
    bencher.bench_local(|| signer(black_box(&key)));
}

#[divan::bench(args = Alg::ALL.map(Alg::as_str))]
fn parse_public_key(bencher: Bencher, alg: &str) {
    let key = key(alg.parse().unwrap());
    bencher.bench_local(|| Verifier::new(key.alg, black_box(&key.public_jwk)).unwrap());
}

fn master_keys() -> MasterKeys {
    MasterKeys::parse(&format!("k1:{}", "A".repeat(43))).unwrap()
}

#[divan::bench]
fn refresh_token_make(bencher: Bencher) {
    let (keys, family) = (master_keys(), FamilyId(uuid::Uuid::from_u128(5)));
    bencher
        .bench_local(|| RefreshToken::make(&keys, ProjectId::INSTANCE, "k1", black_box(family), 3).unwrap());
}

#[divan::bench]
fn refresh_token_parse(bencher: Bencher) {
    let (keys, family) = (master_keys(), FamilyId(uuid::Uuid::from_u128(5)));
    let token = RefreshToken::make(&keys, ProjectId::INSTANCE, "k1", family, 3).unwrap();
    bencher
        .bench_local(|| RefreshToken::parse(&keys, ProjectId::INSTANCE, black_box(token.expose())).unwrap());
}

/// argon2id as configured by default: 19 MiB, two passes, one lane.
#[divan::bench(sample_count = 20)]
fn password_hash(bencher: Bencher) {
    let (runtime, entropy) = (runtime(), Entropy::default());
    let hasher = Hasher::new(&entropy, 19_456, 2, 1, 4).unwrap();
    bencher.bench_local(|| {
        runtime.block_on(hasher.hash(&entropy, Secret::new("correct horse battery"))).unwrap()
    });
}
