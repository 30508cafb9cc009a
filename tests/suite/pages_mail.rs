//! The pages that letters lead to, looked at in a browser.

use reqwest::Method;
use serde_json::json;
use tessera::model::client::ClientSettings;

use crate::pages_all::{Walk, walk};
use crate::support::browser::find;
use crate::support::{Account, Deleting, Engine, NEW_PASSWORD, REDIRECT, Shop, both_engines, link_of};

both_engines!(
    forgetting_a_password,
    signing_up,
    confirming_an_address,
    objecting_to_a_deletion,
    being_invited,
    reading_mail
);

async fn shop(walk: &Walk<'_>) -> Shop {
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop = walk.app.shop_with("acme", "confidential", settings).await;
    walk.app.verify_alice(&shop).await;
    let key = walk.app.key(Some(shop.project), "admin").await;
    let body = json!({"settings": {"sign_in": {"sign_up": "open"}}});
    assert_eq!(walk.app.admin(&key, Method::PATCH, "/projects/acme", body).await.status, 200);
    shop
}

/// Opens the link of the letter that somebody has got.
async fn follow(walk: &Walk<'_>, to: &str) -> String {
    let letter = walk.mailbox.one(walk.app, to).await;
    let link = link_of(walk.app, &letter);
    walk.open(&link).await;
    link
}

async fn forgetting_a_password(engine: Engine) {
    walk(engine, async |walk| {
        let shop = shop(walk).await;
        walk.open(&walk.app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id))).await;
        walk.look("sign_in", "with-every-way").await;
        walk.press(r#"a[href*="forgotten-password"]"#).await;
        find(walk.browser, "#who").await;
        walk.look("forgotten", "").await;
        walk.fill("#who", "alice").await;
        walk.press("button.primary").await;
        find(walk.browser, ".message").await;
        walk.look("note", "").await;
        let link = follow(walk, "alice@example.com").await;
        walk.look("new_password", "").await;
        walk.fill("#password", NEW_PASSWORD).await;
        walk.fill("#again", "another one").await;
        walk.press("button.primary").await;
        find(walk.browser, "[role=alert]").await;
        walk.look("new_password", "wrong").await;
        walk.fill("#password", NEW_PASSWORD).await;
        walk.fill("#again", NEW_PASSWORD).await;
        walk.press("button.primary").await;
        find(walk.browser, "a.primary").await;
        walk.look("note", "with-a-way-on").await;
        // The link is good once.
        walk.open(&link).await;
        find(walk.browser, "a.primary").await;
        walk.look("note", "gone").await;
    })
    .await;
}

async fn signing_up(engine: Engine) {
    walk(engine, async |walk| {
        let shop = shop(walk).await;
        walk.open(&walk.app.project_url(&shop, "/sign-up")).await;
        walk.look("sign_up", "").await;
        walk.fill("#email", "new@example.com").await;
        walk.press("button.primary").await;
        find(walk.browser, ".message").await;
        follow(walk, "new@example.com").await;
        walk.look("join", "").await;
        walk.fill("#username", "alice").await;
        walk.fill("#password", NEW_PASSWORD).await;
        walk.fill("#again", NEW_PASSWORD).await;
        walk.press("button.primary").await;
        find(walk.browser, "[role=alert]").await;
        walk.look("join", "wrong").await;
    })
    .await;
}

async fn confirming_an_address(engine: Engine) {
    walk(engine, async |walk| {
        let shop = walk.app.shop("acme", "confidential").await;
        let desk = walk.app.desk(&shop, "admin").await;
        let asked = desk.post(&format!("/users/{}/send-verification", shop.user), json!({})).await;
        assert_eq!(asked.status, 200, "{}", asked.body);
        follow(walk, "alice@example.com").await;
        walk.look("confirm_address", "").await;
        walk.press("button.primary").await;
        find(walk.browser, ".message").await;
        walk.look("note", "confirmed").await;
        // Another address takes its place.
        let alice = Account::new(walk.app, &shop).await;
        alice.post("/email", json!({"email": "alice@new.example"})).await;
        let letters = walk.mailbox.take(walk.app).await;
        let letter = letters.iter().find(|letter| letter.to == "alice@new.example").unwrap();
        walk.open(&link_of(walk.app, letter)).await;
        walk.look("confirm_address", "moves").await;
        walk.press("button.primary").await;
        find(walk.browser, ".message").await;
        walk.look("note", "moved").await;
    })
    .await;
}

async fn being_invited(engine: Engine) {
    walk(engine, async |walk| {
        let shop = shop(walk).await;
        let desk = walk.app.desk(&shop, "admin").await;
        desk.post("/invitations", json!({"email": "bo@example.com"})).await.created();
        let link = follow(walk, "bo@example.com").await;
        walk.look("join", "invited").await;
        // Posted by another browser: the page says so, and where to go on.
        walk.browser.delete_all_cookies().await.unwrap();
        walk.fill("#username", "bo").await;
        walk.fill("#password", NEW_PASSWORD).await;
        walk.fill("#again", NEW_PASSWORD).await;
        walk.press("button.primary").await;
        find(walk.browser, "a.primary").await;
        walk.look("note", "stale").await;
        walk.open(&link).await;
        walk.fill("#username", "bo").await;
        walk.fill("#password", NEW_PASSWORD).await;
        walk.fill("#again", NEW_PASSWORD).await;
        walk.press("button.primary").await;
        find(walk.browser, ".message").await;
        walk.look("note", "joined").await;
        walk.open(&format!("{}/projects/acme/link/nothing", walk.app.base)).await;
        walk.look("error", "no-such-link").await;
    })
    .await;
}

async fn objecting_to_a_deletion(engine: Engine) {
    walk(engine, async |walk| {
        let shop = walk.app.shop("acme", "confidential").await;
        // The link goes to an address that is proved.
        walk.app.verify_alice(&shop).await;
        let admin = Deleting::new(walk.app, &shop).await;
        admin.settings(json!({"deletion_restore_days": 14})).await;
        admin.confirm(&admin.asked().await, "alice").await.ok();
        follow(walk, "alice@example.com").await;
        walk.look("objection", "").await;
        walk.press("button.primary").await;
        find(walk.browser, ".message").await;
        walk.look("note", "objected").await;
    })
    .await;
}

async fn reading_mail(engine: Engine) {
    walk(engine, async |walk| {
        let shop = shop(walk).await;
        walk.open(&format!("{}/dev/mail", walk.app.base)).await;
        walk.look("mailbox", "empty").await;
        walk.app.forget(&shop, "alice").await;
        walk.app.app.clock.advance(5);
        tessera::jobs::run_due(&walk.app.app).await.unwrap();
        walk.open(&format!("{}/dev/mail", walk.app.base)).await;
        walk.look("mailbox", "").await;
        walk.press(".letters a").await;
        find(walk.browser, ".letter").await;
        walk.look("mailbox_letter", "").await;
    })
    .await;
}
