//! What people allow applications of others: asked, remembered, and taken back.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::model::client::ClientSettings;
use tessera::projects;
use tessera::secret::Secret;

use crate::jobs::count;
use crate::support::{
    Engine, PASSWORD, REDIRECT, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of,
    parameter, sealed_of,
};

both_engines!(
    people_are_asked_once,
    // C037
    denying_goes_back_with_state,
    // C047
    nothing_is_shown_without_a_page,
    more_is_asked_for_again,
    prompt_consent_asks_again,
    resources_and_claims_are_asked_for,
    // C125 C126
    forms_are_bound,
    a_form_is_judged_again,
    admins_see_and_withdraw,
    a_withdrawal_is_told_to_the_client,
    withdrawing_beside_a_code,
    deleted_with_the_person,
    hostile_words_stay_words,
);

const NAME: &str = "Bureau";

pub fn settings() -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        first_party: false,
        client_uri: Some("https://bureau.example/".into()),
        policy_uri: Some("https://bureau.example/privacy".into()),
        tos_uri: Some("https://bureau.example/terms".into()),
        ..ClientSettings::default()
    }
}

pub async fn bureau(app: &TestApp) -> Shop {
    let shop = app.shop("shop", "confidential").await;
    let (client, secret) =
        projects::create_client(&app.app, shop.project, NAME, "confidential", settings()).await.unwrap();
    let secret = secret.map(|secret| secret.expose().to_owned());
    Shop { id: client.id.to_string(), secret, ..shop }
}

pub async fn ask(app: &TestApp, shop: &Shop, more: &str, cookie: &str) -> Response {
    app.http.get(app.authorize_url(shop, more)).header("cookie", cookie).send().await.unwrap()
}

pub async fn decide(app: &TestApp, shop: &Shop, cookie: &str, sealed: &str, decision: &str) -> Response {
    let post = app.http.post(app.project_url(shop, "/consent")).header("cookie", cookie);
    post.form(&[("request", sealed), ("decision", decision)]).send().await.unwrap()
}

/// Signs alice in up to the page that asks: its cookie, and the page.
pub async fn asked(app: &TestApp, shop: &Shop, more: &str) -> (String, Seen) {
    let (cookie, sealed) = app.sign_in_page(shop, more).await;
    let answer = app.submit(shop, &cookie, &sealed, PASSWORD).await;
    let cookie = cookie_of(&answer);
    (cookie, Seen::of(answer).await)
}

/// Signs alice in and allows it: the tokens, and the cookie.
pub async fn allowed(app: &TestApp, shop: &Shop, more: &str) -> (Value, String) {
    let (cookie, page) = asked(app, shop, more).await;
    let answer = decide(app, shop, &cookie, &sealed_of(&page.text), "allow").await;
    (app.exchange(shop, &code_of(&answer)).await.ok(), cookie)
}

pub async fn error_of(app: &TestApp, shop: &Shop, more: &str, cookie: &str) -> Option<String> {
    let to = location_of(&ask(app, shop, more, cookie).await);
    assert_eq!(
        (parameter(&to, "state").as_deref(), parameter(&to, "iss")),
        (Some("s1"), Some(app.project_url(shop, "")))
    );
    assert_eq!(parameter(&to, "error").is_some(), parameter(&to, "code").is_none());
    parameter(&to, "error")
}

async fn people_are_asked_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let scope = "&scope=openid+profile+email+offline_access";
    let (cookie, page) = asked(&app, &shop, scope).await;
    for words in [
        "Allow <bdi>Bureau</bdi>?",
        "<bdi>alice</bdi>",
        "know that it is you",
        "see your mail address",
        "keep this access while you are not there",
        "https://bureau.example/privacy",
        "You will go on to <strong><bdi>localhost</bdi></strong>",
    ] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    assert!(!page.text.contains("phone number"));
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("form-action 'self' http://localhost:9;")
    );
    let answer = decide(&app, &shop, &cookie, &sealed_of(&page.text), "allow").await;
    let tokens = app.exchange(&shop, &code_of(&answer)).await.ok();
    assert_eq!(tokens["scope"], "openid profile email offline_access");
    // Remembered: with the session, without a page, and for less; and after another sign-in.
    for less in [scope, "&scope=openid&prompt=none", "&scope=openid+email&prompt=none"] {
        app.exchange(&shop, &code_of(&ask(&app, &shop, less, &cookie).await)).await.ok();
    }
    app.code(&shop, scope).await;
    // A project's own application asks nobody.
    let own = Shop { id: own_client(&app, &shop).await, ..bureau_like(&shop) };
    assert_eq!(error_of(&app, &own, "&prompt=none&scope=openid+phone", &cookie).await, None);
    assert_eq!(ask(&app, &own, "&prompt=consent", &cookie).await.status(), 303);
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn own_client(app: &TestApp, shop: &Shop) -> String {
    let settings = ClientSettings { first_party: true, ..settings() };
    let (client, _) =
        projects::create_client(&app.app, shop.project, "Own", "confidential", settings).await.unwrap();
    client.id.to_string()
}

fn bureau_like(shop: &Shop) -> Shop {
    Shop {
        project: shop.project,
        slug: shop.slug.clone(),
        id: shop.id.clone(),
        secret: shop.secret.clone(),
        user: shop.user,
    }
}

async fn denying_goes_back_with_state(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let (cookie, page) = asked(&app, &shop, "").await;
    let sealed = sealed_of(&page.text);
    let to = location_of(&decide(&app, &shop, &cookie, &sealed, "deny").await);
    assert!(to.as_str().starts_with(REDIRECT));
    assert_eq!(parameter(&to, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&to, "error_description").as_deref(), Some("the person does not allow it"));
    assert_eq!(parameter(&to, "state").as_deref(), Some("s1"));
    assert_eq!(parameter(&to, "iss"), Some(app.project_url(&shop, "")));
    assert_eq!(parameter(&to, "code"), None);
    // Nothing is remembered of it, and the person is still signed in.
    assert_eq!(error_of(&app, &shop, "&prompt=none", &cookie).await.as_deref(), Some("consent_required"));
    let neither = decide(&app, &shop, &cookie, &sealed, "perhaps").await;
    Seen::of(neither).await.refused(400, "The form is not complete.");
}

async fn nothing_is_shown_without_a_page(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let (cookie, _) = asked(&app, &shop, "").await;
    assert_eq!(error_of(&app, &shop, "&prompt=none", &cookie).await.as_deref(), Some("consent_required"));
    assert_eq!(error_of(&app, &shop, "&prompt=none", "x=y").await.as_deref(), Some("login_required"));
    let page = Seen::of(ask(&app, &shop, "", &cookie).await).await;
    assert!(page.text.contains("Allow <bdi>Bureau</bdi>?") && page.keeps_cookie(&cookie));
}

async fn more_is_asked_for_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let (_, cookie) = allowed(&app, &shop, "&scope=openid").await;
    let silent = "&scope=openid+email&prompt=none";
    assert_eq!(error_of(&app, &shop, silent, &cookie).await.as_deref(), Some("consent_required"));
    let page = Seen::of(ask(&app, &shop, "&scope=openid+email", &cookie).await).await;
    let answer = decide(&app, &shop, &cookie, &sealed_of(&page.text), "allow").await;
    app.exchange(&shop, &code_of(&answer)).await.ok();
    assert_eq!(error_of(&app, &shop, silent, &cookie).await, None);
    // Another client, and another person, have been allowed nothing.
    let (other, _) =
        projects::create_client(&app.app, shop.project, "Other", "confidential", settings()).await.unwrap();
    let other = Shop { id: other.id.to_string(), ..bureau_like(&shop) };
    assert_eq!(error_of(&app, &other, "&prompt=none", &cookie).await.as_deref(), Some("consent_required"));
    projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    let (before, sealed) = app.sign_in_page(&shop, "").await;
    let bob = app.submit_as(&shop, &before, &sealed, ("bob", PASSWORD)).await;
    assert!(Seen::of(bob).await.text.contains("<bdi>bob</bdi>"));
}

async fn prompt_consent_asks_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let (_, cookie) = allowed(&app, &shop, "&scope=openid").await;
    let page = Seen::of(ask(&app, &shop, "&scope=openid&prompt=consent", &cookie).await).await;
    assert!(page.text.contains("Allow <bdi>Bureau</bdi>?"));
    let answer = decide(&app, &shop, &cookie, &sealed_of(&page.text), "allow").await;
    app.exchange(&shop, &code_of(&answer)).await.ok();
    // The password, the account, and then the consent.
    let page = Seen::of(ask(&app, &shop, "&prompt=consent+select_account", &cookie).await).await;
    assert!(page.text.contains("Continue as"));
    let post = app.http.post(app.project_url(&shop, "/select-account")).header("cookie", &cookie);
    let post = post.form(&[("request", &*sealed_of(&page.text)), ("account", "this")]);
    let page = Seen::of(post.send().await.unwrap()).await;
    assert!(page.text.contains("Allow <bdi>Bureau</bdi>?"));
    let page = Seen::of(ask(&app, &shop, "&prompt=login+consent", &cookie).await).await;
    let answer = app.submit(&shop, &cookie, &sealed_of(&page.text), PASSWORD).await;
    assert!(Seen::of(answer).await.text.contains("Allow <bdi>Bureau</bdi>?"));
}

async fn resources_and_claims_are_asked_for(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let desk = app.desk(&shop, "admin").await;
    desk.post("/scopes", json!({"name": "orders:read", "description": "see what you have ordered"}))
        .await
        .created();
    let server = json!({"identifier": "urn:orders", "name": "Order book", "scopes": ["orders:read"]});
    desk.post("/resource-servers", server).await.created();
    let change = json!({"resource_servers": ["urn:orders"], "scope": "openid email profile orders:read"});
    desk.patch(&format!("/clients/{}", shop.id), change).await.ok();
    let claims = r#"&claims={"userinfo":{"email":null},"id_token":{"birthdate":null}}"#;
    let (cookie, page) =
        asked(&app, &shop, &format!("&scope=openid+email+orders:read&resource=urn:orders{claims}")).await;
    for words in ["see what you have ordered", "Order book", "see your birthdate", "see your mail address"] {
        assert!(page.text.contains(words), "{words}");
    }
    assert!(!page.text.contains("see your email"));
    let answer = decide(&app, &shop, &cookie, &sealed_of(&page.text), "allow").await;
    app.exchange(&shop, &code_of(&answer)).await.ok();
    for more in ["&scope=openid&claims={\"userinfo\":{\"name\":null}}", "&scope=openid+profile"] {
        let error = error_of(&app, &shop, &format!("{more}&prompt=none"), &cookie).await;
        assert_eq!(error.as_deref(), Some("consent_required"), "{more}");
    }
    for less in
        ["&scope=openid&resource=urn:orders", "&scope=openid&claims={\"userinfo\":{\"birthdate\":null}}"]
    {
        assert_eq!(error_of(&app, &shop, &format!("{less}&prompt=none"), &cookie).await, None, "{less}");
    }
}

const STALE: &str =
    "This sign-in page is no longer valid. Please go back to the application and start again.";
const OUT_OF_DATE: &str = "It was open for too long, or was made for another browser. Nothing has been lost.";

async fn forms_are_bound(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let (cookie, page) = asked(&app, &shop, "").await;
    let sealed = sealed_of(&page.text);
    let (stranger, theirs) = asked(&app, &shop, "").await;
    for (cookie, sealed) in
        [("", &sealed), (stranger.as_str(), &sealed), (cookie.as_str(), &sealed_of(&theirs.text))]
    {
        Seen::of(decide(&app, &shop, cookie, sealed, "allow").await).await.refused(400, OUT_OF_DATE);
    }
    // A form of another kind, an altered one, and one that another site posts.
    let (before, form) = app.sign_in_page(&shop, "").await;
    Seen::of(decide(&app, &shop, &before, &form, "allow").await).await.refused(400, STALE);
    Seen::of(app.submit(&shop, &cookie, &sealed, PASSWORD).await).await.refused(400, STALE);
    let altered = format!("{}A{}", &sealed[..40], &sealed[41..]);
    let altered = if altered == sealed { format!("{}B{}", &sealed[..40], &sealed[41..]) } else { altered };
    Seen::of(decide(&app, &shop, &cookie, &altered, "allow").await).await.refused(400, STALE);
    for site in ["cross-site", "same-site"] {
        let post = app.http.post(app.project_url(&shop, "/consent")).header("cookie", &cookie);
        let post = post.header("sec-fetch-site", site).form(&[("request", &*sealed), ("decision", "allow")]);
        Seen::of(post.send().await.unwrap()).await.refused(400, STALE);
    }
    let get = app.http.get(app.project_url(&shop, "/consent")).send().await.unwrap();
    Seen::of(get).await.refused(405, "This address takes another kind of request.");
    assert_eq!(error_of(&app, &shop, "&prompt=none", &cookie).await.as_deref(), Some("consent_required"));
    app.app.clock.advance(3600);
    Seen::of(decide(&app, &shop, &cookie, &sealed, "allow").await).await.refused(400, OUT_OF_DATE);
}

async fn a_form_is_judged_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let desk = app.desk(&shop, "admin").await;
    // Signed in for this very request: its age is settled, for five minutes of thought.
    let (left_open, page) = asked(&app, &shop, "&max_age=0&prompt=consent").await;
    app.app.clock.advance(300);
    let late = decide(&app, &shop, &left_open, &sealed_of(&page.text), "allow").await;
    assert!(Seen::of(late).await.text.contains("password"));
    let (cookie, page) = asked(&app, &shop, "&max_age=0").await;
    app.app.clock.advance(299);
    let answer = decide(&app, &shop, &cookie, &sealed_of(&page.text), "allow").await;
    app.exchange(&shop, &code_of(&answer)).await.ok();
    // A session from before has grown too old while the form was open.
    let page = Seen::of(ask(&app, &shop, "&max_age=330&prompt=consent", &cookie).await).await;
    app.app.clock.advance(31);
    let late = decide(&app, &shop, &cookie, &sealed_of(&page.text), "allow").await;
    assert!(Seen::of(late).await.text.contains("password"));
    // Signed out.
    let page = Seen::of(ask(&app, &shop, "&prompt=consent", &cookie).await).await;
    let key = app.admin_key(Some(shop.project), "admin").await;
    let out = json!({"user": {"username": "alice"}, "end_browser_sessions": true});
    app.bearer(&shop, "GlobalSignOut", &key, out).await.ok();
    let over = decide(&app, &shop, &cookie, &sealed_of(&page.text), "allow").await;
    assert!(Seen::of(over).await.text.contains("password"));
    // The redirect URI was taken away, then the client.
    let (cookie, page) = asked(&app, &shop, "&prompt=consent").await;
    let client = format!("/clients/{}", shop.id);
    desk.patch(&client, json!({"redirect_uris": ["https://bureau.example/cb"]})).await.ok();
    for decision in ["allow", "deny"] {
        let gone = decide(&app, &shop, &cookie, &sealed_of(&page.text), decision).await;
        let why = "The application asked to return to an address that is not registered.";
        Seen::of(gone).await.refused(400, why);
    }
    desk.patch(&client, json!({"status": "disabled"})).await.ok();
    let gone = decide(&app, &shop, &cookie, &sealed_of(&page.text), "allow").await;
    Seen::of(gone).await.refused(400, "This application is not known here.");
}

async fn admins_see_and_withdraw(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let desk = app.desk(&shop, "user_manager").await;
    let (tokens, cookie) = allowed(&app, &shop, "&scope=openid+email+offline_access").await;
    let code = code_of(&ask(&app, &shop, "&scope=openid", &cookie).await);
    let path = format!("/users/{}/consents", shop.user);
    let listed = desk.get(&path).await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let (one, none) = (&listed["items"][0], "no such consent");
    assert_eq!((&one["client_id"], &one["client_name"]), (&json!(shop.id), &json!(NAME)));
    assert_eq!(one["scopes"], json!(["openid", "email", "offline_access"]));
    // Another project, a stranger, an auditor.
    let other = app.shop("other", "confidential").await;
    let theirs = app.desk(&other, "admin").await;
    theirs.get(&path).await.refused(404, "not_found", "no such user");
    theirs.delete(&format!("{path}/{}", shop.id)).await.refused(404, "not_found", "no such user");
    desk.delete(&format!("{path}/{}", other.id)).await.refused(404, "not_found", none);
    let auditor = app.desk(&shop, "auditor").await;
    assert_eq!(auditor.delete(&format!("{path}/{}", shop.id)).await.status, 403);

    let withdrawn = desk.delete(&format!("{path}/{}", shop.id)).await.ok();
    assert_eq!(withdrawn["families_ended"], 1);
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(app.verify(&shop, access).await["reason"], "session_revoked");
    let refused = app.refresh(&shop, tokens["refresh_token"].as_str().unwrap()).await;
    refused.refused(400, "invalid_grant", "the session has ended: session_revoked");
    app.exchange(&shop, &code).await.refused(400, "invalid_grant", "the code is unknown");
    assert_eq!(error_of(&app, &shop, "&prompt=none", &cookie).await.as_deref(), Some("consent_required"));
    desk.delete(&format!("{path}/{}", shop.id)).await.refused(404, "not_found", none);
    assert_eq!(desk.get(&path).await.ok()["items"], json!([]));
    let admin = app.desk(&shop, "admin").await;
    let log = admin.get(&format!("/audit?target=client:{}", shop.id)).await.ok();
    let actions: Vec<_> =
        log["items"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
    assert!(
        actions.contains(&json!("consent.given")) && actions.contains(&json!("consent.withdrawn")),
        "{actions:?}"
    );
    let paged =
        app.admin(&admin.key, Method::GET, &format!("/projects/shop{path}?limit=0"), json!(null)).await;
    assert_eq!(paged.status, 400);
}

/// By a logout token for each session, in the same unit.
async fn a_withdrawal_is_told_to_the_client(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let desk = app.desk(&shop, "admin").await;
    let told = json!({"backchannel_logout_uri": "https://bureau.example/logout"});
    desk.patch(&format!("/clients/{}", shop.id), told).await.ok();
    allowed(&app, &shop, "&scope=openid+offline_access").await;
    desk.delete(&format!("/users/{}/consents/{}", shop.user, shop.id)).await.ok();
    assert_eq!(count(&app.app, shop.project, "outbox", "kind = 'logout_token'").await, 1);
}

/// Whatever comes first, nothing that was withdrawn lives.
async fn withdrawing_beside_a_code(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let desk = app.desk(&shop, "user_manager").await;
    let path = format!("/users/{}/consents/{}", shop.user, shop.id);
    for _ in 0..6 {
        let (_, cookie) = allowed(&app, &shop, "&scope=openid").await;
        let code = code_of(&ask(&app, &shop, "&scope=openid", &cookie).await);
        let (asked, exchanged, withdrawn) = tokio::join!(
            ask(&app, &shop, "&scope=openid&prompt=none", &cookie),
            app.exchange(&shop, &code),
            desk.delete(&path)
        );
        withdrawn.ok();
        if exchanged.status == 200 {
            let access = exchanged.body["access_token"].as_str().unwrap();
            assert_eq!(app.verify(&shop, access).await["reason"], "session_revoked");
        }
        if let Some(code) = parameter(&location_of(&asked), "code") {
            app.exchange(&shop, &code).await.refused(400, "invalid_grant", "the code is unknown");
        }
    }
}

async fn deleted_with_the_person(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    allowed(&app, &shop, "&scope=openid").await;
    let key = app.admin_key(Some(shop.project), "owner").await;
    let request = json!({"user": {"username": "alice"}, "reason": "asked for it by letter"});
    let asked = app.bearer(&shop, "delete-user", &key, request).await;
    let confirm = json!({"deletion_id": asked.body["deletion_id"], "confirmation": "alice"});
    app.bearer(&shop, "delete-user/confirm", &key, confirm).await.ok();
    let (project, sql) = (shop.project, "SELECT count(*) FROM consents WHERE project_id = $1");
    let left =
        app.app.db.read(|conn| async move { tessera::store::db::fetch_one!(conn, (i64,), sql, project) });
    assert_eq!(left.await.unwrap(), (0,));
}

async fn hostile_words_stay_words(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let desk = app.desk(&shop, "admin").await;
    let markup = "\"><script>alert(1)</script>";
    desk.post("/scopes", json!({"name": "x", "description": markup})).await.created();
    let client = format!("/clients/{}", shop.id);
    desk.patch(&client, json!({"client_name": markup, "scope": "openid x"})).await.ok();
    let (_, page) = asked(&app, &shop, "&scope=openid+x").await;
    assert_eq!(page.text.matches("&#60;script&#62;").count(), 4);
    let why = "policy_uri is https or http on a loopback address, of at most 2048 characters that RFC 3986 knows, without fragment or user information";
    for uri in
        ["javascript:alert(1)", "http://bureau.example/", "data:text/html,x", "https://u@bureau.example/"]
    {
        let refused = desk.patch(&client, json!({"policy_uri": uri})).await;
        refused.refused_for(400, "invalid_request", "policy_uri", why);
    }
}
