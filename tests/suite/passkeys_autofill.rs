//! A passkey in the list of user names, and behind the button: which of them a real browser took.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use thirtyfour::prelude::*;

use crate::passkeys_sign_in::REFUSED;
use crate::support::browser::{application, arrived, complaints, find, give_authenticator, in_browser};
use crate::support::hands::{press, reads, sign_in};
use crate::support::look::devtools;
use crate::support::{Engine, PASSWORD, Shop, TestApp, Tokens, both_engines, parameter};

both_engines!(the_browser_offers_it_by_itself, the_button_is_pressed);

/// Makes a passkey in the browser, for the page's own origin.
const CREATE: &str = "
    const done = arguments[1];
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(arguments[0]);
    navigator.credentials.create({ publicKey }).then((made) => done(made.toJSON()), (error) => done(String(error)));";

/// Writes down how pages ask for a passkey.
const WATCH: &str = "
    if (navigator.credentials) {
      const get = navigator.credentials.get.bind(navigator.credentials);
      navigator.credentials.get = (options) => {
        localStorage.asked = (localStorage.asked ?? '') + (options.mediation ?? 'at the button') + '; ';
        return get(options);
      };
    }";

/// A browser that offers nothing in the list of user names.
const WITHOUT_A_LIST: &str = "
    if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => false;";

/// Alice has a passkey in this browser, where nobody is signed in.
struct Scene<'a> {
    app: &'a TestApp,
    shop: &'a Shop,
    callback: &'a str,
    browser: &'a WebDriver,
}

impl Scene<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}/projects/acme{path}", self.app.app.base_url)
    }

    async fn open_sign_in(&self) {
        let path = format!("/sign-in?client_id={}&prompt=login", self.shop.id);
        self.browser.goto(self.url(&path)).await.unwrap();
    }

    /// A page of the same origin that asks for nothing, in a browser that nobody is signed in any more.
    async fn open_quiet_page(&self) {
        self.browser.goto(self.url("/oauth2/logout")).await.unwrap();
        find(self.browser, "h1").await;
        self.browser.delete_all_cookies().await.unwrap();
    }

    /// The tokens for the code that the browser has brought to the application.
    async fn tokens(&self) -> Tokens {
        let url = arrived(self.browser, &format!("{}?", self.callback)).await;
        let code = parameter(&url, "code").unwrap_or_else(|| panic!("{url}"));
        let body = json!({"code": code, "redirect_uri": self.callback});
        Tokens(self.app.call(self.shop, "GetTokenFromCode", body).await.ok())
    }

    async fn assert_shown(&self, tokens: &Tokens) {
        let verdict = self.app.verify(self.shop, tokens.get("access_token")).await;
        assert_eq!(verdict["claims"]["acr"], "phr", "{verdict}");
    }

    /// How pages have asked for a passkey since it was made.
    async fn asked(&self) -> Value {
        self.open_quiet_page().await;
        self.browser.execute("return localStorage.asked", Vec::new()).await.unwrap().json().clone()
    }

    async fn make_passkey(&self) {
        self.open_sign_in().await;
        sign_in(self.browser, "alice", PASSWORD).await;
        let tokens = self.tokens().await;
        let token = tokens.get("access_token");
        self.open_quiet_page().await;
        let begun = self.app.begin_passkey(self.shop, token).await;
        let made = self.browser.execute_async(CREATE, vec![begun["options"].clone()]).await.unwrap();
        self.app.finish_passkey(self.shop, token, &begun, made.json()).await.created();
    }
}

/// What is told of a browser in which these scripts run before each page's own.
async fn with_a_passkey(engine: Engine, scripts: &[&str], test: impl AsyncFnOnce(&Scene<'_>)) {
    let (app, callback) = (TestApp::named(engine).await, application().await);
    let settings = ClientSettings {
        redirect_uris: vec![callback.clone()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("acme", "confidential", settings).await;
    in_browser(async |browser| {
        give_authenticator(browser).await;
        let scene = Scene { app: &app, shop: &shop, callback: &callback, browser };
        scene.make_passkey().await;
        for script in scripts {
            let source = json!({"source": script});
            devtools(browser, "Page.addScriptToEvaluateOnNewDocument", source).await;
        }
        test(&scene).await;
    })
    .await;
}

/// Nothing is clicked: this browser takes the only passkey of its list.
async fn the_browser_offers_it_by_itself(engine: Engine) {
    with_a_passkey(engine, &[WATCH], async |scene| {
        scene.open_sign_in().await;
        scene.assert_shown(&scene.tokens().await).await;
        assert_eq!(scene.asked().await, "conditional; ");
        assert_eq!(complaints(scene.browser).await, [""; 0]);
    })
    .await;
}

async fn the_button_is_pressed(engine: Engine) {
    with_a_passkey(engine, &[WATCH, WITHOUT_A_LIST], async |scene| {
        let browser = scene.browser;
        scene.open_sign_in().await;
        press(browser, "form[data-passkey]:not([hidden]) button").await;
        let tokens = scene.tokens().await;
        scene.assert_shown(&tokens).await;
        assert_eq!(scene.asked().await, "at the button; ");

        // Once it is removed, which takes a sign-in as good as this one, the browser still has it, and it opens nothing.
        let (app, shop, token) = (scene.app, scene.shop, tokens.get("access_token"));
        let listed = app.passkeys(shop, token, Method::GET, "", None).await.ok();
        let path = format!("/{}", listed["items"][0]["id"].as_str().unwrap());
        app.passkeys(shop, token, Method::DELETE, &path, None).await.ok();
        scene.open_sign_in().await;
        press(browser, "form[data-passkey]:not([hidden]) button").await;
        reads(browser, "p.alert:not([hidden])", REFUSED).await;
        let complaints = complaints(browser).await;
        assert!(complaints.iter().all(|entry| entry.contains("status of 400")), "{complaints:?}");
    })
    .await;
}
