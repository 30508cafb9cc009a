//! Whatever changes something leaves an audit event: every route of the admin API, and what happens without one.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tessera::http::permissions::ENDPOINTS;
use tessera::ids::ProjectId;
use tessera::keys::rotate;
use tessera::model::sign_in_policy::SecondFactor;
use tessera::model::signing_key::Alg;
use tessera::projects;
use tessera::projects::admins::home;
use tessera::secret::Secret;
use tessera::store::db::Conn;

use crate::keys_support::change;
use crate::support::{Deleting, Engine, PASSWORD, Shop, TestApp, both_engines, number};

both_engines!(every_route_that_changes_something, what_happens_without_an_admin);

/// Routes that take a body, or sound like a change, and leave no event.
const EXCEPTIONS: [(&str, &str, &str); 3] = [
    ("POST", "/projects/{project}/api/verifyaccesstoken", "asks, and changes nothing"),
    ("POST", "/admin/projects/{project}/audit/checkpoints", "is a record itself: kept, listed and signed"),
    ("POST", "/admin/audit/checkpoints", "is a record itself: kept, listed and signed"),
];

/// What is deleted is something that keeps from a deletion, waits for one, or makes requests fail.
const UNDOING: [&str; 4] = [
    "/admin/projects/{project}/confirmations/{id}",
    "/admin/projects/{project}/users/{user}/legal-hold",
    "/admin/projects/{project}/users/{user}/deletion-protection",
    "/admin/projects/{project}/sandbox/faults",
];

/// Of those who call.
const WITHOUT_ORIGIN: &str = "SELECT count(*) AS n FROM audit_log
    WHERE actor_kind NOT IN ('command_line', 'system') AND origin_commitment IS NULL";

/// One pixel.
const LOGO: &[u8] = include_bytes!("support/pictures/logo.png");

/// The calls so far.
struct Walk<'a> {
    app: &'a TestApp,
    shop: &'a Shop,
    key: String,
    seen: BTreeSet<(String, &'static str)>,
}

impl Walk<'_> {
    /// Calls the route, with what stands for each `{…}` in its order, and demands that the chain says so.
    async fn go(&mut self, route: &'static str, parts: &[&str], body: Value, action: &str) -> Value {
        let (method, template) = route.split_once(' ').unwrap();
        let mut path = template.replace("{project}", &self.shop.slug);
        for part in parts {
            let (before, rest) = path.split_once('{').unwrap();
            path = format!("{before}{part}{}", rest.split_once('}').unwrap().1);
        }
        if method == "DELETE" && !UNDOING.contains(&template) {
            self.rehearse(&path).await;
        }
        let before =
            last(self.app, self.shop.project).await.len() + last(self.app, ProjectId::INSTANCE).await.len();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.app.http.request(method.clone(), format!("{}{path}", self.app.base));
        let request = request.bearer_auth(&self.key).json(&body);
        let answer = request.send().await.unwrap();
        let (status, answer) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert!(status.is_success(), "{route}: {status} {answer}");
        let mut all = last(self.app, self.shop.project).await;
        all.extend(last(self.app, ProjectId::INSTANCE).await);
        assert!(all.len() > before, "{route} has left no event");
        assert!(all.iter().any(|event| event == action), "{route} has left no {action}: {all:?}");
        self.seen.insert((method.to_string(), template));
        answer
    }

    /// With `dry_run` the call succeeds, says so, and leaves no event; that it changes nothing shows when it is made.
    async fn rehearse(&self, path: &str) {
        let count = async || {
            last(self.app, self.shop.project).await.len() + last(self.app, ProjectId::INSTANCE).await.len()
        };
        let before = count().await;
        let path = path.strip_prefix("/admin").unwrap();
        let answer = self.app.admin_ask_to_delete(&self.key, &format!("{path}?dry_run=true")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let says_so = answer.body["dry_run"] == true || answer.body.get("impact").is_some();
        assert!(says_so, "{path}: {}", answer.body);
        assert_eq!(count().await, before, "{path} has left an event");
    }
}

/// The actions of a chain.
async fn last(app: &TestApp, chain: ProjectId) -> Vec<String> {
    let text = tessera::audit::export(&app.app.db, chain, 0, 500).await.unwrap().text;
    let action =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["action"].as_str().unwrap().to_owned();
    text.lines().map(action).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

async fn every_route_that_changes_something(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let key = app.admin_key(None, "owner").await;
    let mut walk = Walk { app: &app, shop: &shop, key, seen: BTreeSet::new() };
    project_and_keys(&mut walk).await;
    clients(&mut walk).await;
    definitions(&mut walk).await;
    people(&mut walk).await;
    letters(&mut walk).await;
    sandbox(&mut walk).await;
    ends(&mut walk).await;
    let known = |method: &Method, path: &str| {
        let excepted = EXCEPTIONS.iter().any(|(verb, route, _)| (*verb, *route) == (method.as_str(), path));
        excepted || walk.seen.iter().any(|(verb, route)| (verb.as_str(), *route) == (method.as_str(), path))
    };
    let changing = ENDPOINTS.iter().filter(|endpoint| endpoint.method != Method::GET);
    let missing: Vec<String> = changing
        .filter(|endpoint| !known(&endpoint.method, endpoint.path))
        .map(|endpoint| format!("{} {}", endpoint.method, endpoint.path))
        .collect();
    assert!(missing.is_empty(), "not walked; add a call here, or an exception with its reason: {missing:#?}");
    // And each says from where.
    assert_eq!(number(&app.app.db, WITHOUT_ORIGIN).await, 0);
}

async fn project_and_keys(walk: &mut Walk<'_>) {
    let new = json!({"slug": "second"});
    let second = walk.app.admin_post(&walk.key, "/projects", new).await.created();
    let id: ProjectId = text(&second, "id").parse().unwrap();
    // Its first event is in its own chain.
    assert_eq!(last(walk.app, id).await[0], "project.created");
    walk.seen.insert(("POST".into(), "/admin/projects"));
    walk.go("PATCH /admin/projects/{project}", &[], json!({"name": "Shop"}), "project.changed").await;
    let looks = json!({"settings": {"sign_in": {"sign_up": "invitation"}}});
    walk.go("PATCH /admin/projects/{project}", &[], looks, "project.changed").await;
    logo(walk).await;
    let new = json!({"name": "spare", "role": "auditor"});
    let made = walk.go("POST /admin/admin-keys", &[], new, "admin_key.created").await;
    walk.go("DELETE /admin/admin-keys/{id}", &[text(&made, "id")], json!({}), "admin_key.revoked").await;
    let home = home::ensure(&walk.app.app, SecondFactor::Optional).await.unwrap().unwrap();
    let ada =
        projects::create_user(&walk.app.app, home.project, "ada", None, Secret::new(PASSWORD)).await.unwrap();
    let new = json!({"user": ada, "role": "auditor"});
    let made = walk.go("POST /admin/admins", &[], new, "admin.granted").await;
    walk.go("DELETE /admin/admins/{id}", &[text(&made, "id")], json!({}), "admin.revoked").await;
    let path = "POST /admin/projects/{project}/initial-access-tokens";
    let made = walk.go(path, &[], json!({"name": "partner"}), "initial_access_token.created").await;
    let path = "DELETE /admin/projects/{project}/initial-access-tokens/{id}";
    walk.go(path, &[text(&made, "id")], json!({}), "initial_access_token.revoked").await;
}

async fn clients(walk: &mut Walk<'_>) {
    let new =
        json!({"client_name": "Till", "type": "confidential", "redirect_uris": ["https://till.example/cb"]});
    let made = walk.go("POST /admin/projects/{project}/clients", &[], new, "client.created").await;
    let id = text(&made, "client_id").to_owned();
    let one = "PATCH /admin/projects/{project}/clients/{client_id}";
    walk.go(one, &[&id], json!({"client_name": "Tills"}), "client.changed").await;
    let rotate = "POST /admin/projects/{project}/clients/{client_id}/rotate-secret";
    walk.go(rotate, &[&id], json!({}), "client.secret_rotated").await;
    let remove = "DELETE /admin/projects/{project}/clients/{client_id}/secrets/{slot}";
    walk.go(remove, &[&id, "1"], json!({}), "client.secret_removed").await;
    let validity = json!({"client_id": id, "access_token": 2});
    let route = "PUT /projects/{project}/api/token-validity";
    walk.go(route, &[], validity, "client.token_validity_changed").await;
    let gone = "DELETE /admin/projects/{project}/clients/{client_id}";
    let route = "DELETE /admin/projects/{project}/confirmations/{id}";
    let asked = walk.go(gone, &[&id], json!({}), "client.deletion_requested").await;
    walk.go(route, &[text(&asked, "confirmation_id")], json!({}), "client.deletion_cancelled").await;
    let asked = walk.go(gone, &[&id], json!({}), "client.deletion_requested").await;
    let (confirm, typed) = ("POST /admin/projects/{project}/confirmations/{id}", json!({"confirmation": id}));
    walk.go(confirm, &[text(&asked, "confirmation_id")], typed, "client.deleted").await;
}

async fn definitions(walk: &mut Walk<'_>) {
    let new = json!({"name": "animal", "type": "string"});
    walk.go("POST /admin/projects/{project}/attribute-definitions", &[], new, "attribute.defined").await;
    let one = "PATCH /admin/projects/{project}/attribute-definitions/{name}";
    walk.go(one, &["animal"], json!({"description": "Favourite"}), "attribute.changed").await;
    let update = json!({"user": walk.shop.user, "set": {"animal": "penguin"}});
    walk.go("POST /projects/{project}/api/attribute-update", &[], update, "user.attributes_changed").await;
    let gone = "DELETE /admin/projects/{project}/attribute-definitions/{name}";
    walk.go(gone, &["animal"], json!({}), "attribute.deleted").await;

    let new = json!({"name": "orders", "description": "Your orders"});
    walk.go("POST /admin/projects/{project}/scopes", &[], new, "scope.defined").await;
    let one = "PATCH /admin/projects/{project}/scopes/{name}";
    walk.go(one, &["orders"], json!({"description": "All of them"}), "scope.changed").await;
    let new = json!({"identifier": "https://api.example/", "scopes": ["orders"]});
    let route = "POST /admin/projects/{project}/resource-servers";
    let made = walk.go(route, &[], new, "resource_server.created").await;
    let one = "PATCH /admin/projects/{project}/resource-servers/{id}";
    walk.go(one, &[text(&made, "id")], json!({"name": "Orders"}), "resource_server.changed").await;
    let gone = "DELETE /admin/projects/{project}/resource-servers/{id}";
    walk.go(gone, &[text(&made, "id")], json!({}), "resource_server.deleted").await;
    walk.go("DELETE /admin/projects/{project}/scopes/{name}", &["orders"], json!({}), "scope.deleted").await;

    for (create, change, delete, noun) in [
        (
            "POST /admin/projects/{project}/roles",
            "PATCH /admin/projects/{project}/roles/{name}",
            "DELETE /admin/projects/{project}/roles/{name}",
            "role",
        ),
        (
            "POST /admin/projects/{project}/groups",
            "PATCH /admin/projects/{project}/groups/{name}",
            "DELETE /admin/projects/{project}/groups/{name}",
            "group",
        ),
    ] {
        walk.go(create, &[], json!({"name": "cook"}), &format!("{noun}.created")).await;
        walk.go(change, &["cook"], json!({"description": "Cooks"}), &format!("{noun}.changed")).await;
        walk.go(delete, &["cook"], json!({}), &format!("{noun}.deleted")).await;
    }
}

async fn people(walk: &mut Walk<'_>) {
    let new = json!({"username": "bob", "password": "quite another long secret"});
    let bob = walk.go("POST /admin/projects/{project}/users", &[], new, "user.created").await;
    let bob = text(&bob, "id").to_owned();
    let one = "PATCH /admin/projects/{project}/users/{user}";
    walk.go(one, &[&bob], json!({"email": "bob@example.com"}), "user.updated").await;
    walk.go(one, &[&bob], json!({"status": "disabled"}), "user.disabled").await;
    walk.go(one, &[&bob], json!({"status": "active"}), "user.enabled").await;
    let password = json!({"password": "yet another long secret"});
    let route = "POST /admin/projects/{project}/users/{user}/set-password";
    walk.go(route, &[&bob], password, "user.password_reset").await;

    let alice = walk.shop.user.to_string();
    let tokens = walk.app.sign_in(walk.shop).await;
    let claims = walk.app.verify(walk.shop, tokens.get("access_token")).await;
    let sid = text(&claims["claims"], "sid").to_owned();
    let route = "DELETE /admin/projects/{project}/users/{user}/sessions/{sid}";
    walk.go(route, &[&alice, &sid], json!({}), "token_family.revoked").await;
    consent_of_alice(walk).await;
    let route = "DELETE /admin/projects/{project}/users/{user}/consents/{client_id}";
    walk.go(route, &[&alice, &walk.shop.id.clone()], json!({}), "consent.withdrawn").await;
    let out = json!({"user": alice});
    walk.go("POST /projects/{project}/api/GlobalSignOut", &[], out, "user.signed_out").await;

    for (place, lift, placed, lifted) in [
        (
            "PUT /admin/projects/{project}/users/{user}/legal-hold",
            "DELETE /admin/projects/{project}/users/{user}/legal-hold",
            "user.legal_hold_placed",
            "user.legal_hold_lifted",
        ),
        (
            "PUT /admin/projects/{project}/users/{user}/deletion-protection",
            "DELETE /admin/projects/{project}/users/{user}/deletion-protection",
            "user.deletion_protected",
            "user.deletion_unprotected",
        ),
    ] {
        let reason = json!({"reason": "subject of a lawsuit"});
        walk.go(place, &[&alice], reason.clone(), placed).await;
        walk.go(lift, &[&alice], reason, lifted).await;
    }
    let device = device_of_alice(walk).await;
    let route = "DELETE /admin/projects/{project}/users/{user}/devices/{device}";
    walk.go(route, &[&alice, &device], json!({}), "device.forgotten").await;
    device_of_alice(walk).await;
    let route = "DELETE /admin/projects/{project}/users/{user}/devices";
    walk.go(route, &[&alice], json!({}), "device.forgotten").await;
    let factor = factor_of_alice(walk).await;
    let route = "DELETE /admin/projects/{project}/users/{user}/factors/{factor}";
    walk.go(route, &[&alice, &factor], json!({}), "user.factors_reset").await;
    let route = "DELETE /admin/projects/{project}/users/{user}/factors";
    walk.go(route, &[&alice], json!({}), "user.factors_reset").await;
    let message = dead_message(walk).await;
    let route = "POST /admin/projects/{project}/outbox/{id}/retry";
    walk.go(route, &[&message], json!({}), "outbox.retried").await;
}

async fn letters(walk: &mut Walk<'_>) {
    let alice = walk.shop.user.to_string();
    let route = "POST /admin/projects/{project}/users/{user}/send-verification";
    walk.go(route, &[&alice], json!({}), "user.address_verification_sent").await;
    let route = "POST /admin/projects/{project}/invitations";
    let made = walk.go(route, &[], json!({"email": "carol@example.com"}), "invitation.sent").await;
    let route = "DELETE /admin/projects/{project}/invitations/{id}";
    walk.go(route, &[text(&made, "id")], json!({}), "invitation.withdrawn").await;
    let words = json!({"subject": "A way back", "text": "Dear {username}, {link}"});
    let route = "PUT /admin/projects/{project}/mail-templates/{kind}/{language}";
    walk.go(route, &["new_password", "en"], words, "mail_template.changed").await;
    let route = "DELETE /admin/projects/{project}/mail-templates/{kind}/{language}";
    walk.go(route, &["new_password", "en"], json!({}), "mail_template.removed").await;
    let route = "POST /admin/projects/{project}/webhooks";
    let made = walk.go(route, &[], json!({"uri": "https://shop.example/told"}), "webhook.created").await;
    let route = "DELETE /admin/projects/{project}/webhooks/{id}";
    walk.go(route, &[text(&made, "id")], json!({}), "webhook.deleted").await;
}

async fn sandbox(walk: &mut Walk<'_>) {
    let new = json!({"slug": "lab", "kind": "sandbox"});
    let made = walk.app.admin_post(&walk.key, "/projects", new).await.created();
    let (id, secret, user) = (String::new(), None, walk.shop.user);
    let lab = Shop { project: text(&made, "id").parse().unwrap(), slug: "lab".into(), id, secret, user };
    let mut own = Walk { app: walk.app, shop: &lab, key: walk.key.clone(), seen: BTreeSet::new() };
    let route = "POST /admin/projects/{project}/sandbox/clock";
    own.go(route, &[], json!({"advance_seconds": 60}), "sandbox.clock_advanced").await;
    let fault = json!({"endpoint": "oauth2/token", "kind": "unavailable"});
    own.go("POST /admin/projects/{project}/sandbox/faults", &[], fault, "sandbox.fault_armed").await;
    let route = "DELETE /admin/projects/{project}/sandbox/faults";
    own.go(route, &[], json!({}), "sandbox.faults_disarmed").await;
    own.go("POST /admin/projects/{project}/sandbox/seed", &[], json!({}), "sandbox.seed_planted").await;
    own.go("POST /admin/projects/{project}/sandbox/reset", &[], json!({}), "sandbox.reset").await;
    walk.seen.append(&mut own.seen);
}

/// The one body that is not JSON.
async fn logo(walk: &mut Walk<'_>) {
    let changes = times(walk.app, walk.shop, "project.changed").await;
    let url = format!("{}/admin/projects/shop/logo", walk.app.base);
    let put = walk.app.http.put(&url).bearer_auth(&walk.key).header("content-type", "image/png").body(LOGO);
    assert_eq!(put.send().await.unwrap().status(), 200);
    assert_eq!(times(walk.app, walk.shop, "project.changed").await, changes + 1);
    let gone = walk.app.http.delete(&url).bearer_auth(&walk.key).send().await.unwrap();
    assert_eq!(gone.status(), 200);
    assert_eq!(times(walk.app, walk.shop, "project.changed").await, changes + 2);
    for method in ["PUT", "DELETE"] {
        walk.seen.insert((method.into(), "/admin/projects/{project}/logo"));
    }
}

/// As if she had a browser remembered.
async fn device_of_alice(walk: &Walk<'_>) -> String {
    let (project, user, now) = (walk.shop.project, walk.shop.user, walk.app.app.clock.now());
    let id: uuid::Uuid = walk.app.app.entropy.id(now).unwrap();
    let insert = |conn: Conn| async move {
        tessera::execute!(
            &conn,
            "INSERT INTO remembered_devices (project_id, id, user_id, token_hash, browser_epoch, user_agent, address,
               created_at, last_used_at, expires_at)
             SELECT project_id, $2, id, $4, browser_epoch, '', '', $5, $5, $6 FROM users WHERE project_id = $1 AND id = $3",
            project,
            id,
            user,
            &b"hash"[..],
            now,
            now.plus_seconds(86_400)
        )
    };
    walk.app.app.db.write(insert).await.unwrap();
    id.to_string()
}

/// As if she had an authenticator app.
async fn factor_of_alice(walk: &Walk<'_>) -> String {
    let (project, user, now) = (walk.shop.project, walk.shop.user, walk.app.app.clock.now());
    let id: uuid::Uuid = walk.app.app.entropy.id(now).unwrap();
    let insert = |conn: Conn| async move {
        tessera::execute!(
            &conn,
            "INSERT INTO totp_factors (project_id, id, user_id, name, sealed_seed, last_step, created_at)
             VALUES ($1, $2, $3, 'Telephone', $4, 0, $5)",
            project,
            id,
            user,
            &b"sealed"[..],
            now
        )
    };
    walk.app.app.db.write(insert).await.unwrap();
    id.to_string()
}

/// As if she had allowed the client something.
async fn consent_of_alice(walk: &Walk<'_>) {
    let (project, user, now) = (walk.shop.project, walk.shop.user, walk.app.app.clock.now());
    let client: tessera::ids::ClientId = walk.shop.id.parse().unwrap();
    let insert = |conn: Conn| async move {
        tessera::execute!(
            &conn,
            "INSERT INTO consents (project_id, user_id, client_id, scopes, resources, claims, created_at, updated_at)
             VALUES ($1, $2, $3, '[]', '[]', '[]', $4, $4)",
            project,
            user,
            client,
            now
        )
    };
    walk.app.app.db.write(insert).await.unwrap();
}

/// A logout token that was given up.
async fn dead_message(walk: &Walk<'_>) -> String {
    let (project, user, now) = (walk.shop.project, walk.shop.user, walk.app.app.clock.now());
    let client: tessera::ids::ClientId = walk.shop.id.parse().unwrap();
    let id: uuid::Uuid = walk.app.app.entropy.id(now).unwrap();
    let insert = |conn: Conn| async move {
        tessera::execute!(
            &conn,
            "INSERT INTO outbox (project_id, id, kind, state, attempts, next_attempt_at, created_at, finished_at,
               client_id, user_id, family_id) VALUES ($1, $2, 'logout_token', 'dead', 5, $3, $3, $3, $4, $5, $2)",
            project,
            id,
            now,
            client,
            user
        )
    };
    walk.app.app.db.write(insert).await.unwrap();
    id.to_string()
}

/// Deletions, and what ends everything.
async fn ends(walk: &mut Walk<'_>) {
    let ask = json!({"user": walk.shop.user, "reason": "asked for it in writing"});
    let (request, cancel, confirm) = (
        "POST /projects/{project}/api/delete-user",
        "POST /projects/{project}/api/delete-user/cancel",
        "POST /projects/{project}/api/delete-user/confirm",
    );
    let asked = walk.go(request, &[], ask.clone(), "user.deletion_requested").await;
    let id = json!({"deletion_id": asked["deletion_id"]});
    walk.go(cancel, &[], id, "user.deletion_cancelled").await;
    let asked = walk.go(request, &[], ask, "user.deletion_requested").await;
    let typed = json!({"deletion_id": asked["deletion_id"], "confirmation": "alice"});
    walk.go(confirm, &[], typed, "user.deleted").await;
    let (many, cancel) =
        ("POST /projects/{project}/api/delete-users", "POST /projects/{project}/api/delete-users/cancel");
    let new = json!({"username": "bert"});
    let bert = walk.go("POST /admin/projects/{project}/users", &[], new, "user.created").await;
    let users = json!({"users": [bert["id"]], "reason": "asked for it in writing"});
    let asked = walk.go(many, &[], users, "users.deletion_requested").await;
    walk.go(cancel, &[], json!({"deletion_id": asked["deletion_id"]}), "users.deletion_cancelled").await;
    let reason = json!({"reason": "a key was seen elsewhere"});
    let route = "POST /admin/projects/{project}/end-all-sessions";
    walk.go(route, &[], reason, "project.sessions_ended").await;
    let route = "DELETE /admin/projects/{project}";
    let reason = json!({"reason": "the shop has closed"});
    let asked = walk.go(route, &[], reason, "project.deletion_requested").await;
    let (confirm, typed) =
        ("POST /admin/projects/{project}/confirmations/{id}", json!({"confirmation": walk.shop.slug}));
    walk.go(confirm, &[text(&asked, "confirmation_id")], typed, "project.deleted").await;
}

/// How often each action stands in the log.
async fn times(app: &TestApp, shop: &Shop, action: &str) -> usize {
    last(app, shop.project).await.iter().filter(|known| *known == action).count()
}

async fn what_happens_without_an_admin(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    // A replay.
    let tokens = app.sign_in(&shop).await;
    let first = tokens.get("refresh_token");
    let next = app.refresh(&shop, first).await.ok();
    app.refresh(&shop, text(&next, "refresh_token")).await.ok();
    app.app.clock.advance(60);
    assert_eq!(app.refresh(&shop, first).await.status, 400);
    assert_eq!(times(&app, &shop, "token_family.replayed").await, 1);
    // A code that is used twice.
    let (code, _) = app.code(&shop, "").await;
    app.exchange(&shop, &code).await.ok();
    assert_eq!(app.exchange(&shop, &code).await.status, 400);
    assert_eq!(times(&app, &shop, "authorization_code.replayed").await, 1);
    // A sign-out by the user.
    let tokens = app.sign_in(&shop).await;
    app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    assert_eq!(times(&app, &shop, "user.signed_out").await, 1);
    // Keys that move on by the clock or by hand.
    rotate::prepare(&change!(app, shop.project), Alg::ES256, None).await.unwrap();
    app.app.clock.advance(600);
    rotate::promote(&change!(app, shop.project), Alg::ES256).await.unwrap();
    app.app.clock.advance(2 * 86_400);
    rotate::rotate_due(&change!(app, shop.project)).await.unwrap();
    for (action, number) in [
        ("signing_key.promoted", 1),
        ("signing_key.retired", 1),
        ("signing_key.removed", 1),
        ("signing_key.created", 3),
    ] {
        assert_eq!(times(&app, &shop, action).await, number, "{action}");
    }
    // Confirmations that fail, and deletions that are refused.
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    admin.confirm(&id, "bob").await.refused(
        403,
        "confirmation_failed",
        "the typed user name is not the user's",
    );
    assert_eq!(times(&app, &shop, "user.deletion_confirmation_failed").await, 1);
    admin.cancel(&id).await.ok();
    let manager = app.admin_key(Some(shop.project), "user_manager").await;
    let weak = admin.by(&app, &manager);
    for answer in [weak.ask().await, weak.confirm(&id, "alice").await, weak.cancel(&id).await] {
        answer.refused(403, "forbidden", "the role user_manager may not do this");
    }
    assert_eq!(times(&app, &shop, "user.deletion_refused").await, 3);
    admin.settings(json!({"deletion_confirmation": "second_factor"})).await;
    assert_eq!(admin.ask().await.status, 403);
    assert_eq!(times(&app, &shop, "user.deletion_refused").await, 4);
    // Somebody from elsewhere writes nothing into this log.
    let other = app.shop("other", "public").await;
    let stranger = app.admin_key(Some(other.project), "user_manager").await;
    let before = last(&app, shop.project).await.len();
    assert_eq!(admin.by(&app, &stranger).ask().await.status, 403);
    assert_eq!(last(&app, shop.project).await.len(), before);
    assert_eq!(number(&app.app.db, WITHOUT_ORIGIN).await, 0);
}
