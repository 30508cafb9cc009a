//! The table event × epoch: what each act raises, what dies with it, and that nothing else moves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sqlx::FromRow;
use tessera::model::client::ClientSettings;
use tessera::projects;
use tessera::secret::{Secret, decode_base64url};
use tessera::{fetch_all, fetch_one};
use uuid::Uuid;

use crate::admin_epochs_acts::{Act, acts, acts_on_users};
use crate::support::{Answer, Engine, PASSWORD, REDIRECT, Shop, TestApp, Tokens, both_engines, code_of};

both_engines!(every_event);

/// A project with two clients and two users, and what they hold when an act happens.
struct World {
    shop: Shop,
    /// Another client of the same project.
    till: Shop,
    access_token: String,
    refresh_token: String,
    /// Of a family that was not granted to outlive the browser session of the cookie.
    online_token: String,
    code: String,
    cookie: String,
    till_token: String,
    bobs_token: String,
    /// The family of the access token, and the browser session of the cookie.
    family: String,
    browser: String,
}

impl World {
    async fn new(app: &TestApp, slug: &str) -> Self {
        let shop = app.shop(slug, "confidential").await;
        let settings = ClientSettings {
            redirect_uris: vec![REDIRECT.into()],
            require_pkce: false,
            ..ClientSettings::default()
        };
        let (till, secret) =
            projects::create_client(&app.app, shop.project, "Till", "confidential", settings).await.unwrap();
        let till = Shop {
            id: till.id.to_string(),
            secret: secret.map(|secret| secret.expose().to_owned()),
            slug: slug.to_owned(),
            ..shop
        };
        projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
        let tokens = app.sign_in(&shop).await;
        let (code, cookie) = app.code(&shop, "").await;
        let (online_token, browser) = online(app, &shop, &cookie).await;
        let bobs = app.sign_in_as(&shop, "bob").await;
        Self {
            family: family_of(tokens.get("access_token")),
            browser,
            online_token,
            access_token: tokens.get("access_token").to_owned(),
            refresh_token: tokens.get("refresh_token").to_owned(),
            till_token: app.sign_in(&till).await.get("access_token").to_owned(),
            bobs_token: bobs.get("access_token").to_owned(),
            code,
            cookie,
            shop,
            till,
        }
    }

    /// What still lives, as another node sees it.
    async fn living(&self, node: &TestApp, auditor: &str) -> BTreeSet<&'static str> {
        let mut living = BTreeSet::new();
        for (name, token) in [
            ("access token", &self.access_token),
            ("other client's token", &self.till_token),
            ("other user's token", &self.bobs_token),
        ] {
            let body = json!({"access_token": token});
            let judged = node.bearer(&self.shop, "verifyaccesstoken", auditor, body).await;
            if judged.status == 200 && judged.body["active"] == true {
                living.insert(name);
            }
        }
        let refreshed = node.refresh(&self.shop, &self.refresh_token).await;
        let online = node.refresh(&self.shop, &self.online_token).await;
        let exchanged = node.exchange(&self.shop, &self.code).await;
        let silent = node.http.get(node.authorize_url(&self.till, "&prompt=none"));
        let silent = silent.header("cookie", &self.cookie).send().await.unwrap();
        let location = silent.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        for (name, lives) in [
            ("refresh token", refreshed.status == 200),
            ("online refresh token", online.status == 200),
            ("code", exchanged.status == 200),
            ("cookie", location.is_some_and(|to| to.contains("?code="))),
        ] {
            if lives {
                living.insert(name);
            }
        }
        living
    }
}

fn family_of(access_token: &str) -> String {
    let payload = decode_base64url(access_token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()["sid"].as_str().unwrap().to_owned()
}

/// The refresh token of a family that ends with the browser session of this cookie, and the id of that.
async fn online(app: &TestApp, shop: &Shop, cookie: &str) -> (String, String) {
    #[derive(FromRow)]
    struct Row {
        browser_session_id: Uuid,
    }
    let silent = app.http.get(app.authorize_url(shop, "&prompt=none")).header("cookie", cookie).send().await;
    let tokens = Tokens(app.exchange(shop, &code_of(&silent.unwrap())).await.ok());
    let family: Uuid = family_of(tokens.get("access_token")).parse().unwrap();
    let sql = "UPDATE token_families SET offline = FALSE WHERE id = $1 RETURNING browser_session_id";
    let row = app.app.db.write(|conn| async move { fetch_one!(&conn, Row, sql, family) }).await.unwrap();
    (tokens.get("refresh_token").to_owned(), row.browser_session_id.to_string())
}

/// What lives when these epochs have been raised and these things have been ended one by one.
fn expected(raised: &BTreeSet<String>, ended: &[&str]) -> BTreeSet<&'static str> {
    let without = |names: &[&str]| names.iter().all(|name| !raised.contains(*name));
    let rules: [(&str, &[&str]); 7] = [
        ("access token", &["project", "client", "alice's tokens"]),
        ("refresh token", &["project", "client", "alice's tokens"]),
        ("online refresh token", &["project", "client", "alice's tokens"]),
        ("code", &["project", "client", "alice's tokens"]),
        ("cookie", &["project", "alice's browsers"]),
        ("other client's token", &["project", "alice's tokens"]),
        ("other user's token", &["project", "client"]),
    ];
    let living = rules.into_iter().filter(|(name, ends)| without(ends) && !ended.contains(name));
    living.map(|(name, _)| name).collect()
}

/// Every epoch in the store, by what it belongs to.
async fn epochs(app: &TestApp, world: &World) -> BTreeMap<String, i64> {
    #[derive(FromRow)]
    struct Row {
        id: Uuid,
        epoch: i64,
    }
    let names = [
        (world.shop.project.0, "project"),
        (world.shop.id.parse().unwrap(), "client"),
        (world.shop.user.0, "alice's"),
    ];
    let mut found = BTreeMap::new();
    for (what, sql) in [
        ("", "SELECT id, token_epoch AS epoch FROM projects LIMIT 10000"),
        ("", "SELECT id, token_epoch AS epoch FROM clients LIMIT 10000"),
        (" tokens", "SELECT id, token_epoch AS epoch FROM users LIMIT 10000"),
        (" browsers", "SELECT id, browser_epoch AS epoch FROM users LIMIT 10000"),
    ] {
        let rows = app.app.db.read(|conn| async move { fetch_all!(&conn, Row, sql) }).await.unwrap();
        for Row { id, epoch } in rows {
            let name = names.iter().find(|(known, _)| *known == id);
            let name = name.map_or_else(|| id.to_string(), |(_, name)| (*name).to_owned());
            found.insert(format!("{name}{what}"), epoch);
        }
    }
    found
}

async fn every_event(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let (owner, auditor) = (app.admin_key(None, "owner").await, app.admin_key(None, "auditor").await);
    for (number, line) in acts().iter().chain(&acts_on_users()).enumerate() {
        let world = World::new(&app, &format!("shop-{number}")).await;
        let (mut raised, mut deletion) = (BTreeSet::new(), String::new());
        for (step, act) in line.iter().enumerate() {
            app.app.clock.advance(1);
            let before = epochs(&app, &world).await;
            let answer = perform(&app, &owner, &world, act, &deletion).await;
            if let Some(id) = answer["deletion_id"].as_str() {
                id.clone_into(&mut deletion);
            }
            let after = epochs(&app, &world).await;
            let here: BTreeSet<String> = moved(&before, &after);
            let say = format!("{} {} {}", act.method, act.path, act.body);
            assert_eq!(here.iter().collect::<Vec<_>>(), act.raises, "{say}");
            raised.extend(here);
            // Reading uses codes and tokens up, so it is done once.
            if step + 1 == line.len() {
                assert_eq!(world.living(&node, &auditor).await, expected(&raised, act.ends), "{say}");
            }
        }
    }
}

/// What was raised; nothing ever falls, and what has just been made counts as nothing.
fn moved(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> BTreeSet<String> {
    let changed = before.iter().filter(|(name, old)| after[*name] != **old);
    changed
        .map(|(name, old)| {
            assert!(after[name] > *old, "{name} fell");
            name.clone()
        })
        .collect()
}

async fn perform(app: &TestApp, owner: &str, world: &World, act: &Act, deletion: &str) -> Value {
    let user = world.shop.user.to_string();
    let names = [
        ("{c}", &*world.shop.id),
        ("{u}", &user),
        ("{f}", &world.family),
        ("{b}", &world.browser),
        ("{d}", deletion),
    ];
    let fill = |text: &str| names.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id));
    let path = fill(act.path);
    let url = match path.strip_prefix("/api") {
        Some(_) => format!("{}/projects/{}{path}", app.base, world.shop.slug),
        None => format!("{}/admin/projects/{}{}", app.base, world.shop.slug, path.replace("/?", "?")),
    };
    let mut request = app.http.request(act.method.clone(), url.trim_end_matches('/')).bearer_auth(owner);
    if !act.body.is_null() {
        let body: Value = serde_json::from_str(&fill(&act.body.to_string())).unwrap();
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{} {}: {text}", act.method, act.path);
    let body: Value = serde_json::from_str(&text).unwrap();
    match body["confirmation_id"].is_string() {
        true => {
            let asked = Answer { status: status.as_u16(), body, etag: None };
            let path = format!("/projects/{}", world.shop.slug);
            app.confirmed(owner, &path, asked).await.ok()
        }
        false => body,
    }
}
