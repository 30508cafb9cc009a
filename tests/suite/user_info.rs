//! `userinfofromaccesstoken`: what each scope shows, as it is now, and nothing beyond it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Answer, Engine, Shop, TestApp, both_engines};

both_engines!(each_scope_shows_its_claims, it_shows_what_is_now, denials);

/// A token that was granted these scopes beside `openid`.
async fn token(app: &TestApp, shop: &Shop, scopes: &str) -> String {
    let (code, _) = app.code(shop, &format!("&scope=openid{scopes}")).await;
    app.exchange(shop, &code).await.ok()["access_token"].as_str().unwrap().to_owned()
}

async fn claims(app: &TestApp, shop: &Shop, token: &str) -> Value {
    app.bearer(shop, "userinfofromaccesstoken", token, json!({})).await.ok()
}

fn names(claims: &Value) -> BTreeSet<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}

/// OpenID Connect Core, 5.4.
async fn each_scope_shows_its_claims(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let profile = json!({"given_name": "Alice", "birthdate": "1990-04-01", "phone_number": "+35112345678",
        "phone_number_verified": true, "address": {"country": "PT"}});
    app.desk(&shop, "admin").await.patch(&format!("/users/{}", shop.user), profile).await.ok();

    for (scopes, shown) in [
        ("", vec![]),
        (
            "+profile",
            vec![
                "attributes",
                "birthdate",
                "given_name",
                "groups",
                "preferred_username",
                "roles",
                "updated_at",
            ],
        ),
        ("+email", vec!["email", "email_verified"]),
        ("+phone", vec!["phone_number", "phone_number_verified"]),
        ("+address", vec!["address"]),
    ] {
        let claims = claims(&app, &shop, &token(&app, &shop, scopes).await).await;
        let expected: BTreeSet<&str> = shown.into_iter().chain(["sub"]).collect();
        assert_eq!(names(&claims), expected, "{scopes}");
        assert_eq!(claims["sub"], shop.user.to_string());
    }
    let all = claims(&app, &shop, &token(&app, &shop, "+email+phone+address").await).await;
    assert_eq!(all["email"], "alice@example.com");
    assert_eq!(all["address"], json!({"country": "PT"}));
    assert_eq!(all["phone_number"], "+35112345678");
}

async fn it_shows_what_is_now(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let token = token(&app, &shop, "+profile+email").await;
    let node = app.second_node().await;
    assert_eq!(claims(&node, &shop, &token).await["preferred_username"], "alice");
    let change = json!({"username": "bob", "email": null, "family_name": "Smith"});
    app.desk(&shop, "admin").await.patch(&format!("/users/{}", shop.user), change).await.ok();
    let now = claims(&node, &shop, &token).await;
    assert_eq!((&now["preferred_username"], &now["family_name"]), (&json!("bob"), &json!("Smith")));
    assert!(!names(&now).contains("email") && !names(&now).contains("email_verified"));
}

async fn denials(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let url = app.project_url(&shop, "/api/userinfofromaccesstoken");
    let nothing = Answer::of(app.http.post(&url).send().await.unwrap()).await;
    nothing.refused(401, "invalid_token", "the request carries no access token");
    let token = token(&app, &shop, "").await;
    let named = app.http.post(&url).json(&json!({"access_token": token})).send().await.unwrap();
    assert_eq!(names(&Answer::of(named).await.ok()), BTreeSet::from(["sub"]), "it may stand in the body");
    let twice = app.bearer(&shop, "userinfofromaccesstoken", &token, json!({"access_token": token})).await;
    twice.refused(400, "invalid_request", "the access token is given in two ways at once");
    let unknown = app.bearer(&shop, "userinfofromaccesstoken", &token, json!({"scope": "email"})).await;
    assert_eq!((unknown.status, &unknown.body["field"]), (400, &json!("scope")), "{}", unknown.body);
}
