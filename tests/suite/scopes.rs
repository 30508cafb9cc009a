//! Scopes that a project defines: their life, who is granted them, and what they show.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};

use crate::support::{Engine, Shop, TestApp, Tokens, both_engines};

both_engines!(
    scopes_are_defined_and_changed,
    scopes_are_bounded,
    scopes_are_named_to_be_granted,
    // C017
    the_order_of_scopes_does_not_matter,
    scopes_show_claims_and_attributes,
    unseen_by_other_projects,
);

async fn scopes_are_defined_and_changed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.post("/attribute-definitions", json!({"name": "tier", "type": "string"})).await.created();
    let body = json!({"name": "orders:read", "description": "see your orders", "attributes": ["tier"]});
    let made = desk.post("/scopes", body.clone()).await.created();
    let expected = json!({"name": "orders:read", "description": "see your orders", "claims": [],
        "attributes": ["tier"], "created_at": "2027-01-15T08:00:00Z"});
    assert_eq!(made, expected);
    desk.post("/scopes", body).await.refused_for(409, "conflict", "name", "this scope is defined already");
    let built_in = desk.post("/scopes", json!({"name": "email"})).await;
    built_in.refused_for(409, "conflict", "name", "this scope is there in every project");
    let changed =
        desk.patch("/scopes/orders:read", json!({"claims": ["email"], "attributes": []})).await.ok();
    assert_eq!((&changed["claims"], &changed["attributes"]), (&json!(["email"]), &json!([])));
    assert_eq!(changed["description"], "see your orders");
    assert_eq!(desk.get("/scopes/orders:read").await.ok(), changed);
    assert_eq!(desk.get("/scopes").await.ok(), json!({"items": [changed], "next": null}));
    // Advertised at once by whoever was asked last.
    app.app.clock.advance(5);
    let url = app.project_url(&shop, "/.well-known/openid-configuration");
    let document: Value = app.http.get(&url).send().await.unwrap().json().await.unwrap();
    assert!(document["scopes_supported"].as_array().unwrap().contains(&json!("orders:read")));
    let gone = desk.delete("/scopes/orders:read").await.ok();
    assert_eq!(gone, json!({"name": "orders:read", "deleted": true}));
    let none = "no such scope";
    desk.get("/scopes/orders:read").await.refused(404, "not_found", none);
    desk.patch("/scopes/orders:read", json!({})).await.refused(404, "not_found", none);
    desk.delete("/scopes/orders:read").await.refused(404, "not_found", none);
    let log = desk.get("/audit?target=scope:orders:read").await.ok();
    let actions: Vec<_> =
        log["items"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
    for action in ["scope.defined", "scope.changed", "scope.deleted"] {
        assert!(actions.contains(&json!(action)), "{actions:?}");
    }
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn scopes_are_bounded(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let name = "name has 1 to 64 of A-Z, a-z, 0-9 and . _ : -, and begins with a letter or digit";
    let (unknown, twice) = ("names something that is not there", "names something twice");
    for (body, field, why) in [
        (json!({}), "name", "missing field name".to_owned()),
        (json!({"name": "a b"}), "name", name.into()),
        (json!({"name": "a\"b"}), "name", name.into()),
        (json!({"name": "x".repeat(65)}), "name", name.into()),
        (json!({"name": "a", "claims": ["colour"]}), "claims", format!("claims {unknown}")),
        (json!({"name": "a", "claims": ["sub"]}), "claims", format!("claims {unknown}")),
        (json!({"name": "a", "claims": ["email", "email"]}), "claims", format!("claims {twice}")),
        (json!({"name": "a", "attributes": ["tier"]}), "attributes", format!("attributes {unknown}")),
        (json!({"name": "a", "claims": vec!["x"; 51]}), "claims", "claims has at most 50 entries".into()),
        (json!({"name": "a", "roles": []}), "roles", "unknown field roles".into()),
    ] {
        desk.post("/scopes", body).await.refused_for(400, "invalid_request", field, &why);
    }
    for n in 0..100 {
        desk.post("/scopes", json!({"name": format!("s{n}")})).await.created();
    }
    let more = desk.post("/scopes", json!({"name": "one-more"})).await;
    more.refused_for(400, "invalid_request", "name", "a project has at most 100 scopes");
    let auditor = app.desk(&shop, "auditor").await;
    assert_eq!(auditor.get("/scopes").await.ok()["items"].as_array().unwrap().len(), 100);
    let refused = auditor.post("/scopes", json!({"name": "mine"})).await;
    refused.refused(403, "forbidden", "the role auditor may not do this");
}

/// The tokens of a sign-in that asks for this.
async fn tokens(app: &TestApp, shop: &Shop, scope: &str) -> Tokens {
    let (code, _) = app.code(shop, &format!("&scope={scope}")).await;
    Tokens(app.exchange(shop, &code).await.ok())
}

async fn scopes_are_named_to_be_granted(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let client = format!("/clients/{}", shop.id);
    let unknown = desk.patch(&client, json!({"scope": "openid orders:read"})).await;
    let known = "scope names some of openid profile email address phone offline_access account and of the \
                 project's own, each separated by one space";
    unknown.refused_for(400, "invalid_request", "scope", known);
    for name in ["orders:read", "orders:write"] {
        desk.post("/scopes", json!({"name": name})).await.created();
    }
    // A client that names no scope has those of every project.
    assert_eq!(tokens(&app, &shop, "openid+orders:read").await.get("scope"), "openid");
    desk.patch(&client, json!({"scope": "openid email orders:read"})).await.ok();
    let granted = tokens(&app, &shop, "orders:write+orders:read+openid+profile").await;
    assert_eq!(granted.get("scope"), "openid orders:read");
    let judged = app.call(
        &shop,
        "verifyaccesstoken",
        json!({"access_token": granted.get("access_token"),
        "required_scopes": ["orders:read"]}),
    );
    assert_eq!(judged.await.ok()["active"], true);
    // What is deleted is not granted any more: neither anew, nor by a refresh. Its name may stay registered.
    desk.delete("/scopes/orders:read").await.ok();
    let renewed = app.refresh(&shop, granted.get("refresh_token")).await.ok();
    assert_eq!(renewed["scope"], "openid");
    assert_eq!(tokens(&app, &shop, "openid+orders:read").await.get("scope"), "openid");
    desk.patch(&client, json!({"client_name": "Other"})).await.ok();
}

async fn the_order_of_scopes_does_not_matter(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    for scope in ["email+openid+nonsense+profile", "profile+email+openid", "openid++profile+email+openid"] {
        assert_eq!(tokens(&app, &shop, scope).await.get("scope"), "openid profile email", "{scope}");
    }
}

async fn scopes_show_claims_and_attributes(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    for name in ["tier", "shoe_size"] {
        desk.post("/attribute-definitions", json!({"name": name, "type": "string"})).await.created();
    }
    desk.post("/roles", json!({"name": "cook"})).await.created();
    let update = json!({"user": {"username": "alice"}, "set": {"tier": "gold", "shoe_size": "38"},
        "roles": {"add": ["cook"]}});
    let key = app.admin_key(Some(shop.project), "admin").await;
    app.bearer(&shop, "attribute-update", &key, update).await.ok();
    let scope = json!({"name": "membership", "claims": ["email", "roles"], "attributes": ["tier"]});
    desk.post("/scopes", scope).await.created();
    desk.patch(&format!("/clients/{}", shop.id), json!({"scope": "openid profile membership"})).await.ok();
    let tokens = tokens(&app, &shop, "openid+membership").await;
    let url = app.project_url(&shop, "/oauth2/userinfo");
    let told = app.http.get(&url).bearer_auth(tokens.get("access_token")).send().await.unwrap();
    let expected = json!({"sub": shop.user, "email": "alice@example.com",
        "roles": ["cook"], "attributes": {"tier": "gold"}});
    assert_eq!(told.json::<Value>().await.unwrap(), expected);
    // As the scope says now, not as it did then.
    desk.patch("/scopes/membership", json!({"claims": []})).await.ok();
    let told = app.http.get(&url).bearer_auth(tokens.get("access_token")).send().await.unwrap();
    let expected = json!({"sub": shop.user, "attributes": {"tier": "gold"}});
    assert_eq!(told.json::<Value>().await.unwrap(), expected);
}

async fn unseen_by_other_projects(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (ours, theirs) = (app.desk(&shop, "admin").await, app.desk(&other, "admin").await);
    ours.post("/scopes", json!({"name": "orders"})).await.created();
    assert_eq!(theirs.get("/scopes").await.ok()["items"], json!([]));
    theirs.get("/scopes/orders").await.refused(404, "not_found", "no such scope");
    let client = theirs.patch(&format!("/clients/{}", other.id), json!({"scope": "openid orders"})).await;
    assert_eq!(client.status, 400);
    let key = app.admin_key(Some(other.project), "owner").await;
    let crossing = app.admin(&key, Method::POST, "/projects/shop/scopes", json!({"name": "x"})).await;
    assert_eq!((crossing.status, &crossing.body["error"]), (401, &json!("invalid_token")));
}
