//! Signatures of all three algorithms, made and read by us and by jsonwebtoken; and every way to confuse a reader.

use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tessera::keys::generate::{NewKey, RsaSize, generate};
use tessera::keys::signing::{Signer, Verifier, token_hash};
use tessera::keys::verify::{TokenFault, verify_jws};
use tessera::model::signing_key::Alg;
use tessera::secret::{decode_base64url, encode_base64url};

/// A project's published keys, one of each algorithm.
struct Keys(Vec<(NewKey, Arc<Verifier>)>);

impl Keys {
    async fn new() -> Self {
        let mut keys = Vec::new();
        for alg in Alg::ALL {
            let key = generate(alg, RsaSize::default()).await.unwrap();
            let verifier = Arc::new(Verifier::new(alg, &key.public_jwk).unwrap());
            keys.push((key, verifier));
        }
        Self(keys)
    }

    fn judge(&self, token: &str) -> Result<Value, TokenFault> {
        let find = |kid: &str| self.0.iter().find(|(key, _)| key.kid == kid).map(|(_, v)| v.clone());
        verify_jws::<Value>(token, find).map(|(_, claims)| claims)
    }

    fn fault(&self, token: &str) -> Option<TokenFault> {
        self.judge(token).err()
    }
}

fn sign(key: &NewKey, claims: &Value) -> String {
    Signer::new(key.alg, &key.kid, &key.private_der).unwrap().sign("at+jwt", claims).unwrap()
}

fn jwt_alg(alg: Alg) -> Algorithm {
    alg.as_str().parse().unwrap()
}

/// What another library signs with our private key.
fn foreign_key(key: &NewKey) -> EncodingKey {
    match key.alg {
        Alg::ES256 => EncodingKey::from_ec_der(&key.private_der),
        Alg::EdDSA => EncodingKey::from_ed_der(&key.private_der),
        // PKCS#1 lies inside PKCS#8, as its last member.
        Alg::RS256 => EncodingKey::from_rsa_der(&key.private_der[26..]),
    }
}

fn with_header(token: &str, header: &Value) -> String {
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", encode_base64url(header.to_string().as_bytes()))
}

#[tokio::test]
async fn another_library_reads_what_we_sign_and_we_read_what_it_signs() {
    let keys = Keys::new().await;
    for (key, _) in &keys.0 {
        let jwk: Jwk = serde_json::from_str(&key.public_jwk).unwrap();
        assert_eq!(jwk.thumbprint(ThumbprintHash::SHA256).unwrap(), key.kid);
        let mut validation = Validation::new(jwt_alg(key.alg));
        validation.set_audience(&["us"]);
        let claims = json!({"aud": "us", "exp": 4_000_000_000_i64, "name": "Zoë"});
        let decoding = DecodingKey::from_jwk(&jwk).unwrap();
        let read =
            jsonwebtoken::decode::<Value>(sign(key, &claims).as_str(), &decoding, &validation).unwrap();
        assert_eq!((&read.claims, read.header.typ.as_deref()), (&claims, Some("at+jwt")));
        assert_eq!(read.header.kid.as_ref(), Some(&key.kid));

        let mut header = Header::new(jwt_alg(key.alg));
        header.kid = Some(key.kid.clone());
        let foreign = jsonwebtoken::encode(&header, &claims, &foreign_key(key)).unwrap();
        assert_eq!(keys.judge(&foreign), Ok(claims), "{:?}", key.alg);
    }
}

#[tokio::test]
async fn rsa_keys_have_the_length_that_was_asked_for() {
    for (size, bytes) in [(RsaSize::Bits2048, 256), (RsaSize::Bits3072, 384)] {
        let key = generate(Alg::RS256, size).await.unwrap();
        let token = sign(&key, &json!({}));
        let signature = token.rsplit('.').next().and_then(decode_base64url).unwrap();
        assert_eq!(signature.len(), bytes);
        let verifier = Arc::new(Verifier::new(Alg::RS256, &key.public_jwk).unwrap());
        assert!(verify_jws::<Value>(&token, |_| Some(verifier)).is_ok());
    }
    assert_eq!(RsaSize::from_bits(1024).err().unwrap().field(), Some("rsa_bits"));
}

#[tokio::test]
async fn public_jwks_have_their_members_and_no_private_one() {
    for (key, _) in Keys::new().await.0 {
        let jwk: Value = serde_json::from_str(&key.public_jwk).unwrap();
        let mut members: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        let expected: &[&str] = match key.alg {
            Alg::ES256 => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            Alg::RS256 => &["alg", "e", "kid", "kty", "n", "use"],
            Alg::EdDSA => &["alg", "crv", "kid", "kty", "use", "x"],
        };
        assert_eq!(members, expected);
    }
}

// C101
#[tokio::test]
async fn a_header_that_lies_is_refused() {
    let keys = Keys::new().await;
    for (key, _) in &keys.0 {
        let (token, kid, alg) = (sign(key, &json!({"a": 1})), &key.kid, key.alg.as_str());
        let lie = |header: Value| keys.fault(&with_header(&token, &header));
        for unknown in ["none", "None", "HS256", "PS256", "RS512", "ES384", "es256", "Ed25519", ""] {
            assert_eq!(lie(json!({"alg": unknown, "kid": kid})), Some(TokenFault::UnsupportedAlg));
        }
        // Another alg of ours with this key, this alg with another key of ours: the key decides.
        for (other, _) in keys.0.iter().filter(|(other, _)| other.kid != *kid) {
            let other_alg = other.alg.as_str();
            assert_eq!(lie(json!({"alg": other_alg, "kid": kid})), Some(TokenFault::BadSignature));
            assert_eq!(lie(json!({"alg": alg, "kid": other.kid})), Some(TokenFault::BadSignature));
            assert_eq!(lie(json!({"alg": other_alg, "kid": other.kid})), Some(TokenFault::BadSignature));
        }
        for unknown in
            [json!({"alg": alg}), json!({"alg": alg, "kid": ""}), json!({"alg": alg, "kid": "../x"})]
        {
            assert_eq!(lie(unknown), Some(TokenFault::UnknownKey));
        }
        for malformed in [
            json!({"alg": alg, "kid": kid, "crit": ["exp"]}),
            json!({"alg": alg, "kid": kid, "crit": []}),
            json!({"alg": alg, "kid": kid, "crit": null, "typ": 1}),
            json!({"alg": [alg], "kid": kid}),
            json!({"alg": alg, "kid": 7}),
            json!({"kid": kid}),
            json!([alg, kid]),
        ] {
            assert_eq!(lie(malformed.clone()), Some(TokenFault::Malformed), "{malformed}");
        }
        // A changed type changes what was signed.
        assert_eq!(lie(json!({"typ": "JWT", "alg": alg, "kid": kid})), Some(TokenFault::BadSignature));
        let twice = format!(r#"{{"alg":"none","alg":"{alg}","kid":"{kid}"}}"#);
        let (_, rest) = token.split_once('.').unwrap();
        assert_eq!(
            keys.fault(&format!("{}.{rest}", encode_base64url(twice.as_bytes()))),
            Some(TokenFault::Malformed)
        );
    }
}

// C101
#[tokio::test]
async fn a_key_in_the_header_or_a_mac_under_the_public_key_proves_nothing() {
    let keys = Keys::new().await;
    let stranger = generate(Alg::ES256, RsaSize::default()).await.unwrap();
    for (key, _) in &keys.0 {
        // RFC 8725, 2.1: the public key, known to all, as the secret of an HMAC.
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.kid.clone());
        let mac = EncodingKey::from_secret(key.public_jwk.as_bytes());
        let forged = jsonwebtoken::encode(&header, &json!({"a": 1}), &mac).unwrap();
        assert_eq!(keys.fault(&forged), Some(TokenFault::UnsupportedAlg));

        let mut header = Header::new(Algorithm::ES256);
        header.jwk = Some(serde_json::from_str(&stranger.public_jwk).unwrap());
        header.jku = Some("https://evil.example/jwks".into());
        for (kid, fault) in [(&key.kid, TokenFault::BadSignature), (&stranger.kid, TokenFault::UnknownKey)] {
            header.kid = Some(kid.clone());
            let forged = jsonwebtoken::encode(&header, &json!({"a": 1}), &foreign_key(&stranger)).unwrap();
            assert_eq!(keys.fault(&forged), Some(fault));
        }
    }
}

// C101
#[tokio::test]
async fn signatures_of_another_form_or_length_do_not_fit() {
    let keys = Keys::new().await;
    for (key, _) in &keys.0 {
        let token = sign(key, &json!({"a": 1}));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let bytes = decode_base64url(signature).unwrap();
        let zero = vec![0; bytes.len()];
        let longer = [&bytes[..], &[0]].concat();
        let led = [&[0], &bytes[..]].concat();
        for other in [&zero[..], &bytes[1..], &bytes[..bytes.len() - 1], &longer, &led, &[1]] {
            let forged = format!("{signed}.{}", encode_base64url(other));
            assert_eq!(keys.fault(&forged), Some(TokenFault::BadSignature));
        }
        for text in [format!("{token}="), format!(" {token}"), format!("{token}\n"), format!("{token}.e30")] {
            assert_eq!(keys.fault(&text), Some(TokenFault::Malformed), "{text}");
        }
        let huge = format!("{signed}.{}", "A".repeat(40 * 1024));
        assert_eq!(keys.fault(&huge), Some(TokenFault::Malformed));
        // Claims that are no JSON object are malformed, even when we signed them.
        let odd = Signer::new(key.alg, &key.kid, &key.private_der).unwrap().sign("at+jwt", &"text").unwrap();
        let find = |_: &str| Some(Arc::new(Verifier::new(key.alg, &key.public_jwk).unwrap()));
        let judged = verify_jws::<std::collections::HashMap<String, Value>>(&odd, find).err();
        assert_eq!(judged, Some(TokenFault::Malformed));
    }
    for malformed in ["", ".", "a.b", "..", "a.b.c.d", "!.!.!", "e30.e30.", "e30..e30"] {
        assert_eq!(keys.fault(malformed), Some(TokenFault::Malformed), "{malformed}");
    }
}

#[tokio::test]
async fn no_altered_character_and_no_random_text_passes() {
    let keys = Keys::new().await;
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let tokens: Vec<String> =
        keys.0.iter().map(|(key, _)| sign(key, &json!({"sub": "alice", "n": 1}))).collect();
    let alteration = (0..tokens.len(), any::<prop::sample::Index>(), "[A-Za-z0-9_.=-]");
    let altered = runner.run(&alteration, |(which, place, character)| {
        let mut token = tokens[which].clone();
        let place = place.index(token.len());
        let same = token[place..=place] == character;
        token.replace_range(place..=place, &character);
        prop_assert_eq!(keys.judge(&token).is_ok(), same);
        Ok(())
    });
    altered.unwrap();
    let random = runner.run(&("\\PC{0,40}", "\\PC{0,40}", "\\PC{0,40}"), |(header, payload, signature)| {
        let encoded = [&header, &payload, &signature].map(|part| encode_base64url(part.as_bytes()));
        prop_assert!(keys.judge(&encoded.join(".")).is_err());
        prop_assert!(keys.judge(&[header, payload, signature].join(".")).is_err());
        Ok(())
    });
    random.unwrap();
}

#[test]
fn the_hash_of_an_access_token_follows_the_algorithm() {
    // The token of OpenID Connect Core, A.3, which gives the first value; the second is the same with SHA-512.
    let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    assert_eq!(token_hash(Alg::ES256, token), "77QmUPtjPfzWtF2AnpK9RQ");
    assert_eq!(token_hash(Alg::RS256, token), "77QmUPtjPfzWtF2AnpK9RQ");
    assert_eq!(token_hash(Alg::EdDSA, token), "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM");
}

#[tokio::test]
async fn a_key_is_read_for_its_own_algorithm_alone() {
    let keys = Keys::new().await;
    for (key, _) in &keys.0 {
        for other in Alg::ALL.into_iter().filter(|other| *other != key.alg) {
            assert!(Signer::new(other, &key.kid, &key.private_der).is_err());
            // An Ed25519 x alone is no P-256 point, and a P-256 x has the length of an Ed25519 key: alg is stored beside.
            if (key.alg, other) != (Alg::ES256, Alg::EdDSA) {
                assert!(Verifier::new(other, &key.public_jwk).is_err(), "{other:?} from {:?}", key.alg);
            }
        }
    }
}
