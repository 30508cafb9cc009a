//! The account page in a real browser, without script of ours: from the sign-in to the end of the account.

use serde_json::json;
use thirtyfour::prelude::*;

use crate::pages_all::walk;
use crate::support::browser::{arrived, complaints, find, in_browser};
use crate::support::hands::{mentions, press, reads, sign_in, tick, type_in};
use crate::support::{Account, Engine, PASSWORD, TestApp, both_engines, number};

both_engines!(a_person_at_their_account, two_browsers, every_page_is_looked_at);

const NEW: &str = "another long password";

/// By the navigation of the page.
async fn go_to(browser: &WebDriver, page: &str) {
    press(browser, &format!("nav a[href$='/account{page}']")).await;
    find(browser, &format!("nav a[href$='/account{page}'][aria-current=page]")).await;
}

async fn a_person_at_their_account(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("acme", "confidential").await;
    let settings = json!({"settings": {"self_deletion": true}});
    app.desk(&shop, "owner").await.patch("", settings).await.ok();
    let elsewhere = Account::new(&app, &shop).await;
    let account = app.project_url(&shop, "/account");
    in_browser(async |browser| {
        browser.goto(&format!("{account}/profile")).await.unwrap();
        sign_in(browser, "alice", PASSWORD).await;
        arrived(browser, &format!("{account}/profile")).await;
        find(browser, "[name='claim.name']").await;
        assert_eq!(browser.title().await.unwrap(), "Profile – acme");
        type_in(browser, "[name='claim.name']", "Alice Lima").await;
        type_in(browser, "[name='claim.phone_number']", "123").await;
        press(browser, "main button.primary").await;
        mentions(browser, "[role=alert]", "A phone number is +").await;
        type_in(browser, "[name='claim.phone_number']", "+351912345678").await;
        press(browser, "main button.primary").await;
        reads(browser, "[role=status]", "Your profile is saved.").await;
        go_to(browser, "").await;
        mentions(browser, "main", "Alice Lima").await;

        go_to(browser, "/password").await;
        type_in(browser, "#current_password", PASSWORD).await;
        type_in(browser, "#new_password", NEW).await;
        type_in(browser, "#new_password_again", NEW).await;
        press(browser, "main button.primary").await;
        mentions(browser, "[role=status]", "Your password is changed.").await;
        assert_eq!(elsewhere.reason(&app).await.as_deref(), Some("signed_out"));

        go_to(browser, "/sessions").await;
        reads(browser, ".badge", "this browser").await;
        press(browser, "button[value=others]").await;
        reads(browser, "[role=status]", "All other sessions have ended.").await;
        go_to(browser, "/consents").await;
        mentions(browser, "main", "You have allowed no application").await;

        go_to(browser, "/data").await;
        tick(browser, "main button.primary").await;
        let events = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.data_downloaded'";
        for _ in 0..200 {
            if number(&app.app.db, events).await == 1 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(number(&app.app.db, events).await, 1);

        // After five minutes the way to the end leads through the password.
        app.app.clock.advance(300);
        browser.goto(&format!("{account}/delete")).await.unwrap();
        assert_eq!(browser.find_all(By::Css("#confirmation")).await.unwrap().len(), 0);
        type_in(browser, "#password", NEW).await;
        press(browser, "main button.primary").await;
        type_in(browser, "#confirmation", "alice").await;
        press(browser, "main button.danger").await;
        reads(browser, "h1", "Your account is deleted").await;
        browser.goto(&account).await.unwrap();
        find(browser, "#password").await;
        // A refused form is a 400, and the one thing that the console speaks of.
        let complaints = complaints(browser).await;
        assert!(complaints.iter().all(|entry| entry.contains("status of 400")), "{complaints:?}");
    })
    .await;
}

/// Signed out everywhere at another place: the open page does nothing any more, and leads to the sign-in.
async fn two_browsers(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("acme", "confidential").await;
    let account = app.project_url(&shop, "/account");
    let there = crate::support::Visit::new(&app, &shop).await;
    in_browser(async |browser| {
        browser.goto(&format!("{account}/sessions")).await.unwrap();
        sign_in(browser, "alice", PASSWORD).await;
        find(browser, "button[value=everywhere]").await;
        there.submit("/sessions", &[("end", "everywhere")]).await;
        press(browser, "button[value=others]").await;
        find(browser, "#password").await;
        app.app.clock.advance(1);
        sign_in(browser, "alice", PASSWORD).await;
        arrived(browser, &format!("{account}/sessions")).await;
        press(browser, "button[value=everywhere]").await;
        reads(browser, "h1", "You are signed out").await;
        // It is known still that somebody has signed in here; nobody is in by that.
        let cookies = browser.get_all_cookies().await.unwrap();
        assert!(cookies.iter().all(|cookie| cookie.name.ends_with("-known")), "{cookies:?}");
    })
    .await;
}

async fn every_page_is_looked_at(engine: Engine) {
    walk(engine, async |walk| {
        let shop = walk.app.shop("acme", "confidential").await;
        let settings = json!({"settings": {"self_deletion": true, "deletion_restore_days": 7}});
        walk.app.desk(&shop, "owner").await.patch("", settings).await.ok();
        let desk = walk.app.desk(&shop, "admin").await;
        for (name, kind) in [("colour", "string"), ("news", "boolean"), ("pets", "string_list")] {
            let body = json!({"name": name, "type": kind, "user_writable": true});
            desk.post("/attribute-definitions", body).await.created();
        }
        Account::new(walk.app, &shop).await;
        let account = walk.app.project_url(&shop, "/account");
        walk.open(&account).await;
        walk.look("sign_in", "account").await;
        walk.sign_in().await;
        find(walk.browser, "nav").await;
        walk.look("account_overview", "").await;
        for (page, name) in [
            ("profile", "account_profile"),
            ("email", "account_email"),
            ("password", "account_password"),
            ("factors", "account_factors"),
            ("factors/app", "account_factor_app"),
            ("sessions", "account_sessions"),
            ("consents", "account_consents"),
            ("data", "account_data"),
            ("delete", "account_delete"),
        ] {
            walk.open(&format!("{account}/{page}")).await;
            walk.look(name, "").await;
        }
        walk.open(&format!("{account}/password")).await;
        for css in ["#current_password", "#new_password", "#new_password_again"] {
            walk.fill(css, "a wrong one").await;
        }
        walk.press("main button.primary").await;
        find(walk.browser, "[role=alert]").await;
        walk.look("account_password", "wrong").await;
        walk.open(&format!("{account}/profile")).await;
        walk.fill("[name='claim.birthdate']", "yesterday").await;
        walk.press("main button.primary").await;
        find(walk.browser, "[role=alert]").await;
        walk.look("account_profile", "wrong").await;
        walk.open(&format!("{account}/delete")).await;
        walk.fill("#confirmation", "alice").await;
        walk.press("main button.danger").await;
        find(walk.browser, ".message").await;
        walk.look("account_deleted", "").await;
    })
    .await;
}
