//! What an admin changes at one node is in force at the other one with its next request, though that one has just worked
//! with what was before. Each kind of request is asked for in a project of its own: the first one to notice forgets for all.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::secret::decode_base64url;

use crate::support::{Answer, Engine, PASSWORD, REASON, REDIRECT, Seen, Shop, TestApp, World, both_engines};

both_engines!(secrets, projects_and_clients_and_users, lifetimes, redirect_uris, admin_keys, roles);

const CLIENT_REFUSED: &str = "401 client authentication failed";
const CODE_ENDED: &str = "400 the code has expired or its sign-in has ended";
const NEW_URI: &str = "http://localhost:9/elsewhere";

/// Two nodes and a key for everything.
async fn nodes(engine: Engine) -> (TestApp, TestApp, String) {
    let app = TestApp::new(engine).await;
    let (node, owner) = (app.second_node().await, app.key(None, "owner").await);
    (app, node, owner)
}

/// A spare secret lets the client in at once; the old one lets nobody in once it is removed, and burns nothing.
async fn secrets(engine: Engine) {
    let (app, node, owner) = nodes(engine).await;
    for (n, ask) in ["verify", "refresh", "exchange"].into_iter().enumerate() {
        let world = World::new(&app, &node, &owner, &format!("shop-{n}")).await;
        let rotated = world.change(Method::POST, "/projects/{p}/clients/{c}/rotate-secret", json!({})).await;
        let secret = rotated["client_secret"].as_str().map(str::to_owned);
        world.change(Method::DELETE, "/projects/{p}/clients/{c}/secrets/1", Value::Null).await;
        assert_eq!(world.ask(ask).await, CLIENT_REFUSED, "{ask}");
        let renewed = World { shop: Shop { secret, slug: world.shop.slug.clone(), ..world.shop }, ..world };
        assert_eq!(renewed.ask(ask).await, "200 ok", "{ask}");
    }
}

async fn projects_and_clients_and_users(engine: Engine) {
    let (app, node, owner) = nodes(engine).await;
    let (project, client, user) = ("/projects/{p}", "/projects/{p}/clients/{c}", "/projects/{p}/users/{u}");
    let disabled = json!({"status": "disabled"});
    let (nowhere, no_page) = ("404 no such project", "404 There is no sign-in at this address.");
    let changes = [
        (
            Method::PATCH,
            project,
            disabled.clone(),
            "disabled project",
            [
                ("verify", "200 project_disabled"),
                ("verify by another", "200 project_disabled"),
                ("verify by a key", "200 project_disabled"),
                ("userinfo", "401 project_disabled"),
                ("sign out", "401 project_disabled"),
                ("refresh", "400 the session has ended: project_disabled"),
                ("exchange", CODE_ENDED),
                ("authorize", no_page),
                ("sign in", no_page),
                ("read a user", "200 ok"),
            ],
        ),
        (
            Method::DELETE,
            project,
            json!({"reason": REASON}),
            "deleted project",
            [
                ("verify", nowhere),
                ("verify by another", nowhere),
                ("verify by a key", nowhere),
                ("userinfo", nowhere),
                ("sign out", nowhere),
                ("refresh", nowhere),
                ("exchange", nowhere),
                ("authorize", no_page),
                ("sign in", no_page),
                ("read a user", nowhere),
            ],
        ),
        (
            Method::PATCH,
            client,
            disabled.clone(),
            "disabled client",
            [
                ("verify", CLIENT_REFUSED),
                ("verify by another", "200 client_disabled"),
                ("verify by a key", "200 client_disabled"),
                ("userinfo", "401 client_disabled"),
                ("sign out", "401 client_disabled"),
                ("refresh", CLIENT_REFUSED),
                ("exchange", CLIENT_REFUSED),
                ("authorize", "400 This application is not known here."),
                ("sign in", "400 This application is not known here."),
                ("read a user", "200 ok"),
            ],
        ),
        (
            Method::DELETE,
            client,
            json!({}),
            "deleted client",
            [
                ("verify", CLIENT_REFUSED),
                ("verify by another", "200 client_deleted"),
                ("verify by a key", "200 client_deleted"),
                ("userinfo", "401 client_deleted"),
                ("sign out", "401 client_deleted"),
                ("refresh", CLIENT_REFUSED),
                ("exchange", CLIENT_REFUSED),
                ("authorize", "400 This application is not known here."),
                ("sign in", "400 This application is not known here."),
                ("read a user", "200 ok"),
            ],
        ),
        (
            Method::PATCH,
            user,
            disabled,
            "disabled user",
            [
                ("verify", "200 user_disabled"),
                ("verify by another", "200 user_disabled"),
                ("verify by a key", "200 user_disabled"),
                ("userinfo", "401 user_disabled"),
                ("sign out", "401 user_disabled"),
                ("refresh", "400 the session has ended: user_disabled"),
                ("exchange", CODE_ENDED),
                ("authorize", "login_required"),
                ("sign in", "400"),
                ("read a user", "200 ok"),
            ],
        ),
    ];
    for (n, (method, path, body, what, asks)) in changes.into_iter().enumerate() {
        for (m, (ask, expected)) in asks.into_iter().enumerate() {
            let world = World::new(&app, &node, &owner, &format!("shop-{n}-{m}")).await;
            world.change(method.clone(), path, body.clone()).await;
            assert_eq!(world.ask(ask).await, expected, "{what}: {ask}");
        }
    }
}

/// Both ways to new tokens give them the lifetimes of now.
async fn lifetimes(engine: Engine) {
    let (app, node, owner) = nodes(engine).await;
    for ask in ["exchange", "refresh"] {
        let world = World::new(&app, &node, &owner, ask).await;
        let url = app.project_url(&world.shop, &format!("/api/token-validity?client_id={}", world.shop.id));
        let shorter = json!({"access_token": 5, "id_token": 10, "refresh_token": 2, "refresh_idle": 1,
            "units": {"access_token": "minutes", "id_token": "minutes", "refresh_token": "hours", "refresh_idle": "hours"}});
        let changed = app.http.put(url).bearer_auth(&owner).json(&shorter).send().await.unwrap();
        Answer::of(changed).await.ok();
        let tokens = match ask {
            "exchange" => node.exchange(&world.shop, &world.code).await.ok(),
            _ => node.refresh(&world.shop, world.tokens.get("refresh_token")).await.ok(),
        };
        assert_eq!((&tokens["expires_in"], &tokens["refresh_expires_in"]), (&json!(300), &json!(3600)));
        for (name, seconds) in [("access_token", 300), ("id_token", 600)] {
            let claims = claims_of(tokens[name].as_str().unwrap());
            let lives = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
            assert_eq!(lives, seconds, "{ask}: {name}");
        }
    }
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&decode_base64url(payload).unwrap()).unwrap()
}

/// A code goes to no address that has been taken away, not even by a form that was opened before.
async fn redirect_uris(engine: Engine) {
    let unregistered = "400 The application asked to return to an address that is not registered.";
    let (app, node, owner) = nodes(engine).await;
    let change = async |world: &World<'_>| {
        let uris = json!({"redirect_uris": [NEW_URI]});
        world.change(Method::PATCH, "/projects/{p}/clients/{c}", uris).await;
    };
    let world = World::new(&app, &node, &owner, "shop-0").await;
    assert_eq!(world.authorize(NEW_URI).await, unregistered);
    change(&world).await;
    assert_eq!(world.authorize(REDIRECT).await, unregistered);
    assert_eq!(world.authorize(NEW_URI).await, "code");
    let world = World::new(&app, &node, &owner, "shop-1").await;
    let (cookie, sealed) = node.sign_in_page(&world.shop, "").await;
    change(&world).await;
    let page = Seen::of(node.submit(&world.shop, &cookie, &sealed, PASSWORD).await).await;
    page.refused(400, &unregistered[4..]);
}

async fn admin_keys(engine: Engine) {
    let (app, node, owner) = nodes(engine).await;
    let (get, post) = (Method::GET, Method::POST);
    for (n, (method, path, body)) in [
        (get.clone(), "/admin/projects", Value::Null),
        (get.clone(), "/admin/projects/{p}/users/{u}", Value::Null),
        (Method::PATCH, "/admin/projects/{p}/users/{u}", json!({"given_name": "A"})),
        (get.clone(), "/projects/{p}/api/token-validity?client_id={c}", Value::Null),
        (post.clone(), "/projects/{p}/api/verifyaccesstoken", json!({"access_token": "x"})),
        (post.clone(), "/projects/{p}/api/attribute-update", json!({"user": "{u}", "set": {}})),
        (post.clone(), "/projects/{p}/api/delete-user", json!({"user": "{u}", "dry_run": true})),
        (post, "/projects/{p}/api/GlobalSignOut", json!({"user": "{u}"})),
    ]
    .into_iter()
    .enumerate()
    {
        let world = World::new(&app, &node, &owner, &format!("shop-{n}")).await;
        let made = json!({"name": "k", "role": "admin", "project": world.shop.project});
        let made = world.change(Method::POST, "/admin-keys", made).await;
        let ask = async || {
            let (shop, user) = (&world.shop, world.shop.user.to_string());
            let fill =
                |text: &str| text.replace("{p}", &shop.slug).replace("{u}", &user).replace("{c}", &shop.id);
            let request = node.http.request(method.clone(), format!("{}{}", node.base, fill(path)));
            let mut request = request.bearer_auth(made["key"].as_str().unwrap());
            if !body.is_null() {
                request = request.json(&serde_json::from_str::<Value>(&fill(&body.to_string())).unwrap());
            }
            Answer::of(request.send().await.unwrap()).await
        };
        assert_eq!(ask().await.status, 200, "{path}");
        world
            .change(Method::DELETE, &format!("/admin-keys/{}", made["id"].as_str().unwrap()), Value::Null)
            .await;
        ask().await.refused(401, "invalid_token", "the admin key is not valid here");
    }
}

async fn roles(engine: Engine) {
    let (app, node, owner) = nodes(engine).await;
    let world = World::new(&app, &node, &owner, "shop").await;
    world.change(Method::POST, "/projects/{p}/roles", json!({"name": "clerk"})).await;
    let (shop, access) = (&world.shop, world.tokens.get("access_token"));
    for (n, (change, holds)) in [("add", true), ("remove", false), ("add", true)].into_iter().enumerate() {
        let body = json!({"user": shop.user, "roles": {change: ["clerk"]}});
        app.bearer(shop, "attribute-update", &owner, body).await.ok();
        let demand = json!({"access_token": access, "required_roles": ["clerk"]});
        let judged = node.call(shop, "verifyaccesstoken", demand).await.ok();
        if holds {
            assert_eq!((&judged["active"], &judged["claims_stale"]), (&json!(true), &json!(true)), "{n}");
        } else {
            assert_eq!(judged["reason"], "missing_role");
        }
        let held = if holds { json!(["clerk"]) } else { json!([]) };
        let told = node.bearer(shop, "userinfofromaccesstoken", access, json!({})).await.ok();
        assert_eq!(told["roles"], held);
        // The same retry again: the tokens of one family say what is held now.
        let renewed = node.refresh(shop, world.tokens.get("refresh_token")).await.ok();
        assert_eq!(claims_of(renewed["access_token"].as_str().unwrap())["roles"], held);
    }
}
