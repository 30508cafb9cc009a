//! One's own second factors: added, removed and replaced, on the account page and by an application.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Account, Answer, Authenticator, Engine, Held, Seen, TestApp, Visit, Way, between, both_engines, number,
    sealed_of,
};

both_engines!(
    an_application_adds_and_removes_an_app,
    the_page_adds_and_removes_an_app,
    an_app_gets_another_name,
    the_page_names_an_app,
    somebody_elses_are_not_there,
    a_password_alone_is_less_than_the_best,
    a_sign_out_in_the_same_moment
);

fn names(codes: &Value) -> Vec<String> {
    codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

async fn add(alice: &Account<'_>) -> (Authenticator, Value) {
    let begun = alice.post("/factors/app", json!({})).await.ok();
    let app = Authenticator::of(begun["key"].as_str().unwrap());
    let body = json!({"enrolment": begun["enrolment"], "code": app.code(alice.app), "name": "Phone"});
    let added = alice.post("/factors/app/confirm", body).await.created();
    (app, added)
}

async fn an_application_adds_and_removes_an_app(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.desk(&shop, "owner").await.count_no_factor().await;
    let alice = Account::new(&app, &shop).await;
    assert_eq!(alice.get("/factors").await.ok(), json!({"items": [], "recovery_codes_left": 0}));
    let why = "recovery codes stand in for a second factor, and there is none";
    alice.post("/recovery-codes", json!({})).await.refused(409, "conflict", why);

    let begun = alice.post("/factors/app", json!({})).await.ok();
    let wrong = |code: &str| json!({"enrolment": begun["enrolment"], "code": code, "name": "Phone"});
    let why = "the code is not right, or the enrolment is too old";
    for code in ["000000", "", "abc"] {
        alice.post("/factors/app/confirm", wrong(code)).await.refused_for(
            403,
            "confirmation_failed",
            "code",
            why,
        );
    }
    let shown = Authenticator::of(begun["key"].as_str().unwrap()).code(&app);
    let nameless = json!({"enrolment": begun["enrolment"], "code": shown, "name": ""});
    assert_eq!(alice.post("/factors/app/confirm", nameless).await.body["field"], "name");
    assert_eq!(alice.get("/factors").await.ok()["items"], json!([]), "nothing is stored yet");

    let (_, added) = add(&alice).await;
    assert_eq!((&added["factor"]["kind"], &added["factor"]["name"]), (&json!("totp"), &json!("Phone")));
    let codes = names(&added["recovery_codes"]);
    assert_eq!(codes.len(), 10);
    let listed = alice.get("/factors").await;
    assert!(codes.iter().all(|code| !listed.body.to_string().contains(code)), "they are shown once");
    assert_eq!(listed.ok()["recovery_codes_left"], 10);
    // Another app makes no other codes, and new ones void the former.
    assert_eq!(add(&alice).await.1["recovery_codes"], Value::Null);
    let fresh = names(&alice.post("/recovery-codes", json!({})).await.created()["recovery_codes"]);
    assert!(fresh.len() == 10 && fresh.iter().all(|code| !codes.contains(code)));

    let items = alice.get("/factors").await.ok()["items"].as_array().unwrap().clone();
    for item in &items {
        alice.delete(&format!("/factors/{}", item["id"].as_str().unwrap())).await.ok();
    }
    assert_eq!(alice.get("/factors").await.ok(), json!({"items": [], "recovery_codes_left": 0}));
    let again = format!("/factors/{}", items[0]["id"].as_str().unwrap());
    alice.delete(&again).await.refused(404, "not_found", "no such factor");
    let events = app.desk(&shop, "auditor").await.get("/audit?action=factor.added").await.ok();
    assert_eq!(
        (events["items"].as_array().unwrap().len(), &events["items"][0]["actor_kind"]),
        (2, &json!("user"))
    );
    // All but reading asks for a fresh sign-in.
    app.app.clock.advance(300);
    alice.get("/factors").await.ok();
    for (method, path) in [
        (Method::POST, "/factors/app"),
        (Method::POST, "/factors/app/confirm"),
        (Method::POST, "/recovery-codes"),
        (Method::PATCH, "/factors/00000000-0000-7000-8000-000000000000"),
        (Method::DELETE, "/factors/00000000-0000-7000-8000-000000000000"),
    ] {
        let refused = Answer::of(alice.send(method, path, Some(json!({}))).await).await;
        assert_eq!(refused.body["error"], "insufficient_user_authentication", "{path}");
    }
}

async fn the_page_adds_and_removes_an_app(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let visit = Visit::new(&app, &shop).await;
    assert!(visit.open("/factors").await.text.contains("Nothing is set up yet."));
    let page = visit.open("/factors/app").await.text;
    let key = between(&page, r#"<code dir="ltr">"#, "</code>").to_owned();
    let enrolment = between(&page, r#"name="enrolment" value=""#, "\"").to_owned();
    assert!(page.contains("<svg") && page.contains("otpauth://totp/shop:alice"));
    let wrong = [("enrolment", enrolment.as_str()), ("code", "000000"), ("name", "Phone")];
    let seen = Seen::of(visit.post("/factors/app", &sealed_of(&page), &wrong).await).await;
    assert_eq!(
        (seen.status, seen.alert()),
        (400, "The code is not right. Please enter the one that the app shows now.")
    );
    assert!(seen.text.contains(&key), "the same key is shown again");

    let code = Authenticator::of(&key).code(&app);
    let right = [("enrolment", enrolment.as_str()), ("code", code.as_str()), ("name", "Phone <b>")];
    let codes = Seen::of(visit.post("/factors/app", &sealed_of(&seen.text), &right).await).await;
    assert_eq!((codes.status, codes.text.matches("<li>").count() >= 10), (200, true));
    // It is asked for from now on.
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let asked = app.submit(&shop, &cookie, &sealed, crate::support::PASSWORD).await;
    assert!(asked.headers()["location"].to_str().unwrap().ends_with("/second-factor"));

    // And for whatever could cost somebody the account; a password alone is asked to sign in again.
    assert!(visit.open("/factors").await.text.contains("name=\"password\""));
    app.desk(&shop, "owner").await.count_no_factor().await;
    let listed = visit.open("/factors").await.text;
    assert!(listed.contains("Phone &#60;b&#62;") && listed.contains("have not used: 10"));
    let codes = Seen::of(visit.submit("/factors", &[("codes", "new")]).await).await;
    assert!(codes.text.contains("they are not shown again"));
    let id = between(&listed, r#"name="remove" value=""#, "\"").to_owned();
    let removed = visit.follow(visit.submit("/factors", &[("remove", &id)]).await).await;
    assert!(removed.text.contains("It is removed") && removed.text.contains("Nothing is set up yet."));
    for nonsense in [("remove", "x"), ("forget", "x"), ("codes", "old"), ("other", "1")] {
        assert_eq!(visit.submit("/factors", &[nonsense]).await.status(), 400, "{nonsense:?}");
    }
    let none = Seen::of(visit.submit("/factors", &[("codes", "new")]).await).await;
    assert_eq!(none.status, 409);
}

async fn an_app_gets_another_name(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.desk(&shop, "owner").await.count_no_factor().await;
    let alice = Account::new(&app, &shop).await;
    let (authenticator, added) = add(&alice).await;
    let path = format!("/factors/{}", added["factor"]["id"].as_str().unwrap());
    let mut expected = added["factor"].clone();
    expected["name"] = json!("Old phone");
    assert_eq!(alice.patch(&path, json!({"name": "Old phone"})).await.ok(), expected);
    assert_eq!(alice.get("/factors").await.ok()["items"], json!([expected]));
    // It is the same app: its codes count, and no other codes were made.
    assert_eq!(alice.get("/factors").await.ok()["recovery_codes_left"], 10);
    app.policy(&shop, json!({"second_factor": null})).await;
    app.app.clock.advance(30);
    app.signed_in_with(&shop, "", &authenticator).await;
    app.desk(&shop, "owner").await.count_no_factor().await;
    // What is wrong changes nothing.
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(129)}), "name"),
        (json!({"name": "a\u{7}b"}), "name"),
        (json!({}), "name"),
        (json!({"name": "x", "kind": "passkey"}), "kind"),
    ] {
        let refused = alice.patch(&path, body.clone()).await;
        assert_eq!(
            (refused.status, &refused.body["field"]),
            (400, &json!(field)),
            "{body}: {}",
            refused.body
        );
    }
    assert_eq!(alice.get("/factors").await.ok()["items"][0]["name"], "Old phone");
    // A passkey is a factor as well.
    app.new_passkey(&shop, &alice.token, &Way::default()).await;
    let items = alice.get("/factors").await.ok()["items"].clone();
    let passkey = items.as_array().unwrap().iter().find(|item| item["kind"] == "passkey").unwrap();
    let renamed = format!("/factors/{}", passkey["id"].as_str().unwrap());
    assert_eq!(alice.patch(&renamed, json!({"name": "Key"})).await.ok()["kind"], "passkey");
    assert_eq!(alice.get("/passkeys").await.ok()["items"][0]["name"], "Key");
    // What is gone has no name.
    alice.delete(&path).await.ok();
    alice.patch(&path, json!({"name": "x"})).await.refused(404, "not_found", "no such factor");
}

async fn the_page_names_an_app(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.desk(&shop, "owner").await.count_no_factor().await;
    let alice = Account::new(&app, &shop).await;
    let id = add(&alice).await.1["factor"]["id"].as_str().unwrap().to_owned();
    let visit = Visit::new(&app, &shop).await;
    let path = format!("/factors/app/{id}");
    let listed = visit.open("/factors").await.text;
    assert!(listed.contains(&format!(r#"href="/projects/shop/account{path}" aria-label="Rename: Phone""#)));
    let page = visit.open(&path).await;
    assert!(page.text.contains("<h2>Rename the app</h2>") && page.text.contains(r#"value="Phone""#));
    let seen = visit.follow(visit.submit(&path, &[("name", " Old <b> ")]).await).await;
    assert!(
        seen.text.contains("The app has its new name.") && seen.text.contains("<bdi>Old &#60;b&#62;</bdi>")
    );
    let long = "x".repeat(129);
    for bad in ["", " ", &long] {
        let seen = Seen::of(visit.submit(&path, &[("name", bad)]).await).await;
        assert_eq!((seen.status, seen.alert()), (400, "A name has 1 to 128 characters."), "{bad}");
    }
    assert_eq!(alice.get("/factors").await.ok()["items"][0]["name"], "Old <b>");
    for nonsense in ["x", "00000000-0000-7000-8000-000000000000"] {
        let shown = visit.open(&format!("/factors/app/{nonsense}")).await;
        assert!(shown.text.contains("Old &#60;b&#62;") && !shown.text.contains("<h2>Rename"));
    }
    // A form that was open when the app went.
    let open = visit.open(&path).await.text;
    alice.delete(&format!("/factors/{id}")).await.ok();
    let late = Seen::of(visit.post(&path, &sealed_of(&open), &[("name", "x")]).await).await;
    assert!(late.status == 200 && late.text.contains("Nothing is set up yet."));
    app.app.clock.advance(300);
    assert!(visit.open(&path).await.text.contains("name=\"password\""), "a fresh sign-in is asked for");
}

/// Whoever has a second factor shows it before another is made, or one goes; a stolen password alone does neither.
async fn a_password_alone_is_less_than_the_best(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let alice = Account::new(&app, &shop).await;
    let id = add(&alice).await.1["factor"]["id"].as_str().unwrap().to_owned();
    for (method, path) in [
        (Method::POST, "/factors/app"),
        (Method::POST, "/recovery-codes"),
        (Method::PATCH, &*format!("/factors/{id}")),
        (Method::DELETE, &*format!("/factors/{id}")),
    ] {
        let refused = Answer::of(alice.send(method, path, Some(json!({}))).await).await;
        assert_eq!(
            (refused.status, &refused.body["error"]),
            (401, &json!("insufficient_user_authentication")),
            "{path}"
        );
    }
    assert_eq!(alice.get("/factors").await.ok()["items"].as_array().unwrap().len(), 1);
}

async fn somebody_elses_are_not_there(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (ours, theirs) = (app.shop("ours", "confidential").await, app.shop("theirs", "confidential").await);
    for shop in [&ours, &theirs] {
        app.desk(shop, "owner").await.count_no_factor().await;
    }
    let (alice, other) = (Account::new(&app, &ours).await, Account::new(&app, &theirs).await);
    let desk = app.desk(&ours, "user_manager").await;
    desk.post("/users", json!({"username": "bo", "password": crate::support::PASSWORD})).await.created();
    let bo = Account::with(&app, &ours, &app.sign_in_as(&ours, "bo").await);
    let id = add(&bo).await.1["factor"]["id"].as_str().unwrap().to_owned();
    for account in [&alice, &other] {
        assert_eq!(account.get("/factors").await.ok()["items"], json!([]));
        account.delete(&format!("/factors/{id}")).await.refused(404, "not_found", "no such factor");
        let name = json!({"name": "Mine"});
        account.patch(&format!("/factors/{id}"), name).await.refused(404, "not_found", "no such factor");
    }
    let visit = Visit::new(&app, &ours).await;
    let page = visit.open(&format!("/factors/app/{id}")).await;
    assert!(page.text.contains("Nothing is set up yet.") && !page.text.contains("Phone"));
    let path = format!("/factors/app/{id}");
    let named = visit.post(&path, &sealed_of(&page.text), &[("name", "Mine")]).await;
    assert_eq!(named.status(), 400, "the form of another page");
    assert_eq!(Seen::of(visit.submit("/factors", &[("remove", &id)]).await).await.status, 200);
    assert_eq!(bo.get("/factors").await.ok()["items"][0]["name"], "Phone");
    // An enrolment is one person's.
    let begun = bo.post("/factors/app", json!({})).await.ok();
    let code = Authenticator::of(begun["key"].as_str().unwrap()).code(&app);
    let body = json!({"enrolment": begun["enrolment"], "code": code, "name": "Phone"});
    for account in [&alice, &other] {
        assert_eq!(account.post("/factors/app/confirm", body.clone()).await.status, 403);
    }
}

async fn a_sign_out_in_the_same_moment(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.desk(&shop, "owner").await.count_no_factor().await;
    let alice = Account::new(&app, &shop).await;
    let id = add(&alice).await.1["factor"]["id"].as_str().unwrap().to_owned();
    let (project, user, now) = (shop.project, shop.user, app.app.clock.now());
    let held = Held::new(&app, move |conn| async move {
        tessera::store::users::raise_epochs(&conn, project, now, user, false).await.map(drop)
    });
    let held = held.await;
    let path = format!("/factors/{id}");
    let (answer, ()) = tokio::join!(alice.delete(&path), held.commit_when_awaited(&app, 2));
    assert_eq!((answer.status, &answer.body["reason"]), (401, &json!("signed_out")));
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM totp_factors").await, 1);
}
