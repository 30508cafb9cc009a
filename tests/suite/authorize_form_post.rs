//! `response_mode=form_post`: the answer travels in a form of its own.

use reqwest::Response;
use serde_json::json;
use tessera::model::client::ClientSettings;

use crate::support::browser::in_browser;
use crate::support::hands::sign_in;
use crate::support::{Engine, PASSWORD, REDIRECT, Shop, TestApp, between, both_engines, cookie_of};

both_engines!(
    // C013 C024
    codes_travel_in_a_form,
    // C014 C024
    errors_travel_in_it_too,
    redirect_uris_stay_as_they_are,
    a_browser_sends_it_on,
);

/// The page, and what its form carries.
struct Post {
    action: String,
    fields: Vec<(String, String)>,
    policy: String,
}

impl Post {
    async fn of(page: Response) -> Self {
        assert_eq!(page.status(), 200);
        let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-frame-options"), "DENY");
        let policy = header("content-security-policy");
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = page.text().await.unwrap();
        // One script, which is a file; and a button for whoever runs none.
        assert_eq!(text.matches("<script").count(), 1);
        assert!(between(&text, "<script src=\"/assets/form_post-", "</script>").ends_with(".js\" defer>"));
        assert!(text.contains("<button class=\"primary\" type=\"submit\""));
        let fields = text.split("<input type=\"hidden\" name=\"").skip(1).map(|field| {
            let (name, rest) = field.split_once("\" value=\"").unwrap();
            (name.to_owned(), rest.split_once('"').unwrap().0.replace("&#38;", "&").replace("&#60;", "<"))
        });
        Self {
            action: between(&text, "action=\"", "\"").replace("&#38;", "&"),
            fields: fields.collect(),
            policy,
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

const MODE: &str = "&response_mode=form_post";

async fn codes_travel_in_a_form(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (cookie, sealed) = app.sign_in_page(&shop, MODE).await;
    let answer = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    let session = cookie_of(&answer);
    let post = Post::of(answer).await;
    let again = app.http.get(app.authorize_url(&shop, MODE)).header("cookie", &session).send().await.unwrap();
    let again = Post::of(again).await;
    for post in [post, again] {
        assert_eq!(post.action, REDIRECT);
        assert!(post.policy.contains("; form-action http: https:; frame-ancestors 'none'"));
        let script = between(&post.policy, "script-src ", ";");
        let file = app.http.get(script).send().await.unwrap();
        assert_eq!(file.headers()["content-type"], "text/javascript; charset=utf-8");
        assert!(file.headers()["cache-control"].to_str().unwrap().ends_with("immutable"));
        assert_eq!(post.get("state"), Some("s1"));
        assert_eq!(post.get("iss"), Some(app.project_url(&shop, "").as_str()));
        assert_eq!(post.fields.len(), 3);
        app.exchange(&shop, post.get("code").unwrap()).await.ok();
    }
}

async fn errors_travel_in_it_too(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let ask = async |more: &str| {
        app.http.get(format!("{}{more}", app.authorize_url(&shop, MODE))).send().await.unwrap()
    };
    for (more, error) in [
        ("&prompt=none", "login_required"),
        ("&prompt=dance", "invalid_request"),
        ("&max_age=x", "invalid_request"),
    ] {
        let post = Post::of(ask(more).await).await;
        assert_eq!((post.get("error"), post.get("state")), (Some(error), Some("s1")), "{more}");
        assert_eq!(post.get("iss"), Some(app.project_url(&shop, "").as_str()));
        assert!(post.get("code").is_none());
    }
    // Hostile text stays text.
    let url = app.authorize_url(&shop, MODE).replace("state=s1", "state=%22%3E%3Cscript%3E");
    let page = app.http.get(format!("{url}&prompt=none")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("value=\"&#34;&#62;&#60;script&#62;\"") && page.matches("<script").count() == 1);
    // Of two modes, and of one that there is not, neither is followed.
    for more in ["&response_mode=query", "&response_mode=form_post"] {
        assert_eq!(ask(more).await.status(), 303, "{more}");
    }
    // No page is a form to an address that is not registered.
    let elsewhere = app.authorize_url(&shop, MODE).replace(REDIRECT, "https://evil.example/cb");
    let page = app.http.get(elsewhere).send().await.unwrap();
    assert_eq!(page.status(), 400);
    assert!(!page.text().await.unwrap().contains("evil.example"));
}

async fn redirect_uris_stay_as_they_are(engine: Engine) {
    let app = TestApp::new(engine).await;
    for (slug, uri, target) in [
        ("query", "https://app.example/cb?tenant=1&b=%20", "https:"),
        ("path", "https://app.example/a;b/cb", "https:"),
        ("port", "https://app.example:8443/~x/cb", "https:"),
        ("native", "com.example.app:/cb", "com.example.app:"),
    ] {
        let settings = ClientSettings {
            redirect_uris: vec![uri.into()],
            require_pkce: false,
            ..ClientSettings::default()
        };
        let shop = app.shop_with(slug, "confidential", settings).await;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("response_type", "code"), ("client_id", &shop.id), ("redirect_uri", uri)])
            .extend_pairs([("response_mode", "form_post"), ("prompt", "none")])
            .finish();
        let url = format!("{}?{query}", app.project_url(&shop, "/oauth2/authorize"));
        let post = Post::of(app.http.get(url).send().await.unwrap()).await;
        assert_eq!(post.action, uri);
        assert!(post.policy.contains(&format!("form-action {target};")), "{}", post.policy);
    }
}

/// An application that is given its code by POST.
async fn receiving() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let taken = axum::routing::post(move |body: String| {
        let sender = sender.clone();
        async move {
            sender.send(body).unwrap();
            axum::response::Html("<!doctype html><title>In</title><h1 id=welcome>Welcome back</h1>")
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/callback", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/callback", taken);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (uri, receiver)
}

async fn a_browser_sends_it_on(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (callback, mut received) = receiving().await;
    let settings = ClientSettings {
        redirect_uris: vec![callback.clone()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop: Shop = app.shop_with("acme", "confidential", settings).await;
    let start = app.authorize_url(&shop, MODE).replace(REDIRECT, &callback);
    in_browser(async |browser| {
        browser.goto(&start).await.unwrap();
        sign_in(browser, "alice", PASSWORD).await;
        let body = received.recv().await.unwrap();
        let fields: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let code = &fields.iter().find(|(name, _)| name == "code").unwrap().1;
        let body = json!({"code": code, "redirect_uri": callback});
        app.call(&shop, "GetTokenFromCode", body).await.ok();
        let told = crate::support::browser::complaints(browser).await;
        assert!(told.iter().all(|entry| entry.contains("favicon")), "{told:?}");
    })
    .await;
}
