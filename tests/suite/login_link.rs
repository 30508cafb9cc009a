//! The link that starts a sign-in, for each kind of client.

use reqwest::StatusCode;
use tessera::model::client::{Client, ClientSettings};
use tessera::oauth::login_link;
use tessera::store::clients;

use crate::support::{
    Engine, PASSWORD, REDIRECT, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of,
    parameter, sealed_of,
};

both_engines!(leads_to_a_code, leads_to_the_application, signs_the_browser_in, leads_nowhere_else);

async fn link(app: &TestApp, shop: &Shop) -> Option<String> {
    let (project, id) = (shop.project, shop.id.parse().unwrap());
    let client: Client = app
        .app
        .db
        .read(|conn| async move { clients::find(&conn, project, id).await })
        .await
        .unwrap()
        .unwrap();
    login_link(&app.project_url(shop, ""), &client)
}

async fn leads_to_a_code(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into(), "https://app.example/cb".into()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let link = link(&app, &shop).await.unwrap();
    assert_eq!(link, app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id)));

    let page = app.http.get(&link).send().await.unwrap();
    let cookie = cookie_of(&page);
    let sealed = sealed_of(&page.text().await.unwrap());
    let answer = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    // The first redirect URI is the default one.
    assert!(location_of(&answer).as_str().starts_with(&format!("{REDIRECT}?code=")));
    let tokens = app.exchange(&shop, &code_of(&answer)).await.ok();
    assert_eq!(tokens["scope"], "openid profile email");
    let again = app.http.get(&link).header("cookie", cookie_of(&answer)).send().await.unwrap();
    app.exchange(&shop, &code_of(&again)).await.ok();
    // Whatever the application adds is part of its request.
    let more = format!("{link}&state=s2&prompt=none&redirect_uri=https://app.example/cb");
    let denied = location_of(&app.http.get(more).send().await.unwrap());
    assert!(denied.as_str().starts_with("https://app.example/cb?error=login_required&"));
    assert_eq!(parameter(&denied, "state").as_deref(), Some("s2"));
}

/// OpenID Connect Core, 4.
async fn leads_to_the_application(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        initiate_login_uri: Some("https://app.example/login?tenant=1".into()),
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "public", settings).await;
    let link = link(&app, &shop).await.unwrap();
    let answer = app.http.get(format!("{link}&login_hint=alice")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let url = location_of(&answer);
    assert!(url.as_str().starts_with("https://app.example/login?tenant=1&iss="));
    assert_eq!(parameter(&url, "iss"), Some(app.project_url(&shop, "")));
    assert_eq!(parameter(&url, "login_hint").as_deref(), Some("alice"));
}

/// A link cannot carry a challenge, so a client that needs PKCE gets no code from it: its own request finds the browser
/// signed in.
async fn signs_the_browser_in(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "public").await;
    let link = link(&app, &shop).await.unwrap();
    let page = app.http.get(&link).send().await.unwrap();
    let (before, sealed) = (cookie_of(&page), sealed_of(&page.text().await.unwrap()));
    let wrong = Seen::of(app.submit(&shop, &before, &sealed, "wrong").await).await;
    wrong.asks_again(400, "That user name and password do not match.");
    let answer = app.submit(&shop, &before, &sealed, PASSWORD).await;
    assert_eq!((answer.status(), location_of(&answer).as_str()), (StatusCode::SEE_OTHER, link.as_str()));
    let cookie = cookie_of(&answer);
    assert_ne!(cookie, before);

    let open = |url: String| app.http.get(url).header("cookie", &cookie).send();
    let signed_in = Seen::of(open(link.clone()).await.unwrap()).await;
    assert_eq!(signed_in.status, 200);
    assert!(signed_in.text.contains("<h1>You are signed in</h1>"));
    assert!(signed_in.text.contains(r#"href="http://localhost:9""#));
    let other = Seen::of(open(format!("{link}&prompt=login")).await.unwrap()).await;
    assert_eq!(other.username(), "");

    // The application's own request, by itself or on the link.
    let pkce = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    for url in [app.authorize_url(&shop, &format!("{pkce}&prompt=none")), format!("{link}{pkce}")] {
        let code = code_of(&open(url).await.unwrap());
        let body = serde_json::json!({"code": code, "redirect_uri": REDIRECT,
            "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"});
        app.call(&shop, "GetTokenFromCode", body).await.ok();
    }
}

async fn leads_nowhere_else(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", ClientSettings::default()).await;
    let other = app.shop("other", "confidential").await;
    assert_eq!(link(&app, &shop).await, None);
    let unknown = "This application is not known here.";
    for query in ["".to_owned(), format!("?client_id={}", other.id), "?client_id=x".into()] {
        let page = app.http.get(app.project_url(&shop, &format!("/sign-in{query}"))).send().await.unwrap();
        Seen::of(page).await.refused(400, unknown);
    }
    let evil = format!("/sign-in?client_id={}&redirect_uri=https://evil.example/", other.id);
    let page = app.http.get(app.project_url(&other, &evil)).send().await.unwrap();
    let unregistered = "The application asked to return to an address that is not registered.";
    Seen::of(page).await.refused(400, unregistered);
}
