//! `oauth2/token` and `oauth2/userinfo`: the session API's decisions, as OAuth clients ask for them.

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;

use crate::support::{Answer, Engine, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    // C016 C082
    both_grants_give_tokens,
    // C074 C076 C078
    clients_prove_themselves,
    // C070 C071
    requests_are_refused,
    // C018
    an_id_token_for_openid_alone,
    // C063
    answers_are_json_and_not_kept,
    // C086
    a_refresh_may_repeat_the_scope_that_was_asked_for,
    the_same_decisions,
    userinfo
);

fn token(app: &TestApp, shop: &Shop, form: &[(&str, &str)]) -> RequestBuilder {
    let request = app.http.post(app.project_url(shop, "/oauth2/token"));
    request.basic_auth(&shop.id, shop.secret.as_ref()).form(form)
}

async fn ask(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

fn code_grant(code: &str) -> [(&str, &str); 3] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)]
}

fn refresh_grant(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

async fn both_grants_give_tokens(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, _) = app.code(&shop, "&scope=openid+profile+offline_access").await;
    // What we do not know is passed over (RFC 6749, 3.2).
    let form = [&code_grant(&code)[..], &[("colour", "blue"), ("audience", "x")]].concat();
    let tokens = ask(token(&app, &shop, &form)).await.ok();
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!(tokens["scope"], "openid profile offline_access");
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(app.verify(&shop, access).await["active"], true);
    assert!(tokens["id_token"].is_string());

    let refreshed =
        ask(token(&app, &shop, &refresh_grant(tokens["refresh_token"].as_str().unwrap()))).await.ok();
    assert_ne!(refreshed["refresh_token"], tokens["refresh_token"]);
    let access = refreshed["access_token"].as_str().unwrap();
    assert_eq!(app.verify(&shop, access).await["active"], true);
    // Narrowed for this answer.
    let form =
        [&refresh_grant(refreshed["refresh_token"].as_str().unwrap())[..], &[("scope", "openid")]].concat();
    assert_eq!(ask(token(&app, &shop, &form)).await.ok()["scope"], "openid");
}

async fn clients_prove_themselves(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, public) = (app.shop("shop", "confidential").await, app.shop("open", "public").await);
    let (code, _) = app.code(&shop, "").await;
    let (id, secret) = (shop.id.as_str(), shop.secret.as_deref().unwrap());
    let url = app.project_url(&shop, "/oauth2/token");
    let failed = "client authentication failed";
    let body = |more: &[(&'static str, &str)]| -> Vec<(String, String)> {
        let all = code_grant(&code).into_iter().chain(more.iter().copied());
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let wrong = ask(app.http.post(&url).form(&body(&[("client_id", id), ("client_secret", "wrong")])));
    wrong.await.refused(401, "invalid_client", failed);
    let nobody = ask(app.http.post(&url).form(&body(&[])));
    nobody.await.refused(401, "invalid_client", "the request names no client");
    let without = ask(app.http.post(&url).form(&body(&[("client_id", id)])));
    without.await.refused(401, "invalid_client", failed);
    let foreign = ask(app.http.post(&url).form(&body(&[("client_id", &public.id)])));
    foreign.await.refused(401, "invalid_client", failed);
    let twice =
        ask(app.http.post(&url).basic_auth(id, Some(secret)).form(&body(&[("client_secret", secret)])));
    twice.await.refused(400, "invalid_request", "the client authenticates in two ways at once");
    // None of these used the code.
    let in_body = ask(app.http.post(&url).form(&body(&[("client_id", id), ("client_secret", secret)])));
    in_body.await.ok();
}

async fn requests_are_refused(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let twice = "the body is not form-encoded, or a parameter is given twice";
    let unsupported = "this grant type is not supported";
    for (form, code, field, description) in [
        (vec![], "invalid_request", Some("grant_type"), "grant_type is missing"),
        (vec![("grant_type", "password")], "unsupported_grant_type", None, unsupported),
        (vec![("grant_type", "implicit")], "unsupported_grant_type", None, unsupported),
        (vec![("grant_type", "authorization_code")], "invalid_request", Some("code"), "code is missing"),
        (
            vec![("grant_type", "authorization_code"), ("code", "x")],
            "invalid_request",
            Some("redirect_uri"),
            "redirect_uri is missing",
        ),
        (
            vec![("grant_type", "refresh_token")],
            "invalid_request",
            Some("refresh_token"),
            "refresh_token is missing",
        ),
        (
            vec![("grant_type", "refresh_token"), ("grant_type", "refresh_token")],
            "invalid_request",
            None,
            twice,
        ),
        (
            vec![("grant_type", "refresh_token"), ("refresh_token", "x"), ("refresh_token", "y")],
            "invalid_request",
            None,
            twice,
        ),
    ] {
        let answer = ask(token(&app, &shop, &form)).await;
        match field {
            Some(field) => answer.refused_for(400, code, field, description),
            None => answer.refused(400, code, description),
        }
    }
    let url = app.project_url(&shop, "/oauth2/token");
    let json =
        app.http.post(&url).basic_auth(&shop.id, shop.secret.as_ref()).json(&json!({"grant_type": "x"}));
    let kind = "the body must be application/x-www-form-urlencoded";
    ask(json).await.refused(415, "unsupported_media_type", kind);
    // Addresses end up in logs, so nothing is taken from them.
    let query = "parameters belong into the body, not into the address";
    for query_of in ["?grant_type=refresh_token&refresh_token=x", "?colour=blue"] {
        let request = app.http.post(format!("{url}{query_of}")).basic_auth(&shop.id, shop.secret.as_ref());
        ask(request.form(&refresh_grant("x"))).await.refused(400, "invalid_request", query);
    }
    let get = app.http.get(format!("{url}?grant_type=refresh_token&refresh_token=x&client_id={}", shop.id));
    ask(get).await.refused(405, "method_not_allowed", "this address takes another method");
    // Under the issuer only, which has the slug.
    let by_id = url.replace("/projects/shop/", &format!("/projects/{}/", shop.project));
    for url in [by_id, url.replace("/projects/shop/", "/projects/nobody/")] {
        let request = app.http.post(url).basic_auth(&shop.id, shop.secret.as_ref()).form(&refresh_grant("x"));
        ask(request).await.refused(404, "not_found", "no such project");
    }
}

/// OpenID Connect Core, 3.1.2.1. The session API promises an ID token whatever the scope.
async fn an_id_token_for_openid_alone(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    for (scope, identifies) in [("profile", false), ("openid+profile", true)] {
        let (code, _) = app.code(&shop, &format!("&scope={scope}")).await;
        let tokens = ask(token(&app, &shop, &code_grant(&code))).await.ok();
        assert_eq!(tokens.get("id_token").is_some(), identifies, "{scope}");
        let form = refresh_grant(tokens["refresh_token"].as_str().unwrap());
        let renewed = ask(token(&app, &shop, &form)).await.ok();
        assert_eq!(renewed.get("id_token").is_some(), identifies, "{scope}");
        let (code, _) = app.code(&shop, &format!("&scope={scope}")).await;
        assert!(app.exchange(&shop, &code).await.ok()["id_token"].is_string());
    }
}

/// RFC 6749, 6: what was never asked for is not given, what was asked for and not granted is no error.
async fn a_refresh_may_repeat_the_scope_that_was_asked_for(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        scope: Some("openid profile".into()),
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let (code, _) = app.code(&shop, "&scope=profile+openid+email+a%00b+orders").await;
    let tokens = ask(token(&app, &shop, &code_grant(&code))).await.ok();
    assert_eq!(tokens["scope"], "openid profile");
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let with = async |scope: &str| {
        ask(token(&app, &shop, &[&refresh_grant(refresh)[..], &[("scope", scope)]].concat())).await
    };
    for (scope, granted) in [
        ("profile openid email orders", "openid profile"),
        ("openid offline_access", "openid"),
        ("orders profile", "profile"),
    ] {
        let renewed = with(scope).await.ok();
        assert_eq!(renewed["scope"], granted, "{scope}");
        let access = renewed["access_token"].as_str().unwrap();
        assert_eq!(app.verify(&shop, access).await["claims"]["scope"], granted);
    }
    for scope in ["openid phone", "openid a", "orders.write", "account", " "] {
        with(scope).await.refused(400, "invalid_scope", "scope asks for more than was granted");
    }
    assert_eq!(with("").await.ok()["scope"], "openid profile");
}

/// RFC 6749, 5.1 and 5.2.
async fn answers_are_json_and_not_kept(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, _) = app.code(&shop, "").await;
    for (form, status) in [(code_grant(&code), 200), (code_grant("x"), 400)] {
        let answer = token(&app, &shop, &form).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
}

/// What one face has done counts for the other, and a refusal is the same to the word.
async fn the_same_decisions(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, _) = app.code(&shop, "&scope=openid+offline_access").await;
    let here = ask(token(&app, &shop, &code_grant("tco_nothing"))).await;
    let there = app.exchange(&shop, "tco_nothing").await;
    assert_eq!((here.status, here.body), (there.status, there.body));
    let tokens = ask(token(&app, &shop, &code_grant(&code))).await.ok();
    // A second use, by the other face, ends what the first one gave.
    let again = app.exchange(&shop, &code).await;
    assert_eq!((again.status, &again.body["error"]), (400, &json!("invalid_grant")));
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let here = ask(token(&app, &shop, &refresh_grant(refresh))).await;
    let there = app.refresh(&shop, refresh).await;
    assert_eq!((here.status, &here.body), (400, &there.body));
    assert_eq!(here.body["error"], "invalid_grant");
}

async fn userinfo(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let (access, url) = (tokens.get("access_token"), app.project_url(&shop, "/oauth2/userinfo"));
    let mut expected = app.bearer(&shop, "userinfofromaccesstoken", access, json!({})).await.ok();
    // What `profile` shows a project's own applications there is no standard claim.
    for ours in ["roles", "groups", "attributes"] {
        expected.as_object_mut().unwrap().remove(ours).unwrap();
    }
    assert_eq!((&expected["sub"], &expected["email"]), (&json!(shop.user), &json!("alice@example.com")));
    for request in [app.http.get(&url), app.http.post(&url), app.http.post(&url).form(&[("colour", "blue")])]
    {
        assert_eq!(ask(request.bearer_auth(access)).await.ok(), expected);
    }
    let missing = "the request carries no access token";
    ask(app.http.get(&url)).await.refused(401, "invalid_token", missing);
    let by_id = url.replace("/projects/shop/", &format!("/projects/{}/", shop.project));
    ask(app.http.get(by_id).bearer_auth(access)).await.refused(404, "not_found", "no such project");
    app.bearer(&shop, "GlobalSignOut", access, json!({})).await.ok();
    let here = ask(app.http.get(&url).bearer_auth(access)).await;
    let there = app.bearer(&shop, "userinfofromaccesstoken", access, json!({})).await;
    assert_eq!((here.status, &here.body), (401, &there.body));
    assert_eq!(here.body["reason"], Value::from("signed_out"));
}
