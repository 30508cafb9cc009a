//! What a client asks for where its project asks for less: wherever a code, a silent sign-in, a device or an exchanged
//! token goes to it.

use serde_json::json;
use tessera::model::client::{ClientSettings, GrantType};
use tessera::model::sign_in_policy::SecondFactor;

use crate::support::oauth::claims_of;
use crate::support::{
    Engine, Middle, PASSWORD, REDIRECT, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of,
    parameter, sealed_of,
};

both_engines!(
    a_stricter_client_gets_no_weaker_code,
    a_stricter_client_of_devices,
    a_stricter_client_exchanges_no_weaker_token,
    another_person_is_not_stepped_up_to,
    third_parties_ask_after_it,
);

/// Another client, which asks for a second factor.
async fn bank(app: &TestApp, shop: &Shop) -> Shop {
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        second_factor: Some(SecondFactor::Required),
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::DeviceCode],
        ..ClientSettings::default()
    };
    app.second_client(shop, settings).await
}

async fn authorize(app: &TestApp, shop: &Shop, cookie: &str, more: &str) -> reqwest::Response {
    app.http.get(app.authorize_url(shop, more)).header("cookie", cookie).send().await.unwrap()
}

async fn acr(app: &TestApp, shop: &Shop, answer: &reqwest::Response) -> String {
    let tokens = app.exchange(shop, &code_of(answer)).await.ok();
    claims_of(tokens["id_token"].as_str().unwrap())["acr"].as_str().unwrap().to_owned()
}

async fn a_stricter_client_gets_no_weaker_code(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    app.policy(&shop, json!({"second_factor": "off"})).await;
    let bank = bank(&app, &shop).await;
    let (code, cookie) = app.code(&shop, "").await;
    app.exchange(&shop, &code).await.ok();
    let none = authorize(&app, &bank, &cookie, "&prompt=none").await;
    assert_eq!(parameter(&location_of(&none), "error").as_deref(), Some("interaction_required"));
    // Also past the page that asks which account it is.
    let page = Seen::of(authorize(&app, &bank, &cookie, "&prompt=select_account").await).await;
    let form = [("request", sealed_of(&page.text)), ("account", "this".into())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    let chosen = app.post_page(&bank, "/select-account", &cookie, &form).await;
    assert!(chosen.headers()["location"].to_str().unwrap().ends_with("/second-factor"));
    let asked = authorize(&app, &bank, &cookie, "").await;
    let page = Seen::of(app.follow(&asked, &cookie).await).await;
    let middle = Middle { cookie, page };
    let answer = app.show(&bank, &middle, "totp", &enrolled.authenticator.code(&app)).await;
    assert_eq!(acr(&app, &bank, &answer).await, "2");
    let cookie = cookie_of(&answer);
    assert_eq!(acr(&app, &bank, &authorize(&app, &bank, &cookie, "&prompt=none").await).await, "2");
    assert_eq!(acr(&app, &shop, &authorize(&app, &shop, &cookie, "&prompt=none").await).await, "2");
    // From the start: the first one asks nobody, the second one everybody.
    app.app.clock.advance(30);
    app.code(&shop, "").await;
    let answer = app.signed_in_with(&bank, "", &enrolled.authenticator).await;
    assert_eq!(acr(&app, &bank, &answer).await, "2");
    // A client that asks whoever has one.
    app.app.clock.advance(30);
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        second_factor: Some(SecondFactor::Optional),
        ..ClientSettings::default()
    };
    let desk = app.second_client(&shop, settings).await;
    let (_, cookie) = app.code(&shop, "").await;
    let none = authorize(&app, &desk, &cookie, "&prompt=none").await;
    assert_eq!(parameter(&location_of(&none), "error").as_deref(), Some("interaction_required"));
    let bob = tessera::secret::Secret::new(PASSWORD);
    tessera::projects::create_user(&app.app, shop.project, "bob", None, bob).await.unwrap();
    let (cookie, sealed) = app.sign_in_page(&desk, "").await;
    let bob = app.submit_as(&desk, &cookie, &sealed, ("bob", PASSWORD)).await;
    assert_eq!(acr(&app, &desk, &bob).await, "1");
}

async fn a_stricter_client_of_devices(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    app.policy(&shop, json!({"second_factor": "off"})).await;
    let bank = bank(&app, &shop).await;
    let (_, cookie) = app.code(&shop, "").await;
    let device = app.device(&bank, "openid").await;
    let page = app.device_page(&bank, Some(&cookie)).await;
    let entered = app.enter_code(&bank, &page, device.get("user_code")).await;
    let asked = app.follow(&entered, &cookie).await;
    assert!(asked.headers()["location"].to_str().unwrap().ends_with("/second-factor"));
    app.app.clock.advance(5);
    app.poll(&bank, &device).await.refused(400, "authorization_pending", "nobody has decided yet");
    let middle = Middle { page: Seen::of(app.follow(&asked, &cookie).await).await, cookie };
    let answer = app.show(&bank, &middle, "totp", &enrolled.authenticator.code(&app)).await;
    let cookie = cookie_of(&answer);
    let confirm = Seen::of(app.follow(&answer, &cookie).await).await;
    let done = app.decide(&bank, &cookie, &sealed_of(&confirm.text), "allow").await;
    assert_eq!(done.status, 200);
    app.app.clock.advance(5);
    let tokens = app.poll(&bank, &device).await.ok();
    assert_eq!(claims_of(tokens["access_token"].as_str().unwrap())["acr"], "2");
    // A form that was open while the client began to ask for more allows nothing.
    let device = app.device(&shop, "openid").await;
    let (cookie, sealed, _) = app.named_device(&shop, &device).await;
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", shop.id), json!({"second_factor": "required"})).await.ok();
    let form = [("request", sealed.as_str()), ("decision", "allow")];
    let answer = app.post_page(&shop, "/device/confirm", &cookie, &form).await;
    assert!(answer.headers()["location"].to_str().unwrap().ends_with("/second-factor"));
}

async fn a_stricter_client_exchanges_no_weaker_token(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, api) = crate::token_exchange::world(&app).await;
    let tokens = crate::token_exchange::signed_in(&app, &shop).await;
    crate::token_exchange::swapped(&app, &api, tokens.get("access_token"), &[]).await;
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", api.id), json!({"second_factor": "required"})).await.ok();
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", tokens.get("access_token")),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let why =
        "the subject token is not acceptable: its sign-in had no second factor, and the client asks for one";
    app.form(&api, "token", &form).await.refused_for(400, "invalid_request", "subject_token", why);
    let enrolled = app.enrolled(&shop).await;
    let answer = app.signed_in_with(&shop, "", &enrolled.authenticator).await;
    let stronger = app.exchange(&shop, &code_of(&answer)).await.ok();
    crate::token_exchange::swapped(&app, &api, stronger["access_token"].as_str().unwrap(), &[]).await;
}

/// A request that means somebody else is no reason to ask whoever is signed in for more.
async fn another_person_is_not_stepped_up_to(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    app.enrolled(&shop).await;
    let document = json!({"id_token": {"sub": {"value": "somebody"}}}).to_string();
    let claims: String = url::form_urlencoded::byte_serialize(document.as_bytes()).collect();
    let page = authorize(&app, &shop, &cookie, &format!("&acr_values=2&claims={claims}")).await;
    let page = Seen::of(page).await;
    assert!(page.status == 200 && page.text.contains(r#"name="password""#));
}

/// The page that asks to allow an application of others comes after the second factor, and is bound by it.
async fn third_parties_ask_after_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        first_party: false,
        second_factor: Some(SecondFactor::Required),
        ..ClientSettings::default()
    };
    let partner = app.second_client(&shop, settings).await;
    let middle = app.half_signed_in(&partner, "").await;
    let answer = app.show(&partner, &middle, "totp", &enrolled.authenticator.code(&app)).await;
    let cookie = cookie_of(&answer);
    let page = Seen::of(answer).await;
    assert!(page.status == 200 && page.text.contains(r#"value="allow""#));
    let form = [("request", sealed_of(&page.text)), ("decision", "allow".into())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    let allowed = app.post_page(&partner, "/consent", &cookie, &form).await;
    assert_eq!(acr(&app, &partner, &allowed).await, "2");
}
