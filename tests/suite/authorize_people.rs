//! Who it is that signs in: hints of the application, and the choice between accounts.

use reqwest::Response;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use tessera::projects;
use tessera::secret::Secret;

use crate::support::{
    Engine, PASSWORD, REDIRECT, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of,
    parameter, sealed_of,
};

both_engines!(
    // C052
    a_hint_names_the_person,
    // C052
    forged_hints_are_refused,
    // C046
    accounts_can_be_chosen,
    choices_are_bound,
    // C048 C049
    clients_have_an_age_of_their_own,
    // C021
    wishes_cause_no_error,
);

async fn ask(app: &TestApp, shop: &Shop, more: &str, cookie: &str) -> Response {
    app.http.get(app.authorize_url(shop, more)).header("cookie", cookie).send().await.unwrap()
}

async fn error_of(app: &TestApp, shop: &Shop, more: &str, cookie: &str) -> Option<String> {
    let to = location_of(&ask(app, shop, more, cookie).await);
    assert_eq!(parameter(&to, "state").as_deref(), Some("s1"));
    assert_eq!(parameter(&to, "error").is_some(), parameter(&to, "code").is_none());
    parameter(&to, "error")
}

async fn bob(app: &TestApp, shop: &Shop) {
    projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
}

async fn a_hint_names_the_person(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    bob(&app, &shop).await;
    let (code, cookie) = app.code(&shop, "").await;
    let tokens = app.exchange(&shop, &code).await.ok();
    let hers = format!("&id_token_hint={}", tokens["id_token"].as_str().unwrap());
    let his = format!("&id_token_hint={}", app.sign_in_as(&shop, "bob").await.get("id_token"));

    assert_eq!(error_of(&app, &shop, &format!("{hers}&prompt=none"), &cookie).await, None);
    let other = error_of(&app, &shop, &format!("{his}&prompt=none"), &cookie).await;
    assert_eq!(other.as_deref(), Some("login_required"));
    // Somebody else's: the form, and whoever signs in there has to be that person.
    let page = Seen::of(ask(&app, &shop, &his, &cookie).await).await;
    assert_eq!(page.status, 200);
    let sealed = sealed_of(&page.text);
    let wrong = app.submit_as(&shop, &cookie, &sealed, ("alice", PASSWORD)).await;
    assert!(!wrong.headers().contains_key("set-cookie"));
    let to = location_of(&wrong);
    assert_eq!(parameter(&to, "error").as_deref(), Some("login_required"));
    assert_eq!(parameter(&to, "code"), None);
    let right = app.submit_as(&shop, &cookie, &sealed, ("bob", PASSWORD)).await;
    app.exchange(&shop, &code_of(&right)).await.ok();

    // It says who is meant long after it has expired.
    app.app.clock.advance(86_400);
    let (_, cookie) = app.code(&shop, "").await;
    assert_eq!(error_of(&app, &shop, &format!("{hers}&prompt=none"), &cookie).await, None);
}

async fn forged_hints_are_refused(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let settings = ClientSettings { redirect_uris: vec![REDIRECT.into()], ..ClientSettings::default() };
    let second = app.second_client(&shop, ClientSettings { require_pkce: false, ..settings.clone() }).await;
    let elsewhere = app.shop("elsewhere", "confidential").await;
    let (code, cookie) = app.code(&shop, "").await;
    let tokens = app.exchange(&shop, &code).await.ok();
    let id_token = tokens["id_token"].as_str().unwrap();
    let (head, signature) = id_token.rsplit_once('.').unwrap();
    let foreign = app.sign_in(&elsewhere).await;
    let others = app.sign_in(&second).await;
    for hint in [
        "x",
        "a.b.c",
        head,
        &format!("{head}."),
        &format!("{head}.{}", signature.chars().rev().collect::<String>()),
        tokens["access_token"].as_str().unwrap(),
        foreign.get("id_token"),
        others.get("id_token"),
    ] {
        for more in ["", "&prompt=none"] {
            let to = location_of(&ask(&app, &shop, &format!("&id_token_hint={hint}{more}"), &cookie).await);
            assert_eq!(parameter(&to, "error").as_deref(), Some("invalid_request"), "{hint}");
            let why = "id_token_hint is not an ID token that this client got here";
            assert_eq!(parameter(&to, "error_description").as_deref(), Some(why));
            assert_eq!((parameter(&to, "state").as_deref(), parameter(&to, "code")), (Some("s1"), None));
        }
    }
}

/// Posts the choice between accounts.
async fn choose(app: &TestApp, shop: &Shop, cookie: &str, sealed: &str, account: &str) -> Response {
    let request = app.http.post(app.project_url(shop, "/select-account")).header("cookie", cookie);
    request.form(&[("request", sealed), ("account", account)]).send().await.unwrap()
}

async fn accounts_can_be_chosen(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    bob(&app, &shop).await;
    // Nobody is signed in, so there is nothing to choose from.
    assert!(
        Seen::of(ask(&app, &shop, "&prompt=select_account", "x=y").await).await.text.contains("password")
    );
    let (_, cookie) = app.code(&shop, "").await;
    let page = Seen::of(ask(&app, &shop, "&prompt=select_account&max_age=60", &cookie).await).await;
    assert!(page.text.contains("Continue as <bdi>alice</bdi>") && !page.text.contains("password"));
    assert!(page.keeps_cookie(&cookie));
    let sealed = sealed_of(&page.text);
    let code = code_of(&choose(&app, &shop, &cookie, &sealed, "this").await);
    let told = app.exchange(&shop, &code).await.ok();
    let access = told["access_token"].as_str().unwrap().to_owned();
    assert_eq!(app.verify(&shop, &access).await["claims"]["sub"], json!(shop.user));

    // Another one: the form, and then the other person's session.
    let form = Seen::of(choose(&app, &shop, &cookie, &sealed, "other").await).await;
    let signed_in = app.submit_as(&shop, &cookie, &sealed_of(&form.text), ("bob", PASSWORD)).await;
    let tokens: Value = app.exchange(&shop, &code_of(&signed_in)).await.ok();
    let claims = app.verify(&shop, tokens["access_token"].as_str().unwrap()).await;
    assert_ne!(claims["claims"]["sub"], json!(shop.user));

    // Both at once: the password first.
    let both = ask(&app, &shop, "&prompt=login+select_account", &cookie_of(&signed_in)).await;
    assert!(Seen::of(both).await.text.contains("password"));
}

async fn choices_are_bound(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    let page = Seen::of(ask(&app, &shop, "&prompt=select_account&max_age=60", &cookie).await).await;
    let sealed = sealed_of(&page.text);
    let out_of_date = "It was open for too long, or was made for another browser. Nothing has been lost.";
    let stale = "This sign-in page is no longer valid. Please go back to the application and start again.";
    // Another browser's, even one that is signed in; and a form of another kind.
    let (_, theirs) = app.code(&shop, "").await;
    for stranger in ["", theirs.as_str()] {
        let page = Seen::of(choose(&app, &shop, stranger, &sealed, "this").await).await;
        page.refused(400, out_of_date);
    }
    let (before, form) = app.sign_in_page(&shop, "").await;
    Seen::of(choose(&app, &shop, &before, &form, "this").await).await.refused(400, stale);
    Seen::of(app.submit(&shop, &cookie, &sealed, PASSWORD).await).await.refused(400, stale);
    let post = app.http.post(app.project_url(&shop, "/select-account")).header("cookie", &cookie);
    let post =
        post.header("sec-fetch-site", "cross-site").form(&[("request", &*sealed), ("account", "this")]);
    Seen::of(post.send().await.unwrap()).await.refused(400, stale);
    let neither = choose(&app, &shop, &cookie, &sealed, "both").await;
    Seen::of(neither).await.refused(400, "The form is not complete.");
    // The sign-in has grown too old for the request meanwhile.
    app.app.clock.advance(61);
    let late = choose(&app, &shop, &cookie, &sealed, "this").await;
    assert!(Seen::of(late).await.text.contains("password"));
    // Signed out meanwhile.
    let page = Seen::of(ask(&app, &shop, "&prompt=select_account", &cookie).await).await;
    let key = app.admin_key(Some(shop.project), "admin").await;
    let out = json!({"user": {"username": "alice"}, "end_browser_sessions": true});
    app.bearer(&shop, "GlobalSignOut", &key, out).await.ok();
    let over = choose(&app, &shop, &cookie, &sealed_of(&page.text), "this").await;
    assert!(Seen::of(over).await.text.contains("password"));
}

async fn clients_have_an_age_of_their_own(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        default_max_age: Some(60),
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let (_, cookie) = app.code(&shop, "").await;
    app.app.clock.advance(60);
    let old = error_of(&app, &shop, "&prompt=none", &cookie).await;
    assert_eq!(old.as_deref(), Some("login_required"));
    assert_eq!(error_of(&app, &shop, "&prompt=none&max_age=61", &cookie).await, None);
    let desk = app.desk(&shop, "admin").await;
    let client = format!("/clients/{}", shop.id);
    let bound = "default_max_age must lie between 0 and 4294967295";
    let refused = desk.patch(&client, json!({"default_max_age": -1})).await;
    refused.refused_for(400, "invalid_request", "default_max_age", bound);
    assert_eq!(desk.patch(&client, json!({"default_max_age": 90})).await.ok()["default_max_age"], 90);
    assert_eq!(error_of(&app, &shop, "&prompt=none", &cookie).await, None);
}

async fn wishes_cause_no_error(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    for wish in [
        "&display=popup",
        "&display=hologram",
        "&ui_locales=pt-BR+pt+xx-nonsense",
        "&claims_locales=de",
        "&acr_values=urn:x:2+1",
        "&login_hint=somebody@else.example",
        "&id_token_hint=",
        "&audience=x&foo[]=bar",
    ] {
        assert_eq!(error_of(&app, &shop, &format!("{wish}&prompt=none"), &cookie).await, None, "{wish}");
        assert_eq!(ask(&app, &shop, wish, "x=y").await.status(), 200, "{wish}");
    }
}
