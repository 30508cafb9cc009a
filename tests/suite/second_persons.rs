//! Two people are two: a key stands for whoever made it.

use serde_json::{Value, json};

use crate::support::{Answer, Deleting, Engine, Hall, Many, TestApp, both_engines, number};

both_engines!(
    a_person_and_their_keys_are_one,
    keys_of_one_maker_are_one,
    what_ends_for_many_asks_for_somebody_else,
    who_is_alone_with_their_own_keys_types,
    a_person_is_not_alone_beside_another,
);

const ONE: &str = "who asked and who confirms are one party: a key stands for whoever made it; somebody else has to confirm \
                   this deletion";
const FAILED: &str = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_confirmation_failed' AND detail LIKE '%same_party%'";

/// A key that another admin makes; its id and the key.
async fn made(app: &TestApp, by: &str, role: &str) -> (String, String) {
    let made = app.admin_post(by, "/admin-keys", json!({"name": "made", "role": role})).await.created();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

fn refused(answer: Answer) {
    let expected = json!({"error": "forbidden", "error_description": ONE});
    assert_eq!((answer.status, answer.body), (403, expected));
}

async fn a_person_and_their_keys_are_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "owner", None).await;
    let token = hall.token("alice").await;
    let (_, first) = made(&app, &token, "owner").await;
    // A key that their key made, and another one of theirs.
    let (_, second) = made(&app, &first, "admin").await;
    let (_, third) = made(&app, &token, "admin").await;
    let alice = Deleting { app: &app, shop: &shop, key: token };
    alice.settings(json!({"deletion_confirmation": "second_person"})).await;
    let id = alice.asked().await;
    for key in [&first, &second, &third] {
        refused(alice.by(&app, key).confirm(&id, "alice").await);
    }
    assert_eq!(number(&app.app.db, FAILED).await, 3);
    assert_eq!(alice.show(&id).await.ok()["state"], "pending");
    alice.cancel(&id).await.ok();
    // The other way round, and among the keys.
    let asked = alice.by(&app, &second);
    let id = asked.asked().await;
    for admin in [&alice.key, &first, &third] {
        refused(alice.by(&app, admin).confirm(&id, "alice").await);
    }
    let own = "another admin's key has to confirm this deletion";
    asked.confirm(&id, "alice").await.refused(403, "forbidden", own);
    assert_eq!(number(&app.app.db, FAILED).await, 6);
    // Somebody else is somebody else: a person, or a key of the command line's.
    let (_, ben) = hall.admin("ben", "admin", Some(shop.project)).await;
    assert_eq!(alice.by(&app, &ben).confirm(&id, "alice").await.ok()["state"], "executed");
}

async fn keys_of_one_maker_are_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (root, other) = (app.admin_key(None, "owner").await, app.admin_key(None, "owner").await);
    let (maker, middle) = made(&app, &root, "owner").await;
    let (_, one) = made(&app, &middle, "admin").await;
    let (_, two) = made(&app, &root, "admin").await;
    let deleting = Deleting { app: &app, shop: &shop, key: one };
    deleting.settings(json!({"deletion_confirmation": "second_person"})).await;
    let id = deleting.asked().await;
    for key in [&root, &middle, &two] {
        refused(deleting.by(&app, key).confirm(&id, "alice").await);
    }
    // That a maker is revoked makes their keys no other's.
    app.admin_delete(&root, &format!("/admin-keys/{maker}")).await.ok();
    refused(deleting.by(&app, &two).confirm(&id, "alice").await);
    let event = app.admin_get(&other, "/projects/shop/audit?action=user.deletion_confirmation_failed").await;
    assert_eq!(event.ok()["items"][0]["detail"]["why"], "same_party");
    // Each key that the command line made is a party of its own, and so are those that were made with it.
    let (_, theirs) = made(&app, &other, "admin").await;
    assert_eq!(deleting.by(&app, &theirs).confirm(&id, "alice").await.ok()["state"], "executed");
}

async fn what_ends_for_many_asks_for_somebody_else(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (root, other) = (app.admin_key(None, "owner").await, app.admin_key(None, "owner").await);
    let (_, own) = made(&app, &root, "owner").await;
    let client = format!("/projects/shop/clients/{}", shop.id);
    let asked = app.admin_ask_to_delete(&root, &client).await.body;
    assert_eq!(asked["method"], "second_person");
    let at = |asked: &Value| {
        format!("/projects/shop/confirmations/{}", asked["confirmation_id"].as_str().unwrap())
    };
    refused(app.admin_post(&own, &at(&asked), json!({})).await);
    let log = app.admin_get(&other, "/projects/shop/audit?action=client.deletion_confirmation_failed").await;
    assert_eq!(log.ok()["items"][0]["detail"]["why"], "same_party");
    app.admin_post(&other, &at(&asked), json!({})).await.ok();
    // Many users.
    let many = Many::new(&app, &shop).await;
    let body = json!({"users": many.people(&["ann", "bea"]).await, "reason": "asked for it in writing"});
    let asked = app.bearer(&shop, "delete-users", &own, body).await.body;
    refused(app.admin_post(&root, &at(&asked["confirmation"]), json!({})).await);
    assert_eq!(app.admin_post(&other, &at(&asked["confirmation"]), json!({})).await.ok()["state"], "running");
    // The project.
    let asked = app.admin_ask_to_delete(&own, "/projects/shop").await.body;
    refused(app.admin_post(&root, &at(&asked), json!({})).await);
    app.admin_post(&other, &at(&asked), json!({})).await.ok();
}

/// Nobody else could confirm: to ask for a second person would be to ask for nobody.
async fn who_is_alone_with_their_own_keys_types(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let root = app.admin_key(None, "owner").await;
    let (_, own) = made(&app, &root, "owner").await;
    let client = format!("/projects/shop/clients/{}", shop.id);
    for key in [&root, &own] {
        let asked = app.admin_ask_to_delete(key, &client).await.body;
        assert_eq!(asked["method"], "typed");
        let at = format!("/projects/shop/confirmations/{}", asked["confirmation_id"].as_str().unwrap());
        app.admin_delete(key, &at).await.ok();
    }
    app.admin_key(Some(shop.project), "admin").await;
    assert_eq!(app.admin_ask_to_delete(&own, &client).await.body["method"], "second_person");
}

async fn a_person_is_not_alone_beside_another(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "owner", None).await;
    let (_, own) = made(&app, &hall.token("alice").await, "admin").await;
    // No key but the person's own is left.
    crate::support::run(&app.app.db, "UPDATE admin_keys SET revoked_at = created_at WHERE made_by IS NULL")
        .await;
    let client = format!("/projects/shop/clients/{}", shop.id);
    let asked = app.admin_ask_to_delete(&own, &client).await.body;
    assert_eq!(asked["method"], "typed", "{asked}");
    let at = format!("/projects/shop/confirmations/{}", asked["confirmation_id"].as_str().unwrap());
    app.admin_delete(&own, &at).await.ok();
    let grant = json!({"user": hall.person("ben").await, "role": "admin"});
    app.admin_post(&hall.token("alice").await, "/admins", grant).await.created();
    assert_eq!(app.admin_ask_to_delete(&own, &client).await.body["method"], "second_person");
}
