//! What every answer and every token of OAuth's endpoints holds to, whatever comes in.

use std::collections::BTreeSet;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tessera::secret::{decode_base64url, encode_base64url};

use crate::support::oauth::claims_of;
use crate::support::{Answer, Engine, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    // C064
    error_texts_are_made_of_permitted_characters,
    // C072
    what_we_make_is_long_plain_and_new,
    // C073
    basic_credentials_are_form_decoded,
    // C077
    malformed_authorization_headers_are_refused,
    // C066
    a_code_used_again_later_ends_what_it_gave,
    // C097 C102
    other_tokens_are_no_access_tokens,
    // C101
    forged_tokens_are_refused_everywhere,
    // C099
    expired_tokens_are_refused_everywhere,
);

const STRANGE: &str = "\"\\\u{e9}\u{1f600}\u{7f}\n<b>";

/// RFC 6749, 5.2: %x20-21 / %x23-5B / %x5D-7E.
fn check_text(body: &Value) {
    for name in ["error", "error_description"] {
        let text = body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}"));
        let permitted = |byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(!text.is_empty() && text.bytes().all(permitted), "{text}");
    }
}

async fn error_texts_are_made_of_permitted_characters(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let code = [("grant_type", "authorization_code"), ("code", STRANGE), ("redirect_uri", STRANGE)];
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", STRANGE), ("scope", STRANGE)];
    let tokens = app.sign_in(&shop).await;
    let wider =
        [("grant_type", "refresh_token"), ("refresh_token", tokens.get("refresh_token")), ("scope", STRANGE)];
    for form in [
        &[][..],
        &[("grant_type", STRANGE)],
        &[("grant_type", "authorization_code")],
        &[("grant_type", "client_credentials")],
        &[("grant_type", "x"), ("grant_type", STRANGE)],
        &[("client_assertion_type", STRANGE), ("client_assertion", STRANGE)],
        &code,
        &refresh,
        &wider,
    ] {
        for endpoint in ["token", "introspect", "revoke"] {
            let answer = app.form(&shop, endpoint, form).await;
            assert!((400..500).contains(&answer.status), "{endpoint} {form:?}: {}", answer.body);
            check_text(&answer.body);
        }
    }
    for id in [STRANGE, "", "x"] {
        let nobody = Shop { id: id.into(), secret: Some(STRANGE.into()), slug: shop.slug.clone(), ..shop };
        check_text(&app.form(&nobody, "token", &code).await.body);
        let nobody = Shop { secret: None, ..nobody };
        check_text(&app.form(&nobody, "token", &code).await.body);
    }
    let request = app.http.get(app.project_url(&shop, "/oauth2/userinfo")).bearer_auth("x.\\.y");
    check_text(&Answer::of(request.send().await.unwrap()).await.body);
}

/// RFC 6749, 10.10 and appendix A: at least 128 bits, visible characters, never the same again.
async fn what_we_make_is_long_plain_and_new(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        let (code, cookie) = app.code(&shop, "&scope=openid+offline_access").await;
        let tokens = app.exchange(&shop, &code).await.ok();
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        let renewed = app.refresh(&shop, &text("refresh_token")).await.ok();
        let jti = claims_of(&text("access_token"))["jti"].as_str().unwrap().to_owned();
        made.extend([code, cookie, jti, text("access_token"), text("refresh_token")]);
        made.extend(["access_token", "refresh_token"].map(|name| renewed[name].as_str().unwrap().to_owned()));
        let client = app.client(&shop, "service", service()).await;
        made.push(client.secret.unwrap());
    }
    for text in &made {
        assert!(text.len() >= 22 && text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
    }
    assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), made.len());
}

fn service() -> tessera::model::client::ClientSettings {
    tessera::model::client::ClientSettings {
        grant_types: vec![tessera::model::client::GrantType::ClientCredentials],
        ..tessera::model::client::ClientSettings::default()
    }
}

/// RFC 6749, 2.3.1: some libraries encode what needs no encoding.
async fn basic_credentials_are_form_decoded(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let (id, secret) = (encoded(&shop.id), encoded(shop.secret.as_ref().unwrap()));
    let url = app.project_url(&shop, "/oauth2/introspect");
    let request = app.http.post(&url).basic_auth(&id, Some(&secret)).form(&[("token", "x")]);
    Answer::of(request.send().await.unwrap()).await.ok();
    for scheme in ["Basic", "basic", "BASIC"] {
        let plain = format!("{}:{}", shop.id, shop.secret.as_ref().unwrap());
        let plain = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, plain);
        let request = app.http.post(&url).header("authorization", format!("{scheme} {plain}"));
        Answer::of(request.form(&[("token", "x")]).send().await.unwrap()).await.ok();
    }
    let request = app.http.post(&url).basic_auth(&shop.id, Some("wrong")).form(&[("token", "x")]);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 401);
    assert_eq!(answer.headers()["www-authenticate"], r#"Basic realm="tessera""#);
}

async fn malformed_authorization_headers_are_refused(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let no_colon = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &shop.id);
    let not_text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [0xff, b':', 0xff]);
    for header in [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic Og==",
        "Negotiate abc",
        "Bearer abc",
        &format!("Basic {no_colon}"),
        &format!("Basic {not_text}"),
        &format!("Basic {}", "A".repeat(20_000)),
    ] {
        for endpoint in ["token", "introspect", "revoke"] {
            let url = app.project_url(&shop, &format!("/oauth2/{endpoint}"));
            let request = app.http.post(url).header("authorization", header);
            let answer =
                request.form(&[("grant_type", "client_credentials"), ("token", "x")]).send().await.unwrap();
            assert!(answer.status().is_client_error(), "{header:?}: {}", answer.status());
        }
    }
}

async fn a_code_used_again_later_ends_what_it_gave(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    for later in [30, 90] {
        let (code, _) = app.code(&shop, "&scope=openid+offline_access").await;
        let form =
            [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
        let tokens = app.form(&shop, "token", &form).await.ok();
        app.app.clock.advance(later);
        let again = app.form(&shop, "token", &form).await;
        again.refused(400, "invalid_grant", "the code has been used already");
        let (access, refresh) =
            (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
        assert_eq!(app.verify(&shop, access).await["reason"], "session_revoked");
        assert_eq!(app.introspect(&shop, access).await, json!({"active": false}));
        let ended = "the session has ended: session_revoked";
        app.refresh(&shop, refresh).await.refused(400, "invalid_grant", ended);
    }
}

/// Where an access token is taken: userinfo, introspection, and the session API. `true`: it passes.
async fn taken(app: &TestApp, shop: &Shop, token: &str) -> [bool; 4] {
    let request = app.http.get(app.project_url(shop, "/oauth2/userinfo")).bearer_auth(token);
    let info = request.send().await.unwrap().status().as_u16();
    let rest = app.bearer(shop, "userinfofromaccesstoken", token, json!({})).await.status;
    assert!(matches!((info, rest), (200, 200) | (401, 401)), "{info} {rest} {token}");
    let told = app.introspect(shop, token).await;
    let verdict = app.verify(shop, token).await;
    [info == 200, rest == 200, told["active"] == true, verdict["active"] == true]
}

async fn other_tokens_are_no_access_tokens(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, _) = app.code(&shop, "").await;
    let tokens = app.sign_in(&shop).await;
    assert_eq!(taken(&app, &shop, tokens.get("access_token")).await, [true; 4]);
    assert_eq!(taken(&app, &shop, tokens.get("id_token")).await, [false; 4]);
    for token in [tokens.get("refresh_token"), &code, shop.secret.as_ref().unwrap()] {
        let [info, rest, _, verified] = taken(&app, &shop, token).await;
        assert_eq!([info, rest, verified], [false; 3], "{token}");
    }
    let audience = app.verify(&shop, tokens.get("id_token")).await;
    assert_eq!(audience["reason"], "wrong_token_use");
}

/// RFC 8725, 2 and 3.
async fn forged_tokens_are_refused_everywhere(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let genuine = tokens.get("access_token");
    let parts: Vec<&str> = genuine.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("{genuine}") };
    let header: Value = serde_json::from_slice(&decode_base64url(head).unwrap()).unwrap();
    let url = app.project_url(&shop, "/.well-known/jwks.json");
    let set: Value = app.http.get(url).send().await.unwrap().json().await.unwrap();
    let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let part = |value: &Value| encode_base64url(value.to_string().as_bytes());
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        format!("{}.{body}.{signature}", part(&header))
    };
    let symmetric = {
        let signed =
            format!("{}.{body}", part(&json!({"alg": "HS256", "typ": "at+jwt", "kid": header["kid"]})));
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.to_string().as_bytes());
        format!("{signed}.{}", encode_base64url(hmac::sign(&secret, signed.as_bytes()).as_ref()))
    };
    let mut claims = claims_of(genuine);
    claims["sub"] = json!("00000000-0000-7000-8000-000000000000");
    for forged in [
        with("alg", json!("none")),
        format!("{}.{body}.", part(&json!({"alg": "none", "typ": "at+jwt"}))),
        format!("{}.{body}", part(&json!({"alg": "None", "typ": "at+jwt"}))),
        symmetric,
        with("jwk", key.clone()),
        with("jku", json!("https://evil.example/jwks.json")),
        with("x5u", json!("https://evil.example/key.pem")),
        with("kid", json!("../../../etc/passwd")),
        with("kid", json!("' OR '1'='1")),
        with("kid", json!("\u{0}")),
        with("kid", json!("")),
        with("kid", Value::Null),
        with("crit", json!(["exp"])),
        with("alg", json!("ES384")),
        with("typ", json!("JWT")),
        format!("{head}.{body}.{}", encode_base64url(&[0; 64])),
        format!("{head}.{body}.{}", encode_base64url(&[])),
        format!("{head}.{}.{signature}", part(&claims)),
        // Odd serializations of the genuine one.
        format!("{genuine}="),
        format!("{genuine}."),
        format!("{genuine}.{signature}"),
        format!(".{genuine}"),
        format!("{head}.{body}.{signature}A"),
        genuine.replace('.', "%2E"),
        json!({"payload": body, "protected": head, "signature": signature}).to_string(),
    ] {
        assert_eq!(taken(&app, &shop, &forged).await, [false; 4], "{forged}");
    }
    assert_eq!(taken(&app, &shop, genuine).await, [true; 4]);
}

async fn expired_tokens_are_refused_everywhere(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let access = tokens.get("access_token");
    app.app.clock.advance(3599);
    assert_eq!(taken(&app, &shop, access).await, [true; 4]);
    app.app.clock.advance(1);
    assert_eq!(taken(&app, &shop, access).await, [false; 4]);
    let request = app.http.get(app.project_url(&shop, "/oauth2/userinfo")).bearer_auth(access);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["www-authenticate"], r#"Bearer error="invalid_token""#);
    let refused = Answer::of(answer).await;
    assert_eq!(
        (&refused.body["error"], &refused.body["reason"]),
        (&json!("invalid_token"), &json!("expired"))
    );
}
