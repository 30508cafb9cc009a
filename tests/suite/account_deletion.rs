//! Deleting one's own account: only where the project lets people, and through the same machinery as an admin's deletion.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};

use crate::jobs::count;
use crate::support::{Account, Deleting, Engine, Held, Shop, TestApp, both_engines, number};

both_engines!(
    with_a_typed_name,
    not_where_the_project_does_not_say_so,
    with_a_restore_window,
    wrong_names_are_counted,
    an_admins_comes_first,
    not_by_a_session_that_has_ended,
    only_owners_allow_it,
    not_against_what_keeps_them,
    a_protected_project_lets_its_people_go
);

async fn allow(app: &TestApp, shop: &Shop, more: Value) {
    let mut settings = json!({"self_deletion": true});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.desk(shop, "owner").await.patch("", json!({"settings": settings})).await.ok();
}

async fn delete(alice: &Account<'_>, name: &str) -> crate::support::Answer {
    alice.post("/delete", json!({"confirmation": name})).await
}

async fn with_a_typed_name(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    // Whatever the project asks of admins: people confirm by their name.
    allow(&app, &shop, json!({"deletion_confirmation": "second_person"})).await;
    let (alice, theirs) = (Account::new(&app, &shop).await, Account::new(&app, &other).await);
    let done = delete(&alice, "alice").await.ok();
    assert_eq!(done["state"], "executed");
    assert_eq!(alice.reason(&app.second_node().await).await.as_deref(), Some("user_deleted"));
    assert_eq!(theirs.reason(&app).await, None);
    assert_eq!(app.try_password(&shop, crate::support::PASSWORD).await, None);
    assert_eq!(delete(&alice, "alice").await.body["reason"], "user_deleted");
    let desk = app.desk(&shop, "auditor").await;
    for action in ["user.deletion_requested", "user.deleted"] {
        let events = desk.get(&format!("/audit?action={action}")).await.ok();
        let event = &events["items"][0];
        assert_eq!((&event["actor_kind"], &event["actor"]), (&json!("user"), &event["target"]), "{action}");
        assert_eq!(event["reason"], "asked for on the account page");
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM erasures").await, 1);
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn not_where_the_project_does_not_say_so(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let alice = Account::new(&app, &shop).await;
    let why = "this project does not let people delete their accounts themselves";
    delete(&alice, "alice").await.refused(403, "forbidden", why);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM deletions").await, 0);
    assert_eq!(alice.reason(&app).await, None);
}

async fn with_a_restore_window(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    allow(&app, &shop, json!({"deletion_restore_days": 7})).await;
    let alice = Account::new(&app, &shop).await;
    let done = delete(&alice, "alice").await;
    assert_eq!((done.status, &done.body["state"]), (202, &json!("scheduled")));
    assert_eq!(done.body["execute_at"], "2027-01-22T08:00:00Z");
    assert_eq!(alice.reason(&app).await.as_deref(), Some("user_disabled"));
    let admin = Deleting::new(&app, &shop).await;
    admin.cancel(done.body["deletion_id"].as_str().unwrap()).await.ok();
    assert!(app.try_password(&shop, crate::support::PASSWORD).await.is_some());
    assert_eq!(alice.reason(&app).await.as_deref(), Some("signed_out"), "what had ended stays ended");
}

async fn wrong_names_are_counted(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    allow(&app, &shop, json!({})).await;
    let alice = Account::new(&app, &shop).await;
    for _ in 0..5 {
        let why = "the typed user name is not the user's";
        delete(&alice, "alicia").await.refused(403, "confirmation_failed", why);
    }
    let states = "SELECT count(*) AS n FROM deletions WHERE state = 'cancelled'";
    assert_eq!(number(&app.app.db, states).await, 1, "all of them were of one request");
    assert_eq!(alice.reason(&app).await, None);
    delete(&alice, "alice").await.ok();
}

async fn an_admins_comes_first(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    allow(&app, &shop, json!({})).await;
    let alice = Account::new(&app, &shop).await;
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    let refused = delete(&alice, "alice").await;
    assert_eq!((refused.status, &refused.body["deletion_id"]), (409, &json!(id)));
    // Nor does an admin confirm what a person has asked for.
    admin.cancel(&id).await.ok();
    delete(&alice, "alicia").await;
    let own = app.app.db.read(|conn| async move {
        tessera::store::deletions::find_open(&conn, shop.project, shop.user).await
    });
    let own = own.await.unwrap().unwrap().id.to_string();
    let why = "the key that asked has to confirm this deletion";
    admin.confirm(&own, "alice").await.refused(403, "forbidden", why);
    // And a request of theirs that waits keeps no admin from asking.
    let id = admin.asked().await;
    assert_eq!(admin.show(&own).await.ok()["state"], "cancelled");
    admin.cancel(&id).await.ok();
    // The project changed its mind in between.
    app.desk(&shop, "owner").await.patch("", json!({"settings": {"self_deletion": false}})).await.ok();
    assert_eq!(delete(&alice, "alice").await.status, 403);
    assert_eq!(alice.reason(&app).await, None);
}

/// The session is ended between the request and the confirmation.
async fn not_by_a_session_that_has_ended(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    allow(&app, &shop, json!({})).await;
    let alice = Account::new(&app, &shop).await;
    // The request is there; what follows is its confirmation.
    delete(&alice, "alicia").await;
    let (project, user, now) = (shop.project, shop.user, app.app.clock.now());
    let held = Held::new(&app, move |conn| async move {
        tessera::store::users::raise_epochs(&conn, project, now, user, false).await.map(drop)
    });
    let held = held.await;
    let (answer, ()) = tokio::join!(delete(&alice, "alice"), held.commit_when_awaited(&app, 3));
    assert_eq!((answer.status, &answer.body["reason"]), (401, &json!("signed_out")));
    assert!(app.try_password(&shop, crate::support::PASSWORD).await.is_some());
}

async fn only_owners_allow_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let settings = |value: bool| json!({"settings": {"self_deletion": value}});
    let admin = app.desk(&shop, "admin").await;
    let why = "only the role owner may weaken settings.self_deletion: it binds those who delete users";
    admin.patch("", settings(true)).await.refused_for(403, "forbidden", "settings.self_deletion", why);
    app.desk(&shop, "owner").await.patch("", settings(true)).await.ok();
    admin.patch("", settings(false)).await.ok();
}

/// A legal hold and a protection, placed before they ask, and between the request and its confirmation.
async fn not_against_what_keeps_them(engine: Engine) {
    let app = TestApp::new(engine).await;
    for (slug, guard, code, why) in [
        (
            "held",
            "legal-hold",
            "legal_hold",
            "the user is under a legal hold, which an owner has to lift first",
        ),
        (
            "kept",
            "deletion-protection",
            "deletion_protection",
            "the user is protected from deletion; lift that first",
        ),
    ] {
        let shop = app.shop(slug, "confidential").await;
        allow(&app, &shop, json!({})).await;
        let (alice, owner) = (Account::new(&app, &shop).await, app.desk(&shop, "owner").await);
        let path = format!("/users/{}/{guard}", shop.user);
        let reason = json!({"reason": "case 4711 of the court"});
        owner.send(Method::PUT, &path, Some(reason.clone()), None).await.created();
        let expected = json!({"error": code, "error_description": why, "guard": code});
        let refused = async || {
            let before = user_of(&app, &shop).await;
            let answer = delete(&alice, "alice").await;
            assert_eq!((answer.status, answer.body), (409, expected.clone()));
            assert_eq!(user_of(&app, &shop).await, before);
            assert_eq!(alice.reason(&app).await, None);
            let log = owner.get("/audit?action=user.deletion_refused").await.ok();
            let event = &log["items"][0];
            assert_eq!((&event["actor_kind"], &event["actor"]), (&json!("user"), &event["target"]));
            assert_eq!(event["detail"]["why"], code);
            log["items"].as_array().unwrap().len()
        };
        assert_eq!(refused().await, 1);
        assert_eq!(count(&app.app, shop.project, "deletions", "TRUE").await, 0);
        // Asked for while nothing kept them.
        owner.send(Method::DELETE, &path, Some(reason.clone()), None).await.ok();
        assert_eq!(delete(&alice, "alicia").await.status, 403);
        owner.send(Method::PUT, &path, Some(reason.clone()), None).await.created();
        assert_eq!(refused().await, 2);
        assert_eq!(count(&app.app, shop.project, "deletions", "state = 'pending'").await, 1);
        owner.send(Method::DELETE, &path, Some(reason), None).await.ok();
        assert_eq!(delete(&alice, "alice").await.ok()["state"], "executed");
    }
}

/// What the admin API shows of alice.
async fn user_of(app: &TestApp, shop: &Shop) -> Value {
    app.desk(shop, "auditor").await.get(&format!("/users/{}", shop.user)).await.ok()
}

/// That setting keeps the project, not who is in it.
async fn a_protected_project_lets_its_people_go(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    allow(&app, &shop, json!({"deletion_protection": true})).await;
    let alice = Account::new(&app, &shop).await;
    assert_eq!(delete(&alice, "alice").await.ok()["state"], "executed");
    let log = app.desk(&shop, "auditor").await.get("/audit?action=user.deletion_refused").await.ok();
    assert_eq!(log["items"], json!([]));
}
