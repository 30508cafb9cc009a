//! Browsers that are not asked again for a second factor: seen and forgotten, by their person's applications and by admins.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Account, Answer, Authenticator, Engine, PASSWORD, Shop, TestApp, Tokens, Visit, between, both_engines,
    code_of, cookie_of, number,
};

both_engines!(
    an_application_lists_and_forgets,
    admins_list_and_forget,
    somebody_elses_are_not_there,
    a_fresh_sign_in_is_asked_for,
    what_a_project_remembers_no_more_is_not_listed,
    one_is_forgotten_once,
    a_restored_store_remembers_none,
    the_page_forgets_one,
    nobody_fills_the_log,
);

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// Alice, with an app, in a project that remembers browsers.
async fn alice(app: &TestApp, slug: &str) -> (Shop, Authenticator) {
    let shop = app.shop(slug, "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    app.policy(&shop, json!({"remember_device_days": 30})).await;
    (shop, enrolled.authenticator)
}

/// Signs in with both factors, and has the browser remembered: its cookie, and the application's tokens.
async fn remembered(app: &TestApp, shop: &Shop, authenticator: &Authenticator) -> (String, Tokens) {
    app.app.clock.advance(30);
    let middle = app.half_signed_in(shop, "&acr_values=2").await;
    let (sealed, code) = (middle.sealed(), authenticator.code(app));
    let form = [("request", sealed.as_str()), ("factor", "totp"), ("code", &code), ("remember", "yes")];
    let url = app.project_url(shop, "/second-factor");
    let post = app.http.post(url).header("cookie", &middle.cookie);
    let answer = post.form(&form).send().await.unwrap();
    let mut lines = answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let device = lines.find(|line| line.contains("-device=")).unwrap().split(';').next().unwrap().to_owned();
    let tokens = Tokens(app.exchange(shop, &code_of(&answer)).await.ok());
    (device, tokens)
}

/// Whether the browser is asked for the second factor.
async fn is_asked(app: &TestApp, shop: &Shop, device: &str) -> bool {
    let (cookie, sealed) = app.sign_in_page(shop, "").await;
    let answer = app.submit(shop, &format!("{cookie}; {device}"), &sealed, PASSWORD).await;
    answer.headers()["location"].to_str().unwrap().ends_with("/second-factor")
}

fn without_id(body: &Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove("request_id");
    body
}

fn ids(listed: &Value) -> Vec<String> {
    let items = listed["items"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

async fn an_application_lists_and_forgets(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, authenticator) = alice(&app, "shop").await;
    let (first, _) = remembered(&app, &shop, &authenticator).await;
    let (second, _) = remembered(&app, &shop, &authenticator).await;
    let (third, tokens) = remembered(&app, &shop, &authenticator).await;
    let own = Account::with(&app, &shop, &tokens);
    let listed = own.get("/devices").await.ok();
    let item = &listed["items"][0];
    assert_eq!(
        (ids(&listed).len(), &item["device"]),
        (3, &Value::Null),
        "a browser that does not say: {listed}"
    );
    let mut members: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
    members.sort_unstable();
    let expected = ["address", "created_at", "device", "expires_at", "id", "last_used_at", "user_agent"];
    assert_eq!(members, expected, "nothing of what proves it");
    assert_eq!(item["address"], "127.0.0.1");

    // One of them, the first.
    let path = format!("/devices/{}", ids(&listed)[0]);
    assert_eq!(own.delete(&path).await.ok(), json!({"devices_forgotten": 1}));
    assert!(is_asked(&app, &shop, &first).await && !is_asked(&app, &shop, &second).await);
    assert_eq!(ids(&own.get("/devices").await.ok()), ids(&listed)[1..]);
    own.delete(&path).await.refused(404, "not_found", "no such device");
    own.delete(&format!("/devices/{NOBODY}")).await.refused(404, "not_found", "no such device");

    // All, on every node; sessions go on.
    let node = app.second_node().await;
    assert_eq!(own.delete("/devices").await.ok(), json!({"devices_forgotten": 2}));
    assert!(is_asked(&node, &shop, &second).await && is_asked(&node, &shop, &third).await);
    assert_eq!(own.get("/devices").await.ok(), json!({"items": []}));
    assert_eq!(own.delete("/devices").await.ok(), json!({"devices_forgotten": 0}), "again is no error");
    assert_eq!(own.reason(&node).await, None);
    let log = app.desk(&shop, "auditor").await.get("/audit?action=device.forgotten").await.ok();
    let details: Vec<_> = log["items"].as_array().unwrap().iter().map(|event| &event["detail"]).collect();
    assert_eq!(details.len(), 2, "where there was none, nothing happened");
    assert_eq!(details[0], &json!({"device": null, "devices_forgotten": 2}));
    assert_eq!(details[1], &json!({"device": ids(&listed)[0], "devices_forgotten": 1}));
    assert_eq!(log["items"][0]["actor"], log["items"][0]["target"]);
}

async fn admins_list_and_forget(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, authenticator) = alice(&app, "shop").await;
    let other = app.shop("other", "confidential").await;
    let (first, tokens) = remembered(&app, &shop, &authenticator).await;
    let (second, _) = remembered(&app, &shop, &authenticator).await;
    let path = format!("/users/{}/devices", shop.user);
    let (desk, auditor) = (app.desk(&shop, "user_manager").await, app.desk(&shop, "auditor").await);
    let listed = desk.get(&path).await.ok();
    assert_eq!(ids(&listed).len(), 2);
    let one = format!("{path}/{}", ids(&listed)[0]);
    // Who may only read, and who is of another project.
    for path in [&path, &one] {
        let refused = auditor.send(Method::DELETE, path, None, None).await;
        refused.refused(403, "forbidden", "the role auditor may not do this");
        let foreign = app.desk(&other, "owner").await.on(&shop);
        let refused = foreign.send(Method::DELETE, path, None, None).await;
        refused.refused(401, "invalid_token", "the admin key is not valid here");
    }
    let everywhere = app.desk(&other, "owner").await;
    everywhere.get(&path).await.refused(404, "not_found", "no such user");
    everywhere.send(Method::DELETE, &path, None, None).await.refused(404, "not_found", "no such user");
    let nobody = format!("/users/{NOBODY}/devices");
    desk.get(&nobody).await.refused(404, "not_found", "no such user");
    desk.send(Method::DELETE, &nobody, None, None).await.refused(404, "not_found", "no such user");
    let none = desk.send(Method::DELETE, &format!("{path}/{NOBODY}"), None, None).await;
    none.refused(404, "not_found", "no such device");
    assert!(!is_asked(&app, &shop, &first).await, "none of it did anything");

    let gone = desk.send(Method::DELETE, &one, None, None).await.ok();
    assert_eq!(gone, json!({"devices_forgotten": 1}));
    assert!(is_asked(&app, &shop, &first).await && !is_asked(&app, &shop, &second).await);
    let gone = desk.send(Method::DELETE, &path, None, None).await.ok();
    assert_eq!(gone, json!({"devices_forgotten": 1}));
    assert!(is_asked(&app, &shop, &second).await);
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true, "sessions go on");
    let log = auditor.get("/audit?action=device.forgotten").await.ok();
    assert_eq!(
        (log["items"].as_array().unwrap().len(), &log["items"][0]["actor_kind"]),
        (2, &json!("admin_key"))
    );
}

async fn somebody_elses_are_not_there(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, authenticator) = alice(&app, "shop").await;
    let (other, others) = alice(&app, "other").await;
    let (hers, _) = remembered(&app, &shop, &authenticator).await;
    let desk = app.desk(&shop, "user_manager").await;
    let listed = desk.get(&format!("/users/{}/devices", shop.user)).await.ok();
    let path = format!("/devices/{}", ids(&listed)[0]);
    let bo = json!({"username": "bo", "password": PASSWORD});
    let user = desk.post("/users", bo).await.created()["id"].as_str().unwrap().to_owned();
    let bo = Account::with(&app, &shop, &app.sign_in_as(&shop, "bo").await);
    let (_, tokens) = remembered(&app, &other, &others).await;
    let foreign = Account::with(&app, &other, &tokens);
    assert_eq!(bo.get("/devices").await.ok(), json!({"items": []}));
    for account in [&bo, &foreign] {
        assert!(!ids(&account.get("/devices").await.ok()).contains(&ids(&listed)[0]));
        account.delete(&path).await.refused(404, "not_found", "no such device");
        account.delete("/devices").await.ok();
    }
    let by_another_name = format!("/users/{user}{path}");
    let refused = desk.send(Method::DELETE, &by_another_name, None, None).await;
    refused.refused(404, "not_found", "no such device");
    assert!(!is_asked(&app, &shop, &hers).await);
}

/// Reading is for every session of the person; forgetting asks for the best they have, just now.
async fn a_fresh_sign_in_is_asked_for(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, authenticator) = alice(&app, "shop").await;
    let (device, tokens) = remembered(&app, &shop, &authenticator).await;
    let own = Account::with(&app, &shop, &tokens);
    let id = ids(&own.get("/devices").await.ok())[0].clone();
    app.app.clock.advance(300);
    assert_eq!(ids(&own.get("/devices").await.ok()), std::slice::from_ref(&id));
    for path in [format!("/devices/{id}"), "/devices".to_owned()] {
        let refused = own.delete(&path).await;
        let body = json!({"error": "insufficient_user_authentication",
            "error_description": "a more recent sign-in is needed", "max_age": 300});
        assert_eq!((refused.status, without_id(&refused.body)), (401, body));
    }
    // In the very browser: the password alone, with the second factor passed over.
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let answer = app.submit(&shop, &format!("{cookie}; {device}"), &sealed, PASSWORD).await;
    let tokens = Tokens(app.exchange(&shop, &code_of(&answer)).await.ok());
    let own = Account::with(&app, &shop, &tokens);
    for path in [format!("/devices/{id}"), "/devices".to_owned()] {
        let refused = own.delete(&path).await;
        let body = json!({"error": "insufficient_user_authentication",
            "error_description": "a sign-in with a second factor is needed", "acr_values": "2"});
        assert_eq!((refused.status, without_id(&refused.body)), (401, body));
    }
    assert!(!is_asked(&app, &shop, &device).await);
    // Nobody without a token, and no field that is not known.
    let nobody = Account { app: &app, shop: &shop, token: "x".into() };
    assert_eq!(nobody.get("/devices").await.status, 401);
    assert_eq!(nobody.delete("/devices").await.status, 401);
}

async fn what_a_project_remembers_no_more_is_not_listed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, authenticator) = alice(&app, "shop").await;
    let (_, tokens) = remembered(&app, &shop, &authenticator).await;
    let own = Account::with(&app, &shop, &tokens);
    let desk = app.desk(&shop, "user_manager").await;
    let path = format!("/users/{}/devices", shop.user);
    let made = desk.get(&path).await.ok()["items"][0]["created_at"].clone();
    app.policy(&shop, json!({"remember_device_days": 2})).await;
    let listed = own.get("/devices").await.ok();
    assert_eq!(ids(&listed).len(), 1);
    let days = |at: &Value| at.as_str().unwrap()[8..10].parse::<i64>().unwrap();
    assert_eq!(days(&listed["items"][0]["expires_at"]) - days(&made), 2, "fewer days are fewer");
    app.policy(&shop, json!({"remember_device_days": 0})).await;
    assert_eq!(own.get("/devices").await.ok(), json!({"items": []}));
    assert_eq!(desk.get(&path).await.ok(), json!({"items": []}));
    app.policy(&shop, json!({"remember_device_days": 30})).await;
    assert_eq!(ids(&desk.get(&path).await.ok()).len(), 1);
    // A new password forgets it.
    desk.post(&format!("/users/{}/set-password", shop.user), json!({"password": PASSWORD})).await.ok();
    assert_eq!(desk.get(&path).await.ok(), json!({"items": []}));
}

async fn one_is_forgotten_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, authenticator) = alice(&app, "shop").await;
    let (_, tokens) = remembered(&app, &shop, &authenticator).await;
    let node = app.second_node().await;
    let (own, there) = (Account::with(&app, &shop, &tokens), Account::with(&node, &shop, &tokens));
    let path = format!("/devices/{}", ids(&own.get("/devices").await.ok())[0]);
    let answers: [Answer; 4] =
        tokio::join!(own.delete(&path), there.delete(&path), own.delete(&path), there.delete(&path)).into();
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    let late = answers.iter().filter(|answer| answer.status == 404).count();
    assert_eq!((done, late), (1, 3));
    let told = "SELECT count(*) AS n FROM audit_log WHERE action = 'device.forgotten'";
    assert_eq!(number(&app.app.db, told).await, 1);
}

/// A backup knows the browser that was forgotten since, because it was stolen.
async fn a_restored_store_remembers_none(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, authenticator) = alice(&app, "shop").await;
    let (other, hers) = alice(&app, "other").await;
    let (device, _) = remembered(&app, &shop, &authenticator).await;
    let (elsewhere, _) = remembered(&app, &other, &hers).await;
    assert!(!is_asked(&app, &shop, &device).await && !is_asked(&app, &other, &elsewhere).await);
    app.app.clock.advance(60);
    tessera::ledger::replay::restored(&app.app, &[]).await.unwrap();
    assert!(is_asked(&app, &shop, &device).await && is_asked(&app, &other, &elsewhere).await);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM remembered_devices").await, 0);
}

async fn the_page_forgets_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, authenticator) = alice(&app, "shop").await;
    let (first, _) = remembered(&app, &shop, &authenticator).await;
    let (second, _) = remembered(&app, &shop, &authenticator).await;
    app.app.clock.advance(30);
    let done = app.signed_in_with(&shop, "&acr_values=2", &authenticator).await;
    let visit = Visit { app: &app, shop: &shop, cookie: cookie_of(&done) };
    let listed = visit.open("/factors").await.text;
    assert_eq!(listed.matches(r#"name="forget""#).count(), 2);
    let id = between(&listed, r#"name="forget" value=""#, "\"").to_owned();
    let seen = visit.follow(visit.submit("/factors", &[("forget", &id)]).await).await;
    let notice = "That browser will be asked for the second step again.";
    assert_eq!(between(&seen.text, r#"role="status">"#, "</p>"), notice);
    assert!(seen.text.matches(r#"name="forget""#).count() == 1 && !seen.text.contains(&id));
    assert!(is_asked(&app, &shop, &first).await && !is_asked(&app, &shop, &second).await);
    // It is gone: what is there is shown.
    let seen = crate::support::Seen::of(visit.submit("/factors", &[("forget", &id)]).await).await;
    assert!(seen.status == 200 && !seen.text.contains(notice));
}

/// Each is an event of the audit log or a letter, so there is an end to them.
async fn nobody_fills_the_log(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, authenticator) = alice(&app, "shop").await;
    let (_, tokens) = remembered(&app, &shop, &authenticator).await;
    let own = Account::with(&app, &shop, &tokens);
    for _ in 0..60 {
        own.delete("/devices").await.ok();
    }
    let why = "the account was changed too often; try again later";
    for path in [
        "/devices".to_owned(),
        format!("/devices/{NOBODY}"),
        format!("/passkeys/{NOBODY}"),
        format!("/factors/{NOBODY}"),
    ] {
        own.delete(&path).await.refused(503, "temporarily_unavailable", why);
    }
    let told = "SELECT count(*) AS n FROM audit_log WHERE action = 'device.forgotten'";
    assert_eq!(number(&app.app.db, told).await, 1);
}
