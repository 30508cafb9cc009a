//! The refusals that every endpoint has in common, to the byte; and the challenges that go with them.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, Engine, Shop, TestApp, both_engines};

both_engines!(another_method, too_large, another_content_type, challenges, the_largest_user_can_be_verified);

async fn ask(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

async fn another_method(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let why = "this address takes another method";
    for (method, path) in [
        (Method::GET, "/projects/shop/api/refresh"),
        (Method::DELETE, "/projects/shop/api/token-validity"),
        (Method::PUT, "/projects/shop/oauth2/token"),
        (Method::POST, "/projects/shop/.well-known/jwks.json"),
        (Method::PUT, "/admin/projects"),
        (Method::POST, "/health"),
    ] {
        ask(app.http.request(method, format!("{}{path}", app.base))).await.refused(
            405,
            "method_not_allowed",
            why,
        );
    }
    // RFC 9110, 15.5.6: what it takes.
    let answer = app.http.get(app.project_url(&shop, "/api/refresh")).send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "POST");
    let nothing = "there is nothing at this address";
    ask(app.http.get(app.project_url(&shop, "/api/nothing"))).await.refused(404, "not_found", nothing);
}

async fn too_large(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let key = app.key(None, "owner").await;
    let body = |bytes: usize| format!("{{\"code\": \"{}\"}}", "x".repeat(bytes - 12));
    let post = async |path: &str, kind: &str, body: String| {
        let request = app.http.post(format!("{}{path}", app.base)).bearer_auth(&key);
        ask(request.header("content-type", kind).body(body)).await
    };
    for path in ["/projects/shop/api/GetTokenFromCode", "/projects/shop/oauth2/token", "/admin/projects"] {
        let answer = post(path, "application/json", body(64 * 1024 + 1)).await;
        answer.refused(413, "payload_too_large", "the body is larger than 64 KiB");
    }
    // Exactly that much is read.
    let answer = post("/projects/shop/api/GetTokenFromCode", "application/json", body(64 * 1024)).await;
    answer.refused_for(400, "invalid_request", "redirect_uri", "missing field redirect_uri");
    app.sign_in(&shop).await;
}

async fn another_content_type(engine: Engine) {
    let app = TestApp::new(engine).await;
    app.shop("shop", "confidential").await;
    let key = app.key(None, "owner").await;
    for path in ["/projects/shop/api/refresh", "/projects/shop/api/verifyaccesstoken", "/admin/projects"] {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            let request = app.http.post(format!("{}{path}", app.base)).bearer_auth(&key);
            let answer = ask(request.header("content-type", kind).body("{}")).await;
            answer.refused(415, "unsupported_media_type", "the body must be application/json");
        }
        let request = app.http.post(format!("{}{path}", app.base)).bearer_auth(&key);
        let with_charset =
            ask(request.header("content-type", "application/json; charset=utf-8").body("{}")).await;
        assert_eq!(with_charset.status, 400, "{path}");
    }
}

async fn challenges(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (client, token) = (r#"Basic realm="tessera""#, r#"Bearer error="invalid_token""#);
    // RFC 6750, 3.1: whoever brought nothing has made no error yet.
    let bare = r#"Bearer realm="tessera""#;
    let post = |path: &str| app.http.post(app.project_url(&shop, path)).json(&json!({"refresh_token": "x"}));
    let user_info = || app.http.post(app.project_url(&shop, "/api/userinfofromaccesstoken"));
    let wrong = Some("wrong");
    for (request, status, challenge) in [
        (post("/api/refresh").basic_auth(&shop.id, wrong), 401, Some(client)),
        (post("/api/refresh"), 401, Some(client)),
        (user_info(), 401, Some(bare)),
        (user_info().bearer_auth("a.b.c"), 401, Some(token)),
        (app.http.get(app.project_url(&shop, "/oauth2/userinfo")), 401, Some(bare)),
        (app.http.get(format!("{}/admin/projects", app.base)), 401, Some(bare)),
        (app.http.get(format!("{}/admin/projects", app.base)).bearer_auth("tak_wrong"), 401, Some(token)),
        (post("/api/refresh").basic_auth(&shop.id, shop.secret.as_ref()), 400, None),
        (app.http.get(format!("{}/nothing", app.base)), 404, None),
    ] {
        let answer = request.send().await.unwrap();
        let found = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), found), (status, challenge), "{}", answer.url());
    }
    let all = |answer: &reqwest::Response| -> Vec<String> {
        let all = answer.headers().get_all("www-authenticate").iter();
        all.map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    let nothing = user_info().send().await.unwrap();
    assert_eq!(all(&nothing), [bare, r#"DPoP algs="ES256 RS256 EdDSA""#]);
    let tokens = app.sign_in(&shop).await;
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", shop.id), json!({"first_party": false})).await.ok();
    let request = app.http.post(app.project_url(&shop, "/api/GlobalSignOut"));
    let request = request.bearer_auth(tokens.get("access_token"));
    let answer = request.json(&json!({})).send().await.unwrap();
    let scope = r#"Bearer error="insufficient_scope", scope="account""#;
    assert_eq!((answer.status().as_u16(), all(&answer)), (403, vec![scope.to_owned()]));
}

/// 64 characters that begin with these.
fn long(prefix: &str, number: usize) -> String {
    format!("{prefix}{number:0>width$}", width = 64 - prefix.len())
}

/// Everything that a token may carry, at once.
async fn the_largest_user_can_be_verified(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let names = |prefix: &str, count: usize| -> Vec<String> { (0..count).map(|n| long(prefix, n)).collect() };
    let (roles, groups, attributes) = (names("role.", 100), names("group.", 100), names("attribute.", 50));
    let (some, others): (Vec<&str>, Vec<&str>) =
        (roles.iter().map(String::as_str).collect(), groups.iter().map(String::as_str).collect());
    desk.define(&[], &some, &others).await;
    let mut set = serde_json::Map::new();
    for (n, name) in attributes.iter().enumerate() {
        // 4096 bytes in all.
        let bytes = if n < 49 { 81 } else { 4096 - 49 * 81 };
        let body = json!({"name": name, "type": "string", "in_access_token": true, "max_bytes": bytes});
        desk.post("/attribute-definitions", body).await.created();
        set.insert(name.clone(), json!("\"".repeat(bytes / 2)));
    }
    let update = json!({"user": shop.user, "set": set, "roles": {"add": roles}, "groups": {"add": groups}});
    desk.update(update).await.ok();
    check(&app, &shop).await;
}

async fn check(app: &TestApp, shop: &Shop) {
    let tokens = app.sign_in(shop).await;
    let access = tokens.get("access_token");
    assert!(access.len() > 24 * 1024 && access.len() <= 32 * 1024, "{}", access.len());
    let verified = app.verify(shop, access).await;
    assert_eq!((&verified["active"], &verified["claims_stale"]), (&json!(true), &json!(false)), "{verified}");
    let claims = &verified["claims"];
    let count = |name: &str| {
        claims[name].as_array().map_or_else(|| claims[name].as_object().unwrap().len(), Vec::len)
    };
    assert_eq!((count("roles"), count("groups"), count("attributes")), (100, 100, 50));
    // In the header and in the body.
    let info = app.bearer(shop, "userinfofromaccesstoken", access, json!({})).await.ok();
    assert_eq!(info["sub"], json!(shop.user));
    let url = app.project_url(shop, "/api/userinfofromaccesstoken");
    let in_body = ask(app.http.post(url).json(&json!({"access_token": access}))).await.ok();
    assert_eq!(in_body, info);
    let ended: Value = app.bearer(shop, "GlobalSignOut", access, json!({})).await.ok();
    assert_eq!(ended["families_ended"], 1);
}
