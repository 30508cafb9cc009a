//! Pushed authorization requests (RFC 9126): checked early, named by a secret, used once.

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tessera::execute;
use tessera::model::client::{ClientSettings, GrantType};

use crate::support::{
    Answer, Engine, PASSWORD, REDIRECT, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of,
    number, parameter, run, sealed_of,
};

both_engines!(
    // C106 C107 C108
    a_pushed_request_becomes_a_code,
    // C110 C108
    what_is_wrong_is_told_early,
    // C106
    clients_prove_themselves,
    // C107
    a_name_serves_its_client_and_project,
    // C109
    names_expire,
    // C107
    of_two_at_once_one_gets_a_code,
    a_client_may_have_to_push,
    // C026
    addresses_are_not_fetched,
    the_store_keeps_nothing_that_can_be_read,
    requests_are_bounded,
    clients_of_another_grant_ask_for_no_code,
    a_second_click_is_told_to_the_application,
);

const URN: &str = "urn:ietf:params:oauth:request_uri:";
const GONE: &str =
    "The application's request has expired or was used already. Please go back to it and start again.";

/// The parameters of a request, with some changed; an empty value leaves the parameter out.
fn form(changes: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let usual = [("response_type", "code"), ("redirect_uri", REDIRECT), ("state", "s1"), ("nonce", "n1")];
    let kept = usual.into_iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let added = changes.iter().copied().filter(|(_, value)| !value.is_empty());
    kept.chain(added).map(|(name, value)| (name, value.to_owned())).collect()
}

fn request(app: &TestApp, shop: &Shop, form: &[(&'static str, String)]) -> RequestBuilder {
    let request = app.http.post(app.project_url(shop, "/oauth2/par"));
    match &shop.secret {
        Some(secret) => request.basic_auth(&shop.id, Some(secret)).form(form),
        None => request.form(&[form, &[("client_id", shop.id.clone())]].concat()),
    }
}

async fn ask(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

/// Pushes a request that is good, and gives its name.
async fn push(app: &TestApp, shop: &Shop, changes: &[(&'static str, &str)]) -> String {
    let answer = ask(request(app, shop, &form(changes))).await.created();
    assert_eq!(answer["expires_in"], 90);
    answer["request_uri"].as_str().unwrap().to_owned()
}

/// What a browser is sent to.
fn link(app: &TestApp, shop: &Shop, name: &str, more: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let url = app.project_url(shop, "/oauth2/authorize");
    format!("{url}?client_id={}&request_uri={name}{more}", shop.id)
}

async fn see(app: &TestApp, url: &str) -> Seen {
    Seen::of(app.http.get(url).send().await.unwrap()).await
}

/// Opens the form of a pushed request: its cookie, and what it carries.
async fn open(app: &TestApp, url: &str) -> (String, String) {
    let page = app.http.get(url).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    (cookie_of(&page), sealed_of(&page.text().await.unwrap()))
}

async fn a_pushed_request_becomes_a_code(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let name = push(&app, &shop, &[("scope", "openid email"), ("login_hint", "alice")]).await;
    assert!(name.starts_with(URN) && name.len() == URN.len() + 43, "{name}");
    // What stands beside the name changes nothing.
    let beside =
        "&redirect_uri=https%3A%2F%2Felsewhere.example&scope=profile&state=s2&prompt=none&login_hint=bob";
    let url = link(&app, &shop, &name, beside);
    // Neither looking at it nor a wrong password uses it up.
    app.http.head(&url).send().await.unwrap();
    assert_eq!(see(&app, &url).await.username(), "alice");
    let (cookie, sealed) = open(&app, &url).await;
    let wrong = app.submit(&shop, &cookie, &sealed, "a wrong password").await;
    Seen::of(wrong).await.asks_again(400, "That user name and password do not match.");
    let answer = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    let (to, session) = (location_of(&answer), cookie_of(&answer));
    assert!(to.as_str().starts_with(REDIRECT), "{to}");
    assert_eq!(parameter(&to, "state").as_deref(), Some("s1"));
    let tokens = app.exchange(&shop, &code_of(&answer)).await.ok();
    assert_eq!(tokens["scope"], "openid email");

    // Once; a browser that is signed in gets nothing from it either.
    see(&app, &url).await.refused(400, GONE);
    let silent = app.http.get(&url).header("cookie", &session).send().await.unwrap();
    Seen::of(silent).await.refused(400, GONE);
    let again = app.http.get(app.authorize_url(&shop, "&prompt=login")).header("cookie", &session);
    let again = sealed_of(&again.send().await.unwrap().text().await.unwrap());
    assert_eq!(app.submit(&shop, &session, &again, PASSWORD).await.status(), StatusCode::SEE_OTHER);

    // Without a form, for whoever is signed in; and by POST.
    let answer = app.submit(&shop, &cookie, &open_as(&app, &shop, &cookie).await, PASSWORD).await;
    let session = cookie_of(&answer);
    let name = push(&app, &shop, &[]).await;
    let silent = app.http.get(link(&app, &shop, &name, "")).header("cookie", &session).send().await.unwrap();
    app.exchange(&shop, &code_of(&silent)).await.ok();
    let name = push(&app, &shop, &[]).await;
    let fields = [("client_id", shop.id.as_str()), ("request_uri", &name)];
    let posted = app.http.post(app.project_url(&shop, "/oauth2/authorize")).header("cookie", &session);
    app.exchange(&shop, &code_of(&posted.form(&fields).send().await.unwrap())).await.ok();
}

/// The application is told that the request was used up: its redirect URI is proven, and it can start again.
fn is_told_gone(app: &TestApp, shop: &Shop, answer: &Response) {
    let to = location_of(answer);
    assert!(to.as_str().starts_with(REDIRECT), "{to}");
    let told = ["error", "error_description", "state", "iss", "code"].map(|name| parameter(&to, name));
    let iss = app.project_url(shop, "");
    assert_eq!(told, [Some("invalid_request".into()), Some(GONE.into()), Some("s1".into()), Some(iss), None]);
    assert!(!answer.headers().contains_key("set-cookie"));
}

async fn open_as(app: &TestApp, shop: &Shop, cookie: &str) -> String {
    let page = app.http.get(app.authorize_url(shop, "&prompt=login")).header("cookie", cookie);
    sealed_of(&page.send().await.unwrap().text().await.unwrap())
}

async fn what_is_wrong_is_told_early(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, open) = (app.shop("shop", "confidential").await, app.shop("open", "public").await);
    let pkce = "code_challenge is missing: this client must use PKCE with S256";
    let unregistered = "The application asked to return to an address that is not registered.";
    for (shop, changes, code, description) in [
        (&shop, ("redirect_uri", "http://localhost:9/callback/"), "invalid_request", unregistered),
        (
            &shop,
            ("response_type", "token"),
            "unsupported_response_type",
            "only response_type=code is supported",
        ),
        (&shop, ("response_type", ""), "invalid_request", "response_type is missing"),
        (&open, ("scope", "openid"), "invalid_request", pkce),
        (&shop, ("code_challenge", "x"), "invalid_request", "code_challenge_method must be S256"),
        (&shop, ("prompt", "none login"), "invalid_request", "prompt=none stands alone"),
        (
            &shop,
            ("request", "a.b.c"),
            "invalid_request_object",
            "The request object is not acceptable: it is not a signed JWT.",
        ),
    ] {
        ask(request(&app, shop, &form(&[changes]))).await.refused(400, code, description);
    }
    for name in ["https://elsewhere.example/request", &push(&app, &shop, &[]).await, ""] {
        let inside = [&form(&[])[..], &[("request_uri", name.to_owned())]].concat();
        let why = "request_uri has no place in a pushed request";
        ask(request(&app, &shop, &inside)).await.refused_for(400, "invalid_request", "request_uri", why);
    }
    let twice = [form(&[]), form(&[])].concat();
    let why = "the body is not form-encoded, or a parameter is given twice";
    ask(request(&app, &shop, &twice)).await.refused(400, "invalid_request", why);
    let json = app.http.post(app.project_url(&shop, "/oauth2/par")).json(&json!({}));
    let why = "the body must be application/x-www-form-urlencoded";
    ask(json).await.refused(415, "unsupported_media_type", why);
    let get = app.http.get(app.project_url(&shop, "/oauth2/par"));
    ask(get).await.refused(405, "method_not_allowed", "this address takes another method");
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM pushed_requests").await, 1);
}

async fn clients_prove_themselves(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, open) = (app.shop("shop", "confidential").await, app.shop("open", "public").await);
    let url = app.project_url(&shop, "/oauth2/par");
    let failed = "client authentication failed";
    let wrong = app.http.post(&url).basic_auth(&shop.id, Some("wrong")).form(&form(&[]));
    ask(wrong).await.refused(401, "invalid_client", failed);
    let without = app.http.post(&url).form(&form(&[("client_id", &shop.id)]));
    ask(without).await.refused(401, "invalid_client", failed);
    let foreign = app.http.post(&url).form(&form(&[("client_id", &open.id)]));
    ask(foreign).await.refused(401, "invalid_client", failed);
    let nobody = app.http.post(&url).form(&form(&[]));
    ask(nobody).await.refused(401, "invalid_client", "the request names no client");
    // In the body as well; and what proves it is no part of the request.
    let secret = shop.secret.as_deref().unwrap();
    let in_body = form(&[("client_id", &shop.id), ("client_secret", secret), ("scope", "openid")]);
    let named = ask(app.http.post(&url).form(&in_body)).await.created();
    let (cookie, sealed) =
        self::open(&app, &link(&app, &shop, named["request_uri"].as_str().unwrap(), "")).await;
    let answer = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    app.exchange(&shop, &code_of(&answer)).await.ok();
    // A public client has its name alone, and PKCE.
    let challenge = [("code_challenge", "A".repeat(43)), ("code_challenge_method", "S256".into())];
    let pkce = [&form(&[])[..], &challenge].concat();
    ask(request(&app, &open, &pkce)).await.created();
    run(&app.app.db, "UPDATE clients SET status = 'disabled', version = version + 1").await;
    ask(request(&app, &shop, &form(&[]))).await.refused(401, "invalid_client", failed);
}

async fn a_name_serves_its_client_and_project(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let second = app.second_client(&shop, settings).await;
    let name = push(&app, &shop, &[]).await;
    for stranger in [&second, &other] {
        see(&app, &link(&app, stranger, &name, "")).await.refused(400, GONE);
    }
    let unknown = format!("{}x", &name[..name.len() - 1]);
    for nothing in [unknown.as_str(), URN, &format!("{name}x"), &name.to_uppercase()] {
        if nothing.starts_with(URN) {
            see(&app, &link(&app, &shop, nothing, "")).await.refused(400, GONE);
        }
    }
    let nameless = format!("{}?request_uri={name}", app.project_url(&shop, "/oauth2/authorize"));
    see(&app, &nameless).await.refused(400, "This application is not known here.");
    let two = link(&app, &shop, &name, &format!("&request_uri={name}"));
    see(&app, &two).await.refused(400, "The application named two requests.");
    // An address that was taken away in the meantime is not returned to.
    run(
        &app.app.db,
        "UPDATE clients SET settings = replace(settings, 'callback', 'elsewhere'), version = version + 1",
    )
    .await;
    let why = "The application asked to return to an address that is not registered.";
    see(&app, &link(&app, &shop, &name, "")).await.refused(400, why);
}

async fn names_expire(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let url = link(&app, &shop, &push(&app, &shop, &[]).await, "");
    app.app.clock.advance(89);
    let (cookie, sealed) = open(&app, &url).await;
    app.app.clock.advance(1);
    see(&app, &url).await.refused(400, GONE);
    // Whoever has begun has the time that a form has.
    app.app.clock.advance(3500);
    tessera::jobs::run_due(&app.app).await.unwrap();
    let answer = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    app.exchange(&shop, &code_of(&answer)).await.ok();
    is_told_gone(&app, &shop, &app.submit(&shop, &cookie, &sealed, PASSWORD).await);
    // What nobody used goes.
    push(&app, &shop, &[]).await;
    app.app.clock.advance(90 + 2 * 3600);
    tessera::jobs::run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM pushed_requests").await, 0);
}

async fn of_two_at_once_one_gets_a_code(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let node = app.second_node().await;
    for _ in 0..5 {
        let name = push(&app, &shop, &[]).await;
        let url = link(&app, &shop, &name, "");
        let ((one, first), (two, second)) = (open(&app, &url).await, open(&app, &url).await);
        let (a, b) = tokio::join!(
            app.submit(&shop, &one, &first, PASSWORD),
            node.submit(&shop, &two, &second, PASSWORD)
        );
        let (won, lost) = if parameter(&location_of(&a), "code").is_some() { (a, b) } else { (b, a) };
        app.exchange(&shop, &code_of(&won)).await.ok();
        is_told_gone(&app, &shop, &lost);
        // And of two silent ones, of a browser that is signed in.
        let (cookie, url) = (cookie_of(&won), link(&app, &shop, &push(&app, &shop, &[]).await, ""));
        let silent = |node: &TestApp| node.http.get(&url).header("cookie", &cookie).send();
        let (a, b) = tokio::join!(silent(&app), silent(&node));
        let codes = [a.unwrap(), b.unwrap()].into_iter().filter(|answer| {
            answer.headers().get("location").is_some_and(|to| to.to_str().unwrap().contains("code="))
        });
        assert_eq!(codes.count(), 1);
    }
}

async fn a_client_may_have_to_push(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        require_pushed_authorization_requests: true,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let plain = app.http.get(app.authorize_url(&shop, "")).send().await.unwrap();
    let to = location_of(&plain);
    assert!(to.as_str().starts_with(REDIRECT));
    assert_eq!(parameter(&to, "error").as_deref(), Some("invalid_request"));
    let why = "this client must push its authorization requests";
    assert_eq!(parameter(&to, "error_description").as_deref(), Some(why));
    // Its login link makes no request in its name: the browser is signed in, and the application makes its own.
    let login = app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id));
    let (cookie, sealed) = open(&app, &login).await;
    let signed_in = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    assert_eq!(location_of(&signed_in).as_str(), login);
    let url = link(&app, &shop, &push(&app, &shop, &[]).await, "");
    let silent = app.http.get(url).header("cookie", cookie_of(&signed_in)).send().await.unwrap();
    app.exchange(&shop, &code_of(&silent)).await.ok();
}

async fn addresses_are_not_fetched(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/request", listener.local_addr().unwrap());
    let url = app.authorize_url(&shop, &format!("&request_uri={address}"));
    let to = location_of(&app.http.get(url).send().await.unwrap());
    assert_eq!(parameter(&to, "error").as_deref(), Some("request_uri_not_supported"));
    app.http.get(link(&app, &shop, &address, "")).send().await.unwrap();
    let nobody_came = tokio::time::timeout(std::time::Duration::from_millis(200), listener.accept()).await;
    assert!(nobody_came.is_err(), "somebody asked for the request");
    let found =
        app.http.get(app.project_url(&shop, "/.well-known/openid-configuration")).send().await.unwrap();
    let found: Value = found.json().await.unwrap();
    assert_eq!(found["request_uri_parameter_supported"], false);
    let endpoint = json!(app.project_url(&shop, "/oauth2/par"));
    assert_eq!(found["pushed_authorization_request_endpoint"], endpoint);
}

async fn the_store_keeps_nothing_that_can_be_read(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let name = push(&app, &shop, &[("login_hint", "alice@example.com")]).await;
    // A row under another name does not open.
    let other = push(&app, &shop, &[]).await;
    let hashes = [&name, &other].map(|name| tessera::secret::sha256(name.as_bytes()));
    let exchange = |a: Vec<u8>, b: Vec<u8>| {
        app.app.db.write(move |conn| {
            let (a, b) = (a.clone(), b.clone());
            async move {
                let sql = "UPDATE pushed_requests SET sealed_parameters = (SELECT o.sealed_parameters
                     FROM pushed_requests o WHERE o.hash = $1) WHERE hash = $2";
                execute!(&conn, sql, &a, &b)
            }
        })
    };
    let [first, second] = hashes;
    exchange(first, second).await.unwrap();
    assert_eq!(see(&app, &link(&app, &shop, &other, "")).await.status, 500);
    assert_eq!(see(&app, &link(&app, &shop, &name, "")).await.username(), "alice@example.com");
}

/// Whoever knows the name of a public client may push for it, and fills no disk.
async fn requests_are_bounded(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, open) = (app.shop("shop", "confidential").await, app.shop("open", "public").await);
    let pkce = ("code_challenge", "A".repeat(43));
    let pkce = [&form(&[])[..], &[pkce, ("code_challenge_method", "S256".into())]].concat();
    // As long as a request may be that a browser brings.
    let sent = |length: usize| [&form(&[("state", "")])[..], &[("state", "x".repeat(length))]].concat();
    let encoded = |length: usize| {
        let form = [&sent(length)[..], &[("client_id", shop.id.clone())]].concat();
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().len()
    };
    let most = 8192 - encoded(0);
    ask(request(&app, &shop, &sent(most))).await.created();
    let long = ask(request(&app, &shop, &sent(most + 1))).await;
    long.refused(400, "invalid_request", "the request is longer than 8192 bytes");

    // So many in ten minutes from one address, however many come at once.
    let rows = "SELECT count(*) AS n FROM pushed_requests";
    ask(request(&app, &open, &pkce)).await.created();
    run(&app.app.db, "UPDATE user_code_failures SET failures = 290 WHERE failures = 1").await;
    let at_once = (0..30).map(|_| ask(request(&app, &open, &pkce)));
    let answers = futures_util::future::join_all(at_once).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
    assert_eq!(number(&app.app.db, rows).await, 12);
    let refused = request(&app, &open, &pkce).send().await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "600");
    let why = "too many requests were pushed; try again later";
    Answer::of(refused).await.refused(503, "temporarily_unavailable", why);
    // Another client, and another project, are not stopped by it; and it passes.
    ask(request(&app, &shop, &form(&[]))).await.created();
    let third = app.shop("third", "public").await;
    ask(request(&app, &third, &pkce)).await.created();
    app.app.clock.advance(599);
    ask(request(&app, &open, &pkce)).await.refused(503, "temporarily_unavailable", why);
    app.app.clock.advance(1);
    ask(request(&app, &open, &pkce)).await.created();
    // Those of one client as well, from wherever.
    ask(request(&app, &shop, &form(&[]))).await.created();
    run(&app.app.db, "UPDATE user_code_failures SET failures = 50000").await;
    ask(request(&app, &shop, &form(&[]))).await.refused(503, "temporarily_unavailable", why);
}

/// RFC 6749, 4.1.2.1.
async fn clients_of_another_grant_ask_for_no_code(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        grant_types: vec![GrantType::DeviceCode, GrantType::RefreshToken],
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let why = "the client is not registered for authorization codes";
    ask(request(&app, &shop, &form(&[]))).await.refused(400, "unauthorized_client", why);
    let to = location_of(&app.http.get(app.authorize_url(&shop, "")).send().await.unwrap());
    let told = ["error", "error_description", "state", "iss"].map(|name| parameter(&to, name));
    let iss = app.project_url(&shop, "");
    assert!(to.as_str().starts_with(REDIRECT));
    assert_eq!(told, [Some("unauthorized_client".into()), Some(why.into()), Some("s1".into()), Some(iss)]);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM pushed_requests").await, 0);
}

async fn a_second_click_is_told_to_the_application(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (cookie, sealed) = open(&app, &link(&app, &shop, &push(&app, &shop, &[]).await, "")).await;
    let first = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    is_told_gone(&app, &shop, &app.submit(&shop, &cookie, &sealed, PASSWORD).await);
    // The first one's code and session are good.
    app.exchange(&shop, &code_of(&first)).await.ok();
    let silent = app.http.get(app.authorize_url(&shop, "&prompt=none")).header("cookie", cookie_of(&first));
    app.exchange(&shop, &code_of(&silent.send().await.unwrap())).await.ok();

    // The same where somebody allows an application of others.
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        first_party: false,
        ..ClientSettings::default()
    };
    let third = app.second_client(&shop, settings).await;
    let session = cookie_of(&first);
    let url = link(&app, &third, &push(&app, &third, &[]).await, "");
    let page = Seen::of(app.http.get(&url).header("cookie", &session).send().await.unwrap()).await;
    let sealed = sealed_of(&page.text);
    let allow = async || {
        let post = app.http.post(app.project_url(&third, "/consent")).header("cookie", &session);
        post.form(&[("request", sealed.as_str()), ("decision", "allow")]).send().await.unwrap()
    };
    let first = allow().await;
    is_told_gone(&app, &third, &allow().await);
    app.exchange(&third, &code_of(&first)).await.ok();
}
