//! What an application sends comes back as it was, and the ID token says what is true.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tessera::secret::{encode_base64url, sha256};

use crate::support::{
    Engine, PASSWORD, REDIRECT, Shop, TestApp, both_engines, code_of, cookie_of, location_of, parameter,
    sealed_of,
};

both_engines!(
    // C013 C014 C019 C020 C035 C056
    state_and_nonce_come_back_to_the_byte,
    // C019
    nothing_in_and_nothing_out,
    // C044 C046
    asking_again_moves_the_time,
    // C054 C055 C057 C058 C059
    id_tokens_can_be_checked,
    // C095 C096
    userinfo_takes_the_token_in_a_header,
    // C016 C025 C026 C027
    what_is_not_known_is_passed_over,
    // C130
    nobody_is_sent_elsewhere,
    // C129
    hostile_input_is_no_fault_of_ours,
);

async fn get(app: &TestApp, url: &str, cookie: &str) -> Response {
    app.http.get(url).header("cookie", cookie).send().await.unwrap()
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn bare(app: &TestApp, shop: &Shop, more: &str) -> String {
    let url = app.project_url(shop, "/oauth2/authorize");
    format!("{url}?response_type=code&client_id={}&redirect_uri={REDIRECT}{more}", shop.id)
}

fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&tessera::secret::decode_base64url(payload).unwrap()).unwrap()
}

async fn state_and_nonce_come_back_to_the_byte(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    for text in ["a b+c%2B&=#?/", "ü日本\u{1F600}", "\"'<>\\", &"x".repeat(3000)] {
        let more = format!("&state={}&nonce={}", encoded(text), encoded(text));
        let answer = get(&app, &bare(&app, &shop, &more), &cookie).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let to = location_of(&answer);
        assert_eq!(parameter(&to, "state").as_deref(), Some(text));
        assert_eq!(parameter(&to, "iss"), Some(app.project_url(&shop, "")));
        let tokens = app.exchange(&shop, &parameter(&to, "code").unwrap()).await.ok();
        assert_eq!(claims(&tokens["id_token"])["nonce"], text);
        let denied = get(&app, &bare(&app, &shop, &format!("{more}&prompt=none")), "x=y").await;
        let to = location_of(&denied);
        assert_eq!(parameter(&to, "state").as_deref(), Some(text));
        assert_eq!(parameter(&to, "iss"), Some(app.project_url(&shop, "")));
    }
    // More than a request may hold fails without a redirect.
    let more = format!("&state={}", "x".repeat(9000));
    assert_eq!(get(&app, &bare(&app, &shop, &more), &cookie).await.status(), StatusCode::BAD_REQUEST);
}

async fn nothing_in_and_nothing_out(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    for more in ["", "&state=&nonce="] {
        let to = location_of(&get(&app, &bare(&app, &shop, more), &cookie).await);
        let names: Vec<String> = to.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, ["code", "iss"]);
        let tokens = app.exchange(&shop, &parameter(&to, "code").unwrap()).await.ok();
        assert!(claims(&tokens["id_token"]).get("nonce").is_none());
    }
}

async fn asking_again_moves_the_time(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, cookie) = app.code(&shop, "").await;
    let first = claims(&app.exchange(&shop, &code).await.ok()["id_token"]);
    app.app.clock.advance(10);
    let silent = get(&app, &app.authorize_url(&shop, "&prompt=none"), &cookie).await;
    let second = claims(&app.exchange(&shop, &code_of(&silent)).await.ok()["id_token"]);
    assert_eq!((&first["sub"], &first["auth_time"]), (&second["sub"], &second["auth_time"]));
    let page = get(&app, &app.authorize_url(&shop, "&prompt=login"), &cookie).await;
    let again = app.submit(&shop, &cookie, &sealed_of(&page.text().await.unwrap()), PASSWORD).await;
    assert_ne!(cookie_of(&again), cookie);
    let third = claims(&app.exchange(&shop, &code_of(&again)).await.ok()["id_token"]);
    assert_eq!(third["auth_time"].as_i64(), first["auth_time"].as_i64().map(|time| time + 10));
}

async fn id_tokens_can_be_checked(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let (id_token, access) = (tokens.get("id_token"), tokens.get("access_token"));
    let header = jsonwebtoken::decode_header(id_token).unwrap();
    let keys = app.http.get(app.project_url(&shop, "/.well-known/jwks.json")).send().await.unwrap();
    let keys: JwkSet = keys.json().await.unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
    let document = app.http.get(app.project_url(&shop, "/.well-known/openid-configuration"));
    let document: Value = document.send().await.unwrap().json().await.unwrap();
    let algs = &document["id_token_signing_alg_values_supported"];
    assert!(algs.as_array().unwrap().contains(&json!(header.alg)));
    let mut rules = Validation::new(header.alg);
    rules.set_audience(&[&shop.id]);
    rules.set_issuer(&[app.project_url(&shop, "")]);
    let read = jsonwebtoken::decode::<Value>(id_token, &DecodingKey::from_jwk(key).unwrap(), &rules).unwrap();
    let claims = read.claims;
    let hash = encode_base64url(&sha256(access.as_bytes())[..16]);
    assert_eq!(claims["at_hash"], hash);
    assert!(claims["auth_time"].is_i64() && claims["acr"].is_string() && claims["sid"].is_string());
    assert!(claims["amr"].as_array().unwrap().iter().all(Value::is_string));
    let sub = claims["sub"].as_str().unwrap();
    assert!((1..=255).contains(&sub.len()) && sub.is_ascii());
    assert!(claims.get("azp").is_none_or(|azp| *azp == json!(shop.id)));
    assert!(claims["exp"].as_i64().unwrap() > claims["iat"].as_i64().unwrap());
}

async fn userinfo_takes_the_token_in_a_header(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let (url, access) = (app.project_url(&shop, "/oauth2/userinfo"), tokens.get("access_token"));
    let id = claims(&json!(tokens.get("id_token")));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        for request in [app.http.get(&url), app.http.post(&url)] {
            let told = request.header("authorization", format!("{scheme} {access}")).send().await.unwrap();
            assert_eq!(told.status(), StatusCode::OK, "{scheme}");
            assert_eq!(told.json::<Value>().await.unwrap()["sub"], id["sub"]);
        }
    }
    let in_query = format!("{url}?access_token={access}");
    // RFC 6750, 3.1: no error is named where no token came.
    let (bare, invalid) = (r#"Bearer realm="tessera""#, r#"Bearer error="invalid_token""#);
    for (request, expected) in [
        (app.http.get(&in_query), bare),
        (app.http.post(&in_query), bare),
        (app.http.get(&url), bare),
        (app.http.get(&url).bearer_auth("x"), invalid),
        (app.http.get(&url).bearer_auth(tokens.get("id_token")), invalid),
        (app.http.get(&url).bearer_auth(tokens.get("refresh_token")), invalid),
        (app.http.get(&url).header("authorization", format!("Basic {access}")), bare),
    ] {
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(refused.headers()["www-authenticate"], expected);
        assert_eq!(refused.headers()["cache-control"], "no-store");
    }
}

async fn what_is_not_known_is_passed_over(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    for more in ["&colour=blue", "&access_token=x&id_token=y", "&%F0%9F%98%80=1", "&=", "&a&b"] {
        let answer = get(&app, &app.authorize_url(&shop, &format!("&prompt=none{more}")), &cookie).await;
        app.exchange(&shop, &code_of(&answer)).await.ok();
    }
    // What would change the meaning of the request is not passed over, and nothing is fetched.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (more, error) in [
        (format!("&request_uri=http://{address}/request"), "request_uri_not_supported"),
        ("&registration={}".to_owned(), "registration_not_supported"),
    ] {
        let to = location_of(&get(&app, &app.authorize_url(&shop, &more), &cookie).await);
        assert_eq!(parameter(&to, "error").as_deref(), Some(error), "{to}");
    }
    let waited = tokio::time::timeout(std::time::Duration::from_millis(50), listener.accept()).await;
    assert!(waited.is_err(), "somebody called");
}

/// No parameter of any page decides where a browser goes, but a registered redirect URI.
async fn nobody_is_sent_elsewhere(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    let evil = encoded("https://evil.example/");
    for name in
        ["next", "return_to", "redirect", "url", "continue", "target_link_uri", "post_logout_redirect_uri"]
    {
        for path in ["/oauth2/authorize", "/sign-in", "/select-account", "/consent"] {
            for client in [String::new(), format!("&client_id={}", shop.id)] {
                let url = format!("{}?{name}={evil}{client}", app.project_url(&shop, path));
                let answer = get(&app, &url, &cookie).await;
                let to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
                assert!(to.is_none_or(|to| to.starts_with(REDIRECT) || to.starts_with(&app.base)), "{url}");
            }
        }
    }
    for path in ["//evil.example/", "/\\evil.example", "/projects//evil.example/sign-in"] {
        let answer = app.http.get(format!("{}{path}", app.base)).send().await.unwrap();
        assert!(!answer.headers().contains_key("location") && answer.status().is_client_error(), "{path}");
    }
}

async fn hostile_input_is_no_fault_of_ours(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hostile = [
        "\"><script>alert(1)</script>",
        "';DROP TABLE users;--",
        "\0",
        "\r\n",
        "%",
        "%00",
        "{{7*7}}",
        "../../x",
        "\u{202E}",
        "-1",
        "NaN",
        "[]",
        "null",
    ];
    let names = [
        "client_id",
        "redirect_uri",
        "state",
        "nonce",
        "scope",
        "prompt",
        "max_age",
        "claims",
        "id_token_hint",
        "resource",
        "response_mode",
        "response_type",
        "login_hint",
        "code_challenge",
    ];
    for name in names {
        for text in hostile {
            let start = app.authorize_url(&shop, "");
            let (path, query) = start.split_once('?').unwrap();
            let kept = query.split('&').filter(|pair| !pair.starts_with(&format!("{name}=")));
            let query =
                kept.chain([format!("{name}={}", encoded(text)).as_str()]).collect::<Vec<_>>().join("&");
            let answer = app.http.get(format!("{path}?{query}")).send().await.unwrap();
            assert!(answer.status().as_u16() < 500, "{name}={text:?}");
            assert!(!answer.text().await.unwrap().contains("<script>alert"), "{name}={text:?}");
        }
    }
}
