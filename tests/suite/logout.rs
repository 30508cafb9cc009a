//! RP-initiated logout: who is signed out at once, who is asked, and who is sent on.

use reqwest::Response;
use serde_json::Value;
use tessera::model::client::ClientSettings;
use tessera::projects;
use tessera::secret::{Secret, decode_base64url};

use crate::jobs::{run_sql, run_well};
use crate::support::{
    Engine, PASSWORD, REDIRECT, Receiver, Seen, Shop, TestApp, Tokens, both_engines, sealed_of, silent_code,
};

both_engines!(
    a_hint_of_this_session_signs_out_and_leads_back,
    an_address_that_is_not_registered_leads_nowhere,
    a_forged_hint_is_asked_about,
    a_foreign_hint_is_asked_about,
    without_an_application_a_page_has_the_last_word,
    a_post_is_as_good,
    nobody_is_signed_out_unasked,
    the_form_is_bound_to_the_browser,
    an_application_may_outlast_the_browser,
    another_project_knows_nothing,
    two_at_once_are_one_logout,
    the_clients_are_told,
    a_hint_from_elsewhere_ends_nothing,
    a_session_of_a_device_is_asked_about,
    people_leave_an_application_that_is_switched_off,
    a_long_post_is_refused
);

const BACK: &str = "https://app.example/bye?from=us";

fn settings() -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        refresh_rotation: Some(true),
        post_logout_redirect_uris: vec!["https://app.example/".into(), BACK.into()],
        ..ClientSettings::default()
    }
}

async fn shop(app: &TestApp, slug: &str) -> Shop {
    app.shop_with(slug, "confidential", settings()).await
}

/// A browser that is signed in, and what the application got.
async fn signed_in(app: &TestApp, shop: &Shop) -> (String, Tokens) {
    let (code, cookie) = app.code(shop, "&scope=openid").await;
    (cookie, app.oauth_exchange(shop, &code).await)
}

async fn get(app: &TestApp, shop: &Shop, cookie: Option<&str>, parameters: &[(&str, &str)]) -> Response {
    let request = app.http.get(app.project_url(shop, "/oauth2/logout")).query(parameters);
    match cookie {
        Some(cookie) => request.header("cookie", cookie).send().await.unwrap(),
        None => request.send().await.unwrap(),
    }
}

async fn press(app: &TestApp, shop: &Shop, cookie: &str, sealed: &str) -> Response {
    let request = app.http.post(app.project_url(shop, "/sign-out")).header("cookie", cookie);
    request.form(&[("request", sealed)]).send().await.unwrap()
}

/// 303 to this address, and the cookie goes.
fn led_to(response: &Response, address: &str) {
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], address);
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("=; ") && cookie.contains("Max-Age=0"), "{cookie}");
}

/// The page that asks; nothing has ended.
async fn asked(app: &TestApp, shop: &Shop, cookie: &str, response: Response) -> String {
    let page = Seen::of(response).await;
    assert!(page.text.contains("Sign out?") && !page.headers.contains_key("set-cookie"), "{}", page.text);
    assert!(silent_code(app, shop, cookie).await.is_some());
    sealed_of(&page.text)
}

async fn is_over(app: &TestApp, shop: &Shop, cookie: &str) -> bool {
    silent_code(app, shop, cookie).await.is_none()
}

fn forged(token: &str) -> String {
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{rest}.{first}{}", &signature[1..])
}

// C117 C123
async fn a_hint_of_this_session_signs_out_and_leads_back(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (cookie, bound) = signed_in(&app, &shop).await;
    let offline = silent_code(&app, &shop, &cookie).await.unwrap();
    let offline = Tokens(app.exchange(&shop, &offline).await.ok());
    let unused = silent_code(&app, &shop, &cookie).await.unwrap();
    let hint = bound.get("id_token").to_owned();
    let parameters = [
        ("id_token_hint", hint.as_str()),
        ("client_id", &shop.id),
        ("post_logout_redirect_uri", BACK),
        ("state", "a b&c"),
        ("ui_locales", "la"),
        ("colour", "blue"),
    ];
    let response = get(&app, &shop, Some(&cookie), &parameters).await;
    led_to(&response, &format!("{BACK}&state=a+b%26c"));
    assert!(is_over(&app, &shop, &cookie).await);
    // What was not granted for longer has ended with it, on every node.
    let node = app.second_node().await;
    let refused = node.refresh(&shop, bound.get("refresh_token")).await;
    refused.refused(400, "invalid_grant", "the session has ended: session_revoked");
    assert_eq!(node.verify(&shop, bound.get("access_token")).await["reason"], "session_revoked");
    assert_eq!(node.exchange(&shop, &unused).await.status, 400);
    app.refresh(&shop, offline.get("refresh_token")).await.ok();
    // Again it leads back, and ends nothing.
    let again = get(&app, &shop, None, &parameters).await;
    assert_eq!((again.status().as_u16(), again.headers().contains_key("set-cookie")), (303, false));
    let events = app.desk(&shop, "auditor").await.get("/audit?action=browser_session.ended").await.ok();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    assert_eq!(events["items"][0]["detail"]["families_ended"], 1);
}

// C118
async fn an_address_that_is_not_registered_leads_nowhere(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (cookie, tokens) = signed_in(&app, &shop).await;
    for uri in [
        "https://evil.example/",
        "https://app.example/?x=1",
        "https://app.example/bye?from=us&x=1",
        "https://app.example/bye",
        "https://app.example",
        "HTTPS://app.example/",
        "https://app.example/#",
        REDIRECT,
    ] {
        let parameters =
            [("id_token_hint", tokens.get("id_token")), ("post_logout_redirect_uri", uri), ("state", "s")];
        let page = Seen::of(get(&app, &shop, Some(&cookie), &parameters).await).await;
        page.refused(400, "The application asked to return to an address that is not registered.");
        assert!(!page.text.contains("evil.example"));
    }
    assert!(!is_over(&app, &shop, &cookie).await);
    // Two applications, one that nobody knows, a parameter given twice.
    let second = app.second_client(&shop, settings()).await;
    let other = [("id_token_hint", tokens.get("id_token")), ("client_id", second.id.as_str())];
    let page = Seen::of(get(&app, &shop, Some(&cookie), &other).await).await;
    page.refused(400, "The application named itself and another one.");
    for unknown in ["nobody", "01234567-89ab-7cde-8f01-23456789abcd"] {
        let page = Seen::of(get(&app, &shop, Some(&cookie), &[("client_id", unknown)]).await).await;
        page.refused(400, "This application is not known here.");
    }
    let page = Seen::of(get(&app, &shop, Some(&cookie), &[("state", "a"), ("state", "b")]).await).await;
    page.refused(400, "The application's request names something twice.");
    assert!(!is_over(&app, &shop, &cookie).await);
}

// C119
async fn a_forged_hint_is_asked_about(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (cookie, tokens) = signed_in(&app, &shop).await;
    let forged = forged(tokens.get("id_token"));
    for hint in [forged.as_str(), tokens.get("access_token"), "a.b.c", "nothing"] {
        let parameters = [("id_token_hint", hint), ("post_logout_redirect_uri", BACK), ("state", "s")];
        let response = get(&app, &shop, Some(&cookie), &parameters).await;
        let sealed = asked(&app, &shop, &cookie, response).await;
        // Nobody knows whose address it would be, so nobody is sent there afterwards either.
        if hint == "nothing" {
            let page = Seen::of(press(&app, &shop, &cookie, &sealed).await).await;
            assert!(page.text.contains("You are signed out") && !page.text.contains("app.example"));
        }
        // Without a session neither.
        let page = Seen::of(get(&app, &shop, None, &parameters).await).await;
        assert!(page.text.contains("You are signed out") && !page.text.contains("app.example"));
    }
    assert!(is_over(&app, &shop, &cookie).await);
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "session_revoked");
}

// C119
async fn a_foreign_hint_is_asked_about(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (_, elsewhere) = signed_in(&app, &shop).await;
    projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    let bobs = app.sign_in_as(&shop, "bob").await;
    let (cookie, mine) = signed_in(&app, &shop).await;
    for hint in [&elsewhere, &bobs] {
        let parameters =
            [("id_token_hint", hint.get("id_token")), ("post_logout_redirect_uri", BACK), ("state", "s")];
        let response = get(&app, &shop, Some(&cookie), &parameters).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("form-action 'self' https://app.example;"), "{policy}");
        asked(&app, &shop, &cookie, response).await;
        assert_eq!(app.verify(&shop, hint.get("access_token")).await["active"], true);
    }
    // Yes: the browser's own session ends, and the way leads back.
    let parameters = [("id_token_hint", bobs.get("id_token")), ("post_logout_redirect_uri", BACK)];
    let response = get(&app, &shop, Some(&cookie), &parameters).await;
    let sealed = asked(&app, &shop, &cookie, response).await;
    led_to(&press(&app, &shop, &cookie, &sealed).await, BACK);
    assert!(is_over(&app, &shop, &cookie).await);
    assert_eq!(app.verify(&shop, mine.get("access_token")).await["active"], false);
    for hint in [&elsewhere, &bobs] {
        assert_eq!(app.verify(&shop, hint.get("access_token")).await["active"], true);
    }
}

// C120
async fn without_an_application_a_page_has_the_last_word(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let named = [("client_id", shop.id.as_str())];
    for parameters in [&[][..], &[("state", "s")], &[("post_logout_redirect_uri", BACK)], &named] {
        let (cookie, _) = signed_in(&app, &shop).await;
        let response = get(&app, &shop, Some(&cookie), parameters).await;
        let sealed = asked(&app, &shop, &cookie, response).await;
        let response = press(&app, &shop, &cookie, &sealed).await;
        assert!(response.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
        let page = Seen::of(response).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("You are signed out") && !page.text.contains("app.example"));
        assert!(is_over(&app, &shop, &cookie).await);
    }
    // Only a hint: it is of this session, so there is nothing to ask.
    let (cookie, tokens) = signed_in(&app, &shop).await;
    let hint = [("id_token_hint", tokens.get("id_token"))];
    let page = Seen::of(get(&app, &shop, Some(&cookie), &hint).await).await;
    assert!(page.text.contains("You are signed out"));
    assert!(is_over(&app, &shop, &cookie).await);
    // An application that names itself may be returned to, once the person has said so.
    let (cookie, _) = signed_in(&app, &shop).await;
    let parameters = [("client_id", shop.id.as_str()), ("post_logout_redirect_uri", BACK), ("state", "s")];
    let response = get(&app, &shop, Some(&cookie), &parameters).await;
    let sealed = asked(&app, &shop, &cookie, response).await;
    led_to(&press(&app, &shop, &cookie, &sealed).await, &format!("{BACK}&state=s"));
    // Nobody is signed in: a link, and no redirect.
    let page = Seen::of(get(&app, &shop, None, &parameters).await).await;
    assert!(page.text.contains("https://app.example/bye?from=us&#38;state=s"), "{}", page.text);
}

// C121
async fn a_post_is_as_good(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (cookie, tokens) = signed_in(&app, &shop).await;
    let form = [("id_token_hint", tokens.get("id_token")), ("post_logout_redirect_uri", BACK)];
    let post = || app.http.post(app.project_url(&shop, "/oauth2/logout")).form(&form);
    // Of another site it comes without the cookie, and is sent on to where the cookie is.
    let response = post().header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(response.status(), 303);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    // No token stands in an address.
    assert!(location.starts_with(&app.project_url(&shop, "/oauth2/logout?carried=")), "{location}");
    assert!(!location.contains('&') && !location.contains("eyJ") && !location.contains("app.example"));
    assert!(!is_over(&app, &shop, &cookie).await);
    let follow = |to: &str| app.http.get(to).header("cookie", &cookie).send();
    led_to(&follow(&location).await.unwrap(), BACK);
    assert!(is_over(&app, &shop, &cookie).await);
    let (cookie, tokens) = signed_in(&app, &shop).await;
    let form = [("id_token_hint", tokens.get("id_token")), ("post_logout_redirect_uri", BACK)];
    let post = app.http.post(app.project_url(&shop, "/oauth2/logout")).form(&form);
    led_to(&post.header("cookie", &cookie).send().await.unwrap(), BACK);
    assert!(is_over(&app, &shop, &cookie).await);
    // What is carried is good for two minutes, at this project, and whole.
    let message =
        "This address was good for one moment. Please go back to the application and sign out again.";
    let other = self::shop(&app, "other").await;
    let elsewhere = location.replace("/projects/shop/", "/projects/other/");
    let (theirs, _) = signed_in(&app, &other).await;
    for bad in [elsewhere, format!("{location}A"), app.project_url(&shop, "/oauth2/logout?carried=x")] {
        let page = Seen::of(app.http.get(bad).header("cookie", &theirs).send().await.unwrap()).await;
        page.refused(400, message);
    }
    app.app.clock.advance(120);
    Seen::of(app.http.get(&location).send().await.unwrap()).await.refused(400, message);
}

// C121
async fn nobody_is_signed_out_unasked(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (cookie, tokens) = signed_in(&app, &shop).await;
    let url = app.project_url(&shop, "/oauth2/logout");
    let image = app.http.get(&url).header("cookie", &cookie).header("sec-fetch-site", "cross-site");
    asked(&app, &shop, &cookie, image.send().await.unwrap()).await;
    let head = app.http.head(&url).query(&[("id_token_hint", tokens.get("id_token"))]);
    assert_eq!(head.header("cookie", &cookie).send().await.unwrap().status(), 200);
    assert!(!is_over(&app, &shop, &cookie).await);
    let put = app.http.put(&url).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(Seen::of(put).await.status, 405);
}

async fn the_form_is_bound_to_the_browser(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (shop(&app, "shop").await, shop(&app, "other").await);
    let (cookie, _) = signed_in(&app, &shop).await;
    let (victim, _) = signed_in(&app, &shop).await;
    let sealed = sealed_of(&get(&app, &shop, Some(&cookie), &[]).await.text().await.unwrap());
    // Another browser, another project, another form, another site, none.
    assert_eq!(Seen::of(press(&app, &shop, &victim, &sealed).await).await.status, 400);
    assert_eq!(Seen::of(press(&app, &other, &cookie, &sealed).await).await.status, 400);
    let (_, sign_in) = app.sign_in_page(&shop, "").await;
    for foreign in [sign_in.as_str(), "", "x"] {
        assert_eq!(Seen::of(press(&app, &shop, &cookie, foreign).await).await.status, 400);
    }
    let from_elsewhere = app.http.post(app.project_url(&shop, "/sign-out")).header("cookie", &cookie);
    let from_elsewhere = from_elsewhere.header("sec-fetch-site", "cross-site").form(&[("request", &sealed)]);
    assert_eq!(Seen::of(from_elsewhere.send().await.unwrap()).await.status, 400);
    for browser in [&cookie, &victim] {
        assert!(!is_over(&app, &shop, browser).await);
    }
    // Pressed twice, it is done once.
    assert_eq!(press(&app, &shop, &cookie, &sealed).await.status(), 200);
    assert_eq!(press(&app, &shop, &cookie, &sealed).await.status(), 200);
    assert!(is_over(&app, &shop, &cookie).await && !is_over(&app, &shop, &victim).await);
    // Open for too long.
    let sealed = sealed_of(&get(&app, &shop, Some(&victim), &[]).await.text().await.unwrap());
    app.app.clock.advance(3601);
    assert_eq!(Seen::of(press(&app, &shop, &victim, &sealed).await).await.status, 400);
}

async fn an_application_may_outlast_the_browser(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (cookie, tokens) = signed_in(&app, &shop).await;
    let (code, _) = app.code(&shop, "&scope=openid+offline_access").await;
    let offline = app.oauth_exchange(&shop, &code).await;
    // The browser's hour is over, and with it what hung on it; the ID token, too.
    app.app.clock.advance(3 * 3600);
    let over = app.refresh(&shop, tokens.get("refresh_token")).await;
    assert_eq!((over.status, over.body["error"].as_str()), (400, Some("invalid_grant")));
    for hint in [&tokens, &offline] {
        let parameters = [("id_token_hint", hint.get("id_token")), ("post_logout_redirect_uri", BACK)];
        led_to(&get(&app, &shop, Some(&cookie), &parameters).await, BACK);
    }
    app.refresh(&shop, offline.get("refresh_token")).await.ok();
}

async fn a_hint_from_elsewhere_ends_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (cookie, tokens) = signed_in(&app, &shop).await;
    let parameters = [("id_token_hint", tokens.get("id_token")), ("post_logout_redirect_uri", BACK)];
    // Whoever has an ID token of somebody's has neither their cookie nor their session.
    let post = app.http.post(app.project_url(&shop, "/oauth2/logout")).form(&parameters);
    for response in [get(&app, &shop, None, &parameters).await, post.send().await.unwrap()] {
        let page = Seen::of(response).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("in this browser") && !page.headers.contains_key("set-cookie"));
    }
    assert!(!is_over(&app, &shop, &cookie).await);
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
    app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    let auditor = app.desk(&shop, "auditor").await;
    let path = "/audit?action=token_family.revoked";
    assert_eq!(auditor.get(path).await.ok()["items"], serde_json::json!([]));
    // Its browser session is over, and the application's is not: told in the log.
    run_sql(&app.app, "UPDATE browser_sessions SET expires_at = created_at").await;
    let response = get(&app, &shop, None, &parameters).await;
    assert_eq!((response.status().as_u16(), &response.headers()["location"]), (303, &BACK.parse().unwrap()));
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], false);
    let events = auditor.get(path).await.ok();
    let (event, count) = (&events["items"][0], events["items"].as_array().unwrap().len());
    assert_eq!((count, &event["reason"]), (1, &"logged_out".into()));
    assert_eq!(event["detail"]["families_ended"], 1);
    // Again it ends nothing.
    assert_eq!(get(&app, &shop, None, &parameters).await.status(), 303);
    assert_eq!(auditor.get(path).await.ok()["items"].as_array().unwrap().len(), 1);
}

async fn a_session_of_a_device_is_asked_about(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    let device = app.device(&shop, "openid").await;
    app.allow(&shop, &device).await;
    let tokens = Tokens(app.poll(&shop, &device).await.ok());
    let parameters = [("id_token_hint", tokens.get("id_token"))];
    let response = get(&app, &shop, None, &parameters).await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = Seen::of(response).await;
    assert!(page.text.contains("Sign out?"), "{}", page.text);
    let lives = async || app.verify(&shop, tokens.get("access_token")).await["active"] == true;
    assert!(lives().await);
    // Only where it was asked.
    let sealed = sealed_of(&page.text);
    let foreign = format!("{}={}", cookie.split('=').next().unwrap(), "a".repeat(43));
    assert_eq!(Seen::of(press(&app, &shop, &foreign, &sealed).await).await.status, 400);
    assert!(lives().await);
    assert_eq!(press(&app, &shop, &cookie, &sealed).await.status(), 200);
    assert!(!lives().await);
    assert_eq!(press(&app, &shop, &cookie, &sealed).await.status(), 200);
    let events = app.desk(&shop, "auditor").await.get("/audit?action=token_family.revoked").await.ok();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
}

async fn people_leave_an_application_that_is_switched_off(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let till = app.second_client(&shop, settings()).await;
    let desk = app.desk(&shop, "admin").await;
    let (cookie, tokens) = signed_in(&app, &shop).await;
    desk.patch(&format!("/clients/{}", shop.id), serde_json::json!({"status": "disabled"})).await.ok();
    let parameters = [("id_token_hint", tokens.get("id_token")), ("post_logout_redirect_uri", BACK)];
    // By name it is asked about; with an ID token of the session it is done. Nobody is led to it.
    let named = [("client_id", shop.id.as_str()), ("post_logout_redirect_uri", BACK)];
    let response = get(&app, &shop, Some(&cookie), &named).await;
    asked(&app, &till, &cookie, response).await;
    let page = Seen::of(get(&app, &shop, Some(&cookie), &parameters).await).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("You are signed out") && !page.text.contains("app.example"), "{}", page.text);
    assert!(is_over(&app, &till, &cookie).await);
    let page = Seen::of(get(&app, &shop, None, &parameters).await).await;
    assert!(page.status == 200 && !page.text.contains("app.example"));
}

async fn a_long_post_is_refused(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let post = |state: usize| {
        let request = app.http.post(app.project_url(&shop, "/oauth2/logout"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("sec-fetch-site", "cross-site").body(format!("state={}", "s".repeat(state))).send()
    };
    let response = post(8 * 1024 - 6).await.unwrap();
    assert_eq!(response.status(), 303);
    let followed = app.http.get(response.headers()["location"].to_str().unwrap()).send().await.unwrap();
    assert_eq!(followed.status(), 200);
    let page = Seen::of(post(8 * 1024 - 5).await.unwrap()).await;
    page.refused(400, "The application's request is longer than 8192 bytes.");
}

async fn another_project_knows_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (shop(&app, "shop").await, shop(&app, "other").await);
    let (cookie, tokens) = signed_in(&app, &shop).await;
    let (foreign, _) = signed_in(&app, &other).await;
    // A hint of one project is none at another, and its cookie is not read there.
    let parameters = [("id_token_hint", tokens.get("id_token")), ("post_logout_redirect_uri", BACK)];
    let response = get(&app, &other, Some(&foreign), &parameters).await;
    asked(&app, &other, &foreign, response).await;
    let page = Seen::of(get(&app, &other, Some(&cookie), &parameters).await).await;
    assert!(page.text.contains("You are signed out"));
    assert!(!is_over(&app, &shop, &cookie).await);
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
    let named = [("client_id", shop.id.as_str())];
    let page = Seen::of(get(&app, &other, Some(&foreign), &named).await).await;
    page.refused(400, "This application is not known here.");
}

async fn two_at_once_are_one_logout(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (cookie, tokens) = signed_in(&app, &shop).await;
    let parameters = [("id_token_hint", tokens.get("id_token")), ("post_logout_redirect_uri", BACK)];
    let go = || get(&app, &shop, Some(&cookie), &parameters);
    let (one, another) = tokio::join!(go(), go());
    assert_eq!((one.status().as_u16(), another.status().as_u16()), (303, 303));
    let events = app.desk(&shop, "auditor").await.get("/audit?action=browser_session.ended").await.ok();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
}

async fn the_clients_are_told(engine: Engine) {
    let app = TestApp::new(engine).await;
    let server = Receiver::start().await;
    let told = ClientSettings { backchannel_logout_uri: Some(server.url("/")), ..settings() };
    let shop = app.shop_with("shop", "confidential", told.clone()).await;
    let till = app.second_client(&shop, told).await;
    let (cookie, tokens) = signed_in(&app, &shop).await;
    let code = silent_code(&app, &till, &cookie).await.unwrap();
    let tills = app.oauth_exchange(&till, &code).await;
    let parameters = [("id_token_hint", tokens.get("id_token")), ("post_logout_redirect_uri", BACK)];
    led_to(&get(&app, &shop, Some(&cookie), &parameters).await, BACK);
    run_well(&app.app).await;
    let sid = |token: &str| -> Value {
        let part = decode_base64url(token.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&part).unwrap()["sid"].clone()
    };
    let mut expected = [sid(tokens.get("id_token")), sid(tills.get("id_token"))].map(|sid| sid.to_string());
    let mut told: Vec<String> = server
        .received()
        .iter()
        .map(|one| sid(&one.parameter("logout_token").unwrap()).to_string())
        .collect();
    expected.sort();
    told.sort();
    assert_eq!(told, expected);
}
