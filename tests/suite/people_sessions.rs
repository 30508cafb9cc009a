//! A user's sessions: seen, ended one by one, and ended all by a disable or a new password.

use serde_json::{Value, json};
use tessera::store::db::execute;

use crate::support::{
    Desk, Engine, PASSWORD, Shop, TestApp, Tokens, both_engines, code_of, code_unless_overtaken,
};

both_engines!(
    seen_with_what_became_of_them,
    families_end_one_by_one,
    a_browser_session_takes_its_families_and_codes,
    disabling_ends_everything,
    a_new_password_ends_everything,
    races_with_a_disable,
    a_reset_while_the_password_is_checked
);

async fn sessions(desk: &Desk<'_>, shop: &Shop) -> Vec<Value> {
    let page = desk.get(&format!("/users/{}/sessions", shop.user)).await.ok();
    page["items"].as_array().unwrap().clone()
}

/// The id of the newest session of a kind.
async fn newest(desk: &Desk<'_>, shop: &Shop, kind: &str) -> String {
    let all = sessions(desk, shop).await;
    let last = all.iter().rfind(|session| session["kind"] == kind).unwrap();
    last["id"].as_str().unwrap().to_owned()
}

async fn seen_with_what_became_of_them(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "auditor").await;
    assert_eq!(sessions(&desk, &shop).await, Vec::<Value>::new());
    app.sign_in(&shop).await;
    let seen = sessions(&desk, &shop).await;
    let browser = seen.iter().find(|session| session["kind"] == "browser_session").unwrap();
    let family = seen.iter().find(|session| session["kind"] == "token_family").unwrap();
    let now = "2027-01-15T08:00:00Z";
    let expected = json!({"id": browser["id"], "kind": "browser_session", "auth_time": now, "user_agent": "",
        "address": browser["address"], "created_at": now, "expires_at": "2027-01-15T09:00:00Z", "live": true,
        "reason": null});
    assert_eq!(*browser, expected);
    assert_eq!((&family["client_id"], &family["client_name"]), (&json!(shop.id), &json!("Shop")));
    assert_eq!((&family["browser_session_id"], &family["offline"]), (&browser["id"], &json!(true)));
    assert_eq!((&family["live"], &family["used_at"]), (&json!(true), &json!(now)));

    app.app.clock.advance(3600);
    let tokens = app.sign_in(&shop).await;
    app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    let reasons: Vec<Value> =
        sessions(&desk, &shop).await.iter().map(|session| session["reason"].clone()).collect();
    let count = |reason: Value| reasons.iter().filter(|found| **found == reason).count();
    assert_eq!((count(json!("signed_out")), count(json!("session_expired")), count(Value::Null)), (2, 1, 1));
    // In pages, both kinds in one order.
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = desk.get(&format!("/users/{}/sessions?limit=1{after}", shop.user)).await.ok();
        paged.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(paged, sessions(&desk, &shop).await);
}

async fn families_end_one_by_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let desk = app.desk(&shop, "user_manager").await;
    let first = app.sign_in(&shop).await;
    let id = newest(&desk, &shop, "token_family").await;
    app.app.clock.advance(1);
    let second = app.sign_in(&shop).await;
    let node = app.second_node().await;
    let path = format!("/users/{}/sessions/{id}", shop.user);

    let auditor = app.desk(&shop, "auditor").await;
    auditor.delete(&path).await.refused(403, "forbidden", "the role auditor may not do this");
    let foreign = app.desk(&other, "owner").await;
    foreign.delete(&path).await.refused(404, "not_found", "no such user");
    let theirs = format!("/users/{}/sessions/{id}", other.user);
    foreign.delete(&theirs).await.refused(404, "not_found", "no such session");
    let bo = desk.post("/users", json!({"username": "bo"})).await.created();
    let wrong = format!("/users/{}/sessions/{id}", bo["id"].as_str().unwrap());
    desk.delete(&wrong).await.refused(404, "not_found", "no such session");
    assert_eq!(app.verify(&shop, first.get("access_token")).await["active"], true);

    let ended = desk.delete(&path).await.ok();
    assert_eq!((&ended["families_ended"], &ended["browser_sessions_ended"]), (&json!(1), &json!(0)));
    assert_eq!(node.verify(&shop, first.get("access_token")).await["reason"], "session_revoked");
    let dead = "the session has ended: session_revoked";
    node.refresh(&shop, first.get("refresh_token")).await.refused(400, "invalid_grant", dead);
    assert_eq!(node.verify(&shop, second.get("access_token")).await["active"], true);
    assert_eq!(desk.delete(&path).await.ok()["families_ended"], 0, "idempotent");
}

async fn a_browser_session_takes_its_families_and_codes(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    let (code, cookie) = app.code(&shop, "").await;
    let bound = Tokens(app.exchange(&shop, &code).await.ok());
    let id = newest(&desk, &shop, "token_family").await;
    // One family that was not granted to outlive the browser session, one that was, and a code.
    let (project, family) = (shop.project, id.parse::<tessera::ids::FamilyId>().unwrap());
    app.app
        .db
        .write(|conn| async move {
            execute!(
                &conn,
                "UPDATE token_families SET offline = FALSE WHERE project_id = $1 AND id = $2",
                project,
                family
            )
        })
        .await
        .unwrap();
    let silent = || app.http.get(app.authorize_url(&shop, "&prompt=none")).header("cookie", &cookie).send();
    let lasting = Tokens(app.exchange(&shop, &code_of(&silent().await.unwrap())).await.ok());
    let waiting = code_of(&silent().await.unwrap());

    let browser = newest(&desk, &shop, "browser_session").await;
    let ended = desk.delete(&format!("/users/{}/sessions/{browser}", shop.user)).await.ok();
    assert_eq!((&ended["families_ended"], &ended["browser_sessions_ended"]), (&json!(1), &json!(1)));
    let node = app.second_node().await;
    assert_eq!(node.verify(&shop, bound.get("access_token")).await["reason"], "session_revoked");
    assert_eq!(node.verify(&shop, lasting.get("access_token")).await["active"], true);
    let gone = "the code has expired or its sign-in has ended";
    node.exchange(&shop, &waiting).await.refused(400, "invalid_grant", gone);
    let location = silent().await.unwrap().headers()["location"].to_str().unwrap().to_owned();
    assert!(location.contains("error=login_required"), "{location}");
}

async fn disabling_ends_everything(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (desk, node) = (app.desk(&shop, "user_manager").await, app.second_node().await);
    let path = format!("/users/{}", shop.user);
    let tokens = app.sign_in(&shop).await;
    let (code, cookie) = app.code(&shop, "").await;
    // A change of the record ends nothing.
    desk.patch(&path, json!({"name": "Alice", "email": "other@example.com"})).await.ok();
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["active"], true);

    assert_eq!(desk.patch(&path, json!({"status": "disabled"})).await.ok()["status"], "disabled");
    let access = tokens.get("access_token");
    assert_eq!(node.verify(&shop, access).await["reason"], "user_disabled");
    let info = node.bearer(&shop, "userinfofromaccesstoken", access, json!({})).await;
    assert_eq!((info.status, &info.body["reason"]), (401, &json!("user_disabled")));
    let update = node.bearer(&shop, "attribute-update", access, json!({})).await;
    assert_eq!((update.status, &update.body["reason"]), (401, &json!("user_disabled")));
    let ended = "the session has ended: user_disabled";
    node.refresh(&shop, tokens.get("refresh_token")).await.refused(400, "invalid_grant", ended);
    let gone = "the code has expired or its sign-in has ended";
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", gone);
    let (anonymous, sealed) = app.sign_in_page(&shop, "").await;
    assert_ne!(app.submit(&shop, &anonymous, &sealed, PASSWORD).await.status(), 303);

    // Enabled again, the person may sign in; what was ended stays ended.
    assert_eq!(desk.patch(&path, json!({"status": "active"})).await.ok()["status"], "active");
    assert_eq!(node.verify(&shop, access).await["reason"], "signed_out");
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", gone);
    let silent = app.http.get(app.authorize_url(&shop, "&prompt=none")).header("cookie", &cookie).send();
    let location = silent.await.unwrap().headers()["location"].to_str().unwrap().to_owned();
    assert!(location.contains("error=login_required"), "{location}");
    let again = app.sign_in(&shop).await;
    // Enabling ends nothing.
    desk.patch(&path, json!({"status": "active", "nickname": "Al"})).await.ok();
    assert_eq!(node.verify(&shop, again.get("access_token")).await["active"], true);
}

async fn a_new_password_ends_everything(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (desk, node) = (app.desk(&shop, "user_manager").await, app.second_node().await);
    let path = format!("/users/{}/set-password", shop.user);
    let tokens = app.sign_in(&shop).await;
    let (code, cookie) = app.code(&shop, "").await;
    for (body, field, description) in [
        (json!({"password": "short"}), "password", "password has 8 to 1024 bytes"),
        (json!({"password": null}), "password", "password must be a string"),
        (json!({}), "password", "missing field password"),
        (json!({"password": "long enough", "x": 1}), "x", "unknown field x"),
    ] {
        desk.post(&path, body).await.refused_for(400, "invalid_request", field, description);
    }
    let nobody = format!("/users/{}/set-password", uuid::Uuid::nil());
    desk.post(&nobody, json!({"password": "long enough"})).await.refused(404, "not_found", "no such user");
    let auditor = app.desk(&shop, "auditor").await;
    let role = "the role auditor may not do this";
    auditor.post(&path, json!({"password": "long enough"})).await.refused(403, "forbidden", role);
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["active"], true);

    let ended = desk.post(&path, json!({"password": "another long one"})).await.ok();
    assert_eq!((&ended["families_ended"], &ended["browser_sessions_ended"]), (&json!(1), &json!(2)));
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
    let gone = "the code has expired or its sign-in has ended";
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", gone);
    let silent = app.http.get(app.authorize_url(&shop, "&prompt=none")).header("cookie", &cookie).send();
    assert!(silent.await.unwrap().headers()["location"].to_str().unwrap().contains("error=login_required"));
    let (anonymous, sealed) = app.sign_in_page(&shop, "").await;
    assert_ne!(app.submit(&shop, &anonymous, &sealed, PASSWORD).await.status(), 303);
    assert_eq!(app.submit(&shop, &anonymous, &sealed, "another long one").await.status(), 303);
    // Somebody who had no password gets a first one.
    let bo = desk.post("/users", json!({"username": "bo"})).await.created();
    let first = format!("/users/{}/set-password", bo["id"].as_str().unwrap());
    assert_eq!(desk.post(&first, json!({"password": "a first one"})).await.ok()["families_ended"], 0);
}

/// Exchange and refresh on the other node while the user is disabled; nothing granted lives on, then or after enabling.
async fn races_with_a_disable(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (desk, node) = (app.desk(&shop, "user_manager").await, app.second_node().await);
    let path = format!("/users/{}", shop.user);
    for _ in 0..6 {
        let tokens = app.sign_in(&shop).await;
        let (code, _) = app.code(&shop, "").await;
        let (refreshed, exchanged, verified, disabled) = tokio::join!(
            node.refresh(&shop, tokens.get("refresh_token")),
            node.exchange(&shop, &code),
            node.verify(&shop, tokens.get("access_token")),
            desk.patch(&path, json!({"status": "disabled"})),
        );
        disabled.ok();
        assert!(verified["active"].is_boolean());
        assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "user_disabled");
        desk.patch(&path, json!({"status": "active"})).await.ok();
        for answer in [refreshed, exchanged].into_iter().filter(|answer| answer.status == 200) {
            let granted = Tokens(answer.body);
            assert_eq!(node.verify(&shop, granted.get("access_token")).await["active"], false);
            assert_eq!(app.refresh(&shop, granted.get("refresh_token")).await.status, 400);
        }
        app.app.clock.advance(1);
    }
}

/// A sign-in whose password was read before the reset, and checked while it happened, makes no session.
async fn a_reset_while_the_password_is_checked(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    let path = format!("/users/{}/set-password", shop.user);
    for round in 0..8 {
        let current = if round == 0 { PASSWORD.to_owned() } else { format!("quiet harbour {round}") };
        let next = json!({"password": format!("quiet harbour {}", round + 1)});
        let (cookie, sealed) = app.sign_in_page(&shop, "").await;
        let (signed_in, reset) =
            tokio::join!(app.submit(&shop, &cookie, &sealed, &current), desk.post(&path, next));
        reset.ok();
        let code = (signed_in.status() == 303).then(|| code_unless_overtaken(&signed_in)).flatten();
        if let Some(code) = code {
            let gone = "the code has expired or its sign-in has ended";
            app.exchange(&shop, &code).await.refused(400, "invalid_grant", gone);
        }
    }
}
