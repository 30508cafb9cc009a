//! Deletion: asked for with a reason, confirmed by typing, executed with its audit event.

use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::projects;
use tessera::secret::Secret;

use crate::support::{Deleting, Engine, REASON, STRANGER, TestApp, admin_key, both_engines, number, run};

both_engines!(
    works,
    everything_is_dead,
    who_may,
    bad_requests,
    reasons,
    wrong_confirmations,
    closed_ones,
    bound_to_the_version,
    another_project,
    what_is_done_is_not_said_to_have_failed,
);

async fn works(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    app.code(&shop, "").await;
    let admin = Deleting::new(&app, &shop).await;
    // The user was created, and asks nothing else of the log yet.
    let impact =
        json!({"families": 1, "browser_sessions": 2, "factors": 1, "groups": 0, "audit_events_kept": 1});
    for body in [
        json!({"user": shop.user, "dry_run": true}),
        json!({"user": {"username": "ALICE"}, "reason": REASON, "dry_run": true, "notify": false}),
    ] {
        assert_eq!(admin.post("delete-user", body).await.ok(), json!({"impact": impact}));
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM deletions").await, 0);

    let asked = admin.ask().await;
    assert_eq!(asked.status, 202);
    let id = asked.body["deletion_id"].as_str().unwrap().to_owned();
    let expires_at = "2027-01-15T08:15:00Z";
    let expected = json!({
        "deletion_id": id, "impact": impact, "notify": true,
        "confirmation": {"method": "typed", "expires_at": expires_at},
    });
    assert_eq!(asked.body, expected);
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true, "nothing is deleted yet");

    let key = tessera::secret::sha256(admin.key.as_bytes());
    let mut shown = json!({
        "deletion_id": id, "state": "pending", "user": shop.user, "reason": REASON, "method": "typed", "notify": true,
        "impact": impact, "requested_at": "2027-01-15T08:00:00Z", "expires_at": expires_at,
    });
    let mut state = admin.show(&id).await.ok();
    let by = state.as_object_mut().unwrap().remove("requested_by").unwrap();
    assert!(by.as_str().unwrap().starts_with("admin_key:") && !key.is_empty());
    assert_eq!(state, shown);

    app.app.clock.advance(60);
    let mut done = admin.confirm(&id, "alice").await.ok();
    let done = done.as_object_mut().unwrap();
    assert_eq!(done.remove("requested_by"), done.remove("confirmed_by"), "the key that asked");
    shown["state"] = json!("executed");
    shown["confirmed_at"] = json!("2027-01-15T08:01:00Z");
    shown["finished_at"] = json!("2027-01-15T08:01:00Z");
    // The request is an event about the user as well.
    shown["impact"]["audit_events_kept"] = json!(2);
    assert_eq!(Value::Object(done.clone()), shown);
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
    assert_eq!(about_users(&app).await, 3, "created, requested, deleted");
    let events =
        number(&app.app.db, "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deleted' AND seq = (SELECT max(seq) FROM audit_log)")
            .await;
    assert_eq!(events, 1);
}

async fn everything_is_dead(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let (code, cookie) = app.code(&shop, "").await;
    let admin = Deleting::new(&app, &shop).await;
    let node = app.second_node().await;
    admin.delete().await;

    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "user_deleted");
    let info = node.bearer(&shop, "userinfofromaccesstoken", tokens.get("access_token"), json!({})).await;
    assert_eq!((info.status, &info.body["reason"]), (401, &json!("user_deleted")));
    let out = node.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await;
    assert_eq!((out.status, &out.body["reason"]), (401, &json!("user_deleted")));
    let refreshed = node.refresh(&shop, tokens.get("refresh_token")).await;
    refreshed.refused(400, "invalid_grant", "the refresh token is not valid");
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", "the code is unknown");
    let silent = node.http.get(node.authorize_url(&shop, "&prompt=none")).header("cookie", cookie);
    let silent = silent.send().await.unwrap();
    assert!(silent.headers()["location"].to_str().unwrap().contains("error=login_required"));
    let again = async || {
        let (cookie, sealed) = app.sign_in_page(&shop, "").await;
        app.submit(&shop, &cookie, &sealed, crate::support::PASSWORD).await.status()
    };
    assert!(!again().await.is_redirection(), "the same password");
    admin.ask().await.refused(404, "not_found", "no such user");
    for table in ["token_families", "browser_sessions", "authorization_codes", "credentials", "user_keys"] {
        assert_eq!(left(&app, table).await, 0, "{table}");
    }
    // The tombstone has nothing but its epochs.
    let bare = "SELECT count(*) AS n FROM users WHERE status = 'deleted' AND username IS NULL AND username_key IS NULL
        AND email IS NULL AND email_key IS NULL AND profile = '{}' AND attributes = '{}' AND roles = '[]'
        AND groups = '[]' AND last_sign_in_at IS NULL AND deleted_at IS NOT NULL AND created_at = deleted_at";
    assert_eq!(number(&app.app.db, bare).await, 1);

    // The name is free again, for a new id, which inherits nothing.
    let password = Secret::new(crate::support::PASSWORD);
    let new = projects::create_user(&app.app, shop.project, "alice", None, password).await.unwrap();
    assert_ne!(new, shop.user);
    assert!(again().await.is_redirection());
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "user_deleted");
    assert_eq!(node.refresh(&shop, tokens.get("refresh_token")).await.status, 400);
    let fresh = app.sign_in(&shop).await;
    assert_eq!(node.verify(&shop, fresh.get("access_token")).await["claims"]["sub"], json!(new));
}

async fn about_users(app: &TestApp) -> i64 {
    number(&app.app.db, "SELECT count(*) AS n FROM audit_log WHERE action LIKE 'user.%'").await
}

async fn left(app: &TestApp, table: &str) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM {table}");
    number(&app.app.db, sql.leak()).await
}

async fn who_may(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    for (role, reads) in [("user_manager", false), ("auditor", true)] {
        let key = admin_key(&app, shop.project, role).await;
        let other = admin.by(&app, &key);
        let denied = format!("the role {role} may not do this");
        other.ask().await.refused(403, "forbidden", &denied);
        other.confirm(&id, "alice").await.refused(403, "forbidden", &denied);
        other.cancel(&id).await.refused(403, "forbidden", &denied);
        let shown = other.show(&id).await;
        assert_eq!(shown.status, if reads { 200 } else { 403 }, "{role}");
    }
    // The user's own token, the client, nobody.
    let none = "the request carries no admin key";
    admin.by(&app, tokens.get("access_token")).ask().await.refused(401, "invalid_token", STRANGER);
    let body = json!({"user": shop.user, "reason": REASON});
    app.call(&shop, "delete-user", body).await.refused(401, "invalid_token", none);
    // Another key of the same role may not confirm, but call it off.
    let second = admin_key(&app, shop.project, "owner").await;
    let second = admin.by(&app, &second);
    let wrong = "the key that asked has to confirm this deletion";
    second.confirm(&id, "alice").await.refused(403, "forbidden", wrong);
    assert_eq!(second.show(&id).await.ok()["state"], "pending");
    assert_eq!(second.cancel(&id).await.ok()["state"], "cancelled");
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
    let events =
        number(&app.app.db, "SELECT count(*) AS n FROM audit_log WHERE action LIKE 'user.deletion%'").await;
    assert_eq!(events, 9, "requested, six times refused, failed, cancelled");
}

async fn bad_requests(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    for (body, field, description) in [
        (json!({"user": shop.user}), "reason", "missing field reason"),
        (json!({"reason": REASON}), "user", "missing field user"),
        (json!({"user": shop.user, "reason": REASON, "force": true}), "force", "unknown field force"),
    ] {
        let answer = admin.post("delete-user", body).await;
        let expected = json!({"error": "invalid_request", "error_description": description, "field": field});
        assert_eq!((answer.status, answer.body), (400, expected));
    }
    let id = admin.asked().await;
    let missing = admin.post("delete-user/confirm", json!({"deletion_id": id})).await;
    assert_eq!((missing.status, &missing.body["field"]), (400, &json!("confirmation")));
    let nobody = "018f0000-0000-7000-8000-000000000000";
    admin.confirm(nobody, "alice").await.refused(404, "not_found", "no such deletion");
    admin.cancel(nobody).await.refused(404, "not_found", "no such deletion");
    admin.show(nobody).await.refused(404, "not_found", "no such deletion");
    admin.show("x").await.refused(404, "not_found", "there is nothing at this address");
    let unknown = json!({"user": {"username": "bob"}, "reason": REASON});
    admin.post("delete-user", unknown).await.refused(404, "not_found", "no such user");
    assert_eq!(admin.show(&id).await.ok()["state"], "pending");
}

async fn reasons(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let values = "UPDATE users SET attributes = '{\"city\": \"Zürich\", \"shoes\": 47, \"pets\": [\"Rex\"], \"vip\": true}',
        profile = '{\"given_name\": \"Alicia\", \"address\": {\"locality\": \"Oerlikon\"}}'";
    run(&app.app.db, values).await;
    let bounds = "reason has 10 to 500 characters, none of them a control character but line breaks, or is one of the project's";
    let names = "reason must not contain the user's name, mail address, or any other value of the profile or attributes";
    let long = "x".repeat(501);
    for (reason, why) in [
        ("", bounds),
        (" \n ", bounds),
        ("long enough\u{0}b", bounds),
        (&long, bounds),
        ("ALICE has asked", names),
        ("Ａｌｉｃｅ has asked", names),
        ("mail from alice@example.com", names),
        ("moved to zürich", names),
        ("moved to ZU\u{308}RICH", names),
        ("she wears 47", names),
        ("owner of rex", names),
        ("alicia has left", names),
        ("lives in oerlikon", names),
    ] {
        for dry_run in [false, true] {
            let body = json!({"user": shop.user, "reason": reason, "dry_run": dry_run});
            let answer = admin.post("delete-user", body).await;
            let expected = json!({"error": "invalid_request", "error_description": why, "field": "reason"});
            assert_eq!((answer.status, answer.body), (400, expected), "{reason}");
        }
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM deletions").await, 0);
    let most = "x".repeat(500);
    for reason in ["true that they left", "rexford closed 147 accounts", &most] {
        let asked = admin.post("delete-user", json!({"user": shop.user, "reason": reason})).await;
        assert_eq!(asked.status, 202, "{reason}: {}", asked.body);
        admin.cancel(asked.body["deletion_id"].as_str().unwrap()).await.ok();
    }
}

async fn wrong_confirmations(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    for wrong in ["bob", "Alice", "", "alice ", "alice@example.com"] {
        assert_eq!(admin.show(&id).await.ok()["state"], "pending");
        let refused = admin.confirm(&id, wrong).await;
        refused.refused(403, "confirmation_failed", "the typed user name is not the user's");
    }
    assert_eq!(admin.show(&id).await.ok()["state"], "cancelled");
    let cancelled = "this deletion has been cancelled";
    admin.confirm(&id, "alice").await.refused(409, "conflict", cancelled);
    let failed = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_confirmation_failed'";
    assert_eq!(number(&app.app.db, failed).await, 5);
    let last = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_cancelled' AND seq = (SELECT max(seq) FROM audit_log)";
    assert_eq!(number(&app.app.db, last).await, 1);
    // What was typed is nowhere.
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM audit_log WHERE detail LIKE '%bob%'").await, 0);
    admin.delete().await;
}

async fn closed_ones(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    // A second request learns of the first.
    let first = admin.asked().await;
    let second = admin_key(&app, shop.project, "admin").await;
    let open = json!({
        "error": "conflict", "error_description": "a deletion of this user is open already; confirm it or cancel it",
        "deletion_id": first, "state": "pending",
    });
    let refused = admin.by(&app, &second).ask().await;
    assert_eq!((refused.status, refused.body), (409, open));
    assert_eq!(admin.cancel(&first).await.ok()["state"], "cancelled");
    admin.cancel(&first).await.refused(409, "conflict", "this deletion has been cancelled");
    admin.confirm(&first, "alice").await.refused(409, "conflict", "this deletion has been cancelled");

    let late = admin.asked().await;
    app.app.clock.advance(900);
    let expired = "this deletion has expired; ask again";
    assert_eq!(admin.show(&late).await.ok()["state"], "expired");
    admin.confirm(&late, "alice").await.refused(409, "conflict", expired);
    admin.cancel(&late).await.refused(409, "conflict", expired);

    // It is in nobody's way.
    let done = admin.delete().await;
    assert_eq!(admin.show(&late).await.ok()["state"], "expired");
    let executed = "this deletion has been executed";
    admin.confirm(&done, "alice").await.refused(409, "conflict", executed);
    admin.confirm(&done, "bob").await.refused(409, "conflict", executed);
    admin.cancel(&done).await.refused(409, "conflict", executed);
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
    assert_eq!(
        about_users(&app).await,
        6,
        "created, requested and cancelled, requested, requested and deleted"
    );
}

async fn bound_to_the_version(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let changed = "the user was changed since the request; ask again";
    let id = admin.asked().await;
    run(&app.app.db, "UPDATE users SET attributes = '{\"plan\": \"gold\"}', version = version + 1").await;
    admin.confirm(&id, "alice").await.refused(409, "conflict", changed);
    assert_eq!(admin.show(&id).await.ok()["state"], "expired");
    admin.confirm(&id, "alice").await.refused(409, "conflict", "this deletion has expired; ask again");
    // One that can no longer be confirmed does not stand in the way of the next.
    let stale = admin.asked().await;
    run(&app.app.db, "UPDATE users SET version = version + 1").await;
    let next = admin.asked().await;
    assert_eq!(admin.show(&stale).await.ok()["state"], "expired");
    // Neither does a sign-in change what was agreed on.
    app.sign_in(&shop).await;
    // The policy changes.
    admin.settings(json!({"deletion_confirmation": "second_person"})).await;
    let policy = "the project asks for more to confirm a deletion by now; ask again";
    admin.confirm(&next, "alice").await.refused(409, "conflict", policy);
    admin.settings(json!({})).await;
    let done = admin.delete().await;
    assert_eq!(admin.show(&done).await.ok()["impact"]["families"], 1);
}

async fn another_project(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    let foreign = admin_key(&app, other.project, "owner").await;
    let invalid = "the admin key is not valid here";
    let stranger = admin.by(&app, &foreign);
    stranger.ask().await.refused(401, "invalid_token", invalid);
    stranger.confirm(&id, "alice").await.refused(401, "invalid_token", invalid);
    stranger.cancel(&id).await.refused(401, "invalid_token", invalid);
    stranger.show(&id).await.refused(401, "invalid_token", invalid);
    // Under its own project it finds neither the user nor the deletion.
    let home = Deleting { app: &app, shop: &other, key: foreign };
    let ask = json!({"user": shop.user, "reason": REASON});
    home.post("delete-user", ask).await.refused(404, "not_found", "no such user");
    home.confirm(&id, "alice").await.refused(404, "not_found", "no such deletion");
    home.cancel(&id).await.refused(404, "not_found", "no such deletion");
    home.show(&id).await.refused(404, "not_found", "no such deletion");
    // The same name there is another person.
    let tokens = app.sign_in(&other).await;
    admin.confirm(&id, "alice").await.ok();
    assert_eq!(app.verify(&other, tokens.get("access_token")).await["active"], true);
    // A key for all projects may.
    let (_, everywhere) = projects::create_admin_key(&app.app, None, "test", "owner").await.unwrap();
    Deleting { app: &app, shop: &other, key: everywhere.expose().into() }.delete().await;
}

/// What a deletion leaves is swept up after it, by this call or by the clock.
async fn what_is_done_is_not_said_to_have_failed(engine: Engine) {
    const DAY: i64 = 86_400;
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    // Two events wait to be written, and cannot be.
    app.sign_in(&shop).await;
    run(&app.app.db, "CREATE UNIQUE INDEX broken ON events (project_id)").await;
    let id = admin.asked().await;
    assert_eq!(admin.confirm(&id, "alice").await.ok()["state"], "executed");
    admin.confirm(&id, "alice").await.refused(409, "conflict", "this deletion has been executed");
    run(&app.app.db, "DROP INDEX broken").await;
    app.app.clock.advance(DAY);
    crate::jobs::run_well(&app.app).await;
    for nothing in
        ["SELECT count(*) AS n FROM events", "SELECT count(*) AS n FROM deletions WHERE swept_at IS NULL"]
    {
        assert_eq!(number(&app.app.db, nothing).await, 0, "{nothing}");
    }
}
