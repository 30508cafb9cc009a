//! The authorization endpoint: what it takes, and whom it asks.

use reqwest::{Method, RequestBuilder, StatusCode};
use tessera::execute;

use crate::support::{
    Engine, PASSWORD, REDIRECT, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of, parameter,
};

both_engines!(
    // C015
    get_and_post_are_alike,
    a_post_from_elsewhere_comes_back_as_a_get,
    asking_makes_nothing,
    // C021 C044
    prompts,
    // C048 C049 C050
    ages,
    // C021
    hints_fill_the_form,
    pages_belong_to_active_projects,
    the_store_is_away,
);

/// The parameters of a request that needs a sign-in.
fn usual(shop: &Shop) -> Vec<(&'static str, String)> {
    vec![
        ("response_type", "code".into()),
        ("client_id", shop.id.clone()),
        ("redirect_uri", REDIRECT.into()),
        ("state", "s1".into()),
    ]
}

async fn see(request: RequestBuilder) -> Seen {
    Seen::of(request.send().await.unwrap()).await
}

async fn get_and_post_are_alike(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let authorize = app.project_url(&shop, "/oauth2/authorize");
    for request in
        [app.http.get(&authorize).query(&usual(&shop)), app.http.post(&authorize).form(&usual(&shop))]
    {
        let page = see(request).await;
        assert_eq!(page.status, 200);
        assert_eq!(
            page.headers["content-security-policy"],
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' http://localhost:9; \
             frame-ancestors 'none'; base-uri 'none'"
        );
        assert!(page.text.contains("<bdi>Shop</bdi>") && page.text.contains("<bdi>shop</bdi>"));
        let cookie = page.headers["set-cookie"].to_str().unwrap();
        assert!(cookie.ends_with("; Path=/projects/shop; HttpOnly; SameSite=Lax; Max-Age=3600"), "{cookie}");
    }
    let json = app.http.post(&authorize).header("content-type", "application/json").body("{}");
    see(json).await.refused(415, "What was sent is not a form.");
    let long = app.http.post(&authorize).form(&[("state", "x".repeat(9000))]);
    see(long).await.refused(400, "The application's request is longer than 8192 bytes.");
    let huge = app.http.post(&authorize).form(&[("state", "x".repeat(70_000))]);
    see(huge).await.refused(413, "What was sent is larger than 64 KiB.");
}

/// Browsers send no SameSite=Lax cookie with another site's post, but would take a new one from the answer.
async fn a_post_from_elsewhere_comes_back_as_a_get(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    let authorize = app.project_url(&shop, "/oauth2/authorize");
    let mut parameters = usual(&shop);
    parameters.push(("nonce", "ü &#\r\n".into()));
    let post = app.http.post(&authorize).header("sec-fetch-site", "cross-site").form(&parameters);
    let answer = post.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert!(!answer.headers().contains_key("set-cookie"));
    let url = location_of(&answer);
    assert!(url.as_str().starts_with(&format!("{authorize}?response_type=code&")));
    assert_eq!(parameter(&url, "nonce").as_deref(), Some("ü &#\r\n"));

    let post = app.http.post(&authorize).header("sec-fetch-site", "cross-site").form(&usual(&shop));
    let url = location_of(&post.send().await.unwrap());
    let signed_in = app.http.get(url).header("cookie", &cookie).send().await.unwrap();
    app.exchange(&shop, &code_of(&signed_in)).await.ok();
}

async fn asking_makes_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    for url in
        [app.authorize_url(&shop, ""), app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id))]
    {
        let head = app.http.head(&url).header("cookie", &cookie);
        let page = see(head).await;
        assert_eq!((page.status, page.text.as_str()), (200, ""));
        assert!(!page.headers.contains_key("set-cookie"));
    }
    for (path, allowed) in [("/oauth2/authorize", "GET,HEAD,POST"), ("/sign-in", "GET,HEAD,POST")] {
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let page = see(app.http.request(method, app.project_url(&shop, path))).await;
            page.refused(405, "This address takes another kind of request.");
            assert_eq!(page.headers["allow"], allowed);
        }
    }
}

async fn prompts(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    let ask = |more: &'static str| app.http.get(app.authorize_url(&shop, more)).header("cookie", &cookie);
    for silent in
        ["", "&prompt=none", "&prompt=none&max_age=60", "&display=popup&ui_locales=de&acr_values=2&unknown=1"]
    {
        let answer = ask(silent).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{silent}");
        app.exchange(&shop, &code_of(&answer)).await.ok();
    }
    for asking in
        ["&prompt=login", "&prompt=select_account", "&prompt=login+consent", "&prompt=login+select_account"]
    {
        let page = see(ask(asking)).await;
        assert_eq!(page.status, 200, "{asking}");
        // The browser keeps the session it has until somebody has signed in.
        assert!(page.keeps_cookie(&cookie));
    }
}

async fn ages(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, cookie) = app.code(&shop, "").await;
    let auth_time = async |tokens: serde_json::Value| {
        app.verify(&shop, tokens["access_token"].as_str().unwrap()).await["claims"]["auth_time"].clone()
    };
    let first = auth_time(app.exchange(&shop, &code).await.ok()).await;
    app.app.clock.advance(60);
    let ask =
        |more: &'static str| app.http.get(app.authorize_url(&shop, more)).header("cookie", &cookie).send();
    let young = ask("&max_age=61&prompt=none").await.unwrap();
    assert_eq!(auth_time(app.exchange(&shop, &code_of(&young)).await.ok()).await, first);
    for old in ["&max_age=60", "&max_age=0"] {
        assert_eq!(ask(old).await.unwrap().status(), StatusCode::OK, "{old}");
    }
    let never = location_of(&ask("&max_age=60&prompt=none").await.unwrap());
    assert_eq!(parameter(&never, "error").as_deref(), Some("login_required"));

    let page = ask("&max_age=60").await.unwrap().text().await.unwrap();
    let again = app.submit(&shop, &cookie, &crate::support::sealed_of(&page), PASSWORD).await;
    let second = auth_time(app.exchange(&shop, &code_of(&again)).await.ok()).await;
    assert_eq!(second.as_i64().unwrap(), first.as_i64().unwrap() + 60);
    assert_ne!(cookie_of(&again), cookie);
}

async fn hints_fill_the_form(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let long = format!("&login_hint={}", "x".repeat(129));
    for (hint, shown) in [
        ("", ""),
        ("&login_hint=alice%40example.com", "alice@example.com"),
        ("&login_hint=%22%3E%3Cb%3E", "&#34;&#62;&#60;b&#62;"),
        (long.as_str(), ""),
    ] {
        assert_eq!(see(app.http.get(app.authorize_url(&shop, hint))).await.username(), shown);
    }
}

async fn pages_belong_to_active_projects(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let nowhere = "There is no sign-in at this address.";
    for project in [shop.project.to_string().as_str(), "Shop", "nothing", "shop%00", "shop%FF"] {
        for path in ["oauth2/authorize", "sign-in"] {
            let url = format!("{}/projects/{project}/{path}?client_id={}", app.base, shop.id);
            see(app.http.get(&url)).await.refused(404, nowhere);
            see(app.http.post(&url).form(&usual(&shop))).await.refused(404, nowhere);
        }
    }
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let sql = "UPDATE projects SET status = 'disabled', version = version + 1 WHERE slug = 'shop'";
    app.app.db.write(|conn| async move { execute!(&conn, sql) }).await.unwrap();
    see(app.http.get(app.authorize_url(&shop, ""))).await.refused(404, nowhere);
    Seen::of(app.submit(&shop, &cookie, &sealed, PASSWORD).await).await.refused(404, nowhere);
}

async fn the_store_is_away(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.app.db.close().await;
    let page = see(app.http.get(app.authorize_url(&shop, ""))).await;
    page.refused(503, "The service is busy. Please try again in a moment.");
    assert!(page.headers.contains_key("retry-after"));
}
