//! Hashes that are renewed, and the queue in which they are checked.

use reqwest::StatusCode;
use tessera::error::Result;
use tessera::identity::passwords::Hasher;
use tessera::store::db::{execute, fetch_one};
use tessera::store::{passwords, users};

use crate::support::{
    Engine, PASSWORD, Seen, Shop, TestApp, both_engines, hold_queue, location_of, parameter,
    until_somebody_waits,
};

both_engines!(
    hashes_are_renewed,
    a_renewal_does_not_undo_a_change,
    a_reset_overtakes_a_waiting_password,
    a_full_queue_keeps_the_form,
);

const WRONG: &str = "That user name and password do not match.";

async fn stored_hash(app: &TestApp, shop: &Shop) -> String {
    let project = shop.project;
    let find = async |conn| passwords::find(&conn, project, "alice", [None, None]).await;
    app.app.db.read(find).await.unwrap().unwrap().secret
}

async fn hashes_are_renewed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let before = stored_hash(&app, &shop).await;
    app.code(&shop, "").await;
    assert_eq!(stored_hash(&app, &shop).await, before, "nothing has changed");
    let node =
        app.second_node_changed(|app| app.hasher = Hasher::new(&app.entropy, 16, 2, 2, 64).unwrap()).await;
    let (cookie, sealed) = node.sign_in_page(&shop, "").await;
    node.submit(&shop, &cookie, &sealed, "wrong").await;
    assert_eq!(stored_hash(&app, &shop).await, before, "a wrong password renews nothing");
    let tokens = node.sign_in(&shop).await;
    let after = stored_hash(&app, &shop).await;
    assert!(before.contains("m=8,t=1,p=1") && after.contains("m=16,t=2,p=1"), "{after}");
    // The same password, so nothing granted before has ended.
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["active"], true);
    node.sign_in(&shop).await;
    assert_eq!(stored_hash(&app, &shop).await, after);
}

async fn a_renewal_does_not_undo_a_change(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let proven = stored_hash(&app, &shop).await;
    let (project, user, now) = (shop.project, shop.user, app.app.clock.now());
    let replace = async |old: &str, new: &str| -> Result<u64> {
        let db = &app.app.db;
        db.write(|conn| async move { passwords::renew(&conn, project, now, user, old, new).await }).await
    };
    assert_eq!(replace(&proven, "changed").await.unwrap(), 1);
    // The one that proved the former password comes late.
    assert_eq!(replace(&proven, "renewed").await.unwrap(), 0);
    assert_eq!(stored_hash(&app, &shop).await, "changed");
}

/// Design, 6: the epochs are read with the proof. A sign-in whose password waits while everything ends comes to nothing.
async fn a_reset_overtakes_a_waiting_password(engine: Engine) {
    for (what, browser_too, sql) in [
        ("reset", true, None),
        ("sign-out", false, None),
        ("disabled", true, Some("UPDATE users SET status = 'disabled'")),
        ("project", false, Some("UPDATE projects SET token_epoch = token_epoch + 1, version = version + 1")),
        ("client", false, Some("UPDATE clients SET token_epoch = token_epoch + 1, version = version + 1")),
    ] {
        let app = TestApp::new(engine).await;
        let shop = app.shop("shop", "confidential").await;
        let (cookie, sealed) = app.sign_in_page(&shop, "").await;
        let go = hold_queue(&app.app.hasher, 2).await;
        let end = async {
            // It has read the proof when it waits.
            until_somebody_waits(&app.app.hasher).await;
            let (project, user, now) = (shop.project, shop.user, app.app.clock.now());
            let db = &app.app.db;
            match sql {
                Some(sql) => db.write(|conn| async move { execute!(&conn, sql) }).await,
                None => {
                    let raise =
                        async |conn| users::raise_epochs(&conn, project, now, user, browser_too).await;
                    db.write(raise).await
                }
            }
            .unwrap();
            drop(go);
        };
        let (answer, ()) = tokio::join!(app.submit(&shop, &cookie, &sealed, PASSWORD), end);
        match what {
            // Client and redirect URI are proven, so the application is told.
            "client" => {
                let to = location_of(&answer);
                let told = ["error", "state", "iss", "code"].map(|name| parameter(&to, name));
                let iss = app.project_url(&shop, "");
                assert_eq!(told, [Some("access_denied".into()), Some("s1".into()), Some(iss), None]);
                assert!(!answer.headers().contains_key("set-cookie"));
            }
            _ => Seen::of(answer).await.asks_again(400, WRONG),
        }
        for sql in ["SELECT count(*) FROM browser_sessions", "SELECT count(*) FROM authorization_codes"] {
            let count = app.app.db.read(|conn| async move { fetch_one!(conn, (i64,), sql) }).await.unwrap();
            assert_eq!(count, (0,), "{what}: {sql}");
        }
    }
}

async fn a_full_queue_keeps_the_form(engine: Engine) {
    let app =
        TestApp::changed(engine, |app| app.hasher = Hasher::new(&app.entropy, 8, 1, 1, 1).unwrap()).await;
    let shop = app.shop("shop", "confidential").await;
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let go = hold_queue(&app.app.hasher, 1).await;
    let waits = app.submit(&shop, &cookie, &sealed, PASSWORD);
    let refused = async {
        until_somebody_waits(&app.app.hasher).await;
        let page = Seen::of(app.submit(&shop, &cookie, &sealed, PASSWORD).await).await;
        page.asks_again(503, "The service is busy. Please try again in a moment.");
        assert_eq!((page.headers["retry-after"].to_str().unwrap(), page.username()), ("1", "Alice"));
        drop(go);
    };
    let (answer, ()) = tokio::join!(waits, refused);
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
}
