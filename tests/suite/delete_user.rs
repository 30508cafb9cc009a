//! Deletion: asked for with a reason, confirmed by typing, executed with its audit event, and nothing is left.

use serde_json::json;
use tessera::audit::{Verdict, verify};
use tessera::projects;

use crate::support::{Engine, TestApp, both_engines};

both_engines!(works, denials);

async fn works(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let (code, cookie) = app.code(&shop, "").await;
    let (_, key) = projects::create_admin_key(&app.app, Some(shop.project), "test", "admin").await.unwrap();
    let key = key.expose();
    let ask = json!({"user": shop.user, "reason": "asked for it in writing"});

    let mut rehearsal = ask.clone();
    rehearsal["dry_run"] = json!(true);
    let impact = json!({"families": 1, "browser_sessions": 2, "factors": 1, "groups": 0});
    assert_eq!(app.bearer(&shop, "delete-user", key, rehearsal).await.ok(), json!({"impact": impact}));

    let asked = app.bearer(&shop, "delete-user", key, ask.clone()).await;
    assert_eq!((asked.status, &asked.body["impact"]), (202, &impact));
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true, "nothing is deleted yet");
    let id = &asked.body["deletion_id"];
    let wrong = app
        .bearer(&shop, "delete-user/confirm", key, json!({"deletion_id": id, "confirmation": "bob"}))
        .await;
    wrong.refused(403, "confirmation_failed", "the typed user name is not the user's");
    let right = json!({"deletion_id": id, "confirmation": "alice"});
    let done = app.bearer(&shop, "delete-user/confirm", key, right.clone()).await.ok();
    assert_eq!(done["state"], "executed");

    let finished = "this deletion is finished or its confirmation has lapsed";
    app.bearer(&shop, "delete-user/confirm", key, right).await.refused(409, "conflict", finished);
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "user_deleted");
    assert_eq!(app.refresh(&shop, tokens.get("refresh_token")).await.status, 400);
    app.exchange(&shop, &code).await.refused(400, "invalid_grant", "the code is unknown");
    let silent =
        app.http.get(app.authorize_url(&shop, "&prompt=none")).header("cookie", cookie).send().await.unwrap();
    assert!(silent.headers()["location"].to_str().unwrap().contains("error=login_required"));
    app.bearer(&shop, "delete-user", key, ask).await.refused(404, "not_found", "no such user");
    // created ×3, admin key, requested, failed, deleted.
    assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 7 });
    // The name is free again, for a new id.
    let password = tessera::secret::Secret::new("another password");
    let again = projects::create_user(&app.app, shop.project, "alice", None, password).await.unwrap();
    assert_ne!(again, shop.user);
}

async fn denials(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let key = async |project, role: &'static str| {
        projects::create_admin_key(&app.app, Some(project), "test", role).await.unwrap().1.expose().to_owned()
    };
    let (admin, manager) = (key(shop.project, "admin").await, key(shop.project, "user_manager").await);
    let (second, foreign) = (key(shop.project, "admin").await, key(other.project, "admin").await);
    let ask = json!({"user": shop.user, "reason": "asked for it in writing"});
    let role = "the role user_manager may not do this";
    app.bearer(&shop, "delete-user", &manager, ask.clone()).await.refused(403, "forbidden", role);
    let invalid = "the admin key is not valid here";
    app.bearer(&shop, "delete-user", &foreign, ask.clone()).await.refused(401, "invalid_token", invalid);
    app.bearer(&other, "delete-user", &foreign, ask.clone()).await.refused(404, "not_found", "no such user");
    for reason in ["short", "Alice has asked for it"] {
        let answer =
            app.bearer(&shop, "delete-user", &admin, json!({"user": shop.user, "reason": reason})).await;
        assert_eq!((answer.status, &answer.body["field"]), (400, &json!("reason")));
    }
    let asked = app.bearer(&shop, "delete-user", &admin, ask.clone()).await.body;
    let confirm = json!({"deletion_id": asked["deletion_id"], "confirmation": "alice"});
    // Bound to the actor and to the project.
    for (shop, key) in [(&shop, &second), (&other, &foreign)] {
        app.bearer(shop, "delete-user/confirm", key, confirm.clone()).await.refused(
            404,
            "not_found",
            "no such deletion",
        );
    }
    let cancel = json!({"deletion_id": asked["deletion_id"]});
    assert_eq!(app.bearer(&shop, "delete-user/cancel", &admin, cancel).await.ok()["state"], "cancelled");
    let finished = "this deletion is finished or its confirmation has lapsed";
    app.bearer(&shop, "delete-user/confirm", &admin, confirm).await.refused(409, "conflict", finished);
    let late = app.bearer(&shop, "delete-user", &admin, ask).await.body;
    app.app.clock.advance(900);
    let confirm = json!({"deletion_id": late["deletion_id"], "confirmation": "alice"});
    app.bearer(&shop, "delete-user/confirm", &admin, confirm).await.refused(409, "conflict", finished);
}
