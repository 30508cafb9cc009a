//! Ended means ended: on every node, for everything granted before.

use serde_json::json;
use tessera::projects;

use crate::support::{Engine, TestApp, Tokens, both_engines};

both_engines!(reaches_codes_and_the_other_node, by_admin_key, races);

async fn reaches_codes_and_the_other_node(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let (code, cookie) = app.code(&shop, "").await;
    let node = app.second_node().await;
    app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
    let ended = "the code has expired or its sign-in has ended";
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", ended);
    // The hosted cookie still signs in within the hour.
    let again = node
        .http
        .get(node.authorize_url(&shop, "&prompt=none"))
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    node.exchange(&shop, &crate::support::code_of(&again)).await.ok();
    // The dead token cannot sign out again.
    let second = app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await;
    assert_eq!((second.status, &second.body["reason"]), (401, &json!("signed_out")));
}

async fn by_admin_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (_, cookie) = app.code(&shop, "").await;
    let tokens = app.sign_in(&shop).await;
    let key = |project, role| projects::create_admin_key(&app.app, project, "test", role);
    let (_, admin) = key(Some(shop.project), "user_manager").await.unwrap();
    let (_, auditor) = key(Some(shop.project), "auditor").await.unwrap();
    let (_, foreign) = key(Some(other.project), "owner").await.unwrap();
    let alice = json!({"user": {"username": "ALICE"}, "end_browser_sessions": true});
    let call = |key: &tessera::secret::Secret| {
        let key = key.expose().to_owned();
        let (app, shop, alice) = (&app, &shop, alice.clone());
        async move { app.bearer(shop, "GlobalSignOut", &key, alice).await }
    };
    call(&auditor).await.refused(403, "forbidden", "the role auditor may not do this");
    call(&foreign).await.refused(401, "invalid_token", "the admin key is not valid here");
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
    let ended = call(&admin).await.ok();
    assert_eq!((&ended["families_ended"], &ended["browser_sessions_ended"]), (&json!(1), &json!(2)));
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
    let silent = app
        .http
        .get(app.authorize_url(&shop, "&prompt=none"))
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    assert!(silent.headers()["location"].to_str().unwrap().contains("error=login_required"));
    assert_eq!(call(&admin).await.ok()["families_ended"], 0, "idempotent");
    let unknown =
        app.bearer(&shop, "GlobalSignOut", admin.expose(), json!({"user": {"username": "bob"}})).await;
    unknown.refused(404, "not_found", "no such user");
}

/// Exchange, refresh and verification race with a sign-out; after it has returned, nothing granted before it lives.
async fn races(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let node = app.second_node().await;
    for _ in 0..8 {
        let tokens = app.sign_in(&shop).await;
        let (code, _) = app.code(&shop, "").await;
        let (refreshed, exchanged, signed_out) = tokio::join!(
            node.refresh(&shop, tokens.get("refresh_token")),
            node.exchange(&shop, &code),
            app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})),
        );
        signed_out.ok();
        for answer in [refreshed, exchanged].into_iter().filter(|answer| answer.status == 200) {
            let granted = Tokens(answer.body);
            assert_eq!(node.verify(&shop, granted.get("access_token")).await["active"], false);
            assert_eq!(app.refresh(&shop, granted.get("refresh_token")).await.status, 400);
        }
        app.app.clock.advance(1);
    }
}
