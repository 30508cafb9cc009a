//! `token-validity`: bounds, units, and what a shorter lifetime does to living families.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::projects;

use crate::support::{Answer, Engine, Shop, TestApp, both_engines};

both_engines!(read_change_and_cap, the_client_is_named_in_the_body, the_version_is_honoured, denials);

async fn call(app: &TestApp, shop: &Shop, key: &str, method: Method, client: &str, body: Value) -> Answer {
    let url = app.project_url(shop, &format!("/api/token-validity?client_id={client}"));
    Answer::of(app.http.request(method, url).bearer_auth(key).json(&body).send().await.unwrap()).await
}

async fn read_change_and_cap(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, key) = projects::create_admin_key(&app.app, Some(shop.project), "test", "admin").await.unwrap();
    let key = key.expose();
    let before = call(&app, &shop, key, Method::GET, &shop.id, json!({})).await.ok();
    let days = json!({"access_token": "hours", "id_token": "hours", "refresh_token": "days", "refresh_idle": "days"});
    let expected = json!({"client_id": shop.id, "access_token": 1, "id_token": 1, "refresh_token": 30,
        "refresh_idle": 30, "units": days});
    assert_eq!(before, expected);

    let tokens = app.sign_in(&shop).await;
    let change = json!({"access_token": 5, "refresh_token": 1, "units": {"access_token": "minutes"}});
    let after = call(&app, &shop, key, Method::PUT, &shop.id, change).await.ok();
    assert_eq!((&after["access_token"], &after["refresh_token"]), (&json!(5), &json!(1)));
    assert_eq!((&after["id_token"], &after["families_shortened"]), (&json!(1), &json!(1)));
    assert_eq!(after["effective"], json!({"at_once": ["refresh_token"], "new_tokens": ["access_token"]}));
    // New tokens follow, on every node, with the next request.
    let renewed = app.second_node().await.refresh(&shop, tokens.get("refresh_token")).await.ok();
    assert_eq!((&renewed["expires_in"], &renewed["refresh_expires_in"]), (&json!(300), &json!(86_400)));
    app.app.clock.advance(86_400);
    let expired = "the session has ended: session_expired";
    app.refresh(&shop, renewed["refresh_token"].as_str().unwrap()).await.refused(
        400,
        "invalid_grant",
        expired,
    );
}

/// As the guide writes it.
async fn put(app: &TestApp, shop: &Shop, key: &str, query: &str, seen: Option<&str>, body: Value) -> Answer {
    let url = app.project_url(shop, &format!("/api/token-validity{query}"));
    let mut request = app.http.put(url).bearer_auth(key).json(&body);
    if let Some(seen) = seen {
        request = request.header("if-match", seen);
    }
    Answer::of(request.send().await.unwrap()).await
}

async fn the_client_is_named_in_the_body(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let key = app.key(Some(shop.project), "admin").await;
    let (id, query) = (shop.id.as_str(), format!("?client_id={}", shop.id));
    let body = json!({"client_id": id, "access_token": 2, "id_token": 30, "refresh_token": 7, "refresh_idle": 12,
        "units": {"id_token": "minutes", "refresh_idle": "hours"}});
    let changed = put(&app, &shop, &key, "", None, body).await.ok();
    let units = json!({"access_token": "hours", "id_token": "minutes", "refresh_token": "days", "refresh_idle": "hours"});
    let expected = json!({"client_id": id, "access_token": 2, "id_token": 30, "refresh_token": 7, "refresh_idle": 12,
        "units": units, "families_shortened": 0,
        "effective": {"at_once": ["refresh_token", "refresh_idle"], "new_tokens": ["access_token", "id_token"]}});
    assert_eq!(changed, expected);
    // A longer lifetime is for new tokens; what keeps its value is neither.
    let longer = json!({"client_id": id, "refresh_token": 8, "access_token": 2});
    let longer = put(&app, &shop, &key, &query, None, longer).await.ok();
    assert_eq!(longer["effective"], json!({"at_once": [], "new_tokens": ["refresh_token"]}));
    // Named in the query alone, it is the same client.
    assert_eq!(
        put(&app, &shop, &key, &query, None, json!({"access_token": 3})).await.ok()["access_token"],
        3
    );

    let differs = "client_id of the query is another one than that of the body";
    for (query, body, description) in [
        ("", json!({"access_token": 4}), "missing field client_id"),
        ("", json!({"client_id": "shop"}), "client_id has the wrong type"),
        (&*query, json!({"client_id": other.id, "access_token": 4}), differs),
    ] {
        let refused = put(&app, &shop, &key, query, None, body).await;
        refused.refused_for(400, "invalid_request", "client_id", description);
    }
    let foreign = put(&app, &shop, &key, "", None, json!({"client_id": other.id, "access_token": 4})).await;
    foreign.refused(404, "not_found", "no such client");
    let read = call(&app, &shop, &key, Method::GET, id, json!({})).await.ok();
    assert_eq!((&read["access_token"], read.get("effective")), (&json!(3), None));
}

async fn the_version_is_honoured(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let key = app.key(Some(shop.project), "admin").await;
    let read = call(&app, &shop, &key, Method::GET, &shop.id, json!({})).await;
    let seen = read.etag.unwrap();
    let change = |hours: i64| json!({"client_id": shop.id, "access_token": hours});
    let changed = put(&app, &shop, &key, "", Some(&seen), change(2)).await;
    let next = changed.etag.unwrap();
    assert_ne!(next, seen);
    let stale = put(&app, &shop, &key, "", Some(&seen), change(3)).await;
    let why = "it was changed since the version that If-Match names";
    stale.refused(412, "precondition_failed", why);
    assert_eq!(put(&app, &shop, &key, "", Some(&next), change(4)).await.ok()["access_token"], 4);
    // It is the client's version, wherever it is read.
    let last = call(&app, &shop, &key, Method::GET, &shop.id, json!({})).await.etag;
    let client = app.admin_get(&key, &format!("/projects/shop/clients/{}", shop.id)).await;
    assert_eq!(client.etag, last);
}

async fn denials(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (_, key) = projects::create_admin_key(&app.app, Some(shop.project), "test", "admin").await.unwrap();
    let (_, auditor) =
        projects::create_admin_key(&app.app, Some(shop.project), "test", "auditor").await.unwrap();
    let put = |key: &str, shop, client: &str, body| {
        let (app, key, client) = (&app, key.to_owned(), client.to_owned());
        async move { call(app, shop, &key, Method::PUT, &client, body).await }
    };
    let change = json!({"access_token": 2});
    let role = "the role auditor may not do this";
    put(auditor.expose(), &shop, &shop.id, change.clone()).await.refused(403, "forbidden", role);
    let foreign = put(key.expose(), &other, &other.id, change.clone()).await;
    foreign.refused(401, "invalid_token", "the admin key is not valid here");
    put(key.expose(), &shop, &other.id, change.clone()).await.refused(404, "not_found", "no such client");
    put("tak_nothing", &shop, &shop.id, change).await.refused(
        401,
        "invalid_token",
        "the admin key is not valid here",
    );
    for (body, field) in [
        (json!({"access_token": 25}), "access_token"),
        (json!({"id_token": 4, "units": {"id_token": "minutes"}}), "id_token"),
        (json!({"refresh_token": 31}), "refresh_token"),
        (json!({"refresh_idle": 0}), "refresh_idle"),
        (json!({"refresh_token": i64::MAX}), "refresh_token"),
        (json!({"colour": 1}), "colour"),
    ] {
        let answer = put(key.expose(), &shop, &shop.id, body).await;
        assert_eq!((answer.status, &answer.body["field"]), (400, &json!(field)));
    }
}
