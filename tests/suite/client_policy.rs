//! What a client tightens of its project's policy beside asking for a second factor: which kinds it takes, and for how many days
//! it believes a remembered browser.

use reqwest::Response;
use serde_json::{Value, json};
use tessera::model::client::{ClientSettings, GrantType};
use tessera::model::sign_in_policy::{FactorKind, SecondFactor};

use crate::support::oauth::claims_of;
use crate::support::{
    Authenticator, Engine, Mailbox, Middle, PASSWORD, REDIRECT, Seen, Shop, TestApp, both_engines, code_of,
    cookie_of, location_of, parameter,
};

both_engines!(
    settings_have_bounds,
    what_weakens_is_in_the_audit_log,
    a_client_that_takes_no_mailed_codes,
    a_client_that_takes_what_nobody_has,
    a_client_that_takes_less_asks_for_no_less,
    a_client_exchanges_no_token_of_a_code_that_it_does_not_take,
    a_client_that_believes_no_browser,
    a_client_that_believes_browsers_for_a_week,
);

const DAY: i64 = 86_400;

fn settings() -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        second_factor: Some(SecondFactor::Required),
        ..ClientSettings::default()
    }
}

async fn settings_have_bounds(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.policy(&shop, json!({"factors": ["totp", "email_code"], "remember_device_days": 7})).await;
    let desk = app.desk(&shop, "admin").await;
    let path = format!("/clients/{}", shop.id);
    let before = desk.get(&path).await.ok();
    assert_eq!((&before["factors"], &before["remember_device_days"]), (&Value::Null, &Value::Null));
    let kinds = "factors names kinds that count in the project (settings.sign_in.factors)";
    let some = "factors names one kind at least, and each once";
    let days = "remember_device_days is at most the project's (settings.sign_in.remember_device_days)";
    for (body, field, why) in [
        (json!({"factors": ["passkey"]}), "factors", kinds),
        (json!({"factors": ["totp", "passkey"]}), "factors", kinds),
        (json!({"factors": []}), "factors", some),
        (json!({"factors": ["totp", "totp"]}), "factors", some),
        (json!({"remember_device_days": 8}), "remember_device_days", days),
        (
            json!({"remember_device_days": -1}),
            "remember_device_days",
            "remember_device_days must lie between 0 and 90",
        ),
        (
            json!({"remember_device_days": 91}),
            "remember_device_days",
            "remember_device_days must lie between 0 and 90",
        ),
    ] {
        desk.patch(&path, body.clone()).await.refused_for(400, "invalid_request", field, why);
        let mut new = body;
        new["client_name"] = json!("New");
        new["type"] = json!("confidential");
        desk.post("/clients", new).await.refused_for(400, "invalid_request", field, why);
    }
    for body in
        [json!({"factors": ["sms"]}), json!({"factors": "totp"}), json!({"remember_device_days": "x"})]
    {
        let refused = desk.patch(&path, body.clone()).await;
        assert_eq!((refused.status, &refused.body["error"]), (400, &json!("invalid_request")), "{body}");
    }
    assert_eq!(desk.get(&path).await.ok()["version"], before["version"]);
    let narrow = json!({"factors": ["totp"], "remember_device_days": 7});
    let narrowed = desk.patch(&path, narrow).await.ok();
    assert_eq!((&narrowed["factors"], &narrowed["remember_device_days"]), (&json!(["totp"]), &json!(7)));
    // What the project narrows later is no reason to refuse another change.
    app.policy(&shop, json!({"factors": ["email_code"], "remember_device_days": 0})).await;
    desk.patch(&path, json!({"client_name": "Renamed"})).await.ok();
    let why = desk.patch(&path, json!({"factors": ["totp", "email_code"]})).await;
    why.refused_for(400, "invalid_request", "factors", kinds);
    desk.patch(&path, json!({"factors": null, "remember_device_days": null})).await.ok();
}

async fn what_weakens_is_in_the_audit_log(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.policy(&shop, json!({"remember_device_days": 30})).await;
    let (desk, auditor) = (app.desk(&shop, "admin").await, app.desk(&shop, "auditor").await);
    let path = format!("/clients/{}", shop.id);
    for (body, weakened) in [
        (json!({"factors": ["totp"], "remember_device_days": 1}), Value::Null),
        (json!({"factors": ["passkey"]}), json!(["factors"])),
        (json!({"remember_device_days": 0}), Value::Null),
        (json!({"factors": null, "remember_device_days": 30}), json!(["factors", "remember_device_days"])),
        (json!({"remember_device_days": null}), Value::Null),
    ] {
        desk.patch(&path, body.clone()).await.ok();
        let log = auditor.get("/audit?action=client.changed&limit=1").await.ok();
        assert_eq!(log["items"][0]["detail"]["weakened"], weakened, "{body}");
    }
}

async fn authorize(app: &TestApp, shop: &Shop, cookie: &str, more: &str) -> Response {
    app.http.get(app.authorize_url(shop, more)).header("cookie", cookie).send().await.unwrap()
}

fn error(answer: &Response) -> Option<String> {
    parameter(&location_of(answer), "error")
}

async fn acr(app: &TestApp, shop: &Shop, answer: &Response) -> Value {
    let tokens = app.exchange(shop, &code_of(answer)).await.ok();
    claims_of(tokens["id_token"].as_str().unwrap())["acr"].clone()
}

/// Alice, with an app and an address for codes.
async fn mailed(app: &TestApp) -> (Shop, Authenticator, Vec<String>) {
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    app.verify_alice(&shop).await;
    app.policy(&shop, json!({"factors": ["totp", "email_code"]})).await;
    (shop, enrolled.authenticator, enrolled.codes)
}

/// Signs in with the password and a code by mail.
async fn by_mail(app: &TestApp, mailbox: &Mailbox, shop: &Shop) -> Response {
    mailbox.take(app).await;
    let middle = app.half_signed_in(shop, "").await;
    let sealed = middle.sealed();
    let form = [("request", sealed.as_str()), ("factor", "email_code"), ("send", "yes")];
    assert_eq!(app.post_page(shop, "/second-factor", &middle.cookie, &form).await.status(), 303);
    let letter = mailbox.one(app, "alice@example.com").await;
    let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit());
    let code = letter.text.lines().find(is_code).unwrap().to_owned();
    app.show(shop, &middle, "email_code", &code).await
}

async fn a_client_that_takes_no_mailed_codes(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, authenticator, codes) = mailed(&app).await;
    let bank = app
        .second_client(&shop, ClientSettings { factors: Some(vec![FactorKind::Totp]), ..settings() })
        .await;
    let done = by_mail(&app, &mailbox, &shop).await;
    let cookie = cookie_of(&done);
    assert_eq!(acr(&app, &shop, &done).await, "2");
    // The session has two factors, and none that the client takes.
    let none = authorize(&app, &bank, &cookie, "&prompt=none").await;
    assert_eq!(error(&none).as_deref(), Some("interaction_required"));
    let asked = authorize(&app, &bank, &cookie, "").await;
    let page = Seen::of(app.follow(&asked, &cookie).await).await;
    assert!(page.text.contains(r#"value="totp""#) && !page.text.contains("email_code"), "{}", page.text);
    let middle = Middle { cookie, page };
    let sealed = middle.sealed();
    let form = [("request", sealed.as_str()), ("factor", "email_code"), ("send", "yes")];
    assert_eq!(app.post_page(&bank, "/second-factor", &middle.cookie, &form).await.status(), 400);
    let done = app.show(&bank, &middle, "totp", &authenticator.code(&app)).await;
    let cookie = cookie_of(&done);
    assert_eq!(acr(&app, &bank, &done).await, "2");
    // It remembers which codes they were.
    for client in [&bank, &shop, &bank] {
        assert_eq!(acr(&app, client, &authorize(&app, client, &cookie, "&prompt=none").await).await, "2");
    }
    // A code for emergencies stands in for what was lost.
    let done = app.half_signed_in(&bank, "").await;
    assert!(!done.page.text.contains("email_code"));
    let done = app.show(&bank, &done, "recovery_code", &codes[0]).await;
    let cookie = cookie_of(&done);
    assert_eq!(acr(&app, &bank, &done).await, "2");
    assert_eq!(acr(&app, &bank, &authorize(&app, &bank, &cookie, "&prompt=none").await).await, "2");
    // A session from before anybody wrote down which codes they were.
    crate::support::run(&app.app.db, "UPDATE browser_sessions SET codes = ''").await;
    let none = authorize(&app, &bank, &cookie, "&prompt=none").await;
    assert_eq!(error(&none).as_deref(), Some("interaction_required"));
}

/// What the project narrows later holds at the client, too.
async fn a_client_that_takes_what_nobody_has(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let factors = Some(vec![FactorKind::Passkey]);
    let bank = app.second_client(&shop, ClientSettings { factors, ..settings() }).await;
    let sign_in = async || {
        let (cookie, sealed) = app.sign_in_page(&bank, "").await;
        app.submit(&bank, &cookie, &sealed, PASSWORD).await
    };
    // Whoever has another one makes none in its place.
    assert_eq!(error(&sign_in().await).as_deref(), Some("unmet_authentication_requirements"));
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let middle = app.asked_for_more(&app.submit(&shop, &cookie, &sealed, PASSWORD).await).await;
    let done = app.show(&shop, &middle, "totp", &enrolled.authenticator.code(&app)).await;
    let asked = authorize(&app, &bank, &cookie_of(&done), "").await;
    assert_eq!(error(&asked).as_deref(), Some("unmet_authentication_requirements"));
    app.policy(&shop, json!({"factors": ["totp"]})).await;
    assert_eq!(error(&sign_in().await).as_deref(), Some("unmet_authentication_requirements"));
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", bank.id), json!({"factors": null})).await.ok();
    app.app.clock.advance(30);
    let done = app.signed_in_with(&bank, "", &enrolled.authenticator).await;
    assert_eq!(acr(&app, &bank, &done).await, "2");
}

/// A project that asks whoever has a factor, and a client that takes another kind.
async fn a_client_that_takes_less_asks_for_no_less(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let factors = Some(vec![FactorKind::Passkey]);
    let desk = app.second_client(&shop, ClientSettings { factors, second_factor: None, ..settings() }).await;
    let done = app.signed_in_with(&desk, "", &enrolled.authenticator).await;
    let cookie = cookie_of(&done);
    assert_eq!(acr(&app, &desk, &done).await, "2");
    assert_eq!(acr(&app, &desk, &authorize(&app, &desk, &cookie, "&prompt=none").await).await, "2");
}

async fn a_client_exchanges_no_token_of_a_code_that_it_does_not_take(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, ..) = mailed(&app).await;
    let grant_types = vec![GrantType::TokenExchange];
    let factors = Some(vec![FactorKind::Totp]);
    let settings = ClientSettings { grant_types, factors, redirect_uris: Vec::new(), ..settings() };
    let api = app.second_client(&shop, settings).await;
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", shop.id), json!({"audience": api.id})).await.ok();
    let done = by_mail(&app, &mailbox, &shop).await;
    let tokens = app.exchange(&shop, &code_of(&done)).await.ok();
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", tokens["access_token"].as_str().unwrap()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let why = "the subject token is not acceptable: its sign-in had no second factor that the client takes";
    app.form(&api, "token", &form).await.refused_for(400, "invalid_request", "subject_token", why);
    desk.patch(&format!("/clients/{}", api.id), json!({"factors": null})).await.ok();
    app.form(&api, "token", &form).await.ok();
}

/// Signs in with both factors, and has the browser remembered: its cookies of the session and of the device.
async fn remembered(app: &TestApp, shop: &Shop, authenticator: &Authenticator) -> (String, String) {
    app.app.clock.advance(30);
    let middle = app.half_signed_in(shop, "").await;
    let (sealed, code) = (middle.sealed(), authenticator.code(app));
    let form = [("request", sealed.as_str()), ("factor", "totp"), ("code", &code), ("remember", "yes")];
    let answer = app.post_page(shop, "/second-factor", &middle.cookie, &form).await;
    let mut lines = answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let device = lines.find(|line| line.contains("-device=")).unwrap().split(';').next().unwrap().to_owned();
    (cookie_of(&answer), device)
}

/// Types the password in a browser with this device.
async fn typed(app: &TestApp, shop: &Shop, device: &str) -> Response {
    let (cookie, sealed) = app.sign_in_page(shop, "").await;
    app.submit(shop, &format!("{cookie}; {device}"), &sealed, PASSWORD).await
}

fn is_asked(answer: &Response) -> bool {
    answer.headers()["location"].to_str().unwrap().ends_with("/second-factor")
}

async fn world(app: &TestApp, settings: ClientSettings) -> (Shop, Shop, Authenticator) {
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    app.policy(&shop, json!({"remember_device_days": 30})).await;
    let bank = app.second_client(&shop, settings).await;
    (shop, bank, enrolled.authenticator)
}

async fn a_client_that_believes_no_browser(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings { remember_device_days: Some(0), second_factor: None, ..settings() };
    let (shop, bank, authenticator) = world(&app, settings).await;
    let (_, device) = remembered(&app, &shop, &authenticator).await;
    let believed = typed(&app, &shop, &device).await;
    assert!(!is_asked(&believed), "the project believes it");
    assert!(is_asked(&typed(&app, &bank, &device).await));
    // A session that began on the word of the browser is worth no more there.
    let cookie = format!("{}; {device}", cookie_of(&believed));
    let none = authorize(&app, &bank, &cookie, "&prompt=none").await;
    assert_eq!(error(&none).as_deref(), Some("interaction_required"));
    // And it remembers none.
    app.app.clock.advance(30);
    let middle = app.half_signed_in(&bank, "").await;
    assert!(!middle.page.text.contains(r#"name="remember""#));
    let (sealed, code) = (middle.sealed(), authenticator.code(&app));
    let form = [("request", sealed.as_str()), ("factor", "totp"), ("code", &code), ("remember", "yes")];
    let answer = app.post_page(&bank, "/second-factor", &middle.cookie, &form).await;
    let lines = answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    assert!(answer.status() == 303 && lines.filter(|line| line.contains("-device=")).count() == 0);
    assert!(app.half_signed_in(&shop, "").await.page.text.contains(r#"name="remember""#));
}

async fn a_client_that_believes_browsers_for_a_week(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings { remember_device_days: Some(7), ..settings() };
    let (shop, bank, authenticator) = world(&app, settings).await;
    let (_, device) = remembered(&app, &shop, &authenticator).await;
    assert!(!is_asked(&typed(&app, &bank, &device).await));
    app.app.clock.advance(7 * DAY);
    assert!(is_asked(&typed(&app, &bank, &device).await), "a week later");
    assert!(!is_asked(&typed(&app, &shop, &device).await));
    // One that was remembered there is remembered for a week.
    let (_, device) = remembered(&app, &bank, &authenticator).await;
    app.app.clock.advance(7 * DAY - 1);
    assert!(!is_asked(&typed(&app, &shop, &device).await));
    app.app.clock.advance(1);
    assert!(is_asked(&typed(&app, &shop, &device).await));
    // The project narrows later.
    let (_, device) = remembered(&app, &bank, &authenticator).await;
    app.policy(&shop, json!({"remember_device_days": 0})).await;
    assert!(is_asked(&typed(&app, &bank, &device).await));
}
