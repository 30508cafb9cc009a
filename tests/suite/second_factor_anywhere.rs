//! Where a project asks nobody for a second factor and one of its clients does: with the password alone nobody takes the
//! factor of somebody else away on the way to that client, nor makes one, nor moves the address.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use tessera::model::sign_in_policy::SecondFactor;

use crate::support::{
    Account, Answer, Authenticator, Engine, Middle, PASSWORD, REDIRECT, Seen, Shop, TestApp, Tokens, Visit,
    both_engines, code_of, cookie_of, number, sealed_of,
};

both_engines!(
    the_pages_ask_for_the_app,
    applications_are_told_to_ask_for_it,
    a_mailed_code_is_asked_for_as_well,
    what_a_client_asks_for_counts_while_it_is_there,
);

/// Alice, with an app, in a project that asks for none; and the client that asks for one.
async fn world(app: &TestApp) -> (Shop, Shop, Authenticator) {
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    app.policy(&shop, json!({"second_factor": "off"})).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        second_factor: Some(SecondFactor::Required),
        ..ClientSettings::default()
    };
    let bank = app.second_client(&shop, settings).await;
    (shop, bank, enrolled.authenticator)
}

fn leads_to(answer: &reqwest::Response, path: &str) -> bool {
    answer.headers()["location"].to_str().unwrap().ends_with(path)
}

async fn app_of(alice: &Account<'_>) -> String {
    alice.get("/factors").await.ok()["items"][0]["id"].as_str().unwrap().to_owned()
}

/// What could cost alice her account.
fn acts(id: &str) -> [(Method, String, Value); 8] {
    [
        (Method::DELETE, format!("/factors/{id}"), json!({})),
        (Method::PATCH, format!("/factors/{id}"), json!({"name": "x"})),
        (Method::POST, "/factors/app".into(), json!({})),
        (Method::POST, "/factors/app/confirm".into(), json!({"enrolment": "x", "code": "1", "name": "x"})),
        (Method::POST, "/recovery-codes".into(), json!({})),
        (Method::POST, "/passkeys/begin".into(), json!({})),
        (Method::POST, "/email".into(), json!({"email": "thief@example.com"})),
        (Method::POST, "/password".into(), json!({"current_password": PASSWORD, "new_password": "x"})),
    ]
}

async fn act(alice: &Account<'_>, (method, path, body): (Method, String, Value)) -> Answer {
    Answer::of(alice.send(method, &path, Some(body)).await).await
}

async fn is_refused(alice: &Account<'_>, id: &str) {
    for (method, path, body) in acts(id) {
        let what = format!("{method} {path}");
        let refused = act(alice, (method, path, body)).await;
        let expected = json!({
            "error": "insufficient_user_authentication",
            "error_description": "a sign-in with a second factor is needed",
            "acr_values": "2",
        });
        assert_eq!((refused.status, refused.body), (401, expected), "{what}");
    }
}

async fn the_pages_ask_for_the_app(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, bank, authenticator) = world(&app).await;
    let visit = Visit::new(&app, &shop).await;
    assert!(visit.open("/sessions").await.text.contains("aria-current"), "whoever is signed in is");
    for path in ["/factors", "/factors/app", "/email", "/password", "/data"] {
        let page = visit.open(path).await;
        assert!(page.text.contains(r#"name="password""#), "{path}");
    }
    // The password is shown once more, and is not enough.
    let page = Seen::of(visit.get("/factors").await).await;
    let asked = app.submit(&shop, &visit.cookie, &sealed_of(&page.text), PASSWORD).await;
    let middle = app.asked_for_more(&asked).await;
    assert!(middle.page.text.contains(r#"value="totp""#), "{}", middle.page.text);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM totp_factors").await, 1);
    // With the app it is, and she takes it away.
    let done = app.show(&shop, &middle, "totp", &authenticator.code(&app)).await;
    assert!(leads_to(&done, "/projects/shop/account/factors"));
    let visit = Visit { cookie: cookie_of(&done), ..visit };
    let listed = visit.open("/factors").await.text;
    let id = crate::support::between(&listed, r#"name="remove" value=""#, "\"").to_owned();
    let removed = visit.follow(visit.submit("/factors", &[("remove", &id)]).await).await;
    assert!(removed.text.contains("It is removed"));
    // The client asks her to make another one.
    let (cookie, sealed) = app.sign_in_page(&bank, "").await;
    let asked = app.submit(&bank, &cookie, &sealed, PASSWORD).await;
    assert!(leads_to(&asked, "/projects/shop/enrol"));
}

async fn applications_are_told_to_ask_for_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, _, authenticator) = world(&app).await;
    let alice = Account::new(&app, &shop).await;
    let id = app_of(&alice).await;
    is_refused(&alice, &id).await;
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM totp_factors").await, 1);
    // As the answer says, and so does a browser that is signed in with the password.
    let (_, cookie) = app.code(&shop, "").await;
    let request = app.http.get(app.authorize_url(&shop, "&acr_values=2")).header("cookie", &cookie);
    let asked = request.send().await.unwrap();
    let page = Seen::of(app.follow(&asked, &cookie).await).await;
    let done = app.show(&shop, &Middle { cookie, page }, "totp", &authenticator.code(&app)).await;
    let tokens = Tokens(app.exchange(&shop, &code_of(&done)).await.ok());
    let stepped_up = Account::with(&app, &shop, &tokens);
    app.app.clock.advance(30);
    let done = app.signed_in_with(&shop, "&acr_values=2", &authenticator).await;
    let tokens = Tokens(app.exchange(&shop, &code_of(&done)).await.ok());
    for account in [&stepped_up, &Account::with(&app, &shop, &tokens)] {
        account.patch(&format!("/factors/{id}"), json!({"name": "Phone"})).await.ok();
    }
    stepped_up.delete(&format!("/factors/{id}")).await.ok();
    // Whoever has none loses none.
    alice.post("/factors/app", json!({})).await.ok();
}

async fn a_mailed_code_is_asked_for_as_well(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    app.policy(&shop, json!({"second_factor": "off", "factors": ["totp", "email_code"]})).await;
    let alice = Account::new(&app, &shop).await;
    alice.post("/factors/app", json!({})).await.ok();
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", shop.id), json!({"second_factor": "optional"})).await.ok();
    for path in ["/factors/app", "/email", "/email/verify"] {
        let refused = alice.post(path, json!({"email": "thief@example.com"})).await;
        assert_eq!((refused.status, &refused.body["acr_values"]), (401, &json!("2")), "{path}");
    }
}

async fn what_a_client_asks_for_counts_while_it_is_there(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, bank, _) = world(&app).await;
    let alice = Account::new(&app, &shop).await;
    let id = app_of(&alice).await;
    let desk = app.desk(&shop, "admin").await;
    let client = format!("/clients/{}", bank.id);
    // It may come back.
    desk.patch(&client, json!({"status": "disabled"})).await.ok();
    is_refused(&alice, &id).await;
    desk.patch(&client, json!({"status": "active"})).await.ok();
    // Another project's asks nobody here.
    let other = app.shop("other", "confidential").await;
    let elsewhere = app.desk(&other, "admin").await;
    elsewhere.patch(&format!("/clients/{}", other.id), json!({"second_factor": "required"})).await.ok();
    desk.patch(&client, json!({"second_factor": null})).await.ok();
    for (method, path, body) in acts(&id).into_iter().rev() {
        let what = format!("{method} {path}");
        let answer = act(&alice, (method, path, body)).await;
        assert_ne!(answer.body["error"], "insufficient_user_authentication", "{what}");
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM totp_factors").await, 0);
    let visit = Visit::new(&app, &shop).await;
    assert!(visit.open("/factors").await.text.contains("Nothing is set up yet."));
}
