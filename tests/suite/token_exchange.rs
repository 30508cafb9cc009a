//! Token exchange (RFC 8693): a service calls on in the user's name, with less, for no longer, while both live.

use serde_json::{Value, json};
use tessera::model::client::{ClientSettings, GrantType};

use crate::support::oauth::claims_of;
use crate::support::{Answer, Engine, REDIRECT, Shop, TestApp, Tokens, both_engines};

both_engines!(
    a_service_calls_on_in_the_users_name,
    what_is_not_exchanged,
    audiences_and_scopes_are_by_policy,
    it_lives_while_the_session_and_the_service_do,
    it_ends_alone_and_does_not_act_on_the_account,
);

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const API: &str = "https://api.example";
const STOCK: &str = "https://stock.example";

/// A shop whose tokens are for an API, and the API, which may call on the stock.
pub async fn world(app: &TestApp) -> (Shop, Shop) {
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        audience: Some(API.into()),
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let settings = ClientSettings {
        grant_types: vec![GrantType::TokenExchange, GrantType::ClientCredentials],
        audience: Some(API.into()),
        token_exchange_audiences: vec![STOCK.into()],
        ..ClientSettings::default()
    };
    let api = app.client(&shop, "service", settings).await;
    (shop, api)
}

async fn swap(app: &TestApp, client: &Shop, token: &str, more: &[(&str, &str)]) -> Answer {
    let form = [("grant_type", GRANT), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN)];
    app.form(client, "token", &[&form[..], more].concat()).await
}

pub async fn swapped(app: &TestApp, client: &Shop, token: &str, more: &[(&str, &str)]) -> String {
    swap(app, client, token, more).await.ok()["access_token"].as_str().unwrap().to_owned()
}

pub async fn signed_in(app: &TestApp, shop: &Shop) -> Tokens {
    let (code, _) = app.code(shop, "&scope=openid+profile+email+offline_access").await;
    Tokens(app.exchange(shop, &code).await.ok())
}

/// How the token stands, whoever it is meant for.
async fn judged(app: &TestApp, shop: &Shop, token: &str) -> String {
    let key = app.key(None, "auditor").await;
    let verdict = app.bearer(shop, "verifyaccesstoken", &key, json!({"access_token": token})).await.ok();
    verdict["reason"].as_str().unwrap_or("active").to_owned()
}

async fn a_service_calls_on_in_the_users_name(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, api) = world(&app).await;
    let tokens = signed_in(&app, &shop).await;
    let subject = claims_of(tokens.get("access_token"));
    app.app.clock.advance(600);
    let before = app.app.db.statements();
    let answer =
        swap(&app, &api, tokens.get("access_token"), &[("audience", STOCK), ("scope", "openid email")]).await;
    let answer = answer.ok();
    let after = app.app.db.statements();
    // The client is met for the first time: itself and its secrets; and one read.
    assert_eq!((after.reads - before.reads, after.writes - before.writes), (3, 0));
    let token = answer["access_token"].as_str().unwrap();
    let expected = json!({"access_token": token, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer",
        "expires_in": 3000, "scope": "openid email"});
    assert_eq!(answer, expected, "no longer than the first one; no refresh token, no ID token");
    let claims = claims_of(token);
    for name in ["sub", "sid", "auth_time", "amr", "acr", "exp"] {
        assert_eq!(claims[name], subject[name], "{name}");
    }
    assert_eq!(claims["client_id"], api.id.as_str());
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!(STOCK), &json!("openid email")));
    assert_eq!(judged(&app, &shop, token).await, "active");
    assert_eq!(app.introspect(&api, token).await["active"], true);
    let info = app.bearer(&shop, "userinfofromaccesstoken", token, json!({})).await.ok();
    assert_eq!((&info["email"], info.get("preferred_username")), (&json!("alice@example.com"), None));
}

async fn what_is_not_exchanged(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, api) = world(&app).await;
    let other = app.shop("other", "confidential").await;
    let tokens = signed_in(&app, &shop).await;
    let access = tokens.get("access_token");
    let machine = app.form(&api, "token", &[("grant_type", "client_credentials")]).await.ok();
    let exchanged = swapped(&app, &api, access, &[]).await;
    let foreign = app.sign_in(&other).await;
    for (token, why) in [
        (tokens.get("id_token"), "this is not an access token"),
        (tokens.get("refresh_token"), "this is not a signed JWT"),
        ("x", "this is not a signed JWT"),
        (foreign.get("access_token"), "no key of this project has that kid"),
        (machine["access_token"].as_str().unwrap(), "it is a client's own"),
        (exchanged.as_str(), "it is a client's own"),
    ] {
        let why = format!("the subject token is not acceptable: {why}");
        swap(&app, &api, token, &[]).await.refused_for(400, "invalid_request", "subject_token", &why);
    }
    // Whoever found a token has no use of it here.
    let stranger =
        ClientSettings { grant_types: vec![GrantType::TokenExchange], ..ClientSettings::default() };
    let stranger = app.client(&shop, "service", stranger).await;
    let why = "the subject token is not acceptable: it is neither the client's nor meant for it";
    swap(&app, &stranger, access, &[]).await.refused_for(400, "invalid_request", "subject_token", why);
    let unauthorized = "the client is not registered for this grant type";
    swap(&app, &shop, access, &[]).await.refused(400, "unauthorized_client", unauthorized);
    let types = "urn:ietf:params:oauth:token-type:access_token or urn:ietf:params:oauth:token-type:jwt";
    let form = [("grant_type", GRANT), ("subject_token", access)];
    let ask = async |more: &[(&str, &str)]| app.form(&api, "token", &[&form[..], more].concat()).await;
    ask(&[]).await.refused_for(400, "invalid_request", "subject_token_type", "subject_token_type is missing");
    for name in ["subject_token_type", "requested_token_type"] {
        let of_subject =
            [("subject_token_type", ACCESS_TOKEN), (name, "urn:ietf:params:oauth:token-type:id_token")];
        let of_subject = if name == "subject_token_type" { &of_subject[1..] } else { &of_subject[..] };
        ask(of_subject).await.refused_for(400, "invalid_request", name, &format!("{name} is {types}"));
    }
    let dead = app.bearer(&shop, "GlobalSignOut", access, json!({})).await;
    assert_eq!(dead.status, 200);
    let why = "the subject token is not acceptable: the session has ended";
    swap(&app, &api, access, &[]).await.refused_for(400, "invalid_request", "subject_token", why);
}

async fn audiences_and_scopes_are_by_policy(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, api) = world(&app).await;
    let tokens = signed_in(&app, &shop).await;
    let access = tokens.get("access_token");
    let all = claims_of(&swapped(&app, &api, access, &[]).await);
    assert_eq!((&all["aud"], &all["scope"]), (&json!(API), &json!("openid profile email")));
    for audience in ["https://elsewhere.example", "https://stock.example/", &shop.id, &api.id] {
        let answer = swap(&app, &api, access, &[("audience", audience)]).await;
        answer.refused(400, "invalid_target", "the client may not ask for tokens for this audience");
    }
    for scope in ["phone", "offline_access", "account", "openid address"] {
        let answer = swap(&app, &api, access, &[("scope", scope)]).await;
        let why = "scope asks for more than the subject token and the client have";
        answer.refused(400, "invalid_scope", why);
    }
    let owner = app.desk(&shop, "owner").await;
    let path = format!("/clients/{}", api.id);
    // Resource servers that it is registered for, beside.
    owner.post("/resource-servers", json!({"identifier": "urn:example:ledger"})).await.created();
    let ledger = [("audience", STOCK), ("resource", "urn:example:ledger")];
    let answer = swap(&app, &api, access, &ledger).await;
    answer.refused(400, "invalid_target", "the client may not ask for tokens for this audience");
    owner.patch(&path, json!({"resource_servers": ["urn:example:ledger"]})).await.ok();
    let claims = claims_of(&swapped(&app, &api, access, &ledger).await);
    assert_eq!(claims["aud"], json!([STOCK, "urn:example:ledger"]));
    owner.patch(&path, json!({"scope": "email", "token_exchange_audiences": []})).await.ok();
    assert_eq!(claims_of(&swapped(&app, &api, access, &[]).await)["scope"], "email");
    let answer = swap(&app, &api, access, &[("audience", STOCK)]).await;
    answer.refused(400, "invalid_target", "the client may not ask for tokens for this audience");
}

async fn it_lives_while_the_session_and_the_service_do(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let (shop, api) = world(&app).await;
    let owner = app.desk(&shop, "owner").await;
    let (of_api, of_shop) = (format!("/clients/{}", api.id), format!("/clients/{}", shop.id));
    let user = format!("/users/{}", shop.user);
    let disabled = || json!({"status": "disabled"});
    for (end, reason) in [
        ("session", "session_revoked"),
        ("user", "signed_out"),
        ("api", "client_disabled"),
        ("shop", "client_disabled"),
        ("disabled", "user_disabled"),
    ] {
        let tokens = signed_in(&app, &shop).await;
        let token = swapped(&app, &api, tokens.get("access_token"), &[("audience", STOCK)]).await;
        assert_eq!(judged(&node, &shop, &token).await, "active");
        match end {
            "session" => {
                drop(app.form(&shop, "revoke", &[("token", tokens.get("refresh_token"))]).await.ok())
            }
            "user" => {
                drop(app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok())
            }
            "api" => drop(owner.patch(&of_api, disabled()).await.ok()),
            "shop" => drop(owner.patch(&of_shop, disabled()).await.ok()),
            _ => drop(owner.patch(&user, disabled()).await.ok()),
        }
        assert_eq!(judged(&node, &shop, &token).await, reason, "{end}");
        for path in [&of_api, &of_shop, &user] {
            owner.patch(path, json!({"status": "active"})).await.ok();
        }
        assert_ne!(judged(&node, &shop, &token).await, "active", "what has ended stays ended");
    }
    let tokens = signed_in(&app, &shop).await;
    let token = swapped(&app, &api, tokens.get("access_token"), &[]).await;
    app.app.clock.advance(3600);
    assert_eq!(judged(&app, &shop, &token).await, "expired");
}

async fn it_ends_alone_and_does_not_act_on_the_account(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, api) = world(&app).await;
    let tokens = signed_in(&app, &shop).await;
    let token = swapped(&app, &api, tokens.get("access_token"), &[]).await;
    for (endpoint, body) in [("GlobalSignOut", json!({})), ("attribute-update", json!({"set": {}}))] {
        let answer = app.bearer(&shop, endpoint, &token, body).await;
        let why = "a token in exchange does not act on the account";
        answer.refused(403, "insufficient_scope", why);
    }
    // The user's client did not get it, so it does not end it.
    let answer = app.form(&shop, "revoke", &[("token", &token)]).await;
    answer.refused(400, "unauthorized_client", "the token is another client's");
    let none: Value = app.form(&api, "revoke", &[("token", &token)]).await.ok();
    assert_eq!(none, json!({}));
    assert_eq!(judged(&app, &shop, &token).await, "token_revoked");
    assert_eq!(judged(&app, &shop, tokens.get("access_token")).await, "active");
    app.refresh(&shop, tokens.get("refresh_token")).await.ok();
}
