//! Who may ask for less before a user is deleted, and what becomes of deletions that are under way.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Deleting, Engine, TestApp, admin_key, both_engines};

both_engines!(only_owners_weaken_it, a_deletion_keeps_what_it_was_asked_under);

async fn only_owners_weaken_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (admin, owner) = (app.desk(&shop, "admin").await, app.desk(&shop, "owner").await);
    let settings = |confirmation: &str, days: i64| json!({"settings": {"deletion_confirmation": confirmation, "deletion_restore_days": days}});
    // Whoever is bound by it may bind themselves more.
    admin.patch("", settings("second_person", 7)).await.ok();
    let strong = admin.get("").await.ok();
    let null = |name: &str| json!({"settings": {name: null}});
    for (body, setting) in [
        (settings("typed", 7), "deletion_confirmation"),
        (settings("second_person", 6), "deletion_restore_days"),
        (settings("second_factor", 7), "deletion_confirmation"),
        (null("deletion_confirmation"), "deletion_confirmation"),
        (null("deletion_restore_days"), "deletion_restore_days"),
    ] {
        let field = format!("settings.{setting}");
        let why = format!("only the role owner may weaken {field}: it binds those who delete users");
        admin.patch("", body).await.refused_for(403, "forbidden", &field, &why);
    }
    assert_eq!(admin.get("").await.ok(), strong, "nothing has changed");
    // Another change leaves them alone.
    admin.patch("", json!({"name": "Shop", "settings": {"max_families": 5}})).await.ok();
    let weak = owner.patch("", settings("typed", 0)).await.ok();
    assert_eq!(weak["settings"]["deletion_confirmation"], "typed");
}

async fn a_deletion_keeps_what_it_was_asked_under(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let set = async |settings: Value| {
        let owner = app.desk(&shop, "owner").await;
        owner.send(Method::PATCH, "", Some(json!({"settings": settings})), None).await.ok();
    };
    set(json!({"deletion_confirmation": "second_person", "deletion_restore_days": 7})).await;
    let id = admin.asked().await;
    // The project asks for less by now; this deletion does not.
    set(json!({"deletion_confirmation": "typed", "deletion_restore_days": 0})).await;
    let own = "another admin's key has to confirm this deletion";
    admin.confirm(&id, "alice").await.refused(403, "forbidden", own);
    let key = admin_key(&app, shop.project, "admin").await;
    let confirmed = admin.by(&app, &key).confirm(&id, "alice").await.ok();
    assert_eq!((&confirmed["state"], &confirmed["method"]), (&json!("scheduled"), &json!("second_person")));
    assert_eq!(confirmed["execute_at"], "2027-01-22T08:00:00Z");
    admin.cancel(&id).await.ok();
    // It asks for more by now, and gets it.
    let id = admin.asked().await;
    set(json!({"deletion_restore_days": 3})).await;
    assert_eq!(admin.confirm(&id, "alice").await.ok()["execute_at"], "2027-01-18T08:00:00Z");
}
