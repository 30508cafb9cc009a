//! The whole flow in a real browser.

use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::model::client::ClientSettings;
use tessera::projects;
use tessera::store::db::fetch_one;
use thirtyfour::prelude::*;

use crate::support::browser::{application, arrived, complaints, in_browser};
use crate::support::hands::{reads, sign_in};
use crate::support::{Engine, PASSWORD, Shop, TestApp, both_engines, parameter};

both_engines!(
    whole_flow,
    by_keyboard_alone,
    // C126
    nobody_frames_the_form,
);

async fn shop(app: &TestApp, redirect_uri: &str) -> Shop {
    let settings = ClientSettings {
        redirect_uris: vec![redirect_uri.into()],
        require_pkce: false,
        refresh_rotation: Some(true),
        ..ClientSettings::default()
    };
    app.shop_with("acme", "confidential", settings).await
}

fn login_link(app: &TestApp, shop: &Shop) -> String {
    app.project_url(shop, &format!("/sign-in?client_id={}", shop.id))
}

async fn script(browser: &WebDriver, code: &str) -> Value {
    browser.execute(code, Vec::new()).await.unwrap().json().clone()
}

/// The tokens for the code that the browser has brought to the application.
async fn tokens(app: &TestApp, shop: &Shop, browser: &WebDriver, redirect_uri: &str) -> Value {
    let url = arrived(browser, &format!("{redirect_uri}?")).await;
    assert_eq!(parameter(&url, "iss"), Some(app.project_url(shop, "")), "{url}");
    let code = parameter(&url, "code").unwrap();
    app.call(shop, "GetTokenFromCode", json!({"code": code, "redirect_uri": redirect_uri})).await.ok()
}

fn part<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap()
}

async fn whole_flow(engine: Engine) {
    let app = TestApp::new(engine).await;
    let callback = application().await;
    let shop = shop(&app, &callback).await;
    let link = login_link(&app, &shop);
    in_browser(async |browser| {
        browser.goto(&link).await.unwrap();
        assert_eq!(browser.title().await.unwrap(), "Sign in – acme");
        reads(browser, ".lead", "to continue to Shop").await;
        // Script could not read the cookie, if there were any.
        assert_eq!(script(browser, "return document.cookie").await, "");
        sign_in(browser, "alice", PASSWORD).await;
        let first = tokens(&app, &shop, browser, &callback).await;

        let second = app.refresh(&shop, part(&first, "refresh_token")).await.ok();
        let access = part(&second, "access_token");
        assert_eq!(app.verify(&shop, access).await["active"], true);
        let info = app.bearer(&shop, "userinfofromaccesstoken", access, json!({})).await.ok();
        assert_eq!(info["preferred_username"], "alice");
        app.bearer(&shop, "GlobalSignOut", access, json!({})).await.ok();
        assert_eq!(app.verify(&shop, access).await["reason"], "signed_out");

        // The cookie signs in again without a form, for an hour from the sign-in.
        app.app.clock.advance(3599);
        browser.goto(&link).await.unwrap();
        let third = tokens(&app, &shop, browser, &callback).await;
        assert_eq!(app.verify(&shop, part(&third, "access_token")).await["active"], true);

        delete(&app, &shop).await;
        assert_eq!(app.verify(&shop, part(&third, "access_token")).await["reason"], "user_deleted");
        let refused = app.refresh(&shop, part(&third, "refresh_token")).await;
        assert_eq!((refused.status, &refused.body["error"]), (400, &json!("invalid_grant")));
        browser.goto(&link).await.unwrap();
        sign_in(browser, "alice", PASSWORD).await;
        reads(browser, "[role=alert]", "That user name and password do not match.").await;
        // A denied form is a 400, and the one thing that the console speaks of.
        let complaints = complaints(browser).await;
        assert!(complaints.iter().all(|entry| entry.contains("status of 400")), "{complaints:?}");
    })
    .await;
    assert_audited(&app, &shop).await;
}

async fn delete(app: &TestApp, shop: &Shop) {
    let (_, key) = projects::create_admin_key(&app.app, Some(shop.project), "test", "owner").await.unwrap();
    let request = json!({"user": {"username": "alice"}, "reason": "asked for it by letter"});
    let asked = app.bearer(shop, "delete-user", key.expose(), request).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let confirm = json!({"deletion_id": asked.body["deletion_id"], "confirmation": "alice"});
    app.bearer(shop, "delete-user/confirm", key.expose(), confirm).await.ok();
}

async fn assert_audited(app: &TestApp, shop: &Shop) {
    let project = shop.project;
    let sql = "SELECT count(*) FROM audit_log WHERE project_id = $1 AND action = 'user.deleted'";
    let deleted =
        app.app.db.read(|conn| async move { fetch_one!(conn, (i64,), sql, project) }).await.unwrap();
    assert_eq!(deleted, (1,));
    assert!(matches!(verify(&app.app.db, project).await.unwrap(), Verdict::Whole { .. }));
}

/// Tab, Enter and letters are enough, and the focus is always where the next thing is to be typed.
async fn by_keyboard_alone(engine: Engine) {
    let app = TestApp::new(engine).await;
    let callback = application().await;
    let shop = shop(&app, &callback).await;
    in_browser(async |browser| {
        let focus = async || {
            script(browser, "return document.activeElement.id || document.activeElement.tagName").await
        };
        let press = async |keys: TypingData| {
            browser.action_chain().send_keys(keys).perform().await.unwrap();
        };
        browser.goto(login_link(&app, &shop)).await.unwrap();
        assert_eq!(focus().await, "username");
        press("alice".into()).await;
        press(Key::Tab.into()).await;
        assert_eq!(focus().await, "password");
        press("a wrong one".into()).await;
        press(Key::Enter.into()).await;

        reads(browser, "[role=alert]", "That user name and password do not match.").await;
        assert_eq!(script(browser, "return [username.value, password.value]").await, json!(["alice", ""]));
        assert_eq!(focus().await, "password");
        let described = script(browser, "return password.ariaDescribedByElements[0].textContent").await;
        assert_eq!(described, "That user name and password do not match.");
        let names =
            script(browser, "return [username, password].map(field => field.labels[0].textContent)").await;
        assert_eq!(names, json!(["User name", "Password"]));
        press(PASSWORD.into()).await;
        press(Key::Tab.into()).await;
        assert_eq!(focus().await, "BUTTON");
        press(Key::Enter.into()).await;
        tokens(&app, &shop, browser, &callback).await;
    })
    .await;
}

async fn nobody_frames_the_form(engine: Engine) {
    let app = TestApp::new(engine).await;
    let callback = application().await;
    let shop = shop(&app, &callback).await;
    in_browser(async |browser| {
        browser.goto(&callback).await.unwrap();
        for (url, css, framed) in
            [(callback.clone(), "#welcome", true), (login_link(&app, &shop), "form", false)]
        {
            let code = "const [url, done] = arguments; const frame = document.createElement('iframe');
                frame.onload = () => done(); frame.src = url; document.body.replaceChildren(frame)";
            browser.execute_async(code, vec![json!(url)]).await.unwrap();
            browser.enter_frame(0).await.unwrap();
            let shown = browser.find_all(By::Css(css)).await.unwrap().len() == 1;
            browser.enter_default_frame().await.unwrap();
            assert_eq!(shown, framed, "{url}");
        }
        let complaints = complaints(browser).await;
        assert!(complaints.iter().any(|entry| entry.contains("frame-ancestors")), "{complaints:?}");
    })
    .await;
}
