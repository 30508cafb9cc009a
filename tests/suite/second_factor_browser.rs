//! Second factors in a real browser.

use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use thirtyfour::prelude::*;

use crate::support::browser::{application, arrived, complaints, find, in_browser};
use crate::support::hands::{codes, press, reads, sign_in, tick, type_in};
use crate::support::oauth::claims_of;
use crate::support::{Authenticator, Engine, PASSWORD, Seen, Shop, TestApp, both_engines, parameter};

both_engines!(made_shown_lost_and_remembered, two_browsers_at_once);

fn settings(redirect_uri: &str) -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![redirect_uri.into()],
        require_pkce: false,
        ..ClientSettings::default()
    }
}

/// Types the password on the form that is shown.
async fn type_password(browser: &WebDriver) {
    sign_in(browser, "alice", PASSWORD).await;
}

async fn type_code(browser: &WebDriver, code: &str) {
    type_in(browser, "#code", code).await;
    press(browser, "button.primary").await;
}

/// What the ID token says that the browser has brought to the application.
async fn said(app: &TestApp, shop: &Shop, browser: &WebDriver, redirect_uri: &str) -> Value {
    let url = arrived(browser, &format!("{redirect_uri}?")).await;
    let code = parameter(&url, "code").unwrap_or_else(|| panic!("{url}"));
    let body = json!({"code": code, "redirect_uri": redirect_uri});
    let tokens = app.call(shop, "GetTokenFromCode", body).await.ok();
    let claims = claims_of(tokens["id_token"].as_str().unwrap());
    json!([claims["amr"], claims["acr"]])
}

/// From the picture to the codes: the app and the codes.
async fn enrol(app: &TestApp, browser: &WebDriver) -> (Authenticator, Vec<String>) {
    let picture = find(browser, ".qr svg").await.rect().await.unwrap();
    assert!(picture.width > 100.0 && picture.height > 100.0);
    let authenticator =
        Authenticator::of(&find(browser, "#key").await.prop("textContent").await.unwrap().unwrap());
    type_code(browser, "000000").await;
    find(browser, "[role=alert]").await;
    type_code(browser, &authenticator.code(app)).await;
    let codes = codes(browser).await;
    press(browser, "button.primary").await;
    (authenticator, codes)
}

async fn made_shown_lost_and_remembered(engine: Engine) {
    let app = TestApp::new(engine).await;
    let callback = application().await;
    let shop = app.shop_with("acme", "confidential", settings(&callback)).await;
    let link = app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id));
    let (one, two) = (json!([["pwd"], "1"]), json!([["pwd", "otp", "mfa"], "2"]));
    in_browser(async |browser| {
        // A password alone, then the project asks everybody for more.
        browser.goto(&link).await.unwrap();
        type_password(browser).await;
        assert_eq!(said(&app, &shop, browser, &callback).await, one);
        app.policy(&shop, json!({"second_factor": "required", "remember_device_days": 30})).await;
        browser.goto(&link).await.unwrap();
        let (authenticator, codes) = enrol(&app, browser).await;
        assert_eq!(codes.len(), 10);
        assert_eq!(said(&app, &shop, browser, &callback).await, two);
        // Signed in, with what was shown.
        browser.goto(&link).await.unwrap();
        assert_eq!(said(&app, &shop, browser, &callback).await, two);

        // The session is over; the app shows another code by now.
        app.app.clock.advance(3600);
        browser.goto(&link).await.unwrap();
        type_password(browser).await;
        find(browser, "#code").await;
        // Back and forth, and straight to the application: nobody is signed in.
        browser.goto(format!("{link}&prompt=select_account")).await.unwrap();
        find(browser, "#password").await;
        browser.goto(&link).await.unwrap();
        type_password(browser).await;
        tick(browser, "#remember").await;
        type_code(browser, &authenticator.code(&app)).await;
        assert_eq!(said(&app, &shop, browser, &callback).await, two);

        // This browser is remembered, and tokens say that nothing more was shown.
        app.app.clock.advance(3600);
        browser.goto(&link).await.unwrap();
        type_password(browser).await;
        assert_eq!(said(&app, &shop, browser, &callback).await, one);
        // The application asks for more: only what is missing.
        browser.goto(format!("{link}&acr_values=2")).await.unwrap();
        find(browser, "#code").await;
        assert!(browser.find_all(By::Css("#password")).await.unwrap().is_empty());
        press(browser, "a[href*=recovery_code]").await;
        find(browser, "input[value=recovery_code]").await;
        type_code(browser, &codes[0].to_uppercase()).await;
        assert_eq!(said(&app, &shop, browser, &callback).await, two);
        // It was good once.
        app.app.clock.advance(3600);
        browser.goto(format!("{link}&acr_values=2")).await.unwrap();
        type_password(browser).await;
        press(browser, "a[href*=recovery_code]").await;
        find(browser, "input[value=recovery_code]").await;
        type_code(browser, &codes[0]).await;
        reads(browser, "[role=alert]", "That code is not right, or was used before.").await;
        let complaints = complaints(browser).await;
        assert!(complaints.iter().all(|entry| entry.contains("status of 400")), "{complaints:?}");
    })
    .await;
}

/// Each browser is asked by itself, and what one of them does is nothing to the other.
async fn two_browsers_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let callback = application().await;
    let shop = app.shop_with("acme", "confidential", settings(&callback)).await;
    let link = app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id));
    app.policy(&shop, json!({"second_factor": "required"})).await;
    in_browser(async |browser| {
        browser.goto(&link).await.unwrap();
        type_password(browser).await;
        let (authenticator, _) = enrol(&app, browser).await;
        said(&app, &shop, browser, &callback).await;
        app.app.clock.advance(3600);
        // The other browser types the password first, and this one shows the code first.
        let other = {
            let page = app.http.get(&link).send().await.unwrap();
            let cookie = crate::support::cookie_of(&page);
            let sealed = crate::support::sealed_of(&page.text().await.unwrap());
            app.asked_for_more(&app.submit(&shop, &cookie, &sealed, PASSWORD).await).await
        };
        browser.goto(&link).await.unwrap();
        type_password(browser).await;
        let code = authenticator.code(&app);
        type_code(browser, &code).await;
        assert_eq!(said(&app, &shop, browser, &callback).await[1], "2");
        let replayed = Seen::of(app.show(&shop, &other, "totp", &code).await).await;
        replayed.asks_again(400, "That code is not right, or was used before.");
        app.app.clock.advance(30);
        let answer = app.show(&shop, &other, "totp", &authenticator.code(&app)).await;
        assert_eq!(answer.status(), 303);
        // Both are signed in.
        browser.goto(&link).await.unwrap();
        assert_eq!(said(&app, &shop, browser, &callback).await[1], "2");
    })
    .await;
}
