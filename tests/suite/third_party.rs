//! Applications of others: they see what people allowed them, as it was when they did, and learn nothing beside it.

use serde_json::{Value, json};
use tessera::projects;

use crate::consents::{allowed, ask, asked, bureau, decide, error_of, settings};
use crate::jobs::{count, run_well};
use crate::support::oauth::claims_of;
use crate::support::{Engine, Shop, TestApp, both_engines, code_of, sealed_of};
use crate::token_exchange::{signed_in, swapped, world};

both_engines!(
    tokens_show_what_scopes_show,
    questions_are_answered_by_what_scopes_show,
    the_own_view_ends_with_the_first_party,
    no_offline_access_unasked,
    a_wider_scope_is_allowed_again,
    a_form_shows_what_is_allowed,
    combinations_are_allowed_one_by_one,
    consents_go_with_their_client,
);

/// alice is a cook in the EU with two attributes in her tokens; the scope `membership` shows one of each.
async fn kitchen(app: &TestApp, shop: &Shop) {
    let desk = app.desk(shop, "admin").await;
    desk.define(&[], &["cook"], &["eu"]).await;
    for name in ["tier", "secret"] {
        let shown = json!({"name": name, "type": "string", "in_access_token": true});
        desk.post("/attribute-definitions", shown).await.created();
    }
    let change = json!({"user": shop.user, "set": {"tier": "gold", "secret": "x"}, "roles": {"add": ["cook"]},
        "groups": {"add": ["eu"]}});
    desk.update(change).await.ok();
    desk.post("/scopes", json!({"name": "membership", "claims": ["roles"], "attributes": ["tier"]}))
        .await
        .created();
    let scope = json!({"scope": "openid profile offline_access membership"});
    desk.patch(&format!("/clients/{}", shop.id), scope).await.ok();
}

/// What an access token says of its user.
fn told(claims: &Value) -> [&Value; 4] {
    ["roles", "groups", "user_version", "attributes"].map(|name| claims.get(name).unwrap_or(&Value::Null))
}

fn access(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap()
}

async fn tokens_show_what_scopes_show(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    kitchen(&app, &shop).await;
    let (none, tier) = (json!([]), json!({"tier": "gold"}));
    let nothing = [&none, &none, &Value::Null, &Value::Null];
    let something = [&json!(["cook"]), &none, &json!(2), &tier];
    for (scope, expected) in [("openid+profile", nothing), ("openid+membership", something)] {
        let (tokens, _) = allowed(&app, &shop, &format!("&scope={scope}&prompt=consent")).await;
        let renewed = app.refresh(&shop, tokens["refresh_token"].as_str().unwrap()).await.ok();
        for tokens in [&tokens, &renewed] {
            assert_eq!(told(&claims_of(access(tokens))), expected, "{scope}");
            assert_eq!(told(&app.introspect(&shop, access(tokens)).await), expected, "{scope}");
            let verdict = app.verify(&shop, access(tokens)).await;
            assert_eq!(told(&verdict["claims"]), expected, "{scope}");
            assert_eq!(verdict["claims_stale"], false);
        }
    }
    // A project's own application sees all of it, whatever the scope.
    let own =
        app.second_client(&shop, tessera::model::client::ClientSettings { first_party: true, ..settings() });
    let own = own.await;
    let (code, _) = app.code(&own, "&scope=openid").await;
    let claims = claims_of(access(&app.exchange(&own, &code).await.ok()));
    let all = json!({"tier": "gold", "secret": "x"});
    assert_eq!(told(&claims), [&json!(["cook"]), &json!(["eu"]), &json!(2), &all]);
}

async fn questions_are_answered_by_what_scopes_show(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    kitchen(&app, &shop).await;
    let judge = async |token: &str, mut demands: Value| {
        demands["access_token"] = json!(token);
        let verdict = app.call(&shop, "verifyaccesstoken", demands).await.ok();
        verdict.get("reason").unwrap_or(&verdict["active"]).clone()
    };
    let (little, _) = allowed(&app, &shop, "&scope=openid+profile").await;
    let (more, _) = allowed(&app, &shop, "&scope=openid+membership").await;
    for (demand, of_little, of_more) in [
        (json!({"required_roles": ["cook"]}), json!("missing_role"), json!(true)),
        (json!({"required_roles": ["king"]}), json!("missing_role"), json!("missing_role")),
        (json!({"required_groups": ["eu"]}), json!("missing_group"), json!("missing_group")),
        (json!({"required_attributes": {"tier": "gold"}}), json!("attribute_mismatch"), json!(true)),
        (
            json!({"required_attributes": {"secret": "x"}}),
            json!("attribute_mismatch"),
            json!("attribute_mismatch"),
        ),
    ] {
        assert_eq!(judge(access(&little), demand.clone()).await, of_little, "{demand}");
        assert_eq!(judge(access(&more), demand.clone()).await, of_more, "{demand}");
        // Whoever runs the project asks about the record.
        let key = app.admin_key(Some(shop.project), "admin").await;
        let mut body = demand.clone();
        body["access_token"] = json!(access(&little));
        let verdict = app.bearer(&shop, "verifyaccesstoken", &key, body).await.ok();
        assert_eq!(verdict["active"], demand != json!({"required_roles": ["king"]}), "{demand}");
    }
}

async fn the_own_view_ends_with_the_first_party(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, api) = world(&app).await;
    let tokens = signed_in(&app, &shop).await;
    let seen = async |token: &str| {
        let info = app.bearer(&shop, "userinfofromaccesstoken", token, json!({})).await.ok();
        assert_eq!(info["preferred_username"], "alice");
        ["roles", "groups", "attributes"].map(|name| info.get(name).is_some())
    };
    assert_eq!(seen(tokens.get("access_token")).await, [true; 3]);
    let passed_on = swapped(&app, &api, tokens.get("access_token"), &[]).await;
    assert_eq!(seen(&passed_on).await, [false; 3], "what is passed on shows what its scopes do");
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", shop.id), json!({"first_party": false})).await.ok();
    assert_eq!(seen(tokens.get("access_token")).await, [false; 3]);
}

async fn no_offline_access_unasked(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let desk = app.desk(&shop, "user_manager").await;
    let (plain, _) = allowed(&app, &shop, "&scope=openid").await;
    let (offline, _) = allowed(&app, &shop, "&scope=openid+offline_access").await;
    let sessions = desk.get(&format!("/users/{}/sessions", shop.user)).await.ok();
    for session in sessions["items"].as_array().unwrap() {
        if session["kind"] == "browser_session" {
            let path = format!("/users/{}/sessions/{}", shop.user, session["id"].as_str().unwrap());
            desk.delete(&path).await.ok();
        }
    }
    assert_eq!(app.verify(&shop, access(&plain)).await["reason"], "session_revoked");
    let refused = app.refresh(&shop, plain["refresh_token"].as_str().unwrap()).await;
    refused.refused(400, "invalid_grant", "the session has ended: session_revoked");
    assert_eq!(app.verify(&shop, access(&offline)).await["active"], true);
}

async fn a_wider_scope_is_allowed_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    kitchen(&app, &shop).await;
    let desk = app.desk(&shop, "admin").await;
    let seen = async |token: &str| {
        let url = app.project_url(&shop, "/oauth2/userinfo");
        let told = app.http.get(url).bearer_auth(token).send().await.unwrap();
        told.json::<Value>().await.unwrap()
    };
    let scope = "&scope=openid+membership";
    let silent = "&scope=openid+membership&prompt=none";
    let (tokens, cookie) = allowed(&app, &shop, scope).await;
    let sub = json!({"sub": shop.user});
    let narrow = json!({"sub": shop.user, "roles": ["cook"], "attributes": {"tier": "gold"}});
    assert_eq!(seen(access(&tokens)).await, narrow);
    // Other words, and the same or less, are covered.
    let same =
        json!({"description": "see how good a cook you are", "claims": ["roles"], "attributes": ["tier"]});
    for change in [same, json!({"attributes": []})] {
        desk.patch("/scopes/membership", change).await.ok();
        assert_eq!(error_of(&app, &shop, silent, &cookie).await, None);
    }
    let code = code_of(&ask(&app, &shop, silent, &cookie).await);
    desk.patch("/scopes/membership", json!({"claims": ["roles", "groups"]})).await.ok();
    // What lives shows nothing of it, and does not say any more that it has the scope.
    assert_eq!(seen(access(&tokens)).await, sub);
    let demand = json!({"access_token": access(&tokens), "required_scopes": ["membership"]});
    assert_eq!(app.call(&shop, "verifyaccesstoken", demand).await.ok()["reason"], "missing_scope");
    let renewed = app.refresh(&shop, tokens["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!(renewed["scope"], "openid");
    assert_eq!(told(&claims_of(access(&renewed)))[0], &json!([]));
    let exchanged = app.exchange(&shop, &code).await.ok();
    assert_eq!((&exchanged["scope"], &seen(access(&exchanged)).await), (&json!("openid"), &sub));
    assert_eq!(error_of(&app, &shop, silent, &cookie).await.as_deref(), Some("consent_required"));
    // Allowed again, it is there again.
    let (tokens, cookie) = allowed(&app, &shop, scope).await;
    let wide = json!({"sub": shop.user, "roles": ["cook"], "groups": ["eu"]});
    assert_eq!((&tokens["scope"], &seen(access(&tokens)).await), (&json!("openid membership"), &wide));
    // So is one that was deleted and made again; a project's own application asks nobody.
    desk.delete("/scopes/membership").await.ok();
    desk.post("/scopes", json!({"name": "membership", "claims": ["roles"]})).await.created();
    assert_eq!(error_of(&app, &shop, silent, &cookie).await.as_deref(), Some("consent_required"));
    assert_eq!(seen(access(&tokens)).await, sub);
}

async fn a_form_shows_what_is_allowed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    kitchen(&app, &shop).await;
    let desk = app.desk(&shop, "admin").await;
    let (cookie, page) = asked(&app, &shop, "&scope=openid+membership").await;
    let change = json!({"claims": ["roles", "groups"], "description": "see your groups"});
    desk.patch("/scopes/membership", change).await.ok();
    let again = decide(&app, &shop, &cookie, &sealed_of(&page.text), "allow").await;
    assert_eq!(again.status(), 200);
    let text = again.text().await.unwrap();
    assert!(text.contains("Allow <bdi>Bureau</bdi>?") && text.contains("see your groups"), "{text}");
    let path = format!("/users/{}/consents", shop.user);
    assert_eq!(desk.get(&path).await.ok()["items"], json!([]));
    let answer = decide(&app, &shop, &cookie, &sealed_of(&text), "allow").await;
    assert_eq!(app.exchange(&shop, &code_of(&answer)).await.ok()["scope"], "openid membership");
}

async fn combinations_are_allowed_one_by_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let desk = app.desk(&shop, "admin").await;
    for name in ["read", "write"] {
        desk.post("/scopes", json!({"name": name})).await.created();
    }
    for name in ["urn:a", "urn:b"] {
        desk.post(
            "/resource-servers",
            json!({"identifier": name, "name": name, "scopes": ["read", "write"]}),
        )
        .await
        .created();
    }
    let change = json!({"resource_servers": ["urn:a", "urn:b"], "scope": "openid read write"});
    desk.patch(&format!("/clients/{}", shop.id), change).await.ok();
    allowed(&app, &shop, "&scope=openid+read&resource=urn:a").await;
    let (_, cookie) = allowed(&app, &shop, "&scope=openid+write&resource=urn:b").await;
    for (request, error) in [
        ("&scope=openid+read&resource=urn:a", None),
        ("&scope=openid+write&resource=urn:b", None),
        ("&scope=openid+write&resource=urn:a", Some("consent_required")),
        ("&scope=openid+read&resource=urn:a&resource=urn:b", Some("consent_required")),
    ] {
        let answer = error_of(&app, &shop, &format!("{request}&prompt=none"), &cookie).await;
        assert_eq!(answer.as_deref(), error, "{request}");
    }
}

async fn consents_go_with_their_client(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = bureau(&app).await;
    let (other, secret) =
        projects::create_client(&app.app, shop.project, "Other", "confidential", settings()).await.unwrap();
    let secret = secret.map(|secret| secret.expose().to_owned());
    let other = Shop { id: other.id.to_string(), secret, slug: shop.slug.clone(), ..shop };
    for shop in [&shop, &other] {
        allowed(&app, shop, "&scope=openid").await;
    }
    let desk = app.desk(&shop, "admin").await;
    desk.delete(&format!("/clients/{}", other.id)).await.ok();
    run_well(&app.app).await;
    let left = desk.get(&format!("/users/{}/consents", shop.user)).await.ok();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(left["items"][0]["client_id"], shop.id.as_str());
    assert_eq!(count(&app.app, shop.project, "consents", "TRUE").await, 1);
}
