//! Devices of applications of others, and devices that ask for resource servers.

use serde_json::json;

use crate::consents::error_of;
use crate::support::oauth::claims_of;
use crate::support::{Answer, DEVICE_GRANT, Device, Engine, Shop, TestApp, both_engines, sealed_of};

both_engines!(
    an_approval_is_a_consent,
    a_withdrawal_reaches_devices_that_wait,
    a_page_shows_what_is_allowed,
    a_registration_that_shrinks,
    devices_ask_for_resource_servers,
);

/// Somebody else's application for devices.
async fn television(app: &TestApp) -> Shop {
    let shop = app.device_shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", shop.id), json!({"first_party": false})).await.ok();
    shop
}

async fn an_approval_is_a_consent(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = television(&app).await;
    let desk = app.desk(&shop, "user_manager").await;
    let path = format!("/users/{}/consents", shop.user);
    let denied = app.device(&shop, "openid email").await;
    let (cookie, sealed, _) = app.named_device(&shop, &denied).await;
    app.decide(&shop, &cookie, &sealed, "deny").await;
    assert_eq!(desk.get(&path).await.ok()["items"], json!([]));

    let device = app.device(&shop, "openid email").await;
    let cookie = app.allow(&shop, &device).await;
    let listed = desk.get(&path).await.ok();
    assert_eq!(listed["items"][0]["client_id"], shop.id.as_str());
    assert_eq!(listed["items"][0]["scopes"], json!(["openid", "email"]));
    let tokens = app.poll(&shop, &device).await.ok();
    // It is one consent, however it was given.
    assert_eq!(error_of(&app, &shop, "&scope=openid+email&prompt=none", &cookie).await, None);
    let more = error_of(&app, &shop, "&scope=openid+phone&prompt=none", &cookie).await;
    assert_eq!(more.as_deref(), Some("consent_required"));

    assert_eq!(desk.delete(&format!("{path}/{}", shop.id)).await.ok()["families_ended"], 1);
    let verdict = app.verify(&shop, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(verdict["reason"], "session_revoked");
    let silent = error_of(&app, &shop, "&scope=openid&prompt=none", &cookie).await;
    assert_eq!(silent.as_deref(), Some("consent_required"));
    // A project's own application leaves none.
    let own = app.device_shop("own", "public").await;
    let device = app.device(&own, "openid").await;
    app.allow(&own, &device).await;
    let theirs = app.desk(&own, "user_manager").await;
    assert_eq!(theirs.get(&format!("/users/{}/consents", own.user)).await.ok()["items"], json!([]));
}

async fn a_withdrawal_reaches_devices_that_wait(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = television(&app).await;
    let desk = app.desk(&shop, "user_manager").await;
    let path = format!("/users/{}/consents/{}", shop.user, shop.id);
    let device = app.device(&shop, "openid").await;
    app.allow(&shop, &device).await;
    desk.delete(&path).await.ok();
    app.poll(&shop, &device).await.refused(400, "invalid_grant", "the device code is unknown");
    // Whichever comes first, nothing that was withdrawn lives.
    for _ in 0..4 {
        let device = app.device(&shop, "openid").await;
        app.allow(&shop, &device).await;
        let (polled, withdrawn) = tokio::join!(app.poll(&shop, &device), desk.delete(&path));
        withdrawn.ok();
        if polled.status == 200 {
            let verdict = app.verify(&shop, polled.body["access_token"].as_str().unwrap()).await;
            assert_eq!(verdict["reason"], "session_revoked");
        } else {
            polled.refused(400, "invalid_grant", "the device code is unknown");
        }
    }
}

async fn a_page_shows_what_is_allowed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = television(&app).await;
    let desk = app.desk(&shop, "admin").await;
    desk.post("/scopes", json!({"name": "club", "description": "see your name"})).await.created();
    desk.patch(&format!("/clients/{}", shop.id), json!({"scope": "openid club"})).await.ok();
    let device = app.device(&shop, "openid club").await;
    let (cookie, sealed, _) = app.named_device(&shop, &device).await;
    let change = json!({"claims": ["email"], "description": "see your mail"});
    desk.patch("/scopes/club", change).await.ok();
    let again = app.decide(&shop, &cookie, &sealed, "allow").await;
    assert!(
        again.text.contains("Allow this device?") && again.text.contains("see your mail"),
        "{}",
        again.text
    );
    assert_eq!(app.poll(&shop, &device).await.body["error"], "authorization_pending");
    let done = app.decide(&shop, &cookie, &sealed_of(&again.text), "allow").await;
    assert_eq!(done.message(), "You can close this page and go on at your device.");
    // Made wider once more before the device asks: it was not that which was allowed.
    desk.patch("/scopes/club", json!({"claims": ["email", "roles"]})).await.ok();
    app.app.clock.advance(5);
    assert_eq!(app.poll(&shop, &device).await.ok()["scope"], "openid");
}

async fn a_registration_that_shrinks(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let client = format!("/clients/{}", shop.id);
    let (before, after) =
        (app.device(&shop, "openid email phone").await, app.device(&shop, "openid email").await);
    desk.patch(&client, json!({"scope": "openid email"})).await.ok();
    app.allow(&shop, &before).await;
    app.allow(&shop, &after).await;
    assert_eq!(app.poll(&shop, &before).await.ok()["scope"], "openid email");
    desk.patch(&client, json!({"scope": "openid"})).await.ok();
    assert_eq!(app.poll(&shop, &after).await.ok()["scope"], "openid");
}

async fn begin(app: &TestApp, shop: &Shop, resources: &[&str]) -> Answer {
    let named = resources.iter().map(|resource| ("resource", *resource));
    let form: Vec<_> = [("scope", "openid")].into_iter().chain(named).collect();
    app.form(shop, "device_authorization", &form).await
}

async fn poll(app: &TestApp, shop: &Shop, device: &Device, resource: &str) -> Answer {
    let form =
        [("grant_type", DEVICE_GRANT), ("device_code", device.get("device_code")), ("resource", resource)];
    app.form(shop, "token", &form).await
}

/// RFC 8707, 2.
async fn devices_ask_for_resource_servers(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = television(&app).await;
    let desk = app.desk(&shop, "admin").await;
    for (name, title) in [("urn:orders", "Order book"), ("urn:stock", "Stock"), ("urn:other", "Other")] {
        desk.post("/resource-servers", json!({"identifier": name, "name": title})).await.created();
    }
    let client = format!("/clients/{}", shop.id);
    desk.patch(&client, json!({"resource_servers": ["urn:orders", "urn:stock"]})).await.ok();
    let why = "this client is registered for no such resource server";
    for unknown in ["urn:other", "urn:nobody"] {
        begin(&app, &shop, &["urn:orders", unknown]).await.refused(400, "invalid_target", why);
    }
    let device = Device(begin(&app, &shop, &["urn:orders", "urn:stock"]).await.ok());
    let (cookie, sealed, page) = app.named_device(&shop, &device).await;
    assert!(page.text.contains("Order book") && page.text.contains("Stock"), "{}", page.text);
    app.decide(&shop, &cookie, &sealed, "allow").await;
    let listed = desk.get(&format!("/users/{}/consents", shop.user)).await.ok();
    assert_eq!(listed["items"][0]["resources"], json!(["urn:orders", "urn:stock"]));
    // More than was granted is refused, and uses nothing up; less is for one answer.
    let more = "resource names something that was not granted";
    poll(&app, &shop, &device, "urn:other").await.refused(400, "invalid_target", more);
    let tokens = poll(&app, &shop, &device, "urn:orders").await.ok();
    assert_eq!(claims_of(tokens["access_token"].as_str().unwrap())["aud"], "urn:orders");
    let renewed = app.refresh(&shop, tokens["refresh_token"].as_str().unwrap()).await.ok();
    let claims = claims_of(renewed["access_token"].as_str().unwrap());
    assert_eq!(claims["aud"], json!(["urn:orders", "urn:stock"]));
    // Without any the token is for the client itself, and nothing else is to be had.
    let plain = app.device(&shop, "openid").await;
    app.allow(&shop, &plain).await;
    poll(&app, &shop, &plain, "urn:orders").await.refused(400, "invalid_target", more);
    let tokens = app.poll(&shop, &plain).await.ok();
    assert_eq!(claims_of(tokens["access_token"].as_str().unwrap())["aud"], shop.id.as_str());
    // What the client is registered for no more is not given.
    let late = Device(begin(&app, &shop, &["urn:stock"]).await.ok());
    app.allow(&shop, &late).await;
    desk.patch(&client, json!({"resource_servers": ["urn:orders"]})).await.ok();
    let gone = "the resource servers of this grant are no longer there for this client";
    app.poll(&shop, &late).await.refused(400, "invalid_target", gone);
}
