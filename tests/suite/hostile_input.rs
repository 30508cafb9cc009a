//! Bytes of strangers, wherever the server reads them: whatever comes, the answer is a refusal, and never a failure of ours.
//! Each parser sees a bounded number of inputs, the same in every run: noise, and good input that was changed a little.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::{RequestBuilder, Response};
use serde_json::json;
use tessera::model::uris::check_return_uri;
use tessera::oauth::parameters::Parameters;
use tessera::secret::encode_base64url;

use crate::support::{Engine, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    authorization_requests,
    token_requests,
    client_assertions,
    dpop_proofs,
    refresh_tokens,
    access_tokens,
    cookies,
);

/// Inputs for each parser and engine.
const INPUTS: usize = 120;

/// A source of inputs that says the same in every run.
fn runner() -> TestRunner {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn some(strategy: impl Strategy<Value = String>, count: usize) -> Vec<String> {
    let mut runner = runner();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Noise: any characters, and the ones that mean something to parsers.
fn noise() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,200}",
        "[-%&=+.;,:/?#@\\\\\"'<>{}\\[\\]a-f0-9\u{0}\r\n\t ]{0,200}",
        // As long as a header may be, and longer than anything of ours is.
        "[A-Za-z0-9._~-]{6000,9000}",
    ]
}

/// A good text with one or two places changed, cut, doubled or filled with something else.
fn changed(good: &str) -> impl Strategy<Value = String> + use<> {
    let good: Vec<char> = good.chars().collect();
    let places = good.len();
    let edit = (0..=places, 0..6_u8, any::<char>(), 0..40_usize);
    prop::collection::vec(edit, 1..3).prop_map(move |edits| {
        let mut text = good.clone();
        for (place, kind, with, length) in edits {
            let place = place.min(text.len());
            let end = (place + length).min(text.len());
            match kind {
                0 => text.insert(place, with),
                1 => text.truncate(place),
                2 => drop(text.drain(place..end)),
                3 => {
                    let again = text[place..end].to_vec();
                    text.splice(place..place, again);
                }
                4 if place < text.len() => text[place] = with,
                _ => text.splice(place..place, ['.', '=', '&', '%', '\0']).for_each(drop),
            }
        }
        text.into_iter().collect()
    })
}

/// JWTs of whatever header and claims.
fn jwts() -> impl Strategy<Value = String> {
    let header = prop_oneof![
        Just(json!({"alg": "none"})),
        Just(json!({"alg": "HS256", "typ": "at+jwt", "kid": "../../etc/passwd"})),
        Just(
            json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}})
        ),
        Just(json!({"alg": "RS256", "typ": "dpop+jwt", "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}})),
        Just(json!({"alg": "EdDSA", "crit": ["exp"], "b64": false, "jku": "http://127.0.0.1/"})),
        Just(json!({"alg": ["ES256"], "kid": {"a": 1}})),
        Just(json!([])),
    ];
    let claims = prop_oneof![
        Just(json!({})),
        Just(json!({"sub": "'; DROP TABLE users; --", "exp": 1e300})),
        Just(json!({"iss": null, "sub": [], "aud": {}, "exp": -1, "jti": ""})),
        Just(
            json!({"sub": "0".repeat(3000), "iat": i64::MIN, "exp": i64::MAX, "jti": "a", "htm": "POST", "htu": ":"})
        ),
    ];
    (header, claims, prop::collection::vec(any::<u8>(), 0..80)).prop_map(|(header, claims, signature)| {
        let part = |value: &serde_json::Value| encode_base64url(value.to_string().as_bytes());
        format!("{}.{}.{}", part(&header), part(&claims), encode_base64url(&signature))
    })
}

/// Noise, JWTs, and changes of something good.
fn tokens(good: &str) -> Vec<String> {
    let mut inputs = some(noise(), INPUTS / 3);
    inputs.extend(some(jwts(), INPUTS / 3));
    inputs.extend(some(changed(good), INPUTS / 3));
    inputs.retain(|input| input != good);
    inputs
}

/// Sends it, unless it is nothing that HTTP can carry.
async fn answered(app: &TestApp, request: RequestBuilder, input: &str) -> Option<Response> {
    let request = request.timeout(Duration::from_secs(20)).build().ok()?;
    let response = app.http.execute(request).await.unwrap();
    assert!(response.status().as_u16() < 500, "{} for {input:?}", response.status());
    Some(response)
}

/// The server refuses it.
async fn refused(app: &TestApp, request: RequestBuilder, input: &str) {
    if let Some(response) = answered(app, request, input).await {
        assert!(response.status().is_client_error(), "{} for {input:?}", response.status());
    }
}

/// What may stand in a header.
fn visible(input: &str) -> String {
    input.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect()
}

// C129
async fn authorization_requests(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let good = app.authorize_url(&shop, "&scope=openid&prompt=login&max_age=5");
    let (address, query) = good.split_once('?').unwrap();
    let mut inputs = some(noise(), INPUTS / 2);
    inputs.extend(some(changed(query), INPUTS / 2));
    for input in &inputs {
        let mut url = url::Url::parse(address).unwrap();
        url.set_query(Some(input));
        if let Some(response) = answered(&app, app.http.get(url), input).await {
            let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
            assert!(location.is_none_or(|to| to.starts_with(REDIRECT)), "{input:?}");
        }
        let form = "application/x-www-form-urlencoded";
        answered(&app, app.http.post(address).header("content-type", form).body(input.clone()), input).await;
    }
}

async fn token_requests(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let good =
        format!("grant_type=authorization_code&code=tco_AAAA&redirect_uri={REDIRECT}&client_id={}", shop.id);
    let mut inputs = some(noise(), INPUTS / 2);
    inputs.extend(some(changed(&good), INPUTS / 2));
    for input in inputs {
        let request = app.http.post(app.project_url(&shop, "/oauth2/token"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        refused(&app, request.body(input.clone()), &input).await;
    }
}

/// As the form of the token endpoint, by a client that has a secret: nothing else than the input is wrong.
async fn posted(app: &TestApp, shop: &Shop, name: &str, input: &str, more: &[(&str, &str)]) {
    let request = app.http.post(app.project_url(shop, "/oauth2/token"));
    refused(app, request.form(&[more, &[(name, input)]].concat()), input).await;
}

async fn client_assertions(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let more = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    ];
    for input in tokens(app.sign_in(&shop).await.get("id_token")) {
        posted(&app, &shop, "client_assertion", &input, &more).await;
    }
}

async fn dpop_proofs(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "public").await;
    let good = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2In0.eyJqdGkiOiJhIn0.AAAA";
    for input in tokens(good) {
        let request = app.http.post(app.project_url(&shop, "/oauth2/token"));
        let form = [("grant_type", "refresh_token"), ("refresh_token", "tsr_AA"), ("client_id", &shop.id)];
        refused(&app, request.header("dpop", visible(&input)).form(&form), &input).await;
    }
}

async fn refresh_tokens(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let signed_in = app.sign_in(&shop).await;
    let good = signed_in.get("refresh_token");
    let secret = shop.secret.clone().unwrap();
    let more = [("grant_type", "refresh_token"), ("client_id", &shop.id), ("client_secret", &secret)];
    for input in tokens(good) {
        posted(&app, &shop, "refresh_token", &input, &more).await;
    }
    assert_eq!(app.refresh(&shop, good).await.status, 200);
}

async fn access_tokens(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let signed_in = app.sign_in(&shop).await;
    let good = signed_in.get("access_token");
    for input in tokens(good) {
        // The header's own white space is no part of the token.
        let token = visible(&input);
        if token.trim() != good {
            let request = app.http.get(app.project_url(&shop, "/oauth2/userinfo"));
            refused(&app, request.header("authorization", format!("Bearer {token}")), &input).await;
        }
        if input.len() < 60_000 && !input.is_empty() {
            let judged = app.call(&shop, "verifyaccesstoken", json!({"access_token": input})).await;
            assert!(judged.status < 500 && judged.body["active"] != json!(true), "{input:?}");
        }
    }
    assert_eq!(app.verify(&shop, good).await["active"], json!(true));
}

async fn cookies(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, good) = app.code(&shop, "").await;
    let mut inputs = some(noise(), INPUTS / 2);
    inputs.extend(some(changed(&good), INPUTS / 2));
    for input in inputs {
        let cookie = visible(&input);
        // Changes behind the value leave it what it is.
        if cookie.split(';').any(|pair| pair.trim() == good) {
            continue;
        }
        let request = app.http.get(app.authorize_url(&shop, "&prompt=none")).header("cookie", cookie);
        let Some(response) = answered(&app, request, &input).await else { continue };
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        assert!(location.is_none_or(|to| to.contains("error=login_required")), "{input:?}");
    }
}

// C033
#[test]
fn redirect_uris_that_may_be_registered_lead_nowhere_else() {
    let mut inputs = some(noise(), 2000);
    inputs.extend(some(changed("https://app.example/callback?a=b"), 2000));
    for input in inputs {
        if check_return_uri("redirect_uris", &input).is_ok() {
            let parsed = url::Url::parse(&input).unwrap();
            assert!(!matches!(parsed.scheme(), "javascript" | "data" | "file" | "blob"), "{input:?}");
            assert!(
                !input.contains(['\r', '\n', '\0', ' ', '#', '<', '"']) || !input.is_ascii(),
                "{input:?}"
            );
        }
    }
}

#[test]
fn parameters_say_what_they_were_made_of() {
    for input in some(noise(), 4000) {
        if let Some(parameters) = Parameters::parse(&input) {
            let again = Parameters::parse(&parameters.to_query()).unwrap();
            assert_eq!(again.to_query(), parameters.to_query(), "{input:?}");
            assert_eq!(again.repeated(), parameters.repeated(), "{input:?}");
        }
    }
}
