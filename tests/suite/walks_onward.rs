//! An application whose callback sends the browser on to another origin. Browsers hold that redirect, too, to the `form-action`
//! of the page whose form was posted, so between the form and the application stands a page that ends the chain.

use axum::Router;
use axum::response::Redirect;
use axum::routing::any;
use reqwest::{Response, StatusCode};
use tessera::model::client::ClientSettings;

use crate::support::browser::{application, arrived, complaints, find, in_browser};
use crate::support::hands::{press, reads, sign_in};
use crate::support::{Engine, PASSWORD, REDIRECT, Seen, TestApp, between, both_engines, code_of, cookie_of};

both_engines!(each_form_leads_there, carried_by_a_form, the_page_between, where_a_redirect_stays_one);

/// A callback, and the page of another origin that it leads on to.
async fn leading_on() -> (String, String) {
    let home = application().await;
    let on = home.clone();
    let router = Router::new().route("/in", any(async move || Redirect::to(&on)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback = format!("http://{}/in", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (callback, home)
}

fn settings(callback: &str) -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![callback.into()],
        post_logout_redirect_uris: vec![callback.into()],
        require_pkce: false,
        ..ClientSettings::default()
    }
}

async fn each_form_leads_there(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (callback, home) = leading_on().await;
    let shop = app.shop_with("acme", "confidential", settings(&callback)).await;
    let others = app.second_client(&shop, ClientSettings { first_party: false, ..settings(&callback) }).await;
    let link = |id: &str, more: &str| app.project_url(&shop, &format!("/sign-in?client_id={id}{more}"));
    in_browser(async |browser| {
        let at_home = async || {
            arrived(browser, &home).await;
            find(browser, "#welcome").await;
        };
        browser.goto(link(&shop.id, "")).await.unwrap();
        sign_in(browser, "alice", PASSWORD).await;
        at_home().await;
        browser.goto(link(&shop.id, "&prompt=select_account")).await.unwrap();
        press(browser, "button[value=this]").await;
        at_home().await;
        browser.goto(link(&others.id, "")).await.unwrap();
        press(browser, "button[value=allow]").await;
        at_home().await;
        // Without a form there is nothing that holds it.
        browser.goto(link(&others.id, "")).await.unwrap();
        at_home().await;
        let logout = format!("/oauth2/logout?client_id={}&post_logout_redirect_uri={callback}", shop.id);
        browser.goto(app.project_url(&shop, &logout)).await.unwrap();
        reads(browser, "h1", "Sign out?").await;
        press(browser, "main button.primary").await;
        at_home().await;
        assert_eq!(complaints(browser).await, [""; 0]);
    })
    .await;
}

async fn carried_by_a_form(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (callback, home) = leading_on().await;
    let shop = app.shop_with("acme", "confidential", settings(&callback)).await;
    let request = format!("/sign-in?client_id={}&response_mode=form_post", shop.id);
    in_browser(async |browser| {
        browser.goto(app.project_url(&shop, &request)).await.unwrap();
        sign_in(browser, "alice", PASSWORD).await;
        arrived(browser, &home).await;
        find(browser, "#welcome").await;
        assert_eq!(complaints(browser).await, [""; 0]);
    })
    .await;
}

/// Signs in as a browser would that says this of where it comes from, and what it does with the answer.
async fn submit_as(app: &TestApp, more: &str, (site, destination): (&str, &str), slug: &str) -> Response {
    let shop = app.shop(slug, "confidential").await;
    let (cookie, sealed) = app.sign_in_page(&shop, more).await;
    let post = app.http.post(app.project_url(&shop, "/sign-in")).header("cookie", cookie);
    let post = post.header("sec-fetch-site", site).header("sec-fetch-dest", destination);
    post.form(&[("request", &*sealed), ("username", "alice"), ("password", PASSWORD)]).send().await.unwrap()
}

async fn the_page_between(engine: Engine) {
    let app = TestApp::new(engine).await;
    let answer = submit_as(&app, "&scope=openid", ("same-origin", "document"), "shop").await;
    // The session, and that somebody has signed in here.
    assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
    let cookie = cookie_of(&answer);
    let page = Seen::of(answer).await;
    assert_eq!(page.status, 200);
    let to = page.headers["refresh"].to_str().unwrap().strip_prefix("0; url=").unwrap();
    assert!(to.starts_with(&format!("{REDIRECT}?code=")) && to.contains("&state=s1&iss="), "{to}");
    assert_eq!(between(&page.text, "<a class=\"primary\" href=\"", "\"").replace("&#38;", "&"), to);
    // Whatever the form's page says, this one has no form, and lets none lead anywhere.
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("; form-action 'self'; "));
    assert!(!page.text.contains("<form") && page.text.contains("Back to the application"), "{}", page.text);
    let account = format!("{}/projects/shop/account", app.base);
    let account = app.http.get(account).header("cookie", cookie).send().await.unwrap();
    assert!(account.text().await.unwrap().contains("aria-current"));
}

/// For programs, for what is no page, and for what no form of ours has begun.
async fn where_a_redirect_stays_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    for (number, says) in [("same-origin", "empty"), ("none", "document")].into_iter().enumerate() {
        let answer = submit_as(&app, "", says, &format!("shop-{number}")).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{says:?}");
        assert!(!answer.headers().contains_key("refresh") && !code_of(&answer).is_empty());
    }
    // A native application is opened by it, and leads nowhere else.
    let native = "com.example.app:/callback";
    let shop = app.shop_with("native", "confidential", settings(REDIRECT)).await;
    let native =
        app.second_client(&shop, ClientSettings { redirect_uris: vec![native.into()], ..settings(REDIRECT) });
    let native = native.await;
    let cookie = app.code(&shop, "").await.1;
    for (client, more, page) in
        [(&shop, "", true), (&native, "", false), (&shop, "&prompt=select_account", true)]
    {
        let url = app.project_url(&shop, &format!("/sign-in?client_id={}{more}", client.id));
        let get = app.http.get(url).header("cookie", &cookie).header("sec-fetch-site", "same-origin");
        let answer = get.header("sec-fetch-dest", "document").send().await.unwrap();
        assert_eq!(answer.status() == StatusCode::OK, page, "{}{more}", client.id);
    }
}
