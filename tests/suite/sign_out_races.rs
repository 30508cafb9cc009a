//! A user's token is judged again where it acts: what ended its family on the way is seen.

use serde_json::{Value, json};
use tessera::error::Result;
use tessera::store::db::{Conn, execute};
use tessera::store::users;

use crate::support::{Engine, Held, Shop, TestApp, both_engines, number};

both_engines!(
    of_two_at_once_one_comes_through,
    a_late_one_ends_nothing_begun_since,
    ended_between_reading_and_acting,
    without_a_data_key,
);

async fn of_two_at_once_one_comes_through(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let node = app.second_node().await;
    for round in 1..=8 {
        let tokens = app.sign_in(&shop).await;
        let sign_out = |at: &'static str, node: &TestApp| {
            let (token, url) =
                (tokens.get("access_token").to_owned(), node.project_url(&shop, "/api/GlobalSignOut"));
            let request = node.http.post(url).bearer_auth(token).json(&json!({}));
            async move { (at, crate::support::Answer::of(request.send().await.unwrap()).await) }
        };
        let (one, two) = tokio::join!(sign_out("here", &app), sign_out("there", &node));
        let (won, lost) = if one.1.status == 200 { (one.1, two.1) } else { (two.1, one.1) };
        assert_eq!(won.ok()["families_ended"], 1);
        assert_eq!((lost.status, &lost.body["reason"]), (401, &json!("signed_out")));
        let events = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.signed_out'";
        assert_eq!(number(&app.app.db, events).await, round);
        app.app.clock.advance(1);
    }
}

async fn token_epoch(app: &TestApp) -> i64 {
    number(&app.app.db, "SELECT token_epoch AS n FROM users").await
}

async fn a_late_one_ends_nothing_begun_since(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let before = token_epoch(&app).await;
    let (project, user, now) = (shop.project, shop.user, app.app.clock.now());
    let first = Held::new(&app, move |conn| async move {
        users::raise_epochs(&conn, project, now, user, false).await.map(drop)
    });
    let first = first.await;
    let late = app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({}));
    let (late, ()) = tokio::join!(late, first.commit_when_awaited(&app, 2));
    assert_eq!((late.status, &late.body["reason"]), (401, &json!("signed_out")));
    assert_eq!(token_epoch(&app).await, before + 1, "raised once");
}

/// Ends the token's family in one of three ways, beside the lock that the request will wait for.
async fn end(
    conn: Conn,
    shop: (tessera::ids::ProjectId, tessera::ids::UserId),
    how: &'static str,
) -> Result<()> {
    users::lock(&conn, shop.0, shop.1).await?;
    let sql = match how {
        "session_revoked" => "UPDATE token_families SET revoked_at = created_at, revoked_reason = 'test'",
        "client_disabled" => {
            "UPDATE clients SET status = 'disabled', version = version + 1, token_epoch = token_epoch + 1"
        }
        _ => "UPDATE projects SET version = version + 1, token_epoch = token_epoch + 1",
    };
    execute!(conn, sql).map(drop)
}

async fn ended_between_reading_and_acting(engine: Engine) {
    let calls: [(&str, Value); 2] =
        [("GlobalSignOut", json!({})), ("attribute-update", json!({"set": {"nickname": "Al"}}))];
    for how in ["session_revoked", "client_disabled", "signed_out"] {
        for (endpoint, body) in &calls {
            let app = TestApp::new(engine).await;
            let shop: Shop = app.shop("shop", "confidential").await;
            let desk = app.desk(&shop, "admin").await;
            let writable = json!({"name": "nickname", "type": "string", "user_writable": true});
            desk.post("/attribute-definitions", writable).await.created();
            let tokens = app.sign_in(&shop).await;
            // The user's data key is there already.
            let first = app.bearer(
                &shop,
                "attribute-update",
                tokens.get("access_token"),
                json!({"set": {"nickname": "A"}}),
            );
            first.await.ok();
            let events = number(&app.app.db, "SELECT count(*) AS n FROM audit_log").await;
            let epoch = token_epoch(&app).await;
            let of = (shop.project, shop.user);
            let held = Held::new(&app, move |conn| end(conn, of, how)).await;
            let call = app.bearer(&shop, endpoint, tokens.get("access_token"), body.clone());
            let (answer, ()) = tokio::join!(call, held.commit_when_awaited(&app, 2));
            assert_eq!((answer.status, &answer.body["reason"]), (401, &json!(how)), "{endpoint}");
            assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM audit_log").await, events);
            assert_eq!(token_epoch(&app).await, epoch);
            let kept = "SELECT count(*) AS n FROM users WHERE attributes LIKE '%\"A\"%'";
            assert_eq!(number(&app.app.db, kept).await, 1);
        }
    }
}

/// Nobody stays signed in because the record of where they signed out from cannot be sealed.
async fn without_a_data_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    app.app.clock.advance(1);
    let spoilt = vec![1, 2, 3];
    let spoilt = spoilt.as_slice();
    let spoil = async |conn: Conn| execute!(conn, "UPDATE user_keys SET sealed_key = $1", spoilt);
    assert_eq!(app.app.db.write(spoil).await.unwrap(), 1);
    let tokens = app.sign_in(&shop).await;
    app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
    let events = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.signed_out'";
    assert_eq!(number(&app.app.db, events).await, 2);
    let sealed =
        "SELECT count(*) AS n FROM audit_log WHERE action = 'user.signed_out' AND sealed IS NOT NULL";
    assert_eq!(number(&app.app.db, sealed).await, 1);
}
