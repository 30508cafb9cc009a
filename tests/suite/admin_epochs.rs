//! The table event × epoch: what each act raises, what dies with it, and that nothing else moves.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::FromRow;
use tessera::fetch_all;
use tessera::model::client::ClientSettings;
use tessera::projects;
use tessera::secret::Secret;
use uuid::Uuid;

use crate::support::{Engine, PASSWORD, REDIRECT, Shop, TestApp, both_engines};

both_engines!(every_event);

/// What an act raises.
const NOTHING: &[&str] = &[];
const CLIENT: &[&str] = &["client"];
const PROJECT: &[&str] = &["project"];
const TOKENS: &[&str] = &["alice's tokens"];
const ALL_OF_ALICE: &[&str] = &["alice's browsers", "alice's tokens"];

/// A project with two clients and two users, and what they hold when an act happens.
struct World {
    shop: Shop,
    /// Another client of the same project.
    till: Shop,
    access_token: String,
    refresh_token: String,
    code: String,
    cookie: String,
    till_token: String,
    bobs_token: String,
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
        let bobs = app.sign_in_as(&shop, "bob").await;
        Self {
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
        let exchanged = node.exchange(&self.shop, &self.code).await;
        let silent = node.http.get(node.authorize_url(&self.till, "&prompt=none"));
        let silent = silent.header("cookie", &self.cookie).send().await.unwrap();
        let location = silent.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        for (name, lives) in [
            ("refresh token", refreshed.status == 200),
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

/// What lives when these epochs have been raised.
fn expected(raised: &BTreeSet<String>) -> BTreeSet<&'static str> {
    let without = |names: &[&str]| names.iter().all(|name| !raised.contains(*name));
    let rules: [(&str, &[&str]); 6] = [
        ("access token", &["project", "client", "alice's tokens"]),
        ("refresh token", &["project", "client", "alice's tokens"]),
        ("code", &["project", "client", "alice's tokens"]),
        ("cookie", &["project", "alice's browsers"]),
        ("other client's token", &["project", "alice's tokens"]),
        ("other user's token", &["project", "client"]),
    ];
    rules.into_iter().filter(|(_, ends)| without(ends)).map(|(name, _)| name).collect()
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

/// What an admin does, and what it raises. `{c}` is the client, `{u}` the user.
struct Act {
    method: Method,
    path: &'static str,
    body: Value,
    raises: &'static [&'static str],
}

fn act(method: Method, path: &'static str, body: Value, raises: &'static [&'static str]) -> Act {
    Act { method, path, body, raises }
}

/// Acts by what they are done to. Acts of one line are done one after the other: the second begins where the first has
/// ended what lived, and must neither raise anything more than it says nor bring anything back.
fn acts() -> Vec<Vec<Act>> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let status = |status: &str| json!({"status": status});
    vec![
        vec![act(get, "/", Value::Null, NOTHING)],
        vec![act(patch.clone(), "/", json!({"name": "Other", "settings": {"max_families": 9}}), NOTHING)],
        vec![
            act(patch.clone(), "/", status("disabled"), PROJECT),
            act(patch.clone(), "/", status("disabled"), NOTHING),
            act(patch.clone(), "/", status("active"), NOTHING),
        ],
        vec![act(post.clone(), "/end-all-sessions", json!({}), PROJECT)],
        vec![act(post.clone(), "/end-all-sessions?dry_run=true", json!({}), NOTHING)],
        vec![act(delete.clone(), "/?dry_run=true", Value::Null, NOTHING)],
        vec![act(delete.clone(), "/", Value::Null, PROJECT)],
        vec![act(post.clone(), "/clients", json!({"client_name": "New", "type": "public"}), NOTHING)],
        vec![act(patch.clone(), "/clients/{c}", json!({"client_name": "Other", "scope": "openid"}), NOTHING)],
        vec![
            act(patch.clone(), "/clients/{c}", status("disabled"), CLIENT),
            act(patch.clone(), "/clients/{c}", status("active"), NOTHING),
        ],
        vec![act(delete.clone(), "/clients/{c}?dry_run=true", Value::Null, NOTHING)],
        vec![act(delete.clone(), "/clients/{c}", Value::Null, CLIENT)],
        vec![
            act(post.clone(), "/clients/{c}/rotate-secret", json!({}), NOTHING),
            act(delete.clone(), "/clients/{c}/secrets/2", Value::Null, NOTHING),
        ],
        vec![act(post.clone(), "/clients/{c}/rotate-secret", json!({"leaked": true}), CLIENT)],
        vec![act(Method::PUT, "/api/token-validity?client_id={c}", json!({"access_token": 2}), NOTHING)],
        vec![act(post.clone(), "/api/GlobalSignOut", json!({"user": "{u}"}), TOKENS)],
        vec![act(
            post,
            "/api/GlobalSignOut",
            json!({"user": "{u}", "end_browser_sessions": true}),
            ALL_OF_ALICE,
        )],
    ]
}

async fn every_event(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let (owner, auditor) = (app.admin_key(None, "owner").await, app.admin_key(None, "auditor").await);
    for (number, line) in acts().iter().enumerate() {
        let world = World::new(&app, &format!("shop-{number}")).await;
        let mut raised = BTreeSet::new();
        for (step, act) in line.iter().enumerate() {
            app.app.clock.advance(1);
            let before = epochs(&app, &world).await;
            perform(&app, &owner, &world, act).await;
            let after = epochs(&app, &world).await;
            let here: BTreeSet<String> = moved(&before, &after);
            let say = format!("{} {} {}", act.method, act.path, act.body);
            assert_eq!(here.iter().collect::<Vec<_>>(), act.raises, "{say}");
            raised.extend(here);
            // Reading uses codes and tokens up, so it is done once.
            if step + 1 == line.len() {
                assert_eq!(world.living(&node, &auditor).await, expected(&raised), "{say}");
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

async fn perform(app: &TestApp, owner: &str, world: &World, act: &Act) {
    let fill = |text: &str| text.replace("{c}", &world.shop.id).replace("{u}", &world.shop.user.to_string());
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
    assert!(answer.status().is_success(), "{} {}: {:?}", act.method, act.path, answer.text().await);
}
