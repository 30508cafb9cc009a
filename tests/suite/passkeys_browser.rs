//! Passkeys in a real browser with an authenticator of its own: made on the way in and at the account page, shown as the
//! second factor and for a step-up; two browsers at once, a browser that is remembered, and codes when the passkey is lost.

use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use thirtyfour::prelude::*;

use crate::support::browser::{
    application, arrived, complaints, find, give_authenticator, in_browser, lose_passkeys, run_scripts,
};
use crate::support::hands::{codes, mentions, press, reads, sign_in, tick, type_in};
use crate::support::oauth::claims_of;
use crate::support::{Engine, PASSWORD, Seen, Shop, TestApp, Way, both_engines, parameter, question_of};

both_engines!(
    made_on_the_way_in_and_lost,
    shown_for_a_step_up,
    at_the_account_page,
    without_script,
    two_browsers_at_once,
);

/// A project whose people sign in with a password first, and an application of it.
struct World {
    app: TestApp,
    shop: Shop,
    callback: String,
    project: String,
}

impl World {
    async fn new(engine: Engine, policy: Value) -> Self {
        let (app, callback) = (TestApp::named(engine).await, application().await);
        let settings = ClientSettings {
            redirect_uris: vec![callback.clone()],
            require_pkce: false,
            ..ClientSettings::default()
        };
        let shop = app.shop_with("acme", "confidential", settings).await;
        app.policy(&shop, json!({"passkey_sign_in": false})).await;
        app.policy(&shop, policy).await;
        let project = format!("{}/projects/acme", app.app.base_url);
        Self { app, shop, callback, project }
    }

    async fn open(&self, browser: &WebDriver, path: &str) {
        browser.goto(format!("{}{path}", self.project)).await.unwrap();
    }

    /// The way to the application.
    async fn start(&self, browser: &WebDriver, more: &str) {
        self.open(browser, &format!("/sign-in?client_id={}{more}", self.shop.id)).await;
    }

    /// What the ID token says that the browser has brought to the application.
    async fn said(&self, browser: &WebDriver) -> Value {
        let url = arrived(browser, &format!("{}?", self.callback)).await;
        let code = parameter(&url, "code").unwrap_or_else(|| panic!("{url}"));
        let body = json!({"code": code, "redirect_uri": self.callback});
        let tokens = self.app.call(&self.shop, "GetTokenFromCode", body).await.ok();
        let claims = claims_of(tokens["id_token"].as_str().unwrap());
        json!([claims["amr"], claims["acr"]])
    }
}

async fn type_password(browser: &WebDriver) {
    sign_in(browser, "alice", PASSWORD).await;
}

/// The button of a passkey, once the script has found that the browser has any.
async fn press_passkey(browser: &WebDriver, what: &str) {
    tick(browser, &format!("form[data-passkey={what}]:not([hidden]) button.primary")).await;
}

async fn only_refusals(browser: &WebDriver) {
    let complaints = complaints(browser).await;
    assert!(complaints.iter().all(|entry| entry.contains("status of 400")), "{complaints:?}");
}

async fn made_on_the_way_in_and_lost(engine: Engine) {
    let world = World::new(engine, json!({"second_factor": "required", "remember_device_days": 30})).await;
    let strong = json!([["pwd", "hwk", "user", "mfa"], "phr"]);
    in_browser(async |browser| {
        let authenticator = give_authenticator(browser).await;
        world.start(browser, "").await;
        type_password(browser).await;
        // Not without one: straight to the application, and the account page.
        find(browser, ".choices").await;
        world.start(browser, "&prompt=select_account").await;
        find(browser, "#password").await;
        world.open(browser, "/account/factors").await;
        find(browser, "#password").await;
        world.open(browser, "/enrol").await;
        press(browser, ".choices a[href*=passkey]").await;
        find(browser, "[data-without-passkeys][hidden]").await;
        press_passkey(browser, "create").await;
        let codes = codes(browser).await;
        assert_eq!(codes.len(), 10);
        press(browser, "button.primary").await;
        assert_eq!(world.said(browser).await, strong);

        // The next time it is asked for, and the browser is remembered.
        world.app.app.clock.advance(3600);
        world.start(browser, "").await;
        type_password(browser).await;
        tick(browser, "#remember").await;
        press_passkey(browser, "get").await;
        assert_eq!(world.said(browser).await, strong);
        world.app.app.clock.advance(3600);
        world.start(browser, "").await;
        type_password(browser).await;
        assert_eq!(world.said(browser).await, json!([["pwd"], "1"]));

        // The authenticator is lost: it answers no more, and a code does.
        world.app.app.clock.advance(3600);
        lose_passkeys(browser, &authenticator).await;
        world.start(browser, "&prompt=login").await;
        browser.delete_all_cookies().await.unwrap();
        world.start(browser, "").await;
        type_password(browser).await;
        press_passkey(browser, "get").await;
        reads(
            browser,
            "p.alert:not([hidden])",
            "The passkey was not used. Please try again, or sign in another way.",
        )
        .await;
        press(browser, "a[href*=recovery_code]").await;
        find(browser, "input[value=recovery_code]").await;
        type_in(browser, "#code", &codes[0].to_uppercase()).await;
        press(browser, "button.primary").await;
        assert_eq!(world.said(browser).await, json!([["pwd", "otp", "mfa"], "2"]));
        only_refusals(browser).await;
    })
    .await;
}

/// In a browser that is signed in by a password alone, only the passkey is asked for.
async fn shown_for_a_step_up(engine: Engine) {
    let world = World::new(engine, json!({"second_factor": "off"})).await;
    in_browser(async |browser| {
        give_authenticator(browser).await;
        world.open(browser, "/account/factors/passkey").await;
        type_password(browser).await;
        arrived(browser, &format!("{}/account/factors", world.project)).await;
        press(browser, "a[href$='/account/factors/passkey']").await;
        press_passkey(browser, "create").await;
        codes(browser).await;
        world.start(browser, "").await;
        assert_eq!(world.said(browser).await, json!([["pwd"], "1"]));
        world.app.policy(&world.shop, json!({"second_factor": null})).await;
        for asked in ["2", "phr"] {
            let before = cookie(browser).await;
            world.start(browser, &format!("&acr_values={asked}")).await;
            if asked == "2" {
                find(browser, "form[data-passkey=get]:not([hidden])").await;
                assert!(browser.find_all(By::Css("#password")).await.unwrap().is_empty());
                press_passkey(browser, "get").await;
            }
            assert_eq!(world.said(browser).await, json!([["pwd", "hwk", "user", "mfa"], asked]));
            world.open(browser, "/account").await;
            assert_eq!(cookie(browser).await == before, asked == "phr", "another cookie after a proof");
        }
        only_refusals(browser).await;
    })
    .await;
}

/// The one of the session, where the page has it; by another the browser is known.
async fn cookie(browser: &WebDriver) -> String {
    let cookies = browser.get_all_cookies().await.unwrap();
    let sessions = cookies.into_iter().filter(|cookie| !cookie.name.ends_with("-known"));
    sessions.map(|cookie| cookie.value).collect()
}

async fn at_the_account_page(engine: Engine) {
    let world = World::new(engine, json!({})).await;
    let factors = "/account/factors";
    in_browser(async |browser| {
        give_authenticator(browser).await;
        world.open(browser, factors).await;
        type_password(browser).await;
        press(browser, "a[href$='/account/factors/passkey']").await;
        find(browser, "form[data-passkey]:not([hidden])").await;
        // The browser is named, and may be called something else.
        let named = find(browser, "#name").await.prop("value").await.unwrap();
        assert!(named.as_deref().is_some_and(|name| name.starts_with("Chrome on ")), "{named:?}");
        type_in(browser, "#name", "Work laptop").await;
        press_passkey(browser, "create").await;
        assert_eq!(codes(browser).await.len(), 10);
        press(browser, "a.primary").await;
        // From now on it is shown before factors are changed.
        type_in(browser, "#password", PASSWORD).await;
        press(browser, "main button.primary").await;
        press_passkey(browser, "get").await;
        find(browser, "button[name=remove]").await;
        mentions(browser, ".rows", "Work laptop").await;
        // This authenticator has one already.
        press(browser, "a[href$='/account/factors/passkey']").await;
        press_passkey(browser, "create").await;
        reads(browser, "p.alert:not([hidden])", "This device has a passkey for this account already.").await;

        world.open(browser, factors).await;
        press(browser, ".row a.secondary").await;
        type_in(browser, "#name", "Old laptop").await;
        press(browser, "main button.primary").await;
        reads(browser, "[role=status]", "The passkey has its new name.").await;
        mentions(browser, ".rows", "Old laptop").await;
        press(browser, "button[name=remove]").await;
        reads(browser, "[role=status]", "It is removed, and no longer asked for.").await;
        world.start(browser, "&prompt=login").await;
        type_password(browser).await;
        assert_eq!(world.said(browser).await, json!([["pwd"], "1"]));
        only_refusals(browser).await;
    })
    .await;
}

/// Passkeys need script. The page says so, and the rest is there.
async fn without_script(engine: Engine) {
    let world = World::new(engine, json!({"second_factor": "required"})).await;
    let needs = "Passkeys need JavaScript and a browser that supports them.";
    in_browser(async |browser| {
        run_scripts(browser, false).await;
        world.start(browser, "").await;
        type_password(browser).await;
        press(browser, ".choices a[href*=passkey]").await;
        reads(browser, "[data-without-passkeys]", needs).await;
        assert!(!find(browser, "form[data-passkey]").await.is_displayed().await.unwrap());
        press(browser, ".aside a").await;
        press(browser, ".choices a[href*=totp]").await;
        let key = find(browser, "#key").await.prop("textContent").await.unwrap().unwrap();
        let app = crate::support::Authenticator::of(&key);
        type_in(browser, "#code", &app.code(&world.app)).await;
        press(browser, "button.primary").await;
        find(browser, ".codes").await;
        press(browser, "button.primary").await;
        assert_eq!(world.said(browser).await[1], "2");
        world.open(browser, "/account/factors/passkey").await;
        reads(browser, "[data-without-passkeys]", needs).await;
        assert!(!find(browser, "form[data-passkey]").await.is_displayed().await.unwrap());
        press(browser, ".aside a").await;
        find(browser, "button[name=remove]").await;
        run_scripts(browser, true).await;
    })
    .await;
}

/// Both begin; the one that is first makes the passkey, and the other is asked for it.
async fn two_browsers_at_once(engine: Engine) {
    let world = World::new(engine, json!({"second_factor": "required"})).await;
    in_browser(async |browser| {
        give_authenticator(browser).await;
        let (app, shop) = (&world.app, &world.shop);
        let link = format!("/sign-in?client_id={}", shop.id);
        let page = app.http.get(app.project_url(shop, &link)).send().await.unwrap();
        let cookie = crate::support::cookie_of(&page);
        let sealed = crate::support::sealed_of(&page.text().await.unwrap());
        let other = app.asked_for_more(&app.submit(shop, &cookie, &sealed, PASSWORD).await).await;
        let open = Seen::of(app.get_page(shop, "/enrol?with=passkey", &other.cookie).await).await;
        let (_, form) = app.make_passkey(&open.text, &Way::default());
        world.start(browser, "").await;
        type_password(browser).await;
        press(browser, ".choices a[href*=passkey]").await;
        press_passkey(browser, "create").await;
        codes(browser).await;
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let late = Seen::of(app.post_page(shop, "/enrol", &other.cookie, &form).await).await;
        late.refused(
            400,
            "This sign-in page is no longer valid. Please go back to the application and start again.",
        );
        let asked = Seen::of(app.get_page(shop, "/second-factor", &other.cookie).await).await;
        assert_eq!(question_of(&asked.text)["options"]["allowCredentials"].as_array().unwrap().len(), 1);
        press(browser, "button.primary").await;
        assert_eq!(world.said(browser).await[1], "phr");
        only_refusals(browser).await;
    })
    .await;
}
