//! A deletion meets everything else at the same moment. After its confirmation has returned, nothing of the user lives.

use serde_json::json;
use tessera::audit::{Verdict, verify};
use tessera::jobs::run_due;

use crate::support::{
    Deleting, Engine, PASSWORD, TestApp, Tokens, admin_key, both_engines, location_of, number, parameter, run,
};

both_engines!(
    two_confirmations,
    sign_in_exchange_and_refresh,
    a_change_of_the_user,
    wrong_ones_are_counted,
    very_many_families
);

async fn two_confirmations(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..6 {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        let elsewhere = admin.by(&node, &admin.key);
        let id = admin.asked().await;
        let (first, second) = tokio::join!(admin.confirm(&id, "alice"), elsewhere.confirm(&id, "alice"));
        let (won, lost) = if first.status == 200 { (first, second) } else { (second, first) };
        assert_eq!(won.ok()["state"], "executed");
        lost.refused(409, "conflict", "this deletion has been executed");
        assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
    }
    let deleted = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deleted'";
    assert_eq!(number(&app.app.db, deleted).await, 6, "one event for each");
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM erasures").await, 6);
}

async fn sign_in_exchange_and_refresh(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..6 {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        let tokens = app.sign_in(&shop).await;
        let (code, _) = app.code(&shop, "").await;
        let (cookie, sealed) = node.sign_in_page(&shop, "").await;
        let id = admin.asked().await;
        let (signed_in, exchanged, refreshed, deleted) = tokio::join!(
            node.submit(&shop, &cookie, &sealed, PASSWORD),
            node.exchange(&shop, &code),
            node.refresh(&shop, tokens.get("refresh_token")),
            admin.confirm(&id, "alice"),
        );
        assert_eq!(deleted.ok()["state"], "executed");
        let dead = async |access: &str| {
            let verdict = node.verify(&shop, access).await;
            assert_eq!(verdict["reason"], "user_deleted", "{verdict}");
        };
        dead(tokens.get("access_token")).await;
        for answer in [exchanged, refreshed].into_iter().filter(|answer| answer.status == 200) {
            let granted = Tokens(answer.body);
            dead(granted.get("access_token")).await;
            assert_eq!(app.refresh(&shop, granted.get("refresh_token")).await.status, 400);
        }
        if signed_in.status().is_redirection() {
            let to = location_of(&signed_in);
            match parameter(&to, "code") {
                Some(code) => assert_eq!(app.exchange(&shop, &code).await.status, 400),
                None => assert_eq!(parameter(&to, "error").as_deref(), Some("access_denied")),
            }
        }
    }
    // What was written beside a deletion goes with the last look.
    app.app.clock.advance(120);
    run_due(&app.app).await.unwrap();
    for table in ["token_families", "browser_sessions", "authorization_codes", "credentials", "user_keys"] {
        let sql = format!("SELECT count(*) AS n FROM {table}");
        assert_eq!(number(&app.app.db, sql.leak()).await, 0, "{table}");
    }
}

/// The user changes at the moment of the confirmation: either it came first, or the confirmation is refused.
async fn a_change_of_the_user(engine: Engine) {
    let app = TestApp::new(engine).await;
    for round in 0..6 {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        let id = admin.asked().await;
        let change =
            "UPDATE users SET email = 'new@example.com', version = version + 1 WHERE status = 'active'";
        let (changed, confirmed) = tokio::join!(run(&app.app.db, change), admin.confirm(&id, "alice"));
        if confirmed.status == 200 {
            assert_eq!(changed, 0, "a tombstone does not change");
        } else {
            let why = "the user was changed since the request; ask again";
            confirmed.refused(409, "conflict", why);
            assert_eq!(admin.show(&id).await.ok()["state"], "expired");
            run(&app.app.db, "UPDATE users SET status = 'disabled' WHERE status = 'active'").await;
        }
    }
}

/// Guesses at the same time are counted one by one.
async fn wrong_ones_are_counted(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    let guesses = (0..12).map(|_| admin.confirm(&id, "bob"));
    let statuses: Vec<_> =
        futures_util::future::join_all(guesses).await.into_iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 5, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{statuses:?}");
    assert_eq!(admin.show(&id).await.ok()["state"], "cancelled");
    let failed = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_confirmation_failed'";
    assert_eq!(number(&app.app.db, failed).await, 5);
    // Two admins ask at once: one request is open.
    let key = admin_key(&app, shop.project, "admin").await;
    let second = admin.by(&app, &key);
    let (one, other) = tokio::join!(admin.ask(), second.ask());
    let (won, lost) = if one.status == 202 { (one, other) } else { (other, one) };
    assert_eq!((won.status, lost.status), (202, 409));
    assert_eq!(lost.body["deletion_id"], won.body["deletion_id"]);
}

/// More rows than one unit deletes: all of them are dead with the first unit, and gone with the answer.
async fn very_many_families(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    for _ in 0..12 {
        // Doubles: 4096 families in the end.
        copy_families(&app).await;
    }
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    let done = admin.confirm(&id, "alice").await.ok();
    assert_eq!(done["impact"]["families"], json!(4096));
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "user_deleted");
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM token_families").await, 0);
}

async fn copy_families(app: &TestApp) {
    const COLUMNS: &str = "client_id, user_id, browser_session_id, client_version, offline, scope, audience, nonce, auth_time, amr, acr,
        cnf_jkt, user_agent, address, seq, prev_seq, rotated_at, mac_key_id, used_at, idle_expires_at, expires_at,
        revoked_at, revoked_reason, project_epoch, client_epoch, user_epoch, created_at";
    let id = match app.database.url.starts_with("sqlite") {
        true => "randomblob(16)",
        false => "gen_random_uuid()",
    };
    let sql = format!(
        "INSERT INTO token_families (project_id, id, {COLUMNS}) SELECT project_id, {id}, {COLUMNS} FROM token_families"
    );
    run(&app.app.db, sql.leak()).await;
}
