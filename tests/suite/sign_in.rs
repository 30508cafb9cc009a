//! The form: who gets in, who does not, and what neither of them can tell.

use reqwest::StatusCode;
use serde_json::json;
use tessera::model::proxies::{ForwardedHeader, TrustedProxies};
use tessera::store::db::{execute, fetch_one};

use crate::support::{
    Engine, PASSWORD, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of, parameter,
    sealed_of,
};

both_engines!(
    // C035 C049
    session_is_reused,
    a_form_does_not_outlive_its_cookie,
    // C053
    the_cookie_is_replaced,
    // C127
    cookies_on_https,
    // C128
    all_denials_are_alike,
    addresses_are_recorded,
    a_client_that_changes_meanwhile,
);

const WRONG: &str = "That user name and password do not match.";

async fn silent(app: &TestApp, shop: &Shop, cookie: &str) -> reqwest::Response {
    app.http.get(app.authorize_url(shop, "&prompt=none")).header("cookie", cookie).send().await.unwrap()
}

async fn signs_in(app: &TestApp, shop: &Shop, cookie: &str) -> bool {
    parameter(&location_of(&silent(app, shop, cookie).await), "code").is_some()
}

async fn session_is_reused(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (before, sealed) = app.sign_in_page(&shop, "").await;
    let signed_in = app.submit(&shop, &before, &sealed, PASSWORD).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    assert_eq!(signed_in.headers()["cache-control"], "no-store");
    let attributes = signed_in.headers()["set-cookie"].to_str().unwrap().split_once(';').unwrap().1;
    assert_eq!(attributes, " Path=/projects/shop; HttpOnly; SameSite=Lax; Max-Age=3600");
    let url = location_of(&signed_in);
    assert_eq!(parameter(&url, "state").as_deref(), Some("s1"));
    assert_eq!(parameter(&url, "iss"), Some(app.project_url(&shop, "")));

    let cookie = cookie_of(&signed_in);
    app.app.clock.advance(3599);
    let again = silent(&app, &shop, &cookie).await;
    assert!(!again.headers().contains_key("set-cookie"));
    app.exchange(&shop, &code_of(&again)).await.ok();
    // One hour from the sign-in, however often it is used.
    app.app.clock.advance(1);
    assert!(!signs_in(&app, &shop, &cookie).await);
}

/// The cookie is set again with every form; the session behind it is as long as it was.
async fn a_form_does_not_outlive_its_cookie(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    app.app.clock.advance(3590);
    let form = app.http.get(app.authorize_url(&shop, "&prompt=login")).header("cookie", &cookie);
    let form = Seen::of(form.send().await.unwrap()).await;
    assert!(form.keeps_cookie(&cookie));
    assert!(form.headers["set-cookie"].to_str().unwrap().ends_with("; Max-Age=3600"));
    app.app.clock.advance(10);
    assert!(!signs_in(&app, &shop, &cookie).await);
    app.app.clock.advance(3580);
    let wrong = app.submit(&shop, &cookie, &sealed_of(&form.text), "wrong").await;
    let again = Seen::of(wrong).await;
    again.asks_again(400, WRONG);
    assert!(again.keeps_cookie(&cookie) && !signs_in(&app, &shop, &cookie).await);
    app.app.clock.advance(3590);
    let signed_in = app.submit(&shop, &cookie, &sealed_of(&again.text), PASSWORD).await;
    app.exchange(&shop, &code_of(&signed_in)).await.ok();
}

/// RFC 9700, 4.7: what was there before a sign-in is worth nothing after it.
async fn the_cookie_is_replaced(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (planted, sealed) = app.sign_in_page(&shop, "").await;
    let first = cookie_of(&app.submit(&shop, &planted, &sealed, PASSWORD).await);
    assert_ne!(planted, first);
    assert!(!signs_in(&app, &shop, &planted).await && signs_in(&app, &shop, &first).await);
    let (db, project) = (&app.app.db, shop.project);
    let (stored,) = db
        .read(|conn| async move {
            fetch_one!(
                conn,
                (Vec<u8>,),
                "SELECT token_hash FROM browser_sessions WHERE project_id = $1",
                project
            )
        })
        .await
        .unwrap();
    let value = first.split_once('=').unwrap().1;
    assert_eq!(stored, tessera::secret::sha256(value.as_bytes()), "the store has its hash alone");

    // A further sign-in in the same browser: the former cookie is dead, and there is one session, not two.
    let code = code_of(&silent(&app, &shop, &first).await);
    let tokens = app.exchange(&shop, &code).await.ok();
    let page = app.http.get(app.authorize_url(&shop, "&prompt=login")).header("cookie", &first);
    let page = page.send().await.unwrap().text().await.unwrap();
    let second = app.submit(&shop, &first, &crate::support::sealed_of(&page), PASSWORD).await;
    let second = cookie_of(&second);
    assert!(!signs_in(&app, &shop, &first).await && signs_in(&app, &shop, &second).await);
    // What the first one gave to applications goes on with the second.
    let (followed,) = db
        .read(|conn| async move {
            let sql =
                "SELECT count(*) FROM token_families f JOIN browser_sessions b ON b.project_id = f.project_id
                       AND b.id = f.browser_session_id WHERE f.project_id = $1 AND b.ended_at IS NULL";
            fetch_one!(conn, (i64,), sql, project)
        })
        .await
        .unwrap();
    assert_eq!(followed, 1);
    let token = tokens["access_token"].as_str().unwrap();
    let ended = app.bearer(&shop, "GlobalSignOut", token, json!({"end_browser_sessions": true})).await.ok();
    assert_eq!(ended["browser_sessions_ended"], 1);
    assert!(!signs_in(&app, &shop, &second).await);
}

async fn cookies_on_https(engine: Engine) {
    let app = TestApp::changed(engine, |app| app.base_url = "https://id.example".into()).await;
    let shop = app.shop("shop", "confidential").await;
    let page = app.http.get(app.authorize_url(&shop, "")).send().await.unwrap();
    let cookie = page.headers()["set-cookie"].to_str().unwrap();
    let (name, attributes) = (cookie.split_once('=').unwrap().0, cookie.split_once(';').unwrap().1);
    let hash = tessera::secret::sha256(shop.project.0.as_bytes());
    let hex: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(name, format!("__Host-tessera-{hex}"));
    assert_eq!(attributes, " Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600");
    let (code, cookie) = app.code(&shop, "").await;
    app.exchange(&shop, &code).await.ok();
    assert!(signs_in(&app, &shop, &cookie).await);
    // Without the prefix it is another cookie.
    assert!(!signs_in(&app, &shop, cookie.trim_start_matches("__Host-")).await);
}

async fn all_denials_are_alike(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let db = &app.app.db;
    for (name, sql) in [
        ("disabled", "UPDATE users SET status = 'disabled' WHERE username = 'disabled'"),
        (
            "keyless",
            "DELETE FROM credentials WHERE user_id = (SELECT id FROM users WHERE username = 'keyless')",
        ),
    ] {
        let password = tessera::secret::Secret::new(PASSWORD);
        tessera::projects::create_user(&app.app, shop.project, name, None, password).await.unwrap();
        db.write(|conn| async move { execute!(&conn, sql) }).await.unwrap();
    }
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let mut pages = Vec::new();
    for (name, shown, password) in [
        ("alice", "alice", "wrong"),
        (" Alice ", " Alice ", "wrong"),
        ("nobody", "nobody", PASSWORD),
        ("disabled", "disabled", PASSWORD),
        ("keyless", "keyless", PASSWORD),
        ("", "", PASSWORD),
        ("a\0b", "a\0b", PASSWORD),
        (&"x".repeat(60_000), "", PASSWORD),
        ("alice", "alice", ""),
    ] {
        let fields = [("request", sealed.as_str()), ("username", name), ("password", password)];
        let post = app.http.post(app.project_url(&shop, "/sign-in")).header("cookie", &cookie).form(&fields);
        let page = Seen::of(post.send().await.unwrap()).await;
        page.asks_again(400, WRONG);
        assert_eq!(page.username(), shown);
        assert!(!page.text.contains(PASSWORD) && !page.text.contains("wrong"));
        let request_id = page.headers["x-request-id"].to_str().unwrap();
        let (sealed, value) =
            (crate::support::sealed_of(&page.text), format!("type=\"text\" value=\"{shown}\""));
        let rest = page.text.replace(&sealed, "").replace(&value, "").replace(request_id, "");
        pages.push(rest.replace(" autofocus", ""));
    }
    for page in &pages {
        assert_eq!(*page, pages[0], "nothing else tells them apart");
    }
    // A space that a phone's keyboard added is not part of the name.
    let fields = [("request", sealed.as_str()), ("username", " ALICE "), ("password", PASSWORD)];
    let post = app.http.post(app.project_url(&shop, "/sign-in")).header("cookie", &cookie).form(&fields);
    assert_eq!(post.send().await.unwrap().status(), StatusCode::SEE_OTHER);
}

async fn addresses_are_recorded(engine: Engine) {
    let trusting = |app: &mut tessera::app::App| {
        app.proxies = TrustedProxies::parse(["127.0.0.0/8"], ForwardedHeader::XForwardedFor).unwrap();
    };
    let recorded = async |app: &TestApp| {
        let shop = app.shop("shop", "confidential").await;
        let (cookie, sealed) = app.sign_in_page(&shop, "").await;
        let form = [("request", sealed.as_str()), ("username", "alice"), ("password", PASSWORD)];
        let post = app.http.post(app.project_url(&shop, "/sign-in")).header("cookie", cookie).form(&form);
        let post = post.header("x-forwarded-for", "1.1.1.1, 198.51.100.7").header("forwarded", "for=2.2.2.2");
        let answer = post.header("user-agent", "Browser/1").send().await.unwrap();
        app.exchange(&shop, &code_of(&answer)).await.ok();
        let sql = "SELECT b.address, b.user_agent, f.address FROM browser_sessions b, token_families f";
        app.app.db.read(|conn| async move { fetch_one!(conn, (String, String, String), sql) }).await.unwrap()
    };
    let three = |a: &str| (a.to_owned(), "Browser/1".to_owned(), a.to_owned());
    assert_eq!(recorded(&TestApp::new(engine).await).await, three("127.0.0.1"));
    assert_eq!(recorded(&TestApp::changed(engine, trusting).await).await, three("198.51.100.7"));
}

/// What was proven when the form was shown is looked at again when it comes back.
async fn a_client_that_changes_meanwhile(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    for (sql, message) in [
        (
            "UPDATE clients SET settings = replace(settings, 'localhost:9', 'localhost:10'), version = version + 1",
            "The application asked to return to an address that is not registered.",
        ),
        (
            "UPDATE clients SET status = 'disabled', version = version + 1",
            "This application is not known here.",
        ),
    ] {
        app.app.db.write(|conn| async move { execute!(&conn, sql) }).await.unwrap();
        Seen::of(app.submit(&shop, &cookie, &sealed, PASSWORD).await).await.refused(400, message);
    }
}
