//! The two slots of a client's secrets.

use reqwest::Method;
use serde_json::{Value, json};

use crate::admin_clients::{CLIENTS, acting_as, path, shop, text};
use crate::support::{Answer, Engine, START, Shop, TestApp, both_engines};

both_engines!(
    secrets_rotate_without_a_gap,
    a_leaked_secret_ends_everything,
    a_spare_secret_is_removed,
    rotations_at_once,
);

/// Whether the secret proves the client, in a call that nothing but the client could fail.
async fn is_accepted(node: &TestApp, shop: &Shop, secret: &str) -> bool {
    let url = node.project_url(shop, "/api/verifyaccesstoken");
    let request = node.http.post(url).basic_auth(&shop.id, Some(secret)).json(&json!({"access_token": "x"}));
    match request.send().await.unwrap().status().as_u16() {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

async fn secrets_rotate_without_a_gap(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, admin) = shop(&app).await;
    let node = app.second_node().await;
    let tokens = app.sign_in(&shop).await;
    let first = shop.secret.clone().unwrap();
    assert!(is_accepted(&node, &shop, &first).await);
    let rotation = path(&shop, "/rotate-secret");
    let rotate = |body: Value| app.admin_post(&admin, &rotation, body);

    let rotated = rotate(json!({})).await.ok();
    let second = text(&rotated, "client_secret");
    assert_eq!((&rotated["slot"], &rotated["version"]), (&json!(2), &json!(START + 1)));
    assert!(is_accepted(&node, &shop, &first).await && is_accepted(&node, &shop, &second).await);
    app.app.clock.advance(1);
    // Both slots are full: the older one goes.
    let rotated = rotate(json!({"old_secret_lives_seconds": 60})).await.ok();
    let third = text(&rotated, "client_secret");
    assert_eq!(rotated["slot"], 1);
    let expected = json!([{"slot": 1, "created_at": "2027-01-15T08:00:01Z", "expires_at": null},
        {"slot": 2, "created_at": "2027-01-15T08:00:00Z", "expires_at": "2027-01-15T08:01:01Z"}]);
    assert_eq!(rotated["secrets"], expected);
    assert!(!is_accepted(&node, &shop, &first).await);
    assert!(is_accepted(&node, &shop, &second).await && is_accepted(&node, &shop, &third).await);
    app.app.clock.advance(60);
    assert!(!is_accepted(&node, &shop, &second).await, "its minute is over");
    // The slot of what has ended is free, and what comes into it does not end with it.
    let rotated = rotate(json!({"old_secret_lives_seconds": 0})).await.ok();
    let fourth = text(&rotated, "client_secret");
    assert_eq!((&rotated["slot"], rotated["secrets"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(rotated["secrets"][0]["expires_at"], Value::Null);
    assert!(!is_accepted(&node, &shop, &third).await && is_accepted(&node, &shop, &fourth).await);
    // None of this has ended a session.
    let shop = Shop { secret: Some(fourth), ..shop };
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["active"], true);

    let field = "old_secret_lives_seconds";
    for (value, why) in [
        (json!({field: -1}), "old_secret_lives_seconds must lie between 0 and 2592000"),
        (json!({field: 2_592_001}), "old_secret_lives_seconds must lie between 0 and 2592000"),
        (
            json!({field: 5, "leaked": true}),
            "old_secret_lives_seconds is not for a leaked secret, which ends now",
        ),
    ] {
        rotate(value).await.refused_for(400, "invalid_request", field, why);
    }
    let public = json!({"client_name": "App", "type": "public"});
    let public = acting_as(&shop, &app.admin_post(&admin, CLIENTS, public).await.created());
    let none = app.admin_post(&admin, &path(&public, "/rotate-secret"), json!({})).await;
    none.refused(400, "invalid_request", "a public client has no secret");
}

async fn a_leaked_secret_ends_everything(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, admin) = shop(&app).await;
    let node = app.second_node().await;
    let tokens = node.sign_in(&shop).await;
    let (code, _) = node.code(&shop, "").await;
    app.admin_post(&admin, &path(&shop, "/rotate-secret"), json!({})).await.ok();
    let rotated = app.admin_post(&admin, &path(&shop, "/rotate-secret"), json!({"leaked": true})).await.ok();
    assert_eq!(rotated["secrets"].as_array().unwrap().len(), 1);
    assert!(!is_accepted(&node, &shop, shop.secret.as_deref().unwrap()).await);
    let shop = Shop { secret: Some(text(&rotated, "client_secret")), ..shop };
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
    assert_eq!(node.refresh(&shop, tokens.get("refresh_token")).await.status, 400);
    let ended = "the code has expired or its sign-in has ended";
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", ended);
    node.sign_in(&shop).await;
    let events =
        app.admin_get(&admin, "/projects/shop/audit?action=client.secret_rotated&limit=1").await.ok();
    assert_eq!(events["items"][0]["detail"]["leaked"], true);
}

async fn a_spare_secret_is_removed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, admin) = shop(&app).await;
    let node = app.second_node().await;
    let tokens = node.sign_in(&shop).await;
    let only = app.admin_delete(&admin, &path(&shop, "/secrets/1")).await;
    only.refused(409, "conflict", "it is the client's only secret: rotate it, or disable the client");
    let rotated = app.admin_post(&admin, &path(&shop, "/rotate-secret"), json!({})).await.ok();
    let removed = app.admin_delete(&admin, &path(&shop, "/secrets/1")).await.ok();
    assert_eq!(
        (removed["secrets"].as_array().unwrap().len(), &removed["secrets"][0]["slot"]),
        (1, &json!(2))
    );
    assert!(!is_accepted(&node, &shop, shop.secret.as_deref().unwrap()).await);
    for slot in ["1", "3", "-1"] {
        let empty = app.admin_delete(&admin, &path(&shop, &format!("/secrets/{slot}"))).await;
        empty.refused(404, "not_found", "there is no secret in this slot");
    }
    let nothing = app.admin_delete(&admin, &path(&shop, "/secrets/x")).await;
    nothing.refused(404, "not_found", "there is nothing at this address");
    let shop = Shop { secret: Some(text(&rotated, "client_secret")), ..shop };
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["active"], true);
}

/// However many rotate at once, there are never more than two secrets, and whoever was told 200 was told the truth.
async fn rotations_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, admin) = shop(&app).await;
    let node = app.second_node().await;
    let rotate = |app: &TestApp| {
        let request = app.admin_request(&admin, Method::POST, &path(&shop, "/rotate-secret"));
        async move {
            Answer::of(request.json(&json!({"old_secret_lives_seconds": 0})).send().await.unwrap()).await
        }
    };
    let answers =
        futures_util::future::join_all((0..6).map(|n| rotate(if n % 2 == 0 { &app } else { &node }))).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)), "{answers:?}");
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    let last = won.iter().max_by_key(|answer| answer.body["version"].as_i64()).unwrap();
    let read = app.admin_get(&admin, &path(&shop, "")).await.ok();
    assert_eq!(read["version"], json!(START + i64::try_from(won.len()).unwrap()));
    assert_eq!(read["secrets"].as_array().unwrap().len(), 1);
    for answer in &won {
        let alive = is_accepted(&node, &shop, &text(&answer.body, "client_secret")).await;
        assert_eq!(alive, answer.body["version"] == last.body["version"]);
    }
}
