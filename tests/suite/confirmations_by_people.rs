//! Admins who are people confirm what ends for many by their second factor, shown for this very act.

use serde_json::{Value, json};
use tessera::jobs::run_due;
use tessera::model::client::ClientSettings;
use tessera::store::db::{Conn, execute};

use crate::support::{Answer, Engine, Hall, REASON, Shop, TestApp, both_engines, number};

both_engines!(
    a_person_shows_a_second_factor,
    who_asked_confirms,
    a_person_beside_a_key,
    many_users_by_a_person
);

fn asks_for_more(answer: Answer) {
    let challenge = json!({
        "error": "insufficient_user_authentication",
        "error_description": "this takes a sign-in with a second factor, made after it was asked for",
        "acr_values": "2",
        "max_age": 0,
    });
    assert_eq!((answer.status, answer.body), (401, challenge));
}

fn client(shop: &Shop) -> String {
    format!("/projects/{}/clients/{}", shop.slug, shop.id)
}

async fn ask(app: &TestApp, token: &str, shop: &Shop) -> (Value, String) {
    let asked = app.admin_ask_to_delete(token, &client(shop)).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let id = asked.body["confirmation_id"].as_str().unwrap();
    (asked.body["method"].clone(), format!("/projects/{}/confirmations/{id}", shop.slug))
}

async fn a_person_shows_a_second_factor(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "admin", Some(shop.project)).await;
    let phone = app.enrolled(&hall.console).await.authenticator;
    let before = hall.proven("", &phone).await;
    app.app.clock.advance(1);
    let (method, at) = ask(&app, &before, &shop).await;
    assert_eq!(method, "second_factor");
    // Both factors, and yet not for this; nothing is counted.
    for _ in 0..6 {
        asks_for_more(app.admin_post(&before, &at, json!({"confirmation": shop.id})).await);
    }
    assert_eq!(number(&app.app.db, "SELECT failed_attempts AS n FROM confirmations").await, 0);
    app.app.clock.advance(30);
    let after = hall.proven("&acr_values=2&max_age=0", &phone).await;
    let wrong = "the typed client_id is not the client's";
    let typed = app.admin_post(&after, &at, json!({"confirmation": "shop"})).await;
    typed.refused(403, "confirmation_failed", wrong);
    app.app.clock.advance(301);
    asks_for_more(app.admin_post(&after, &at, json!({})).await);
    let fresh = hall.proven("&acr_values=2&max_age=0", &phone).await;
    let done = app.admin_post(&fresh, &at, json!({})).await.ok();
    assert_eq!(done, json!({"client_id": shop.id, "deleted": true}));
}

async fn who_asked_confirms(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "owner", None).await;
    let phone = app.enrolled(&hall.console).await.authenticator;
    let (_, ben) = hall.admin("ben", "admin", Some(shop.project)).await;
    let alice = hall.proven("", &phone).await;
    let (_, at) = ask(&app, &alice, &shop).await;
    let why = "the admin who asked has to confirm this deletion";
    app.admin_post(&ben, &at, json!({})).await.refused(403, "forbidden", why);
    let refused = app.admin_post(&hall.owner, &at, json!({"confirmation": shop.id})).await;
    assert_eq!((refused.status, &refused.body["methods"]), (403, &json!(["typed", "second_person"])));
    // Whoever could ask for it calls it off.
    assert_eq!(app.admin_delete(&ben, &at).await.ok()["state"], "cancelled");
    // A proof is for what was asked for before it, and a confirmation for one deletion.
    let (_, at) = ask(&app, &alice, &shop).await;
    app.admin_post(&alice, &at, json!({})).await.ok();
    app.admin_post(&alice, &at, json!({})).await.refused(409, "conflict", "this has been confirmed already");
}

/// People are somebody to ask, if their role would do and if they can sign in.
async fn a_person_beside_a_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let key = app.admin_key(Some(shop.project), "admin").await;
    let (method, at) = ask(&app, &key, &shop).await;
    assert_eq!(method, "typed");
    app.admin_delete(&key, &at).await.ok();
    let hall = Hall::new(&app).await;
    let owners = "UPDATE admin_keys SET revoked_at = created_at WHERE role = 'owner'";
    for (name, role, project) in [("eve", "auditor", shop.project), ("fay", "owner", other.project)] {
        hall.admin(name, role, Some(project)).await;
    }
    let (ben, token) = hall.admin("ben", "admin", Some(shop.project)).await;
    crate::support::run(&app.app.db, owners).await;
    let (method, at) = ask(&app, &key, &shop).await;
    assert_eq!(method, "second_person");
    let own = "another admin's key has to confirm this deletion";
    app.admin_post(&key, &at, json!({})).await.refused(403, "forbidden", own);
    app.admin_post(&token, &at, json!({})).await.ok();
    // Who is disabled cannot be asked.
    let disable = |conn: Conn| async move {
        execute!(&conn, "UPDATE users SET status = 'disabled' WHERE id = $1", ben)
    };
    app.app.db.write(disable).await.unwrap();
    let second = app.second_client(&shop, ClientSettings::default()).await;
    assert_eq!(ask(&app, &key, &second).await.0, "typed");
}

async fn many_users_by_a_person(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "admin", Some(shop.project)).await;
    let phone = app.enrolled(&hall.console).await.authenticator;
    let before = hall.proven("", &phone).await;
    app.app.clock.advance(1);
    let body = json!({"users": [shop.user], "reason": REASON});
    let asked = app.bearer(&shop, "delete-users", &before, body).await;
    assert_eq!((asked.status, &asked.body["confirmation"]["method"]), (202, &json!("second_factor")));
    let id = asked.body["confirmation"]["confirmation_id"].as_str().unwrap();
    let at = format!("/projects/shop/confirmations/{id}");
    asks_for_more(app.admin_post(&before, &at, json!({"confirmation": "delete 1 users"})).await);
    app.app.clock.advance(30);
    let after = hall.proven("&acr_values=2&max_age=0", &phone).await;
    assert_eq!(app.admin_post(&after, &at, json!({})).await.ok()["state"], "running");
    run_due(&app.app).await.unwrap();
    let gone = "SELECT count(*) AS n FROM erasures";
    assert_eq!(number(&app.app.db, gone).await, 1);
}
