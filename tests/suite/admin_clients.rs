//! `/admin/projects/{project}/clients`: registering, changing, deleting.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Engine, REDIRECT, START, Shop, TestApp, both_engines};

both_engines!(
    registered_and_used,
    bad_input_changes_nothing,
    keys_of_other_projects,
    a_change_is_in_force_on_the_other_node,
    deleted_for_good,
);

pub const CLIENTS: &str = "/projects/shop/clients";

/// A project with an admin key, and what a client with this id and secret needs to sign alice in.
pub async fn shop(app: &TestApp) -> (Shop, String) {
    let shop = app.shop("shop", "confidential").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    (shop, admin)
}

pub fn acting_as(shop: &Shop, made: &Value) -> Shop {
    Shop {
        project: shop.project,
        slug: shop.slug.clone(),
        id: text(made, "client_id"),
        secret: made["client_secret"].as_str().map(str::to_owned),
        user: shop.user,
    }
}

pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

pub fn path(client: &Shop, more: &str) -> String {
    format!("{CLIENTS}/{}{more}", client.id)
}

async fn registered_and_used(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, admin) = shop(&app).await;
    let body = json!({"client_name": "Till", "type": "confidential", "redirect_uris": [REDIRECT],
        "require_pkce": false, "scope": "openid profile", "audience": "https://api.example",
        "token_endpoint_auth_method": "client_secret_basic", "refresh_grace_seconds": 5});
    let made = app.admin_post(&admin, CLIENTS, body).await.created();
    for (name, value) in [
        ("client_name", json!("Till")),
        ("type", json!("confidential")),
        ("status", json!("active")),
        ("version", json!(START)),
        ("redirect_uris", json!([REDIRECT])),
        ("grant_types", json!(["authorization_code", "refresh_token"])),
        ("first_party", json!(true)),
        ("refresh_rotation", Value::Null),
        ("refresh_retry", json!("window")),
        ("refresh_grace_seconds", json!(5)),
        ("secrets", json!([{"slot": 1, "created_at": "2027-01-15T08:00:00Z", "expires_at": null}])),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    assert_eq!(made.get("validity"), None, "lifetimes are shown with their units by token-validity");
    assert!(text(&made, "client_secret").starts_with("tcs_"));
    let till = acting_as(&shop, &made);
    assert!(text(&made, "login_link").ends_with(&format!("/projects/shop/sign-in?client_id={}", till.id)));

    // It is what it says: scope, audience and method are honoured.
    let (code, _) = app.code(&till, "&scope=openid+profile+email").await;
    let tokens = app.exchange(&till, &code).await.ok();
    assert_eq!(tokens["scope"], "openid profile");
    let verified = app.verify(&till, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(verified["claims"]["aud"], "https://api.example");
    let in_body = json!({"refresh_token": "x", "client_id": till.id, "client_secret": till.secret});
    let url = app.project_url(&till, "/api/refresh");
    let refused = Answer::of(app.http.post(&url).json(&in_body).send().await.unwrap()).await;
    refused.refused(401, "invalid_client", "client authentication failed");

    // The secret is said once.
    let read = app.admin_get(&admin, &path(&till, "")).await.ok();
    assert_eq!(read.get("client_secret"), None);
    let changes = json!({"client_name": "Counter", "audience": null, "token_endpoint_auth_method": null});
    let changed = app.admin_patch(&admin, &path(&till, ""), changes).await.ok();
    assert_eq!((&changed["client_name"], &changed["audience"]), (&json!("Counter"), &Value::Null));
    assert_eq!((&changed["version"], &changed["scope"]), (&json!(START + 1), &json!("openid profile")));
    let read = app.admin_request(&admin, Method::GET, &path(&till, "")).send().await.unwrap();
    assert_eq!(read.headers()["etag"], format!("\"{}\"", START + 1));

    let public = json!({"client_name": "App", "type": "public", "redirect_uris": ["com.example.app:/cb"]});
    let public = app.admin_post(&admin, CLIENTS, public).await.created();
    assert_eq!((public.get("client_secret"), &public["secrets"]), (None, &json!([])));
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = app.admin_get(&admin, &format!("{CLIENTS}?limit=1{next}")).await.ok();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| text(item, "client_name")));
        let Some(after) = page["next"].as_str() else { break };
        next = format!("&after={after}");
    }
    seen.sort();
    assert_eq!(seen, ["App", "Counter", "Shop"]);
}

async fn bad_input_changes_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, admin) = shop(&app).await;
    let of = |kind: &str, name: &str, value: Value| {
        let mut body = json!({"client_name": "X", "type": kind, "redirect_uris": [REDIRECT]});
        body[name] = value;
        body
    };
    let method = "token_endpoint_auth_method";
    for (kind, field, value, description) in [
        ("robot", "type", json!("robot"), "type must be one of confidential, public, service"),
        (
            "public",
            "client_name",
            json!(""),
            "client_name has 1 to 128 characters, no control characters and no space at either end",
        ),
        ("public", "redirect_uris", json!("x"), "redirect_uris must be a list"),
        ("public", "redirect_uris", json!([7]), "each of redirect_uris must be a string"),
        ("public", "redirect_uris", json!(["/cb"]), "a redirect URI must be an absolute URI"),
        ("public", "redirect_uris", json!(vec![REDIRECT; 21]), "redirect_uris has at most 20 entries"),
        ("public", "refresh_grace_seconds", json!(61), "refresh_grace_seconds must lie between 0 and 60"),
        ("public", "refresh_retry", json!("never"), "refresh_retry must be window or until_used"),
        ("public", "refresh_rotation", json!(false), "refresh_rotation of a public client is true"),
        ("public", "require_pkce", json!(false), "require_pkce of a public client is true"),
        (
            "public",
            method,
            json!("client_secret_basic"),
            "token_endpoint_auth_method of a public client is none",
        ),
        ("confidential", method, json!("none"), "token_endpoint_auth_method none is for public clients"),
        ("public", "audience", json!(""), "audience has 1 to 255 visible ASCII characters"),
        (
            "public",
            "scope",
            json!("openid admin"),
            "scope names some of openid profile email address phone offline_access account and of the project's own, each separated by one space",
        ),
        (
            "public",
            "grant_types",
            json!(["client_credentials"]),
            "grant_types of a public client are authorization_code, refresh_token, urn:ietf:params:oauth:grant-type:device_code",
        ),
        (
            "public",
            "grant_types",
            json!(["password"]),
            "each of grant_types must be one of authorization_code, refresh_token, client_credentials, urn:ietf:params:oauth:grant-type:token-exchange, urn:ietf:params:oauth:grant-type:device_code",
        ),
        ("public", "grant_types", json!([]), "grant_types names at least one, and each once"),
        (
            "public",
            "grant_types",
            json!(["authorization_code", "authorization_code"]),
            "grant_types names at least one, and each once",
        ),
        (
            "confidential",
            "grant_types",
            json!(["refresh_token", "client_credentials"]),
            "grant_types with refresh_token has a grant that begins a session",
        ),
        (
            "service",
            "grant_types",
            json!(["authorization_code"]),
            "grant_types of a service client are client_credentials, urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        (
            "service",
            "redirect_uris",
            json!([REDIRECT]),
            "redirect_uris is not for a service: no browser comes back to it",
        ),
        ("confidential", "jwks", json!({"keys": []}), "jwks has 1 to 10 keys in at most 16384 bytes"),
        (
            "confidential",
            "require_signed_request_object",
            json!(true),
            "require_signed_request_object is for clients with jwks or jwks_uri",
        ),
        (
            "confidential",
            "token_exchange_chain",
            json!(true),
            "token_exchange_chain is for clients with the grant of token exchange",
        ),
        (
            "confidential",
            "token_endpoint_auth_signing_alg",
            json!("ES256"),
            "token_endpoint_auth_signing_alg is for token_endpoint_auth_method private_key_jwt",
        ),
        ("public", method, json!("private_key_jwt"), "token_endpoint_auth_method of a public client is none"),
        (
            "confidential",
            "token_exchange_audiences",
            json!(["https://api.example"]),
            "token_exchange_audiences is for clients with the grant of token exchange",
        ),
        (
            "public",
            "initiate_login_uri",
            json!("x"),
            "initiate_login_uri is https or http on a loopback address, of at most 2048 characters that RFC 3986 knows, without fragment or user information",
        ),
        ("public", "validity", json!({}), "unknown field validity: lifetimes are set by token-validity"),
        ("public", "client_secret", json!("x"), "unknown field client_secret"),
    ] {
        let answer = app.admin_post(&admin, CLIENTS, of(kind, field, value)).await;
        answer.refused_for(400, "invalid_request", field, description);
    }
    let missing = app.admin_post(&admin, CLIENTS, json!({"client_name": "X"})).await;
    missing.refused_for(400, "invalid_request", "type", "missing field type");
    assert_eq!(app.admin_get(&admin, CLIENTS).await.ok()["items"].as_array().unwrap().len(), 1);

    let client = path(&shop, "");
    let patch = |body: Value| app.admin_patch(&admin, &client, body);
    patch(json!({"type": "public"})).await.refused_for(400, "invalid_request", "type", "unknown field type");
    let bound = "status must be active or disabled";
    patch(json!({"status": "deleted"})).await.refused_for(400, "invalid_request", "status", bound);
    patch(json!({"first_party": "yes"})).await.refused_for(
        400,
        "invalid_request",
        "first_party",
        "first_party must be a boolean",
    );
    let stale = app.admin_patch_seen(&admin, &path(&shop, ""), "\"7\"", json!({"client_name": "Y"})).await;
    stale.refused(412, "precondition_failed", "it was changed since the version that If-Match names");
    let read = app.admin_get(&admin, &path(&shop, "")).await.ok();
    assert_eq!((&read["version"], &read["client_name"]), (&json!(START), &json!("Shop")));
}

async fn keys_of_other_projects(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, _) = shop(&app).await;
    let other = app.shop("other", "confidential").await;
    let foreign = app.admin_key(Some(other.project), "owner").await;
    let under = |project: &str, more: &str| format!("/projects/{project}/clients/{}{more}", shop.id);
    // Under its own project the foreign client is not there, under the other one the key is not valid.
    for (project, status, code, description) in [
        ("other", 404, "not_found", "no such client"),
        ("shop", 401, "invalid_token", "the admin key is not valid here"),
    ] {
        for answer in [
            app.admin_get(&foreign, &under(project, "")).await,
            app.admin_patch(&foreign, &under(project, ""), json!({"client_name": "Mine"})).await,
            app.admin_post(&foreign, &under(project, "/rotate-secret"), json!({})).await,
            app.admin_delete(&foreign, &under(project, "/secrets/1")).await,
            app.admin_delete(&foreign, &under(project, "?dry_run=true")).await,
            app.admin_delete(&foreign, &under(project, "")).await,
        ] {
            answer.refused(status, code, description);
        }
    }
    let listed = app.admin_get(&foreign, "/projects/other/clients").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["client_id"], other.id);
    // The owner of all projects does not find it under the wrong one either.
    let owner = app.admin_key(None, "owner").await;
    app.admin_get(&owner, &under("other", "")).await.refused(404, "not_found", "no such client");
    app.sign_in(&shop).await;
}

async fn a_change_is_in_force_on_the_other_node(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, admin) = shop(&app).await;
    let node = app.second_node().await;
    let tokens = node.sign_in(&shop).await;
    let (code, _) = node.code(&shop, "").await;
    app.admin_patch(&admin, &path(&shop, ""), json!({"status": "disabled"})).await.ok();
    let failed = "client authentication failed";
    node.refresh(&shop, tokens.get("refresh_token")).await.refused(401, "invalid_client", failed);
    node.exchange(&shop, &code).await.refused(401, "invalid_client", failed);
    let page = node.http.get(node.authorize_url(&shop, "")).send().await.unwrap();
    assert_eq!(page.status(), 400);
    let all = app.admin_key(None, "auditor").await;
    let body = json!({"access_token": tokens.get("access_token")});
    let judged = node.bearer(&shop, "verifyaccesstoken", &all, body.clone()).await.ok();
    assert_eq!(judged["reason"], "client_disabled");

    app.admin_patch(&admin, &path(&shop, ""), json!({"status": "active"})).await.ok();
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
    let ended = "the code has expired or its sign-in has ended";
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", ended);
    // A redirect URI that is no longer registered is refused at once.
    node.sign_in(&shop).await;
    let moved = json!({"redirect_uris": ["https://shop.example/cb"]});
    app.admin_patch(&admin, &path(&shop, ""), moved).await.ok();
    assert_eq!(node.http.get(node.authorize_url(&shop, "")).send().await.unwrap().status(), 400);
}

async fn deleted_for_good(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, admin) = shop(&app).await;
    let node = app.second_node().await;
    let tokens = node.sign_in(&shop).await;
    let (code, _) = node.code(&shop, "").await;
    let answer = json!({"client_id": shop.id, "deleted": false, "impact": {"families": 1}});
    assert_eq!(app.admin_delete(&admin, &path(&shop, "?dry_run=true")).await.ok(), answer);
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["active"], true);
    // Nothing is counted for the real one: however much there is, it is deleted.
    let answer = json!({"client_id": shop.id, "deleted": true});
    assert_eq!(app.admin_delete(&admin, &path(&shop, "")).await.ok(), answer);
    let failed = "client authentication failed";
    node.refresh(&shop, tokens.get("refresh_token")).await.refused(401, "invalid_client", failed);
    node.exchange(&shop, &code).await.refused(401, "invalid_client", failed);
    let body = json!({"access_token": tokens.get("access_token")});
    let auditor = app.admin_key(None, "auditor").await;
    let judged = node.bearer(&shop, "verifyaccesstoken", &auditor, body).await.ok();
    assert_eq!(judged["reason"], "client_deleted");
    for answer in [
        app.admin_get(&admin, &path(&shop, "")).await,
        app.admin_patch(&admin, &path(&shop, ""), json!({"status": "active"})).await,
        app.admin_post(&admin, &path(&shop, "/rotate-secret"), json!({})).await,
        app.admin_delete(&admin, &path(&shop, "")).await,
    ] {
        answer.refused(404, "not_found", "no such client");
    }
    assert_eq!(app.admin_get(&admin, CLIENTS).await.ok()["items"], json!([]));
}
