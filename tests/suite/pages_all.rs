//! Every hosted page, looked at in a browser: see `support/look.rs` for what that means. Each row of [`LANGUAGES`] walks the
//! same ways.

use tessera::demo::{Demo, DemoUser};
use tessera::model::client::ClientSettings;
use thirtyfour::prelude::*;

use crate::support::browser::{application, find, in_browser};
use crate::support::hands;
use crate::support::look::{Looker, speak};
use crate::support::{Engine, Mailbox, PASSWORD, REDIRECT, TestApp, both_engines};

both_engines!(
    signing_in,
    signing_out,
    asking_for_consent,
    connecting_a_device,
    errors,
    on_the_way_to_an_application,
    the_demo
);

/// What browsers ask for; the first is looked at closely.
const LANGUAGES: [&str; 3] = ["en", "de", "zh-CN"];

/// A browser on its way through the pages, in one language.
pub struct Walk<'a> {
    pub app: &'a TestApp,
    pub mailbox: &'a Mailbox,
    pub browser: &'a WebDriver,
    looker: Looker<'a>,
    language: &'static str,
}

impl Walk<'_> {
    /// Opens a page of the project.
    pub async fn open(&self, url: &str) {
        self.browser.goto(url).await.unwrap();
    }

    /// Clicks what leads to another page.
    pub async fn press(&self, css: &str) {
        hands::press(self.browser, css).await;
    }

    /// Clicks what leads nowhere.
    pub async fn tick(&self, css: &str) {
        hands::tick(self.browser, css).await;
    }

    pub async fn fill(&self, css: &str, text: &str) {
        find(self.browser, css).await.send_keys(text).await.unwrap();
    }

    /// Looks at the page that the template of this name made.
    pub async fn look(&self, name: &str, variant: &str) {
        // What a click leads to may still be on its way.
        find(self.browser, "main h1").await;
        match self.language {
            "en" => self.looker.look(name, variant).await,
            language => {
                let variant = format!("{variant}{}{language}", if variant.is_empty() { "" } else { "-" });
                self.looker.glance(name, &variant).await;
            }
        }
    }

    /// Signs alice in on the form that is shown.
    pub async fn sign_in(&self) {
        hands::sign_in(self.browser, "alice", PASSWORD).await;
    }
}

/// Walks a way in each language, each time with a fresh server and browser.
pub async fn walk(engine: Engine, way: impl AsyncFn(&Walk<'_>)) {
    walk_changed(engine, |_| (), way).await;
}

pub async fn walk_changed(
    engine: Engine,
    change: impl Fn(&mut tessera::app::App),
    way: impl AsyncFn(&Walk<'_>),
) {
    for language in LANGUAGES {
        let (app, mailbox) = TestApp::with_mailbox_changed(engine, &change).await;
        in_browser(async |browser| {
            speak(browser, language).await;
            way(&Walk { app: &app, mailbox: &mailbox, browser, looker: Looker::new(browser), language })
                .await;
        })
        .await;
    }
}

fn settings(redirect_uri: &str) -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![redirect_uri.into()],
        require_pkce: false,
        ..ClientSettings::default()
    }
}

async fn signing_in(engine: Engine) {
    walk(engine, async |walk| {
        let shop = walk.app.shop_with("acme", "confidential", settings(&application().await)).await;
        let link = walk.app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id));
        walk.open(&link).await;
        walk.look("sign_in", "").await;
        walk.fill("#username", "alice").await;
        walk.fill("#password", "wrong").await;
        walk.press("button.primary").await;
        find(walk.browser, "[role=alert]").await;
        walk.look("sign_in", "wrong").await;
        walk.fill("#password", PASSWORD).await;
        walk.press("button.primary").await;
        find(walk.browser, "#welcome").await;
        walk.open(&format!("{link}&prompt=select_account")).await;
        walk.look("select_account", "").await;

        // An application that makes its own requests.
        let own = ClientSettings { require_pkce: true, ..settings(REDIRECT) };
        let own = walk.app.second_client(&shop, own).await;
        walk.open(&walk.app.project_url(&own, &format!("/sign-in?client_id={}", own.id))).await;
        walk.look("signed_in", "").await;
        let native = ClientSettings { require_pkce: true, ..settings("com.example.app:/callback") };
        let native = walk.app.second_client(&shop, native).await;
        walk.open(&walk.app.project_url(&native, &format!("/sign-in?client_id={}", native.id))).await;
        walk.look("signed_in", "native").await;
    })
    .await;
}

async fn signing_out(engine: Engine) {
    walk(engine, async |walk| {
        let settings = ClientSettings {
            post_logout_redirect_uris: vec![REDIRECT.into()],
            ..settings(&application().await)
        };
        let shop = walk.app.shop_with("acme", "confidential", settings).await;
        walk.open(&walk.app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id))).await;
        walk.sign_in().await;
        find(walk.browser, "#welcome").await;
        walk.open(&walk.app.project_url(&shop, &format!("/oauth2/logout?client_id={}", shop.id))).await;
        walk.look("logout", "").await;
        walk.press("button.primary").await;
        walk.look("signed_out", "").await;
        let back = format!("/oauth2/logout?client_id={}&post_logout_redirect_uri={REDIRECT}", shop.id);
        walk.open(&walk.app.project_url(&shop, &back)).await;
        walk.look("signed_out", "with-a-way-back").await;
    })
    .await;
}

async fn asking_for_consent(engine: Engine) {
    walk(engine, async |walk| {
        let settings = ClientSettings {
            first_party: false,
            client_uri: Some("https://bureau.example/".into()),
            policy_uri: Some("https://bureau.example/privacy".into()),
            tos_uri: Some("https://bureau.example/terms".into()),
            ..settings(&application().await)
        };
        let redirect = settings.redirect_uris[0].clone();
        let shop = walk.app.shop_with("acme", "confidential", settings).await;
        let request = format!(
            "/oauth2/authorize?response_type=code&client_id={}&redirect_uri={redirect}\
             &scope=openid+profile+email+offline_access",
            shop.id
        );
        walk.open(&walk.app.project_url(&shop, &request)).await;
        walk.sign_in().await;
        find(walk.browser, "[name=decision]").await;
        walk.look("consent", "").await;
    })
    .await;
}

async fn connecting_a_device(engine: Engine) {
    walk(engine, async |walk| {
        let shop = walk.app.device_shop("acme", "confidential").await;
        walk.open(&walk.app.project_url(&shop, "/device")).await;
        walk.look("device_code", "").await;
        walk.fill("#user_code", "BBBBBBBB").await;
        walk.press("button.primary").await;
        find(walk.browser, "[role=alert]").await;
        walk.look("device_code", "wrong").await;
        let device = walk.app.device(&shop, "openid email").await;
        walk.open(device.get("verification_uri_complete")).await;
        walk.press("button.primary").await;
        walk.sign_in().await;
        find(walk.browser, "[name=decision]").await;
        walk.look("device_confirm", "").await;
        walk.press("button.primary").await;
        find(walk.browser, ".message").await;
        walk.look("device_done", "").await;
    })
    .await;
}

async fn errors(engine: Engine) {
    walk(engine, async |walk| {
        let shop = walk.app.shop_with("acme", "confidential", settings(REDIRECT)).await;
        walk.open(&walk.app.project_url(&shop, "/oauth2/authorize?client_id=nobody")).await;
        walk.look("error", "").await;
        walk.open(&format!("{}/projects/nowhere/sign-in", walk.app.base)).await;
        walk.look("error", "no-project").await;
        let link = walk.app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id));
        walk.open(&link).await;
        walk.browser.delete_all_cookies().await.unwrap();
        walk.sign_in().await;
        find(walk.browser, ".message").await;
        walk.look("error", "stale").await;
    })
    .await;
}

/// The application answers with nothing, so the pages that go on by themselves stay.
async fn on_the_way_to_an_application(engine: Engine) {
    walk(engine, async |walk| {
        let redirect = silent_application().await;
        let shop = walk.app.shop_with("acme", "confidential", settings(&redirect)).await;
        walk.open(&walk.app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id))).await;
        walk.sign_in().await;
        find(walk.browser, "a.primary[href*='code=']").await;
        walk.look("going_on", "").await;
        let request = format!(
            "/oauth2/authorize?response_type=code&prompt=login&response_mode=form_post&client_id={}&redirect_uri={redirect}",
            shop.id
        );
        walk.open(&walk.app.project_url(&shop, &request)).await;
        walk.sign_in().await;
        find(walk.browser, "input[name=iss]").await;
        walk.look("form_post", "").await;
    })
    .await;
}

async fn silent_application() -> String {
    let nothing = || async { axum::http::StatusCode::NO_CONTENT };
    let router = axum::Router::new().route("/callback", axum::routing::any(nothing));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/callback", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    uri
}

async fn the_demo(engine: Engine) {
    let demo = |app: &mut tessera::app::App| {
        app.demo = Some(Demo {
            issuer: String::new(),
            base_url: String::new(),
            project: "demo".into(),
            clients: Vec::new(),
            user: DemoUser { username: "alice".into(), password: PASSWORD.into() },
            admin_key: String::new(),
            database_url: String::new(),
        });
    };
    walk_changed(engine, demo, async |walk| {
        let callback = format!("{}/projects/demo/demo/callback", walk.app.base);
        let shop = walk.app.shop_with("demo", "confidential", settings(&callback)).await;
        walk.open(&walk.app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id))).await;
        walk.sign_in().await;
        find(walk.browser, "pre").await;
        walk.look("demo_callback", "").await;
        walk.open(&format!("{callback}?error=access_denied&error_description=no")).await;
        walk.look("demo_callback", "denied").await;
    })
    .await;
}
