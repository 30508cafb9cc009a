//! The pages of the second step, of passkeys and of what is made of them, looked at in a browser.

use serde_json::json;
use tessera::model::client::ClientSettings;

use crate::pages_all::{Walk, walk_changed};
use crate::support::browser::{find, give_authenticator, run_passkeys};
use crate::support::{Account, Authenticator, Engine, PASSWORD, REDIRECT, Shop, TestApp, Way, both_engines};

both_engines!(making_one, showing_one, proving_more, keeping_them);

/// Under a name: at an address there are no passkeys.
async fn walk_named(engine: Engine, way: impl AsyncFn(&Walk<'_>)) {
    let named = |app: &mut tessera::app::App| app.base_url = app.base_url.replace("127.0.0.1", "localhost");
    walk_changed(engine, named, way).await;
}

async fn shop(walk: &Walk<'_>) -> Shop {
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop = walk.app.shop_with("acme", "confidential", settings).await;
    let policy = json!({"second_factor": "required", "remember_device_days": 30,
        "factors": ["passkey", "totp", "email_code"]});
    walk.app.policy(&shop, policy).await;
    shop
}

async fn open(walk: &Walk<'_>, path: &str) {
    walk.open(&format!("{}/projects/acme{path}", walk.app.app.base_url)).await;
}

async fn start(walk: &Walk<'_>, shop: &Shop, more: &str) {
    open(walk, &format!("/sign-in?client_id={}{more}", shop.id)).await;
}

/// The same page in a browser that has no passkeys, or runs no script.
async fn look_without_script(walk: &Walk<'_>, name: &str) {
    run_passkeys(walk.browser, false).await;
    walk.browser.refresh().await.unwrap();
    walk.look(name, "without-script").await;
    run_passkeys(walk.browser, true).await;
    walk.browser.refresh().await.unwrap();
    find(walk.browser, "form[data-passkey]:not([hidden])").await;
}

async fn making_one(engine: Engine) {
    walk_named(engine, async |walk| {
        let shop = shop(walk).await;
        start(walk, &shop, "").await;
        find(walk.browser, "form[data-passkey]:not([hidden])").await;
        walk.look("sign_in", "with-a-passkey").await;
        walk.sign_in().await;
        find(walk.browser, ".choices").await;
        walk.look("enrol", "").await;
        walk.press(".choices a[href*=passkey]").await;
        find(walk.browser, "form[data-passkey]:not([hidden])").await;
        walk.look("enrol_passkey", "").await;
        look_without_script(walk, "enrol_passkey").await;
        walk.press(".aside a").await;
        walk.press(".choices a[href*=totp]").await;
        find(walk.browser, ".qr").await;
        walk.look("enrol_totp", "").await;
        walk.tick("summary").await;
        walk.look("enrol_totp", "by-hand").await;
        let key = find(walk.browser, "#key").await.prop("textContent").await.unwrap().unwrap();
        walk.fill("#code", "000000").await;
        walk.press("button.primary").await;
        find(walk.browser, "[role=alert]").await;
        walk.look("enrol_totp", "wrong").await;
        walk.fill("#code", &Authenticator::of(&key).code(walk.app)).await;
        walk.press("button.primary").await;
        find(walk.browser, ".codes").await;
        walk.look("recovery_codes", "").await;
        open(walk, "/second-factor").await;
        walk.look("second_factor", "done").await;
    })
    .await;
}

/// Alice has an app, a passkey and codes, and her address is verified.
async fn alice(walk: &Walk<'_>, shop: &Shop) -> Authenticator {
    let app: &TestApp = walk.app;
    let desk = app.desk(shop, "owner").await;
    desk.count_no_factor().await;
    let alice = Account::new(app, shop).await;
    let begun = alice.post("/factors/app", json!({})).await.ok();
    let authenticator = Authenticator::of(begun["key"].as_str().unwrap());
    let code = authenticator.code(app);
    let body = json!({"enrolment": begun["enrolment"], "code": code, "name": "Phone"});
    alice.post("/factors/app/confirm", body).await.created();
    app.new_passkey(shop, &alice.token, &Way::default()).await;
    app.policy(shop, json!({"second_factor": "required"})).await;
    app.verify_alice(shop).await;
    app.app.clock.advance(30);
    authenticator
}

async fn showing_one(engine: Engine) {
    walk_named(engine, async |walk| {
        let shop = shop(walk).await;
        alice(walk, &shop).await;
        start(walk, &shop, "").await;
        walk.sign_in().await;
        find(walk.browser, "input[value=passkey]").await;
        find(walk.browser, "form[data-passkey]:not([hidden])").await;
        walk.look("second_factor", "passkey").await;
        look_without_script(walk, "second_factor").await;
        for way in ["totp", "recovery_code", "email_code"] {
            walk.press(&format!("a[href*='with={way}']")).await;
            find(walk.browser, &format!("input[value={way}]")).await;
            walk.look("second_factor", &way.replace('_', "-")).await;
        }
        walk.press("button[name=send]").await;
        find(walk.browser, "#code").await;
        walk.look("second_factor", "email-code-sent").await;
        walk.press("a[href*='with=totp']").await;
        find(walk.browser, "input[value=totp]").await;
        for wrong in 1..=5 {
            walk.fill("#code", "000000").await;
            walk.press("button.primary").await;
            if wrong == 1 {
                walk.look("second_factor", "wrong").await;
            }
        }
        find(walk.browser, ".message").await;
        walk.look("error", "over").await;
    })
    .await;
}

/// A browser that is remembered, and an application that asks for more.
async fn proving_more(engine: Engine) {
    walk_named(engine, async |walk| {
        let shop = shop(walk).await;
        let app = alice(walk, &shop).await;
        open(walk, "/account").await;
        walk.sign_in().await;
        walk.press("a[href*='with=totp']").await;
        find(walk.browser, "input[value=totp]").await;
        walk.tick("#remember").await;
        walk.fill("#code", &app.code(walk.app)).await;
        walk.press("button.primary").await;
        find(walk.browser, "nav").await;
        open(walk, "/account/factors").await;
        find(walk.browser, "button[name=forget]").await;
        walk.look("account_factors", "with-all").await;
        walk.press(".row a[href*='/factors/app/']").await;
        find(walk.browser, "#name").await;
        walk.look("account_factor_name", "app").await;
        walk.app.app.clock.advance(3600);
        open(walk, "/account").await;
        walk.sign_in().await;
        find(walk.browser, "nav").await;
        start(walk, &shop, "&acr_values=2").await;
        find(walk.browser, "input[value=passkey]").await;
        find(walk.browser, "form[data-passkey]:not([hidden])").await;
        walk.look("second_factor", "step-up").await;
        open(walk, "/account/factors").await;
        find(walk.browser, "#password").await;
        walk.look("sign_in", "again").await;
    })
    .await;
}

async fn keeping_them(engine: Engine) {
    walk_named(engine, async |walk| {
        let shop = shop(walk).await;
        walk.app.desk(&shop, "owner").await.count_no_factor().await;
        give_authenticator(walk.browser).await;
        open(walk, "/account/factors").await;
        walk.fill("#username", "alice").await;
        walk.fill("#password", PASSWORD).await;
        walk.press("button.primary").await;
        find(walk.browser, "nav").await;
        open(walk, "/account/factors/passkey").await;
        find(walk.browser, "form[data-passkey]:not([hidden])").await;
        walk.look("account_passkey", "").await;
        look_without_script(walk, "account_passkey").await;
        walk.tick("form[data-passkey] button.primary").await;
        find(walk.browser, ".codes").await;
        walk.look("account_codes", "").await;
        walk.press("a.primary").await;
        walk.press(".row a.secondary").await;
        find(walk.browser, "#name").await;
        walk.look("account_factor_name", "passkey").await;
        find(walk.browser, "#name").await.clear().await.unwrap();
        walk.fill("#name", " ").await;
        walk.press("main button.primary").await;
        find(walk.browser, "[role=alert]").await;
        walk.look("account_factor_name", "wrong").await;
        open(walk, "/account/factors/passkey").await;
        find(walk.browser, "form[data-passkey]:not([hidden])").await;
        walk.tick("form[data-passkey] button.primary").await;
        find(walk.browser, "p.alert:not([hidden])").await;
        walk.look("account_passkey", "known").await;
        open(walk, "/account/factors/app").await;
        walk.fill("#code", "000000").await;
        walk.press("main button.primary").await;
        find(walk.browser, "[role=alert]").await;
        walk.look("account_factor_app", "wrong").await;
    })
    .await;
}
