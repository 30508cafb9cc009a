//! What the audit log knows of a user who was made with something in hand.

use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};

use crate::support::{Engine, TestApp, both_engines, number};

both_engines!(what_a_new_user_holds_is_recorded);

async fn what_a_new_user_holds_is_recorded(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["department"], &["buyer"], &["eu"]).await;
    let bo = json!({"username": "bo", "attributes": {"department": "sales"}, "roles": ["buyer"], "groups": ["eu"]});
    let bo = desk.post("/users", bo).await.created();
    desk.post("/users", json!({"username": "cy", "roles": ["buyer"]})).await.created();
    desk.post("/users", json!({"username": "di"})).await.created();

    let events = desk.get("/audit?action=user.created&order=asc").await.ok();
    let events = &events["items"].as_array().unwrap()[1..];
    let detail = json!({"attributes_set": ["department"], "attributes_removed": [], "roles_added": ["buyer"],
        "roles_removed": [], "groups_added": ["eu"], "groups_removed": []});
    assert_eq!(events[0]["detail"], detail);
    assert_eq!(events[0]["personal"], json!({"set": {"department": "sales"}}));
    assert_eq!(
        (&events[1]["detail"]["roles_added"], &events[1]["personal"]),
        (&json!(["buyer"]), &Value::Null)
    );
    assert_eq!((&events[2]["detail"], &events[2]["personal"]), (&json!({}), &Value::Null));
    assert!(!events[0]["detail"].to_string().contains("sales"));
    // The next thing that is personal goes under the same key.
    desk.update(json!({"user": bo["id"], "set": {"department": "it"}})).await.ok();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM user_keys").await, 1);
    let changed = desk.get("/audit?action=user.attributes_changed").await.ok();
    assert_eq!(changed["items"][0]["personal"], json!({"set": {"department": "it"}}));
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
    // One that is refused leaves neither user nor key.
    let refused = json!({"username": "ed", "attributes": {"department": "sales"}, "roles": ["nothing"]});
    assert_eq!(desk.post("/users", refused).await.status, 400);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM user_keys").await, 1);
}
