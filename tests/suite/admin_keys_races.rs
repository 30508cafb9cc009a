//! A revoked key commits nothing more, however long its request has been under way.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Engine, PASSWORD, TestApp, both_engines, hold_queue, number, until_somebody_waits};

both_engines!(revoked_while_a_password_is_hashed, revoked_beside_many_changes, keys_that_end_themselves);

const DEAD: &str = "the admin key is not valid here";

async fn events(app: &TestApp) -> i64 {
    number(&app.app.db, "SELECT count(*) AS n FROM audit_log").await
}

async fn revoked_while_a_password_is_hashed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (owner, node) = (app.admin_key(None, "owner").await, app.second_node().await);
    let reset = format!("/projects/shop/users/{}/set-password", shop.user);
    for (path, body) in [
        (reset.as_str(), json!({"password": "another long one"})),
        ("/projects/shop/users", json!({"username": "bo", "password": "another long one"})),
    ] {
        let made = json!({"name": "x", "role": "user_manager", "project": "shop"});
        let made = app.admin_post(&owner, "/admin-keys", made).await.created();
        let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
        let before = events(&app).await;
        let go = hold_queue(&app.app.hasher, 2).await;
        let revoked = async {
            until_somebody_waits(&app.app.hasher).await;
            node.admin_delete(&owner, &format!("/admin-keys/{id}")).await.ok();
            drop(go);
        };
        let (answer, ()) = tokio::join!(app.admin_post(key, path, body), revoked);
        answer.refused(401, "invalid_token", DEAD);
        assert_eq!(events(&app).await, before + 1, "the revocation alone");
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users").await, 1);
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    assert_eq!(app.submit(&shop, &cookie, &sealed, PASSWORD).await.status(), 303);
}

async fn revoked_beside_many_changes(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (owner, node) = (app.admin_key(None, "owner").await, app.second_node().await);
    let path = format!("/projects/shop/users/{}", shop.user);
    for round in 0..4 {
        let made = json!({"name": "x", "role": "user_manager", "project": "shop"});
        let made = app.admin_post(&owner, "/admin-keys", made).await.created();
        let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
        let changes = (0..12).map(|n| {
            let at = if n % 2 == 0 { &app } else { &node };
            at.admin_patch(key, &path, json!({"nickname": format!("{round} {n}")}))
        });
        let revoked = async {
            app.admin_delete(&owner, &format!("/admin-keys/{id}")).await.ok();
            events(&app).await
        };
        let (answers, when_revoked) = tokio::join!(join_all(changes), revoked);
        assert_eq!(events(&app).await, when_revoked, "nothing came after the revocation");
        for answer in answers.into_iter().filter(|answer| answer.status != 200) {
            answer.refused(401, "invalid_token", DEAD);
        }
    }
}

async fn keys_that_end_themselves(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let owner = app.admin_key(None, "owner").await;
    let made = json!({"name": "x", "role": "owner", "project": "shop"});
    let made = app.admin_post(&owner, "/admin-keys", made).await.created();
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    app.admin_delete(key, &format!("/admin-keys/{id}")).await.ok();
    app.admin_delete(key, &format!("/admin-keys/{id}")).await.refused(401, "invalid_token", DEAD);
    let own = app.admin_key(Some(shop.project), "owner").await;
    app.admin_delete(&own, "/projects/shop").await.ok();
    app.admin_get(&own, "/projects/shop").await.refused(404, "not_found", "no such project");
}
