//! `If-Match`: honoured where there is a version, and refused where there is none; never passed over.

use reqwest::header::{HeaderMap, HeaderValue, IF_MATCH};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tessera::http::permissions::ENDPOINTS;

use crate::support::{Answer, Engine, PASSWORD, TestApp, both_engines};

both_engines!(
    strange_headers_are_refused,
    what_has_no_version_refuses_it,
    passwords_honour_it,
    rehearsals_honour_it
);

const SHAPE: &str = "If-Match is one ETag as we gave it, such as \"3\"";
const STALE: &str = "it was changed since the version that If-Match names";

async fn strange_headers_are_refused(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let key = app.key(None, "owner").await;
    let path = format!("/projects/shop/users/{}", shop.user);
    let etag = app.admin_get(&key, &path).await.etag.unwrap();
    let etag = HeaderValue::from_str(&etag).unwrap();
    for lines in [
        vec![HeaderValue::from_bytes(b"\"\xff\"").unwrap()],
        vec![etag.clone(), etag.clone()],
        vec![etag.clone(), HeaderValue::from_static("\"999\"")],
        vec![HeaderValue::from_static("\"1\", \"2\"")],
        vec![HeaderValue::from_static("W/\"1\"")],
        vec![HeaderValue::from_static("")],
    ] {
        let mut headers = HeaderMap::new();
        for line in &lines {
            headers.append(IF_MATCH, line.clone());
        }
        let request = app.admin_request(&key, Method::PATCH, &path).headers(headers);
        let answer = Answer::of(request.json(&json!({"name": "Changed"})).send().await.unwrap()).await;
        answer.refused_for(400, "invalid_request", "If-Match", SHAPE);
    }
    assert_eq!(app.admin_get(&key, &path).await.ok().get("name"), None);
    let seen = etag.to_str().unwrap();
    app.admin_patch_seen(&key, &path, seen, json!({"name": "Changed"})).await.ok();
    app.admin_patch_seen(&key, &path, "*", json!({"name": "Again"})).await.ok();
}

async fn what_has_no_version_refuses_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let key = app.key(None, "owner").await;
    let why = "If-Match is not for this endpoint: what it acts on has no version";
    let mut versioned = 0;
    for endpoint in ENDPOINTS {
        let nothing = uuid::Uuid::max().to_string();
        let path = endpoint.path.replace("{project}", "shop");
        let path: Vec<&str> =
            path.split('/').map(|part| if part.starts_with('{') { nothing.as_str() } else { part }).collect();
        let request = app.http.request(endpoint.method.clone(), format!("{}{}", app.base, path.join("/")));
        // A version that nothing has: what honours it changes nothing.
        let request = request.bearer_auth(&key).header(IF_MATCH, "\"0\"").json(&json!({}));
        let answer = Answer::of(request.send().await.unwrap()).await;
        if endpoint.versioned {
            versioned += 1;
            assert_ne!(answer.body["error_description"], why, "{} {}", endpoint.method, endpoint.path);
            assert!((400..500).contains(&answer.status), "{} {}", endpoint.method, endpoint.path);
        } else {
            answer.refused_for(400, "invalid_request", "If-Match", why);
        }
    }
    assert_eq!(versioned, 12);
    let url = app.project_url(&shop, "/api/refresh");
    let request = app.http.post(url).header(IF_MATCH, "\"1\"").json(&json!({}));
    Answer::of(request.send().await.unwrap()).await.refused_for(400, "invalid_request", "If-Match", why);
}

async fn passwords_honour_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let desk = app.desk(&shop, "user_manager").await;
    let (user, path) = (format!("/users/{}", shop.user), format!("/users/{}/set-password", shop.user));
    let seen = desk.get(&user).await.etag.unwrap();
    desk.patch(&user, json!({"name": "Alice"})).await.ok();
    let body = json!({"password": "another long one"});
    let stale = desk.send(Method::POST, &path, Some(body.clone()), Some(&seen)).await;
    stale.refused(412, "precondition_failed", STALE);
    // Nothing has happened: the token lives, and so does the password.
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    assert_eq!(app.submit(&shop, &cookie, &sealed, PASSWORD).await.status(), StatusCode::SEE_OTHER);
    let seen = desk.get(&user).await.etag.unwrap();
    desk.send(Method::POST, &path, Some(body), Some(&seen)).await.ok();
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], false);
}

async fn rehearsals_honour_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let key = app.key(None, "owner").await;
    for path in ["/projects/shop".to_owned(), format!("/projects/shop/clients/{}", shop.id)] {
        let seen = app.admin_get(&key, &path).await.etag.unwrap();
        let ask = async |seen: &str| {
            let request = app.admin_request(&key, Method::DELETE, &format!("{path}?dry_run=true"));
            Answer::of(request.header(IF_MATCH, seen).send().await.unwrap()).await
        };
        ask("\"0\"").await.refused(412, "precondition_failed", STALE);
        ask("many").await.refused_for(400, "invalid_request", "If-Match", SHAPE);
        let Value::Bool(deleted) = ask(&seen).await.ok()["deleted"] else { panic!("{path}") };
        assert!(!deleted);
    }
}
