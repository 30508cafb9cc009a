//! The chain is whole after the flow, every edit of it is found, and what is personal in it goes with the user.

use serde_json::{Value, json};
use sqlx::FromRow;
use tessera::audit::{self, Actor, Verdict, verify};
use tessera::projects;
use tessera::store::db::Db;

use crate::support::{Engine, Shop, TestApp, both_engines};

both_engines!(every_edit_is_found, what_is_personal_goes_with_the_user, first_keys_race);

async fn run(db: &Db, sql: &'static str) {
    db.write(|conn| async move { tessera::execute!(&conn, sql) }).await.unwrap();
}

async fn every_edit_is_found(engine: Engine) {
    for (edit, broken) in [
        ("UPDATE audit_log SET reason = 'x' WHERE seq = 2", 2),
        ("UPDATE audit_log SET actor = 'x' WHERE seq = 6", 6),
        (
            "UPDATE audit_log SET detail = '{\"families_ended\":0,\"browser_sessions_ended\":0}' WHERE seq = 6",
            6,
        ),
        ("UPDATE audit_log SET commitment = prev_hash WHERE seq = 6", 6),
        ("UPDATE audit_log SET sealed = hash WHERE seq = 6", 6),
        // Something sealed where nothing was.
        ("UPDATE audit_log SET sealed = hash WHERE seq = 2", 2),
        ("DELETE FROM audit_log WHERE seq = 1", 1),
        ("DELETE FROM audit_log WHERE seq = 2", 2),
        ("DELETE FROM audit_log WHERE seq = 6", 6),
        ("DELETE FROM audit_log WHERE seq > 2", 3),
        ("DELETE FROM audit_heads", 6),
        ("UPDATE audit_heads SET hash = (SELECT hash FROM audit_log WHERE seq = 2) WHERE seq = 6", 6),
        ("UPDATE audit_log SET seq = 9 WHERE seq = 2", 2),
        // Two events change places.
        ("UPDATE audit_log SET seq = CASE seq WHEN 2 THEN -3 WHEN 3 THEN -2 ELSE seq END", 2),
    ] {
        let app = TestApp::new(engine).await;
        let shop = app.shop("shop", "confidential").await;
        let tokens = app.sign_in(&shop).await;
        app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
        assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 6 });
        run(&app.app.db, edit).await;
        run(&app.app.db, "UPDATE audit_log SET seq = -seq WHERE seq < 0").await;
        match verify(&app.app.db, shop.project).await.unwrap() {
            Verdict::Broken { seq, .. } => assert_eq!(seq, broken, "{edit}"),
            whole @ Verdict::Whole { .. } => panic!("{edit}: {whole:?}"),
        }
    }
}

#[derive(FromRow)]
struct Kept {
    seq: i64,
    sealed: Vec<u8>,
    sealed_key: Vec<u8>,
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

/// What is sealed in the log of a shop's user, opened.
async fn opened(app: &TestApp, shop: &Shop) -> Vec<(i64, Value)> {
    let kept = app
        .app
        .db
        .read(|conn| async move {
            tessera::fetch_all!(
                &conn,
                Kept,
                "SELECT a.seq, a.sealed, k.sealed_key FROM audit_log a
                 JOIN user_keys k ON k.project_id = a.project_id AND k.user_id = a.user_id
                 WHERE a.project_id = $1 AND a.user_id = $2 ORDER BY a.seq",
                shop.project,
                shop.user
            )
        })
        .await
        .unwrap();
    let open = |kept: Kept| {
        let keys = &app.app.master_keys;
        let value = audit::open(keys, shop.project, shop.user, &kept.sealed_key, &kept.sealed).unwrap();
        (kept.seq, value)
    };
    kept.into_iter().map(open).collect()
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    app.app.db.read(|conn| async move { tessera::fetch_one!(&conn, Count, sql) }).await.unwrap().n
}

async fn what_is_personal_goes_with_the_user(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    for shop in [&shop, &other] {
        let tokens = app.sign_in(shop).await;
        let url = app.project_url(shop, "/api/GlobalSignOut");
        let token = tokens.get("access_token");
        let request = app.http.post(url).bearer_auth(token).header("user-agent", "Mosaic/2.6");
        assert_eq!(request.json(&json!({})).send().await.unwrap().status(), 200);
    }
    let origin = [(6, json!({"address": "127.0.0.1", "user_agent": "Mosaic/2.6"}))];
    assert_eq!(opened(&app, &shop).await, origin);
    // The values of attributes, but their names stand in the open.
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["animal"], &[], &[]).await;
    desk.update(json!({"user": shop.user, "set": {"animal": "penguin"}})).await.ok();
    let last = opened(&app, &shop).await.pop().unwrap().1;
    assert_eq!(last, json!({"set": {"animal": "penguin"}}));
    assert_eq!(count(&app, "SELECT count(*) AS n FROM audit_log WHERE detail LIKE '%penguin%'").await, 0);
    let kept = opened(&app, &shop).await;
    // By an admin: the address is not the user's.
    let (_, key) = projects::create_admin_key(&app.app, Some(shop.project), "test", "admin").await.unwrap();
    app.bearer(&shop, "GlobalSignOut", key.expose(), json!({"user": shop.user})).await.ok();
    assert_eq!(opened(&app, &shop).await, kept);

    let ask = json!({"user": shop.user, "reason": "asked for it in writing"});
    let asked = app.bearer(&shop, "delete-user", key.expose(), ask).await.body;
    let confirm = json!({"deletion_id": asked["deletion_id"], "confirmation": "alice"});
    app.bearer(&shop, "delete-user/confirm", key.expose(), confirm).await.ok();
    // One is left: the other project's.
    assert_eq!(count(&app, "SELECT count(*) AS n FROM audit_log WHERE sealed IS NOT NULL").await, 1);
    assert_eq!(count(&app, "SELECT count(*) AS n FROM audit_log WHERE user_id IS NOT NULL").await, 1);
    assert_eq!(count(&app, "SELECT count(*) AS n FROM user_keys").await, 1);
    assert_eq!(opened(&app, &other).await, origin);
    for shop in [&shop, &other] {
        assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
    }
}

/// Several events of one user at once make one key, and a user who is deleted meanwhile keeps nothing sealed.
async fn first_keys_race(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let visit = tessera::app::Visit::of_nobody(&app.app, &shop.slug, app.app.clock.now());
    let ctx = visit.current().await.unwrap();
    let values = json!({"address": "192.0.2.7"});
    let seals = (0..8).map(|_| audit::seal(&ctx, shop.user, &values));
    let seals: Vec<_> = futures_util::future::join_all(seals).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(count(&app, "SELECT count(*) AS n FROM user_keys").await, 1);
    let actor = &Actor::user(&ctx, shop.user);
    let append = async |personal: Option<&audit::Personal>| {
        let event = || actor.did("test.done", "nothing").sealing(personal);
        let done = |conn| async move { audit::append(&conn, shop.project, ctx.now, &event()).await };
        app.app.db.unit(done).await.unwrap();
    };
    for personal in &seals {
        append(personal.as_ref()).await;
    }
    let kept = opened(&app, &shop).await;
    assert_eq!(kept.len(), 8);
    assert!(kept.iter().all(|(_, value)| *value == values));

    run(&app.app.db, "UPDATE users SET status = 'deleted'").await;
    append(seals[0].as_ref()).await;
    assert_eq!(opened(&app, &shop).await.len(), 8, "nothing more is kept");
    assert!(audit::seal(&ctx, shop.user, &values).await.unwrap().is_some(), "the key is still there");
    run(&app.app.db, "DELETE FROM user_keys").await;
    assert!(audit::seal(&ctx, shop.user, &values).await.unwrap().is_none(), "and is not made again");
    assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 14 });
}
