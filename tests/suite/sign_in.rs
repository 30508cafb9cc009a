//! The hosted page: what it refuses, and how.

use reqwest::StatusCode;

use crate::support::{
    Engine, PASSWORD, REDIRECT, TestApp, both_engines, code_of, cookie_of, location_of, parameter,
};

both_engines!(
    session_is_reused,
    wrong_password,
    forms_are_bound,
    unproven_requests_are_not_redirected,
    denials_redirect
);

async fn session_is_reused(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (before, sealed) = app.sign_in_page(&shop, "").await;
    let signed_in = app.submit(&shop, &before, &sealed, PASSWORD).await;
    let cookie = cookie_of(&signed_in);
    assert_ne!(before, cookie, "the cookie is replaced at sign-in");
    let url = location_of(&signed_in);
    assert_eq!(parameter(&url, "state").as_deref(), Some("s1"));
    assert_eq!(parameter(&url, "iss"), Some(app.project_url(&shop, "")));

    let silent =
        |more: &'static str| app.http.get(app.authorize_url(&shop, more)).header("cookie", &cookie).send();
    let again = silent("&prompt=none").await.unwrap();
    assert_eq!(app.exchange(&shop, &code_of(&again)).await.status, 200);
    assert_eq!(silent("&prompt=login").await.unwrap().status(), StatusCode::OK);
    // One hour from the sign-in, however often it is used.
    app.app.clock.advance(3600);
    let over = silent("&prompt=none").await.unwrap();
    assert_eq!(parameter(&location_of(&over), "error").as_deref(), Some("login_required"));
}

async fn wrong_password(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let wrong = app.submit(&shop, &cookie, &sealed, "wrong").await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert!(!wrong.headers().contains_key("set-cookie"));
    let text = wrong.text().await.unwrap();
    assert!(text.contains("That user name and password do not fit together."));
    assert!(!text.contains("wrong\""), "the password is never shown again");
}

async fn forms_are_bound(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let (stranger, _) = app.sign_in_page(&shop, "").await;
    for (shop, cookie, sealed) in [
        (&shop, stranger.as_str(), sealed.as_str()),
        (&shop, "", &sealed),
        (&shop, &cookie, "AAAA"),
        (&other, &cookie, &sealed),
    ] {
        let answer = app.submit(shop, cookie, sealed, PASSWORD).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(!answer.headers().contains_key("set-cookie") && !answer.headers().contains_key("location"));
    }
    app.app.clock.advance(3600);
    assert_eq!(app.submit(&shop, &cookie, &sealed, PASSWORD).await.status(), StatusCode::BAD_REQUEST);
}

async fn unproven_requests_are_not_redirected(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let authorize = app.project_url(&shop, "/oauth2/authorize");
    let id = &shop.id;
    let hostile = [
        format!("?response_type=code&redirect_uri={REDIRECT}"),
        format!("?response_type=code&client_id={}&redirect_uri={REDIRECT}", shop.project),
        format!("?response_type=code&client_id={id}&redirect_uri={REDIRECT}/x"),
        format!("?response_type=code&client_id={id}&redirect_uri={REDIRECT}%23f"),
        format!("?response_type=code&client_id={id}&redirect_uri=http://LOCALHOST:9/callback"),
        format!("?response_type=code&client_id={id}&redirect_uri=https://evil.example/"),
        format!("?client_id={id}&client_id={id}&redirect_uri={REDIRECT}"),
    ];
    for query in hostile {
        let page = app.http.get(format!("{authorize}{query}")).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::BAD_REQUEST, "{query}");
        assert!(!page.headers().contains_key("location"));
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"), "{policy}");
    }
}

async fn denials_redirect(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "public").await;
    let authorize = app.project_url(&shop, "/oauth2/authorize");
    let start = format!("{authorize}?client_id={}&redirect_uri={REDIRECT}&state=s", shop.id);
    let challenge = "a".repeat(43);
    for (query, error) in [
        (String::new(), "invalid_request"),
        ("&response_type=token".into(), "unsupported_response_type"),
        ("&response_type=code".into(), "invalid_request"),
        (format!("&response_type=code&code_challenge={challenge}"), "invalid_request"),
        (
            format!("&response_type=code&code_challenge={challenge}&code_challenge_method=plain"),
            "invalid_request",
        ),
        ("&response_type=code&code_challenge=short&code_challenge_method=S256".into(), "invalid_request"),
        (
            format!("&response_type=code&code_challenge={challenge}&code_challenge_method=S256&prompt=none"),
            "login_required",
        ),
    ] {
        let answer = app.http.get(format!("{start}{query}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{query}");
        let url = location_of(&answer);
        assert!(url.as_str().starts_with(REDIRECT));
        assert_eq!(parameter(&url, "error").as_deref(), Some(error), "{query}");
        assert_eq!(parameter(&url, "state").as_deref(), Some("s"));
        assert_eq!(parameter(&url, "iss"), Some(app.project_url(&shop, "")));
    }
}
