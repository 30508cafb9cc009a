//! Forged posts, at every form there is: the router says which, so that no new one is forgotten.

use std::collections::BTreeSet;

use reqwest::{Method, Response};
use serde_json::json;
use tessera::http::router;
use tessera::model::consent::Permission;
use tessera::store;
use tessera::store::db::Conn;

use crate::consents;
use crate::support::{
    Account, Authenticator, Engine, Mailbox, NEW_PASSWORD, PASSWORD, Seen, Shop, TestApp, Visit, Way,
    between, both_engines, number, sealed_of,
};

both_engines!(every_form_is_known, forged_posts_do_nothing, a_form_is_for_one_use);

/// Every address that takes a form of ours.
const FORMS: [&str; 24] = [
    "/account/consents",
    "/account/data",
    "/account/delete",
    "/account/email",
    "/account/factors",
    "/account/factors/app",
    "/account/factors/app/{id}",
    "/account/factors/passkey",
    "/account/factors/passkey/{id}",
    "/account/password",
    "/account/profile",
    "/account/sessions",
    "/consent",
    "/device",
    "/device/confirm",
    "/enrol",
    "/forgotten-password",
    "/link/{kind}",
    "/second-factor",
    "/select-account",
    "/sign-in",
    "/sign-in/passkey",
    "/sign-out",
    "/sign-up",
];

/// Pages that take a request of an application by POST: it does no more than the same by GET, and shows a form of ours.
const REQUESTS: [&str; 2] = ["/oauth2/authorize", "/oauth2/logout"];

const STALE: &str =
    "This sign-in page is no longer valid. Please go back to the application and start again.";
const OUT_OF_DATE: &str = "It was open for too long, or was made for another browser. Nothing has been lost.";
const INCOMPLETE: &str = "The form is not complete.";

/// Whatever a form could do leaves one of these.
const TRACES: [&str; 11] = [
    "SELECT count(*) AS n FROM audit_log",
    "SELECT count(*) AS n FROM outbox",
    "SELECT count(*) AS n FROM authorization_codes",
    "SELECT count(*) AS n FROM browser_sessions",
    "SELECT count(*) AS n FROM browser_sessions WHERE ended_at IS NULL",
    "SELECT count(*) AS n FROM consents",
    "SELECT count(*) AS n FROM device_grants WHERE state = 'pending'",
    "SELECT count(*) AS n FROM mail_links",
    "SELECT count(*) AS n FROM sign_ins_in_progress",
    "SELECT count(*) AS n FROM totp_factors",
    "SELECT CAST(coalesce(sum(version), 0) AS BIGINT) AS n FROM users",
];

async fn traces(app: &TestApp) -> Vec<i64> {
    let mut traces = Vec::new();
    for sql in TRACES {
        traces.push(number(&app.app.db, sql).await);
    }
    traces
}

/// A form that somebody has before them, filled in.
struct Open {
    url: String,
    cookie: String,
    sealed: String,
    fields: Vec<(&'static str, String)>,
}

impl Open {
    /// What the form sends, with these in the place of what it carries.
    fn with<'a>(&'a self, carried: &[&'a str]) -> Vec<(&'a str, &'a str)> {
        let carried = carried.iter().map(|sealed| ("request", *sealed));
        carried.chain(self.fields.iter().map(|(name, value)| (*name, value.as_str()))).collect()
    }

    async fn post(&self, app: &TestApp, cookie: &str, form: &[(&str, &str)], site: &str) -> Response {
        let request = app.http.post(&self.url).header("cookie", cookie).form(form);
        request.header("sec-fetch-site", site).send().await.unwrap()
    }
}

/// A node with a name, because at an address there are no passkeys, and with a mailbox.
async fn node(engine: Engine) -> (TestApp, Mailbox) {
    let named = |app: &mut tessera::app::App| app.base_url = app.base_url.replace("127.0.0.1", "localhost");
    TestApp::with_mailbox_changed(engine, named).await
}

/// A project of its own for each form.
async fn project(app: &TestApp, path: &str, slug: &str) -> Shop {
    let shop = match path {
        "/device" | "/device/confirm" => app.device_shop(slug, "confidential").await,
        "/consent" => app.shop_with(slug, "confidential", consents::settings()).await,
        _ => app.shop(slug, "confidential").await,
    };
    let settings = json!({"settings": {"self_deletion": true, "sign_in": {"sign_up": "open"}}});
    let desk = app.desk(&shop, "owner").await;
    desk.patch("", settings).await.ok();
    if path.ends_with("{id}") {
        // Her password alone is enough for what follows.
        desk.count_no_factor().await;
    }
    // Something that can be withdrawn.
    let (project, user, now) = (shop.project, shop.user, app.app.clock.now());
    if path == "/account/consents" {
        let (client, given) = (&shop.id.parse().unwrap(), &Permission::default());
        let put =
            |conn: Conn| async move { store::consents::put(&conn, project, now, user, *client, given).await };
        app.app.db.write(put).await.unwrap();
    }
    shop
}

/// The form before its person, up to whom it takes a sign-in, a letter, a device.
async fn open(app: &TestApp, mailbox: &Mailbox, path: &str, shop: &Shop) -> Open {
    let mut address = path.to_owned();
    let (cookie, sealed, fields): (String, String, Vec<(&'static str, &str)>) = match path {
        "/sign-in" => {
            let (cookie, sealed) = app.sign_in_page(shop, "").await;
            (cookie, sealed, vec![("username", "alice"), ("password", PASSWORD)])
        }
        "/sign-in/passkey" => {
            let (cookie, sealed) = app.sign_in_page(shop, "").await;
            (cookie, sealed, vec![("challenge", "AAAA"), ("credential", "{}")])
        }
        "/second-factor" => {
            app.policy(shop, json!({"factors": ["totp"]})).await;
            let enrolled = app.enrolled(shop).await;
            let middle = app.half_signed_in(shop, "").await;
            let code = enrolled.authenticator.code(app);
            (middle.cookie.clone(), middle.sealed(), vec![("factor", "totp"), ("code", kept(code))])
        }
        "/enrol" => {
            app.policy(shop, json!({"second_factor": "required", "factors": ["totp"]})).await;
            let middle = app.half_signed_in(shop, "").await;
            let key = between(&middle.page.text, r#"<pre id="key" dir="ltr">"#, "</pre>");
            let code = kept(Authenticator::of(key).code(app));
            (middle.cookie.clone(), middle.sealed(), vec![("code", code)])
        }
        "/consent" => {
            let (cookie, page) = consents::asked(app, shop, "&scope=openid").await;
            (cookie, sealed_of(&page.text), vec![("decision", "allow")])
        }
        "/select-account" => {
            let (_, cookie) = app.code(shop, "").await;
            let page = app.http.get(app.authorize_url(shop, "&prompt=select_account"));
            let page = page.header("cookie", &cookie).send().await.unwrap();
            (cookie, sealed_of(&page.text().await.unwrap()), vec![("account", "this")])
        }
        "/device" => {
            let device = app.device(shop, "openid").await;
            let (cookie, sealed) = app.device_page(shop, None).await;
            (cookie, sealed, vec![("user_code", kept(device.get("user_code").to_owned()))])
        }
        "/device/confirm" => {
            let device = app.device(shop, "openid").await;
            let (cookie, sealed, _) = app.named_device(shop, &device).await;
            (cookie, sealed, vec![("decision", "allow")])
        }
        "/sign-out" => {
            let (_, cookie) = app.code(shop, "").await;
            let page = app.http.get(app.project_url(shop, "/oauth2/logout")).header("cookie", &cookie);
            (cookie, sealed_of(&page.send().await.unwrap().text().await.unwrap()), vec![])
        }
        "/forgotten-password" | "/sign-up" => {
            let (cookie, sealed, _) = app.open_form(&app.project_url(shop, path), None).await;
            let field = if path == "/sign-up" { "email" } else { "who" };
            (cookie, sealed, vec![(field, "alice@example.com")])
        }
        "/link/{kind}" => {
            app.verify_alice(shop).await;
            // Other projects have written letters, too.
            mailbox.take(app).await;
            app.forget(shop, "alice").await;
            let letter = mailbox.one(app, "alice@example.com").await;
            let link = letter.text.split_whitespace().find(|word| word.contains("://")).unwrap();
            let link = link.replace("localhost", "127.0.0.1");
            let (cookie, sealed, _) = app.open_form(&link, None).await;
            address = "/link/new-password".into();
            (cookie, sealed, vec![("password", NEW_PASSWORD), ("again", NEW_PASSWORD)])
        }
        account => {
            let visit = Visit::new(app, shop).await;
            address = address.replace("{id}", &factor_of(app, shop, account).await);
            let page = visit.open(address.strip_prefix("/account").unwrap()).await.text;
            let mut fields = account_fields(account);
            if account == "/account/factors/passkey" {
                let challenge = between(&page, r#"name="challenge" value=""#, "\"");
                fields.push(("challenge", kept(challenge.to_owned())));
            }
            if account == "/account/factors/app" {
                fields.push((
                    "enrolment",
                    kept(between(&page, r#"name="enrolment" value=""#, "\"").to_owned()),
                ));
            }
            (visit.cookie, sealed_of(&page), fields)
        }
    };
    let fields = fields.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    Open { url: app.project_url(shop, &address), cookie, sealed, fields }
}

/// One to be named, where the address asks for it.
async fn factor_of(app: &TestApp, shop: &Shop, path: &str) -> String {
    if !path.ends_with("{id}") {
        return String::new();
    }
    let token = app.sign_in(shop).await.get("access_token").to_owned();
    if path.contains("/app/") {
        let alice = Account { app, shop, token };
        let begun = alice.post("/factors/app", json!({})).await.ok();
        let code = Authenticator::of(begun["key"].as_str().unwrap()).code(app);
        let body = json!({"enrolment": begun["enrolment"], "code": code, "name": "Phone"});
        let added = alice.post("/factors/app/confirm", body).await.created();
        return added["factor"]["id"].as_str().unwrap().to_owned();
    }
    app.new_passkey(shop, &token, &Way::default()).await;
    let listed = app.passkeys(shop, &token, Method::GET, "", None).await.ok();
    listed["items"][0]["id"].as_str().unwrap().to_owned()
}

/// For as long as the tests run.
fn kept(text: String) -> &'static str {
    text.leak()
}

fn account_fields(path: &str) -> Vec<(&'static str, &'static str)> {
    match path {
        "/account/profile" => vec![("claim.name", "Mallory")],
        "/account/factors/passkey" => vec![("credential", "{}"), ("name", "Mallory")],
        "/account/factors/passkey/{id}" | "/account/factors/app/{id}" => vec![("name", "Mallory")],
        "/account/password" => vec![
            ("current_password", PASSWORD),
            ("new_password", NEW_PASSWORD),
            ("new_password_again", NEW_PASSWORD),
        ],
        "/account/sessions" => vec![("end", "everywhere")],
        "/account/consents" => vec![("withdraw", "00000000-0000-7000-8000-000000000000")],
        "/account/factors" => vec![("remove", "00000000-0000-7000-8000-000000000000")],
        "/account/factors/app" => vec![("code", "000000"), ("name", "Mallory")],
        "/account/email" => vec![("letter", "change"), ("email", "mallory@example.com")],
        "/account/data" => vec![],
        "/account/delete" => vec![("confirmation", "alice")],
        unknown => panic!("{unknown} is a form that nobody has attacked yet: fill it in here"),
    }
}

/// The addresses under a project, as the router has them.
fn addresses(app: &TestApp) -> BTreeSet<String> {
    let routes = format!("{:?}", router(app.app.clone()));
    let under = routes.split('"').filter_map(|text| text.strip_prefix("/projects/{project}/"));
    under.filter(|path| !path.contains("__private")).map(|path| format!("/{path}")).collect()
}

/// An address of the kind.
fn somewhere(path: &str) -> String {
    let nobody = uuid::Uuid::nil().to_string();
    path.replace("{kind}", "new-password").replace("{id}", &nobody).replace(['{', '}'], "")
}

/// Whatever takes a post and answers with a page is a form.
async fn every_form_is_known(engine: Engine) {
    let (app, _mailbox) = node(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let addresses = addresses(&app);
    assert!(addresses.len() > 60 && addresses.contains("/oauth2/token"), "{addresses:?}");
    let mut forms = BTreeSet::new();
    for path in &addresses {
        let url = app.project_url(&shop, &somewhere(path));
        let answer = app.http.post(url).header("content-type", "text/plain").send().await.unwrap();
        let is_page = answer.headers()["content-type"] == "text/html; charset=utf-8";
        if is_page && answer.status() != 405 {
            forms.insert(path.as_str());
        }
    }
    let known: BTreeSet<_> = FORMS.into_iter().chain(REQUESTS).collect();
    assert_eq!(forms, known, "each form is attacked below");
}

/// Refused as a page that says so, and nothing has come of it.
async fn refused(app: &TestApp, before: &[i64], how: &str, answer: Response) {
    let seen = Seen::of(answer).await;
    let message = seen.message();
    assert_eq!(seen.status, 400, "{how}: {}", seen.text);
    assert!([STALE, OUT_OF_DATE, INCOMPLETE].contains(&message.as_str()), "{how}: {message}");
    assert!(!seen.headers.contains_key("set-cookie"), "{how}");
    assert_eq!(traces(app).await, before, "{how}");
}

async fn forged_posts_do_nothing(engine: Engine) {
    let (app, mailbox) = node(engine).await;
    let other = app.shop("other", "confidential").await;
    let (foreign_cookie, foreign) = app.sign_in_page(&other, "").await;
    for (n, path) in FORMS.into_iter().enumerate() {
        let shop = project(&app, path, &format!("shop{n}")).await;
        let desk = app.desk(&shop, "user_manager").await;
        desk.post("/users", json!({"username": "mallory", "password": PASSWORD})).await.created();
        // Mallory has a page of the same project before her, and one in which she is signed in.
        let (strangers, theirs) = app.sign_in_page(&shop, "").await;
        let open = open(&app, &mailbox, path, &shop).await;
        let (cookie, own) = (open.cookie.as_str(), open.sealed.as_str());
        let none: Option<&str> = None;
        let forgeries: [(&str, &str, Vec<&str>, Option<&str>); 10] = [
            ("without a cookie", "", vec![own], none),
            ("another browser's cookie", &strangers, vec![own], none),
            ("another browser's form", cookie, vec![theirs.as_str()], none),
            ("another project's form", cookie, vec![foreign.as_str()], none),
            ("another project's form and cookie", &foreign_cookie, vec![foreign.as_str()], none),
            ("nothing carried", cookie, vec![], none),
            ("made up", cookie, vec!["AAAA"], none),
            ("given twice", cookie, vec![own, own], none),
            ("of another site", cookie, vec![own], Some("cross-site")),
            ("of a sibling", cookie, vec![own], Some("same-site")),
        ];
        let before = traces(&app).await;
        for (how, cookie, carried, site) in &forgeries {
            let answer = open.post(&app, cookie, &open.with(carried), site.unwrap_or("same-origin")).await;
            refused(&app, &before, &format!("{path}, {how}"), answer).await;
        }
        // What a form of another site can send without being asked, but as a form.
        for kind in ["text/plain", "application/json", "multipart/form-data; boundary=x"] {
            let body = format!("request={own}");
            let post = app.http.post(&open.url).header("cookie", cookie).header("content-type", kind);
            let seen = Seen::of(post.body(body).send().await.unwrap()).await;
            seen.refused(415, "What was sent is not a form.");
        }
        // A link or an image: all that the form has, in the address.
        let link = app.http.get(&open.url).query(&open.with(&[own])).header("cookie", cookie);
        link.send().await.unwrap();
        let post = app.http.post(&open.url).query(&open.with(&[own])).header("cookie", cookie);
        let form = "application/x-www-form-urlencoded";
        let answer = post.header("content-type", form).send().await.unwrap();
        refused(&app, &before, &format!("{path}, in the address"), answer).await;
        // None of it has spoilt the form, which was a right one.
        let right = open.post(&app, cookie, &open.with(&[own]), "same-origin").await;
        let status = right.status().as_u16();
        let text = right.text().await.unwrap();
        let looked_at = ![STALE, OUT_OF_DATE, INCOMPLETE].iter().any(|message| text.contains(message));
        assert!(looked_at && [200, 303, 400].contains(&status), "{path}: {status} {text}");
    }
}

/// What one form carries opens no other.
async fn a_form_is_for_one_use(engine: Engine) {
    let (app, mailbox) = node(engine).await;
    for (n, path) in FORMS.into_iter().enumerate() {
        let shop = project(&app, path, &format!("shop{n}")).await;
        let open = open(&app, &mailbox, path, &shop).await;
        let before = traces(&app).await;
        for other in FORMS.into_iter().filter(|other| *other != path) {
            // The sign-in page has two forms, and a name is given to what the address names.
            let same = |part: &str| path.contains(part) && other.contains(part);
            if same("/sign-in") || same("/{id}") {
                continue;
            }
            let url = app.project_url(&shop, &somewhere(other));
            let there = Open { url, ..empty() };
            let answer = there.post(&app, &open.cookie, &open.with(&[&open.sealed]), "same-origin").await;
            refused(&app, &before, &format!("a form of {path} at {other}"), answer).await;
        }
    }
}

fn empty() -> Open {
    Open { url: String::new(), cookie: String::new(), sealed: String::new(), fields: Vec::new() }
}
