//! Versions never come twice, also when the store was set back: a node may remember what the store has forgotten.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::ledger::replay::restored;

use crate::support::{Answer, Engine, Shop, TestApp, both_engines, number, run};

both_engines!(follow_the_clock, a_store_that_was_set_back, a_restored_store);

async fn set_refresh_days(app: &TestApp, shop: &Shop, key: &str, days: i64) -> Value {
    let url = app.project_url(shop, &format!("/api/token-validity?client_id={}", shop.id));
    let put = app.http.request(Method::PUT, url).bearer_auth(key).json(&json!({"refresh_token": days}));
    Answer::of(put.send().await.unwrap()).await.ok()
}

async fn follow_the_clock(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    app.app.clock.advance(5);
    let now = app.app.clock.now().micros();
    let client = format!("/clients/{}", shop.id);
    for path in ["", client.as_str()] {
        let field = if path.is_empty() { "name" } else { "client_name" };
        for (name, version) in [("one", now), ("two", now + 1)] {
            let changed = desk.patch(path, json!({field: name})).await;
            assert_eq!(changed.etag, Some(format!("\"{version}\"")));
            assert_eq!(changed.ok()["version"], version);
            assert_eq!(desk.get(path).await.ok()["version"], version);
        }
    }
}

async fn a_store_that_was_set_back(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (desk, node) = (app.desk(&shop, "admin").await, app.second_node().await);
    run(&app.app.db, "CREATE TABLE backup_of_test AS SELECT * FROM clients").await;
    set_refresh_days(&app, &shop, &desk.key, 1).await;
    let (code, _) = node.code(&shop, "").await;
    assert_eq!(node.exchange(&shop, &code).await.ok()["refresh_expires_in"], 86_400);
    // The primary is lost, and with it that change; the node remembers it.
    run(
        &app.app.db,
        "UPDATE clients SET (settings, version, shortened_in) = (SELECT settings, version, shortened_in FROM backup_of_test)",
    )
    .await;
    app.app.clock.advance(1);
    set_refresh_days(&app, &shop, &desk.key, 2).await;
    let (code, _) = node.code(&shop, "").await;
    assert_eq!(node.exchange(&shop, &code).await.ok()["refresh_expires_in"], 2 * 86_400);
}

async fn a_restored_store(engine: Engine) {
    let app = TestApp::new(engine).await;
    app.shop("shop", "confidential").await;
    app.shop("other", "confidential").await;
    let (clients, projects) =
        ("SELECT min(version) AS n FROM clients", "SELECT min(version) AS n FROM projects");
    app.app.clock.advance(1);
    restored(&app.app, &[]).await.unwrap();
    let now = app.app.clock.now().micros();
    assert_eq!((number(&app.app.db, clients).await, number(&app.app.db, projects).await), (now, now));
}
