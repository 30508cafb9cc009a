//! Who acts for whom (RFC 8693, 4.1): actors in tokens, one within the other, and what ends with each of them.

use serde_json::{Value, json};
use tessera::model::client::{ClientSettings, GrantType};

use crate::support::oauth::claims_of;
use crate::support::{Answer, Engine, Shop, TestApp, both_engines};
use crate::token_exchange::{signed_in, world};

both_engines!(
    an_actor_is_named,
    actors_stand_within_each_other,
    a_chain_ends_with_each_link,
    who_is_no_actor
);

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const STOCK: &str = "https://stock.example";

async fn swap(app: &TestApp, client: &Shop, subject: &str, actor: Option<&str>, audience: &str) -> Answer {
    let mut form = vec![
        ("grant_type", GRANT),
        ("subject_token", subject),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", audience),
    ];
    if let Some(actor) = actor {
        form.extend([("actor_token", actor), ("actor_token_type", ACCESS_TOKEN)]);
    }
    app.form(client, "token", &form).await
}

async fn swapped(app: &TestApp, client: &Shop, subject: &str, actor: Option<&str>, audience: &str) -> String {
    swap(app, client, subject, actor, audience).await.ok()["access_token"].as_str().unwrap().to_owned()
}

/// A token of the client's own name.
async fn own(app: &TestApp, client: &Shop) -> String {
    let answer = app.form(client, "token", &[("grant_type", "client_credentials")]).await.ok();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// The stock, which the API calls, and which may pass on what it was called with.
async fn stock(app: &TestApp, shop: &Shop, chain: bool) -> Shop {
    let settings = ClientSettings {
        grant_types: vec![GrantType::TokenExchange, GrantType::ClientCredentials],
        audience: Some(STOCK.into()),
        token_exchange_chain: chain,
        ..ClientSettings::default()
    };
    app.client(shop, "service", settings).await
}

async fn reason(app: &TestApp, shop: &Shop, token: &str) -> Value {
    let key = app.key(None, "auditor").await;
    let verdict = app.bearer(shop, "verifyaccesstoken", &key, json!({"access_token": token})).await.ok();
    verdict.get("reason").cloned().unwrap_or(json!("active"))
}

async fn an_actor_is_named(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, api) = world(&app).await;
    let tokens = signed_in(&app, &shop).await;
    let access = tokens.get("access_token");
    app.app.clock.advance(60);
    let (without, actor) = (swapped(&app, &api, access, None, STOCK).await, own(&app, &api).await);
    assert_eq!(claims_of(&without).get("act"), None);
    let claims = claims_of(&swapped(&app, &api, access, Some(&actor), STOCK).await);
    assert_eq!(claims["act"], json!({"sub": api.id}));
    assert_eq!((&claims["sub"], &claims["client_id"]), (&claims_of(access)["sub"], &json!(api.id)));
    // No longer than any of the two.
    assert_eq!(claims["exp"], claims_of(access)["exp"]);
    let token = swapped(&app, &api, access, Some(&actor), STOCK).await;
    assert_eq!(app.introspect(&api, &token).await["act"], json!({"sub": api.id}));
}

async fn actors_stand_within_each_other(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, api) = world(&app).await;
    let (stock, plain) = (stock(&app, &shop, true).await, stock(&app, &shop, false).await);
    let tokens = signed_in(&app, &shop).await;
    let first = swapped(&app, &api, tokens.get("access_token"), Some(&own(&app, &api).await), STOCK).await;
    // By policy of the client alone.
    let why = "the subject token is not acceptable: it is a client's own";
    let refused = swap(&app, &plain, &first, None, STOCK).await;
    refused.refused_for(400, "invalid_request", "subject_token", why);
    let second = swapped(&app, &stock, &first, Some(&own(&app, &stock).await), STOCK).await;
    assert_eq!(claims_of(&second)["act"], json!({"sub": stock.id, "act": {"sub": api.id}}));
    // Whoever passes on without a word has acted as well; so had the API, had it named nobody.
    let third = swapped(&app, &stock, &second, None, STOCK).await;
    let chain = json!({"sub": stock.id, "act": {"sub": stock.id, "act": {"sub": api.id}}});
    assert_eq!(claims_of(&third)["act"], chain);
    let unnamed = swapped(&app, &api, tokens.get("access_token"), None, STOCK).await;
    let passed_on = claims_of(&swapped(&app, &stock, &unnamed, None, STOCK).await);
    assert_eq!(passed_on["act"], json!({"sub": stock.id, "act": {"sub": api.id}}));
    assert_eq!(passed_on["sid"], claims_of(tokens.get("access_token"))["sid"]);
    // It is no more than the first ones said, and the chain has an end.
    let mut token = unnamed;
    for _ in 0..4 {
        token = swapped(&app, &stock, &token, None, STOCK).await;
    }
    let why = "the subject token is not acceptable: it was passed on too often";
    swap(&app, &stock, &token, None, STOCK).await.refused_for(400, "invalid_request", "subject_token", why);
}

async fn a_chain_ends_with_each_link(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let (shop, api) = world(&app).await;
    let stock = stock(&app, &shop, true).await;
    let desk = app.desk(&shop, "owner").await;
    for (end, said) in [
        ("the first token", "token_revoked"),
        ("the actor's token", "token_revoked"),
        ("the token itself", "token_revoked"),
        ("the first client", "token_revoked"),
        ("the session", "session_revoked"),
        ("the user", "signed_out"),
    ] {
        let tokens = signed_in(&app, &shop).await;
        let actor = own(&app, &api).await;
        let first = swapped(&app, &api, tokens.get("access_token"), Some(&actor), STOCK).await;
        let second = swapped(&app, &stock, &first, None, STOCK).await;
        assert_eq!(reason(&node, &shop, &second).await, "active", "{end}");
        let (client, token) = match end {
            "the first token" => (&api, first.as_str()),
            "the actor's token" => (&api, actor.as_str()),
            "the token itself" => (&stock, second.as_str()),
            "the session" => (&shop, tokens.get("refresh_token")),
            _ => (&shop, "x"),
        };
        app.form(client, "revoke", &[("token", token)]).await.ok();
        let path = format!("/clients/{}", api.id);
        match end {
            "the first client" => drop(desk.patch(&path, json!({"status": "disabled"})).await.ok()),
            "the user" => {
                drop(app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok());
            }
            _ => {}
        }
        assert_eq!(reason(&node, &shop, &second).await, said, "{end}");
        let info = node.bearer(&shop, "userinfofromaccesstoken", &second, json!({})).await;
        assert_eq!((info.status, &info.body["reason"]), (401, &json!(said)), "{end}");
        desk.patch(&path, json!({"status": "active"})).await.ok();
        assert_ne!(reason(&node, &shop, &second).await, "active", "what has ended stays ended");
    }
}

async fn who_is_no_actor(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, api) = world(&app).await;
    let stock = stock(&app, &shop, false).await;
    let (tokens, other) = (signed_in(&app, &shop).await, app.shop("other", "confidential").await);
    let (access, foreign) = (tokens.get("access_token"), app.sign_in(&other).await);
    let revoked = own(&app, &api).await;
    app.form(&api, "revoke", &[("token", &revoked)]).await.ok();
    for (actor, why) in [
        (access, "it is a user's, and no client's own"),
        (tokens.get("id_token"), "this is not an access token"),
        (foreign.get("access_token"), "no key of this project has that kid"),
        ("x", "this is not a signed JWT"),
        (&revoked, "the session has ended"),
        (&own(&app, &stock).await, "it is neither the client's nor meant for it"),
    ] {
        let why = format!("the actor token is not acceptable: {why}");
        let refused = swap(&app, &api, access, Some(actor), STOCK).await;
        refused.refused_for(400, "invalid_request", "actor_token", &why);
    }
    let form = [("grant_type", GRANT), ("subject_token", access), ("subject_token_type", ACCESS_TOKEN)];
    let ask = async |more: &[(&str, &str)]| app.form(&api, "token", &[&form[..], more].concat()).await;
    let missing = ask(&[("actor_token", "x")]).await;
    missing.refused_for(400, "invalid_request", "actor_token_type", "actor_token_type is missing");
    let alone = ask(&[("actor_token_type", ACCESS_TOKEN)]).await;
    let why = "actor_token_type comes with an actor_token";
    alone.refused_for(400, "invalid_request", "actor_token_type", why);
}
