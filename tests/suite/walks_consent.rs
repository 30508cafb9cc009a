//! Whether an application of others may use an account, and whose: each answer walked to its end in a real browser.

use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use tessera::projects;
use tessera::secret::Secret;
use thirtyfour::prelude::*;
use url::Url;

use crate::support::browser::{application, arrived, complaints, find, in_browser};
use crate::support::hands::{mentions, press, reads, sign_in};
use crate::support::{Engine, PASSWORD, Shop, TestApp, both_engines, parameter};

both_engines!(it_is_allowed, it_is_denied, it_is_withdrawn, somebody_is_chosen);

/// A browser on its way to an application.
struct Walk<'a> {
    app: &'a TestApp,
    shop: &'a Shop,
    callback: &'a str,
    browser: &'a WebDriver,
}

impl Walk<'_> {
    /// Goes where the application sends the browser.
    async fn ask(&self, state: &str, more: &str) {
        let (shop, callback) = (self.shop, self.callback);
        let query = format!("response_type=code&client_id={}&redirect_uri={callback}", shop.id);
        let url = format!("/oauth2/authorize?{query}&state={state}{more}");
        self.browser.goto(self.app.project_url(shop, &url)).await.unwrap();
    }

    async fn is_asked(&self) {
        reads(self.browser, "h1", "Allow Shop?").await;
    }

    /// What the application is told, at its address.
    async fn told(&self, state: &str) -> Url {
        let url = arrived(self.browser, &format!("{}?", self.callback)).await;
        assert_eq!(parameter(&url, "state").as_deref(), Some(state), "{url}");
        find(self.browser, "#welcome").await;
        url
    }

    async fn tokens(&self, state: &str) -> Value {
        let url = self.told(state).await;
        let code = parameter(&url, "code").unwrap_or_else(|| panic!("{url}"));
        let body = json!({"code": code, "redirect_uri": self.callback});
        self.app.call(self.shop, "GetTokenFromCode", body).await.ok()
    }

    /// Who has come to the application.
    async fn name(&self, state: &str) -> Value {
        let tokens = self.tokens(state).await;
        let token = tokens["access_token"].as_str().unwrap();
        let info = self.app.bearer(self.shop, "userinfofromaccesstoken", token, json!({})).await.ok();
        info["preferred_username"].clone()
    }
}

async fn walk(engine: Engine, first_party: bool, test: impl AsyncFnOnce(&Walk<'_>)) {
    let (app, callback) = (TestApp::new(engine).await, application().await);
    let settings = ClientSettings {
        redirect_uris: vec![callback.clone()],
        require_pkce: false,
        first_party,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("acme", "confidential", settings).await;
    in_browser(async |browser| {
        test(&Walk { app: &app, shop: &shop, callback: &callback, browser }).await;
        // Nor did a policy hold the way back.
        assert_eq!(complaints(browser).await, [""; 0]);
    })
    .await;
}

const ALLOW: &str = "button[name=decision][value=allow]";
const DENY: &str = "button[name=decision][value=deny]";
const PROFILE: &str = "&scope=openid+profile";

async fn it_is_allowed(engine: Engine) {
    walk(engine, false, async |walk| {
        walk.ask("one", PROFILE).await;
        sign_in(walk.browser, "alice", PASSWORD).await;
        walk.is_asked().await;
        mentions(walk.browser, ".lead", "alice").await;
        press(walk.browser, ALLOW).await;
        assert_eq!(walk.tokens("one").await["scope"], "openid profile");
        // It is remembered, for this much.
        walk.ask("two", PROFILE).await;
        assert_eq!(walk.name("two").await, "alice");
        walk.ask("three", "&scope=openid+profile+email").await;
        walk.is_asked().await;
        mentions(walk.browser, ".facts", "see your mail address").await;
        press(walk.browser, ALLOW).await;
        assert_eq!(walk.tokens("three").await["scope"], "openid profile email");
    })
    .await;
}

async fn it_is_denied(engine: Engine) {
    walk(engine, false, async |walk| {
        walk.ask("one", PROFILE).await;
        sign_in(walk.browser, "alice", PASSWORD).await;
        for state in ["one", "two"] {
            walk.is_asked().await;
            press(walk.browser, DENY).await;
            let url = walk.told(state).await;
            assert_eq!(parameter(&url, "error").as_deref(), Some("access_denied"), "{url}");
            assert_eq!(parameter(&url, "code"), None);
            // Nothing is remembered of it.
            walk.ask("two", PROFILE).await;
        }
        walk.is_asked().await;
    })
    .await;
}

async fn it_is_withdrawn(engine: Engine) {
    walk(engine, false, async |walk| {
        let browser = walk.browser;
        walk.ask("one", PROFILE).await;
        sign_in(browser, "alice", PASSWORD).await;
        walk.is_asked().await;
        press(browser, ALLOW).await;
        let tokens = walk.tokens("one").await;
        let token = tokens["access_token"].as_str().unwrap();
        assert_eq!(walk.app.verify(walk.shop, token).await["active"], true);
        browser.goto(walk.app.project_url(walk.shop, "/account/consents")).await.unwrap();
        reads(browser, "main h2", "Shop").await;
        press(browser, "button[name=withdraw]").await;
        reads(browser, "[role=status]", "The application has no access any more.").await;
        mentions(browser, "main", "You have allowed no application").await;
        assert_eq!(walk.app.verify(walk.shop, token).await["active"], false);
        // Signed in still, and asked for consent anew.
        walk.ask("two", PROFILE).await;
        walk.is_asked().await;
        press(browser, ALLOW).await;
        assert_eq!(walk.name("two").await, "alice");
    })
    .await;
}

async fn somebody_is_chosen(engine: Engine) {
    walk(engine, true, async |walk| {
        let (browser, password) = (walk.browser, Secret::new(PASSWORD));
        projects::create_user(&walk.app.app, walk.shop.project, "bob", None, password).await.unwrap();
        walk.ask("one", PROFILE).await;
        sign_in(browser, "alice", PASSWORD).await;
        assert_eq!(walk.name("one").await, "alice");
        let choose = format!("{PROFILE}&prompt=select_account");

        walk.ask("two", &choose).await;
        reads(browser, "h1", "Choose an account").await;
        reads(browser, "button[value=this]", "Continue as alice").await;
        press(browser, "button[value=this]").await;
        assert_eq!(walk.name("two").await, "alice");

        walk.ask("three", &choose).await;
        reads(browser, "h1", "Choose an account").await;
        press(browser, "button[value=other]").await;
        reads(browser, "h1", "Sign in").await;
        sign_in(browser, "bob", PASSWORD).await;
        assert_eq!(walk.name("three").await, "bob");
        // From now on it is his browser.
        walk.ask("four", PROFILE).await;
        assert_eq!(walk.name("four").await, "bob");
    })
    .await;
}
