//! A deletion that is confirmed by the second factor of the person who asked for it (RFC 9470).

use reqwest::Response;
use serde_json::{Value, json};
use tessera::store::db::Conn;

use crate::support::{
    Answer, DEVICE_GRANT, Deleting, Device, Engine, Hall, REASON, Seen, TestApp, access, both_engines,
    cookie_of, number, sealed_of,
};

both_engines!(
    the_factor_is_shown_for_the_act,
    a_proof_is_young_and_is_one,
    who_asked_confirms,
    a_person_is_a_second_person,
    the_device_grant_steps_up,
    a_sandbox_has_its_own_clock,
    moving_a_sandboxs_clock_makes_no_sign_in_younger,
);

/// What the page of a device says.
const RIGHTS: &str = "all your rights as an admin of this server";

fn challenge() -> Value {
    json!({
        "error": "insufficient_user_authentication",
        "error_description": "this takes a sign-in with a second factor, made after it was asked for",
        "acr_values": "2",
        "max_age": 0,
    })
}

fn asks_for_more(answer: Answer) {
    assert_eq!((answer.status, answer.body), (401, challenge()));
}

async fn the_factor_is_shown_for_the_act(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "admin", Some(shop.project)).await;
    let phone = app.enrolled(&hall.console).await.authenticator;
    let before = Deleting { app: &app, shop: &shop, key: hall.proven("", &phone).await };
    before.settings(json!({"deletion_confirmation": "second_factor"})).await;
    app.app.clock.advance(1);
    let asked = before.ask().await;
    assert_eq!((asked.status, &asked.body["confirmation"]["method"]), (202, &json!("second_factor")));
    let id = asked.body["deletion_id"].as_str().unwrap();
    // Both factors, and yet not for this.
    asks_for_more(before.confirm(id, "alice").await);
    let url = app.project_url(&shop, "/api/delete-user/confirm");
    let request = app.http.post(url).bearer_auth(&before.key).json(&json!({"deletion_id": id}));
    let headers = request.send().await.unwrap().headers().clone();
    let told =
        headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).next().unwrap();
    let expected = r#"Bearer error="insufficient_user_authentication", error_description="this takes a sign-in with a second factor, made after it was asked for", acr_values="2", max_age="0""#;
    assert_eq!(told, expected);
    // Nothing is counted.
    assert_eq!(number(&app.app.db, "SELECT failed_attempts AS n FROM deletions").await, 0);
    let failed = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_confirmation_failed'";
    assert_eq!(number(&app.app.db, failed).await, 0);

    app.app.clock.advance(30);
    let after = before.by(&app, &hall.proven("&acr_values=2&max_age=0", &phone).await);
    let wrong = "the typed user name is not the user's";
    after.confirm(id, "bob").await.refused(403, "confirmation_failed", wrong);
    let done = after.post("delete-user/confirm", json!({"deletion_id": id})).await.ok();
    assert_eq!((&done["state"], &done["requested_by"]), (&json!("executed"), &done["confirmed_by"]));
    assert!(done["confirmed_by"].as_str().unwrap().starts_with("admin:"));
    after.confirm(id, "alice").await.refused(409, "conflict", "this deletion has been executed");
}

async fn a_proof_is_young_and_is_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "admin", Some(shop.project)).await;
    let phone = app.enrolled(&hall.console).await.authenticator;
    let admin = Deleting { app: &app, shop: &shop, key: hall.proven("", &phone).await };
    admin.settings(json!({"deletion_confirmation": "second_factor"})).await;
    let id = admin.asked().await;
    app.app.clock.advance(31);
    let proven = admin.by(&app, &hall.proven("", &phone).await);
    app.app.clock.advance(300);
    asks_for_more(proven.confirm(&id, "alice").await);
    // A refresh makes no proof younger; nor does a password alone make one.
    let (_, password) = hall.admin("ben", "admin", Some(shop.project)).await;
    asks_for_more(
        admin.by(&app, &hall.token("ben").await).confirm(&asked_by(&admin, &password).await, "alice").await,
    );
    // What was asked for later takes another proof.
    admin.by(&app, &password).cancel(&last(&app).await).await.ok();
    let proven = admin.by(&app, &hall.proven("", &phone).await);
    app.app.clock.advance(1);
    let id = proven.asked().await;
    asks_for_more(proven.confirm(&id, "alice").await);
    app.app.clock.advance(30);
    let again = admin.by(&app, &hall.proven("", &phone).await);
    assert_eq!(again.confirm(&id, "alice").await.ok()["state"], "executed");
}

/// The deletion that somebody asks for in the place of the open one.
async fn asked_by(admin: &Deleting<'_>, token: &str) -> String {
    admin.cancel(&last(admin.app).await).await.ok();
    admin.by(admin.app, token).asked().await
}

async fn last(app: &TestApp) -> String {
    let sql = "SELECT id FROM deletions ORDER BY id DESC LIMIT 1";
    let read = |conn: Conn| async move { tessera::store::db::fetch_one!(&conn, (uuid::Uuid,), sql) };
    app.app.db.read(read).await.unwrap().0.to_string()
}

async fn who_asked_confirms(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "owner", None).await;
    let phone = app.enrolled(&hall.console).await.authenticator;
    let (_, other) = hall.admin("ben", "admin", Some(shop.project)).await;
    let alice = Deleting { app: &app, shop: &shop, key: hall.proven("", &phone).await };
    alice.settings(json!({"deletion_confirmation": "second_factor"})).await;
    let id = alice.asked().await;
    let why = "the admin who asked has to confirm this deletion";
    alice.by(&app, &other).confirm(&id, "alice").await.refused(403, "forbidden", why);
    // A key has no factor, whatever its role.
    let refused = alice.by(&app, &hall.owner).confirm(&id, "alice").await;
    assert_eq!((refused.status, &refused.body["methods"]), (403, &json!(["typed", "second_person"])));
    let refused = alice.by(&app, &hall.owner).ask().await;
    assert_eq!((refused.status, &refused.body["methods"]), (403, &json!(["typed", "second_person"])));
    assert_eq!(
        alice.confirm(&id, "alice").await.ok()["state"],
        "executed",
        "asked for and shown in one moment"
    );
}

async fn a_person_is_a_second_person(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    let (_, ben) = hall.admin("ben", "admin", Some(shop.project)).await;
    let (_, eve) = hall.admin("eve", "user_manager", Some(shop.project)).await;
    let key = Deleting::new(&app, &shop).await;
    key.settings(json!({"deletion_confirmation": "second_person"})).await;
    let id = key.asked().await;
    let why = "the role user_manager may not do this";
    key.by(&app, &eve).confirm(&id, "alice").await.refused(403, "forbidden", why);
    let done = key.by(&app, &ben).post("delete-user/confirm", json!({"deletion_id": id})).await.ok();
    assert_eq!(done["state"], "executed");
    assert!(done["requested_by"].as_str().unwrap().starts_with("admin_key:"));
    assert!(done["confirmed_by"].as_str().unwrap().starts_with("admin:"));

    // And the other way round; another session of the same person is the same person.
    let other = app.shop("other", "confidential").await;
    hall.give(hall.console.user, "admin", Some(other.project)).await;
    let person = Deleting { app: &app, shop: &other, key: hall.token("alice").await };
    person.settings(json!({"deletion_confirmation": "second_person"})).await;
    let id = person.asked().await;
    let own = "another admin's key has to confirm this deletion";
    person.by(&app, &hall.token("alice").await).confirm(&id, "alice").await.refused(403, "forbidden", own);
    let key = app.admin_key(Some(other.project), "admin").await;
    assert_eq!(person.by(&app, &key).confirm(&id, "alice").await.ok()["state"], "executed");
}

/// A browser that is signed in allows the device only after it has shown what the device asks for.
async fn the_device_grant_steps_up(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    hall.give(hall.console.user, "admin", Some(shop.project)).await;
    let (client, phone) = (&hall.built_in, app.enrolled(&hall.console).await.authenticator);
    let device = async |more: &[(&str, &str)]| {
        let form = [&[("scope", "openid admin")], more].concat();
        Device(app.form(client, "device_authorization", &form).await.ok())
    };
    let token = async |device: &Device| {
        let form = [("grant_type", DEVICE_GRANT), ("device_code", device.get("device_code"))];
        access(&app.form(client, "token", &form).await.ok())
    };
    // From the code to the page after it, in a browser that may be signed in.
    let entered = async |device: &Device, cookie: Option<&str>| {
        let page = app.device_page(client, cookie).await;
        let entered = app.enter_code(client, &page, device.get("user_code")).await;
        (page.0.clone(), Seen::of(app.follow(&entered, &page.0).await).await)
    };
    let allow = async |confirm: &Response| {
        let cookie = cookie_of(confirm);
        let page = Seen::of(app.follow(confirm, &cookie).await).await;
        assert!(page.text.contains(RIGHTS), "{}", page.text);
        let done = app.decide(client, &cookie, &sealed_of(&page.text), "allow").await;
        assert_eq!(done.status, 200, "{}", done.text);
        cookie
    };
    let first = device(&[]).await;
    let (cookie, page) = entered(&first, None).await;
    let signed_in = app.submit(client, &cookie, &sealed_of(&page.text), crate::support::PASSWORD).await;
    let middle = app.asked_for_more(&signed_in).await;
    let cookie = allow(&app.show(client, &middle, "totp", &phone.code(&app)).await).await;
    let admin = Deleting { app: &app, shop: &shop, key: token(&first).await };
    admin.settings(json!({"deletion_confirmation": "second_factor"})).await;
    app.app.clock.advance(31);
    let asked = admin.post("delete-user", json!({"user": shop.user, "reason": REASON})).await;
    let id = asked.body["deletion_id"].as_str().unwrap().to_owned();
    asks_for_more(admin.confirm(&id, "alice").await);

    app.app.clock.advance(1);
    // Who gives away an admin's rights signs in for it, whatever the device asks for.
    for weak in [&[][..], &[("acr_values", "1"), ("max_age", "86400")]] {
        let plain = device(weak).await;
        let (_, page) = entered(&plain, Some(&cookie)).await;
        assert_eq!((page.status, page.username()), (200, "alice"));
        assert!(page.text.contains(r#"type="password""#), "who is signed in signs in again: {weak:?}");
    }
    // A device that gets no such rights is allowed by a click, and its page speaks of none.
    let harmless = Device(app.form(client, "device_authorization", &[("scope", "openid")]).await.ok());
    let (same, page) = entered(&harmless, Some(&cookie)).await;
    assert!(!page.text.contains(RIGHTS), "{}", page.text);
    assert_eq!(app.decide(client, &same, &sealed_of(&page.text), "allow").await.status, 200);

    let again = device(&[("acr_values", "2"), ("max_age", "0")]).await;
    let (cookie, page) = entered(&again, Some(&cookie)).await;
    assert_eq!((page.status, page.username()), (200, "alice"));
    assert!(page.text.contains(r#"type="password""#), "who is signed in signs in again");
    let signed_in = app.submit(client, &cookie, &sealed_of(&page.text), crate::support::PASSWORD).await;
    let middle = app.asked_for_more(&signed_in).await;
    allow(&app.show(client, &middle, "totp", &phone.code(&app)).await).await;
    let after = admin.by(&app, &token(&again).await);
    assert_eq!(after.confirm(&id, "alice").await.ok()["state"], "executed");
    // What nobody can fulfil is refused at the beginning.
    let form = [("scope", "openid admin"), ("max_age", "soon")];
    let refused = app.form(client, "device_authorization", &form).await;
    refused.refused(400, "invalid_request", "max_age is a number of seconds from 0 to 4294967295");
}

/// People sign in by everybody's clock, wherever the sandbox's stands.
async fn a_sandbox_has_its_own_clock(engine: Engine) {
    let app = TestApp::new(engine).await;
    let hall = Hall::new(&app).await;
    let owner = &hall.owner;
    let new =
        json!({"slug": "school", "kind": "sandbox", "settings": {"deletion_confirmation": "second_factor"}});
    app.admin_post(owner, "/projects", new).await.created();
    let user = app.admin_post(owner, "/projects/school/users", json!({"username": "alice"})).await.created();
    app.admin_post(owner, "/projects/school/sandbox/clock", json!({"advance_seconds": 86_400})).await.ok();
    hall.give(hall.console.user, "owner", None).await;
    let phone = app.enrolled(&hall.console).await.authenticator;
    let call = async |token: &str, path: &str, body: Value| {
        let url = format!("{}/projects/school/api/{path}", app.base);
        Answer::of(app.http.post(url).bearer_auth(token).json(&body).send().await.unwrap()).await
    };
    let token = hall.proven("", &phone).await;
    app.app.clock.advance(31);
    let asked = call(&token, "delete-user", json!({"user": user["id"], "reason": REASON})).await;
    let confirm = json!({"deletion_id": asked.body["deletion_id"]});
    asks_for_more(call(&token, "delete-user/confirm", confirm.clone()).await);
    let token = hall.proven("&max_age=0", &phone).await;
    assert_eq!(call(&token, "delete-user/confirm", confirm).await.ok()["state"], "executed");
}

/// The clock of a sandbox is moved after something was asked for: a sign-in from before the request stays one.
async fn moving_a_sandboxs_clock_makes_no_sign_in_younger(engine: Engine) {
    let app = TestApp::new(engine).await;
    let hall = Hall::new(&app).await;
    let owner = &hall.owner;
    let new =
        json!({"slug": "school", "kind": "sandbox", "settings": {"deletion_confirmation": "second_factor"}});
    app.admin_post(owner, "/projects", new).await.created();
    let user = app.admin_post(owner, "/projects/school/users", json!({"username": "alice"})).await.created();
    hall.give(hall.console.user, "owner", None).await;
    let phone = app.enrolled(&hall.console).await.authenticator;
    let call = async |token: &str, path: &str, body: Value| {
        let url = format!("{}/projects/school/api/{path}", app.base);
        Answer::of(app.http.post(url).bearer_auth(token).json(&body).send().await.unwrap()).await
    };
    let advance = async |seconds: i64| {
        let body = json!({"advance_seconds": seconds});
        app.admin_post(owner, "/projects/school/sandbox/clock", body).await.ok();
    };
    let token = hall.proven("", &phone).await;
    app.app.clock.advance(31);
    let asked = call(&token, "delete-user", json!({"user": user["id"], "reason": REASON})).await;
    let confirm = json!({"deletion_id": asked.body["deletion_id"]});
    advance(120).await;
    asks_for_more(call(&token, "delete-user/confirm", confirm.clone()).await);
    // One for this very act counts, however far the clock has gone, and for five minutes of everybody's.
    let token = hall.proven("&max_age=0", &phone).await;
    advance(500).await;
    assert_eq!(call(&token, "delete-user/confirm", confirm).await.ok()["state"], "executed");
    // The same of a client.
    let client =
        json!({"client_name": "App", "type": "confidential", "redirect_uris": ["https://app.example/cb"]});
    let client = app.admin_post(owner, "/projects/school/clients", client).await.created();
    app.app.clock.advance(31);
    let path = format!("/projects/school/clients/{}", client["client_id"].as_str().unwrap());
    let asked = app.admin_ask_to_delete(&token, &path).await.body;
    let at = format!("/projects/school/confirmations/{}", asked["confirmation_id"].as_str().unwrap());
    advance(300).await;
    asks_for_more(app.admin_post(&token, &at, json!({})).await);
    app.app.clock.advance(31);
    let token = hall.proven("&max_age=0", &phone).await;
    app.admin_post(&token, &at, json!({})).await.ok();
}
