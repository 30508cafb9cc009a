//! Letters followed, codes typed and sessions ended by hand, to their ends, in a real browser; and in two of them.

use serde_json::json;
use tessera::model::client::ClientSettings;
use thirtyfour::prelude::*;

use crate::second_factor_mail::mailed;
use crate::support::browser::{application, arrived, complaints, find, in_browser, in_two_browsers};
use crate::support::hands::{codes, mentions, press, reads, sign_in, type_in};
use crate::support::oauth::claims_of;
use crate::support::{Engine, PASSWORD, TestApp, both_engines, link_of, parameter};

both_engines!(a_mailed_code_is_typed, the_address_moves, new_codes_are_made, one_browser_ends_the_other);

/// Opens a page of the account, and signs alice in there.
async fn open(browser: &WebDriver, account: &str) {
    browser.goto(account).await.unwrap();
    sign_in(browser, "alice", PASSWORD).await;
}

async fn type_code(browser: &WebDriver, code: &str) {
    type_in(browser, "#code", code).await;
    press(browser, "button.primary").await;
}

async fn a_mailed_code_is_typed(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let callback = application().await;
    let settings = ClientSettings {
        redirect_uris: vec![callback.clone()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    app.verify_alice(&shop).await;
    app.policy(&shop, json!({"second_factor": "required", "factors": ["totp", "email_code"]})).await;
    in_browser(async |browser| {
        open(browser, &app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id))).await;
        reads(browser, "h1", "One more step").await;
        press(browser, "button[name=send]").await;
        find(browser, "#code").await;
        let first = mailed(&app, &mailbox).await;
        // Another one is asked for, and takes the place of the first.
        press(browser, "button[name=send]").await;
        find(browser, "#code").await;
        let second = mailed(&app, &mailbox).await;
        if first != second {
            type_code(browser, &first).await;
            reads(browser, "[role=alert]", "That code is not right, or was used before.").await;
        }
        type_code(browser, &second).await;
        let url = arrived(browser, &format!("{callback}?")).await;
        let body = json!({"code": parameter(&url, "code").unwrap(), "redirect_uri": callback});
        let tokens = app.call(&shop, "GetTokenFromCode", body).await.ok();
        let claims = claims_of(tokens["id_token"].as_str().unwrap());
        assert_eq!((&claims["amr"], &claims["acr"]), (&json!(["pwd", "otp", "mfa"]), &json!("2")));
    })
    .await;
}

async fn the_address_moves(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("acme", "confidential").await;
    app.verify_alice(&shop).await;
    let page = app.project_url(&shop, "/account/email");
    in_browser(async |browser| {
        open(browser, &page).await;
        reads(browser, ".facts dd", "alice@example.com verified").await;
        type_in(browser, "#email", "new@example.com").await;
        press(browser, "button[value=change]").await;
        mentions(browser, "[role=status]", "A letter is on its way to the new address.").await;
        reads(browser, ".facts dd", "alice@example.com verified").await;

        // The present address is told of it, for whoever did not ask.
        let mut letters = mailbox.take(&app).await;
        letters.sort_by(|a, b| a.to.cmp(&b.to));
        assert_eq!([&*letters[0].to, &*letters[1].to], ["alice@example.com", "new@example.com"]);
        browser.goto(link_of(&app, &letters[1])).await.unwrap();
        mentions(browser, ".lead", "new@example.com will take the place").await;
        press(browser, "main button.primary").await;
        reads(browser, "h1", "Thank you").await;
        mentions(browser, ".message", "Your account now has this mail address.").await;
        // So is it told of the end.
        let told = mailbox.one(&app, "alice@example.com").await;
        assert!(told.text.contains("has been changed"), "{}", told.text);

        browser.goto(&page).await.unwrap();
        reads(browser, ".facts dd", "new@example.com verified").await;
        assert_eq!(complaints(browser).await, [""; 0]);
    })
    .await;
}

async fn new_codes_are_made(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("acme", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let page = app.project_url(&shop, "/account/factors");
    in_browser(async |browser| {
        open(browser, &page).await;
        type_code(browser, &enrolled.authenticator.code(&app)).await;
        mentions(browser, "main", "Recovery codes that you have not used: 10").await;
        press(browser, "button[name=codes]").await;
        let made = codes(browser).await;
        assert_eq!(made.len(), 10);
        assert!(made.iter().all(|code| !enrolled.codes.contains(code)), "{made:?}");
        press(browser, "main a.primary").await;
        mentions(browser, "main", "Recovery codes that you have not used: 10").await;

        // The app is lost: the former codes let nobody in, and the new ones do.
        browser.delete_all_cookies().await.unwrap();
        open(browser, &page).await;
        press(browser, "a[href*=recovery_code]").await;
        find(browser, "input[value=recovery_code]").await;
        type_code(browser, &enrolled.codes[0]).await;
        reads(browser, "[role=alert]", "That code is not right, or was used before.").await;
        type_code(browser, &made[0]).await;
        arrived(browser, &page).await;
        mentions(browser, "main", "Recovery codes that you have not used: 9").await;
    })
    .await;
}

/// The same person in two browsers, which share nothing but the server.
async fn one_browser_ends_the_other(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("acme", "confidential").await;
    let sessions = app.project_url(&shop, "/account/sessions");
    const OTHERS: &str = ".row:not(:has(.badge)) button[name=end]";
    const PROFILE: &str = "nav a[href$='/account/profile']";
    in_two_browsers(async |here, there| {
        for browser in [here, there] {
            open(browser, &sessions).await;
            reads(browser, ".badge", "this browser").await;
        }
        browsers_list(here, &sessions, 2).await;
        press(here, OTHERS).await;
        reads(here, "[role=status]", "The session has ended.").await;
        browsers_list(here, &sessions, 1).await;

        // There the page is still open; its next click leads to the sign-in, and this one goes on.
        reads(there, ".badge", "this browser").await;
        press(there, PROFILE).await;
        reads(there, "h1", "Sign in").await;
        press(here, PROFILE).await;
        find(here, "[name='claim.name']").await;
        sign_in(there, "alice", PASSWORD).await;
        find(there, "[name='claim.name']").await;
        browsers_list(here, &sessions, 2).await;
    })
    .await;
}

/// Opens the list anew, which has so many.
async fn browsers_list(browser: &WebDriver, sessions: &str, count: usize) {
    browser.goto(sessions).await.unwrap();
    find(browser, "button[value=everywhere]").await;
    assert_eq!(browser.find_all(By::Css(".rows .row")).await.unwrap().len(), count);
}
