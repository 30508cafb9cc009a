//! `token-validity`: bounds, units, and what a shorter lifetime does to living families.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::projects;

use crate::support::{Answer, Engine, Shop, TestApp, both_engines};

both_engines!(read_change_and_cap, denials);

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
