//! Forgotten password and sign-up in a real browser, with the letters that `dev` would keep.

use reqwest::Method;
use serde_json::json;
use tessera::model::client::ClientSettings;
use thirtyfour::prelude::*;

use crate::support::browser::{application, arrived, complaints, in_browser};
use crate::support::hands::{press, reads, sign_in, type_in};
use crate::support::{Engine, NEW_PASSWORD, Shop, TestApp, both_engines, link_of, parameter};

both_engines!(somebody_forgets_and_comes_back, somebody_new_comes_in);

async fn shop(app: &TestApp, redirect_uri: &str) -> Shop {
    let settings = ClientSettings {
        redirect_uris: vec![redirect_uri.into()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("acme", "confidential", settings).await;
    app.verify_alice(&shop).await;
    let key = app.key(Some(shop.project), "admin").await;
    let body = json!({"settings": {"sign_in": {"sign_up": "open"}}});
    assert_eq!(app.admin(&key, Method::PATCH, "/projects/acme", body).await.status, 200);
    shop
}

/// Waits for a page with this heading.
async fn heading(browser: &WebDriver, expected: &str) {
    reads(browser, "h1", expected).await;
}

fn link(app: &TestApp, shop: &Shop, redirect_uri: &str) -> String {
    format!(
        "{}?response_type=code&client_id={}&redirect_uri={redirect_uri}&state=s1&scope=openid",
        app.project_url(shop, "/oauth2/authorize"),
        shop.id
    )
}

async fn somebody_forgets_and_comes_back(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let callback = application().await;
    let shop = shop(&app, &callback).await;
    in_browser(async |browser| {
        browser.goto(link(&app, &shop, &callback)).await.unwrap();
        press(browser, r#"a[href*="forgotten-password"]"#).await;
        heading(browser, "Forgotten your password?").await;
        type_in(browser, "#who", "alice").await;
        press(browser, "button.primary").await;
        heading(browser, "Look into your mail").await;
        let letter = mailbox.one(&app, "alice@example.com").await;
        browser.goto(link_of(&app, &letter)).await.unwrap();
        heading(browser, "Choose a new password").await;
        type_in(browser, "#password", NEW_PASSWORD).await;
        type_in(browser, "#again", NEW_PASSWORD).await;
        press(browser, "button.primary").await;
        heading(browser, "Your password is changed").await;
        // On to the sign-in of the application that it began with.
        press(browser, "a.primary").await;
        heading(browser, "Sign in").await;
        sign_in(browser, "alice", NEW_PASSWORD).await;
        let url = arrived(browser, &format!("{callback}?")).await;
        assert_eq!(parameter(&url, "state").as_deref(), Some("s1"));
        assert_eq!(complaints(browser).await, [""; 0]);
    })
    .await;
}

async fn somebody_new_comes_in(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let callback = application().await;
    let shop = shop(&app, &callback).await;
    in_browser(async |browser| {
        browser.goto(link(&app, &shop, &callback)).await.unwrap();
        press(browser, r#"a[href*="sign-up"]"#).await;
        heading(browser, "Create an account").await;
        type_in(browser, "#email", "new@example.com").await;
        press(browser, "button.primary").await;
        heading(browser, "Look into your mail").await;
        let letter = mailbox.one(&app, "new@example.com").await;
        browser.goto(link_of(&app, &letter)).await.unwrap();
        heading(browser, "Create your account").await;
        type_in(browser, "#username", "newcomer").await;
        type_in(browser, "#password", NEW_PASSWORD).await;
        type_in(browser, "#again", NEW_PASSWORD).await;
        press(browser, "button.primary").await;
        heading(browser, "Your account is ready").await;
        press(browser, "a.primary").await;
        heading(browser, "Sign in").await;
        sign_in(browser, "newcomer", NEW_PASSWORD).await;
        let url = arrived(browser, &format!("{callback}?")).await;
        assert_eq!(parameter(&url, "state").as_deref(), Some("s1"));
        // The letters are there to be read, too.
        browser.goto(format!("{}/dev/mail", app.base)).await.unwrap();
        heading(browser, "Mail").await;
        assert_eq!(complaints(browser).await, [""; 0]);
    })
    .await;
}
