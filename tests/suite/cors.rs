//! Which pages may call us from a browser, and what never answers them.

use reqwest::{Method, Response};
use serde_json::json;
use tessera::model::client::ClientSettings;

use crate::support::{Engine, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    public_documents_are_for_every_page,
    registered_origins_may_call,
    nothing_else_answers_a_page,
    an_origin_that_goes_is_gone_in_seconds,
    what_a_client_registers_is_checked,
    an_origin_costs_a_read_in_five_seconds
);

const ORIGIN: &str = "https://app.example";

const ALLOW: &str = "access-control-allow-origin";

async fn shop(app: &TestApp, slug: &str, origins: &[&str]) -> Shop {
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        allowed_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        ..ClientSettings::default()
    };
    app.shop_with(slug, "confidential", settings).await
}

async fn call(app: &TestApp, method: Method, path: &str, origin: &str) -> Response {
    app.http.request(method, format!("{}{path}", app.base)).header("origin", origin).send().await.unwrap()
}

async fn preflight(app: &TestApp, path: &str, origin: &str) -> Response {
    let request = app.http.request(Method::OPTIONS, format!("{}{path}", app.base)).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    request.header("access-control-request-headers", "authorization,dpop").send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// No cookie is ever let through.
fn allowed(response: &Response) -> Option<&str> {
    assert_eq!(header(response, "access-control-allow-credentials"), None);
    header(response, ALLOW)
}

// C012
async fn public_documents_are_for_every_page(engine: Engine) {
    let app = TestApp::new(engine).await;
    shop(&app, "shop", &[]).await;
    for path in [
        "/projects/shop/.well-known/openid-configuration",
        "/projects/shop/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/projects/shop",
        "/projects/shop/.well-known/jwks.json",
    ] {
        let answer = call(&app, Method::GET, path, "https://anybody.example").await;
        assert_eq!((answer.status().as_u16(), allowed(&answer)), (200, Some("*")), "{path}");
        assert_eq!(header(&answer, "vary"), None);
        let asked = preflight(&app, path, "https://anybody.example").await;
        assert_eq!((asked.status().as_u16(), allowed(&asked)), (204, Some("*")), "{path}");
        assert_eq!(header(&asked, "access-control-allow-methods"), Some("GET"));
    }
}

const CALLED: [&str; 7] = [
    "/oauth2/token",
    "/oauth2/userinfo",
    "/api/GetTokenFromCode",
    "/api/refresh",
    "/api/userinfofromaccesstoken",
    "/api/GlobalSignOut",
    "/api/attribute-update",
];

// C012
async fn registered_origins_may_call(engine: Engine) {
    let app = TestApp::new(engine).await;
    shop(&app, "shop", &["https://else.example", ORIGIN, "http://localhost:3000"]).await;
    shop(&app, "other", &["https://other.example"]).await;
    for path in CALLED.map(|path| format!("/projects/shop{path}")) {
        for origin in [ORIGIN, "http://localhost:3000"] {
            let asked = preflight(&app, &path, origin).await;
            assert_eq!((asked.status().as_u16(), allowed(&asked)), (204, Some(origin)), "{path}");
            let methods = if path.ends_with("userinfo") { "GET, POST" } else { "POST" };
            assert_eq!(header(&asked, "access-control-allow-methods"), Some(methods));
            let headers = Some("authorization, content-type, dpop, if-match");
            assert_eq!(header(&asked, "access-control-allow-headers"), headers);
            assert_eq!(header(&asked, "access-control-max-age"), Some("600"));
            assert_eq!(header(&asked, "vary"), Some("origin"));
            // The page reads the refusal as well.
            let refused = call(&app, Method::POST, &path, origin).await;
            assert!(refused.status().is_client_error());
            assert_eq!(allowed(&refused), Some(origin), "{path}");
            let readable = Some("dpop-nonce, etag, retry-after, www-authenticate, x-request-id");
            assert_eq!(header(&refused, "access-control-expose-headers"), readable);
            assert_eq!(header(&refused, "vary"), Some("origin"));
        }
        for stranger in [
            "https://other.example",
            "https://app.example.evil.example",
            "https://app.example:8443",
            "http://app.example",
            "https://APP.example",
            "https://app.example/",
            "null",
            "*",
            "",
        ] {
            let asked = preflight(&app, &path, stranger).await;
            assert_eq!((asked.status().as_u16(), allowed(&asked)), (405, None), "{path} {stranger}");
            let answer = call(&app, Method::POST, &path, stranger).await;
            assert_eq!((allowed(&answer), header(&answer, "vary")), (None, Some("origin")), "{stranger}");
        }
    }
    // A whole call.
    let shop = shop(&app, "third", &[ORIGIN]).await;
    let tokens = app.sign_in(&shop).await;
    let url = app.project_url(&shop, "/oauth2/userinfo");
    let request = app.http.get(url).bearer_auth(tokens.get("access_token")).header("origin", ORIGIN);
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), allowed(&answer)), (200, Some(ORIGIN)));
}

// C012
async fn nothing_else_answers_a_page(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop", &[ORIGIN]).await;
    let authorize = app.authorize_url(&shop, "").replace(&app.base, "");
    for path in [
        authorize.as_str(),
        "/projects/shop/oauth2/authorize",
        "/projects/shop/oauth2/logout",
        "/projects/shop/oauth2/introspect",
        "/projects/shop/sign-in",
        "/projects/shop/api/verifyaccesstoken",
        "/projects/shop/api/token-validity",
        "/projects/shop/api/delete-user",
        "/admin/projects",
        "/health",
        "/nowhere",
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = call(&app, method, path, ORIGIN).await;
            assert_eq!(allowed(&answer), None, "{path}");
        }
        let asked = preflight(&app, path, ORIGIN).await;
        assert!(asked.status().is_client_error() && allowed(&asked).is_none(), "{path}");
    }
    // Nobody's project is nobody's.
    for path in ["/projects/nobody/oauth2/token", "/projects/no%00body/oauth2/token"] {
        let asked = preflight(&app, path, ORIGIN).await;
        assert!(asked.status().is_client_error() && allowed(&asked).is_none(), "{path}");
    }
}

async fn an_origin_that_goes_is_gone_in_seconds(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop", &[ORIGIN]).await;
    let node = app.second_node().await;
    let desk = app.desk(&shop, "owner").await;
    let client = format!("/clients/{}", shop.id);
    let answers = async || {
        app.app.clock.advance(5);
        let asked = preflight(&node, "/projects/shop/oauth2/token", ORIGIN).await;
        allowed(&asked).is_some()
    };
    assert!(answers().await);
    desk.patch(&client, json!({"allowed_origins": ["https://new.example"]})).await.ok();
    assert!(!answers().await);
    desk.patch(&client, json!({"allowed_origins": [ORIGIN, ORIGIN]})).await.ok();
    assert!(answers().await);
    // What changes something else changes nothing here.
    desk.patch(&client, json!({"client_name": "Till"})).await.ok();
    assert!(answers().await);
    desk.patch(&client, json!({"status": "disabled"})).await.ok();
    assert!(!answers().await);
    desk.patch(&client, json!({"status": "active"})).await.ok();
    assert!(answers().await);
    desk.patch("", json!({"status": "disabled"})).await.ok();
    assert!(!answers().await);
    desk.patch("", json!({"status": "active"})).await.ok();
    // Another client of the project registered it, too.
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        allowed_origins: vec![ORIGIN.into()],
        ..ClientSettings::default()
    };
    let second = app.second_client(&shop, settings).await;
    desk.delete(&client).await.ok();
    assert!(answers().await);
    desk.delete(&format!("/clients/{}", second.id)).await.ok();
    assert!(!answers().await);
}

async fn what_a_client_registers_is_checked(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop", &[]).await;
    let desk = app.desk(&shop, "admin").await;
    let many: Vec<String> = (0..21).map(|n| format!("https://app{n}.example")).collect();
    let bad = ["https://app.example/", "http://app.example", "*", "null", "https://*.example", "app.example"];
    for origins in bad.map(|one| json!([one])).into_iter().chain([json!(many)]) {
        let answer = desk.patch(&format!("/clients/{}", shop.id), json!({"allowed_origins": origins})).await;
        let bound = "allowed_origins has at most 20 web origins as browsers write them: https://host[:port], or http on a loopback address";
        answer.refused_for(400, "invalid_request", "allowed_origins", bound);
    }
}

async fn an_origin_costs_a_read_in_five_seconds(engine: Engine) {
    let app = TestApp::new(engine).await;
    shop(&app, "shop", &[ORIGIN]).await;
    preflight(&app, "/projects/shop/oauth2/token", ORIGIN).await;
    let reads = async |seconds: i64| {
        app.app.clock.advance(seconds);
        let before = app.app.db.statements().reads;
        for _ in 0..3 {
            preflight(&app, "/projects/shop/oauth2/token", ORIGIN).await;
        }
        app.app.db.statements().reads - before
    };
    assert_eq!([reads(0).await, reads(4).await, reads(1).await, reads(0).await], [0, 0, 1, 0]);
}
