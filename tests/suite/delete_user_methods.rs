//! How the deletion of a user is confirmed, and what happens in the restore window.

use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::jobs::run_due;

use crate::support::{
    Answer, Deleting, Engine, PASSWORD, REASON, Shop, TestApp, Tokens, admin_key, both_engines, number,
};

both_engines!(
    by_a_second_person,
    by_a_second_factor,
    the_window_ends_in_a_deletion,
    the_window_is_cancelled,
    a_disabled_user_stays_disabled,
    two_nodes_execute_once,
);

const DAY: i64 = 86_400;

async fn by_a_second_person(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    admin.settings(json!({"deletion_confirmation": "second_person"})).await;
    let asked = admin.ask().await.body;
    assert_eq!(asked["confirmation"]["method"], "second_person");
    let id = asked["deletion_id"].as_str().unwrap();
    let own = "another admin's key has to confirm this deletion";
    admin.confirm(id, "alice").await.refused(403, "forbidden", own);
    let alone = admin.post("delete-user/confirm", json!({"deletion_id": id})).await;
    alone.refused(403, "forbidden", own);
    let key = admin_key(&app, shop.project, "admin").await;
    let second = admin.by(&app, &key);
    let wrong = "the typed user name is not the user's";
    second.confirm(id, "bob").await.refused(403, "confirmation_failed", wrong);
    let done = second.post("delete-user/confirm", json!({"deletion_id": id})).await.ok();
    assert_eq!(done["state"], "executed");
    assert_ne!(done["requested_by"], done["confirmed_by"]);
    let failed = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_confirmation_failed'";
    assert_eq!(number(&app.app.db, failed).await, 3);
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn by_a_second_factor(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    admin.settings(json!({"deletion_confirmation": "second_factor"})).await;
    let refused = admin.ask().await;
    let expected = json!({
        "error": "forbidden",
        "error_description": "this project confirms deletions with a second factor, which an admin key does not have; \
            methods at hand for keys, once the project's settings name one of them: typed, second_person",
        "methods": ["typed", "second_person"],
    });
    assert_eq!((refused.status, refused.body), (403, expected));
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM deletions").await, 0);
    admin.post("delete-user", json!({"user": shop.user, "dry_run": true})).await.ok();
}

/// Signs in with alice's password: whether it led anywhere.
async fn can_sign_in(app: &TestApp, shop: &Shop) -> bool {
    let (cookie, sealed) = app.sign_in_page(shop, "").await;
    app.submit(shop, &cookie, &sealed, PASSWORD).await.status().is_redirection()
}

/// A deletion that waits for its day, and the tokens that alice had.
async fn scheduled(admin: &Deleting<'_>) -> (Value, Tokens) {
    admin.settings(json!({"deletion_restore_days": 7})).await;
    let tokens = admin.app.sign_in(admin.shop).await;
    let id = admin.asked().await;
    (admin.confirm(&id, "alice").await.ok(), tokens)
}

fn id_of(shown: &Value) -> &str {
    shown["deletion_id"].as_str().unwrap()
}

async fn the_window_ends_in_a_deletion(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let (shown, tokens) = scheduled(&admin).await;
    let id = id_of(&shown);
    assert_eq!(shown["state"], "scheduled");
    assert_eq!(shown["execute_at"], "2027-01-22T08:00:00Z");
    assert_eq!(shown["impact"]["families"], 1);
    // Nothing works from this moment on.
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "user_disabled");
    assert_eq!(app.refresh(&shop, tokens.get("refresh_token")).await.status, 400);
    assert!(!can_sign_in(&app, &shop).await);
    admin.confirm(id, "alice").await.refused(409, "conflict", "this deletion has been confirmed already");
    let open = admin.ask().await;
    assert_eq!(
        (open.status, &open.body["deletion_id"], &open.body["state"]),
        (409, &json!(id), &json!("scheduled"))
    );
    // Nor does anybody enable the user by the way.
    let desk = app.desk(&shop, "admin").await;
    let enabled = desk.patch(&format!("/users/{}", shop.user), json!({"status": "active"})).await;
    let why = "a deletion of this user is scheduled; cancel it instead";
    let expected = json!({"error": "conflict", "error_description": why, "field": "status"});
    assert_eq!((enabled.status, enabled.body), (409, expected.clone()));
    // Who asks for what is there already has to know that a cancellation would end it.
    let disabled = desk.patch(&format!("/users/{}", shop.user), json!({"status": "disabled"})).await;
    assert_eq!((disabled.status, disabled.body), (409, expected));
    assert!(!can_sign_in(&app, &shop).await);
    // A change of the user does not call it off.
    crate::support::run(&app.app.db, "UPDATE users SET version = version + 1").await;

    app.app.clock.advance(7 * DAY - 1);
    run_due(&app.app).await.unwrap();
    assert_eq!(admin.show(id).await.ok()["state"], "scheduled");
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users WHERE username = 'alice'").await, 1);
    app.app.clock.advance(61);
    run_due(&app.app).await.unwrap();
    let done = admin.show(id).await.ok();
    assert_eq!((&done["state"], &done["impact"]["families"]), (&json!("executed"), &json!(1)));
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users WHERE username = 'alice'").await, 0);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM token_families").await, 0);
    admin.cancel(id).await.refused(409, "conflict", "this deletion has been executed");
    let by_the_job =
        "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deleted' AND actor = 'system:deletions'";
    assert_eq!(number(&app.app.db, by_the_job).await, 1);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM erasures").await, 1);
    // Looked at again once what ran beside it has ended.
    assert_eq!(
        number(&app.app.db, "SELECT count(*) AS n FROM deletions WHERE swept_at IS NOT NULL").await,
        0
    );
    app.app.clock.advance(61);
    run_due(&app.app).await.unwrap();
    assert_eq!(
        number(&app.app.db, "SELECT count(*) AS n FROM deletions WHERE swept_at IS NOT NULL").await,
        1
    );
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn the_window_is_cancelled(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let (shown, tokens) = scheduled(&admin).await;
    app.app.clock.advance(DAY);
    let key = admin_key(&app, shop.project, "admin").await;
    assert_eq!(admin.by(&app, &key).cancel(id_of(&shown)).await.ok()["state"], "cancelled");
    // The status is back, and no session with it.
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], false);
    assert_eq!(app.refresh(&shop, tokens.get("refresh_token")).await.status, 400);
    assert!(can_sign_in(&app, &shop).await);
    app.app.clock.advance(7 * DAY);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users WHERE username = 'alice'").await, 1);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM erasures").await, 0);
}

async fn a_disabled_user_stays_disabled(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    admin.settings(json!({"deletion_restore_days": 1})).await;
    crate::support::run(&app.app.db, "UPDATE users SET status = 'disabled', version = version + 1").await;
    let id = admin.asked().await;
    admin.confirm(&id, "alice").await.ok();
    admin.cancel(&id).await.ok();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users WHERE status = 'disabled'").await, 1);
}

/// The job and a cancellation meet, on two nodes: the deletion is executed once or not at all.
async fn two_nodes_execute_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..4 {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        let (shown, _) = scheduled(&admin).await;
        let elsewhere = admin.by(&node, &admin.key);
        app.app.clock.advance(7 * DAY + 61);
        let (first, second, cancelled): (_, _, Answer) =
            tokio::join!(run_due(&app.app), run_due(&node.app), elsewhere.cancel(id_of(&shown)));
        first.unwrap();
        second.unwrap();
        let state = admin.show(id_of(&shown)).await.ok()["state"].clone();
        let expected = if cancelled.status == 200 { "cancelled" } else { "executed" };
        assert_eq!(state, expected, "{}", cancelled.body);
        let (project, event) = (shop.project, "user.deleted");
        let count = |conn: tessera::store::db::Conn| async move {
            tessera::fetch_all!(
                &conn,
                Seq,
                "SELECT seq FROM audit_log WHERE project_id = $1 AND action = $2",
                project,
                event
            )
        };
        let deleted = app.app.db.read(count).await.unwrap();
        assert_eq!(deleted.len(), usize::from(expected == "executed"), "{deleted:?} {REASON}");
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Seq {
    #[expect(dead_code, reason = "counted, and shown when a test fails")]
    seq: i64,
}
