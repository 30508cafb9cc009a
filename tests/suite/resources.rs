//! Resource servers: which APIs a token is for (RFC 8707).

use reqwest::StatusCode;
use serde_json::{Value, json};
use tessera::model::client::{ClientSettings, GrantType};

use crate::support::{Answer, Engine, REDIRECT, Shop, TestApp, both_engines, location_of, parameter};

both_engines!(
    servers_are_made_and_changed,
    servers_are_bounded,
    tokens_are_for_what_was_asked,
    less_can_be_asked_for,
    what_is_not_registered_is_refused,
    scopes_stay_at_home,
    an_api_is_the_client_that_serves_it,
    who_may_serve,
    an_api_does_not_act_on_the_account,
    userinfo_is_not_for_apis,
    what_is_gone_gets_no_tokens,
    unseen_by_other_projects,
);

const ORDERS: &str = "https://orders.example/api";
const STOCK: &str = "urn:example:stock";

/// A client that is registered for both.
async fn registered(app: &TestApp, slug: &str) -> Shop {
    let shop = app.shop(slug, "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    for name in ["orders:read", "stock:read"] {
        desk.post("/scopes", json!({"name": name})).await.created();
    }
    let orders = json!({"identifier": ORDERS, "name": "Orders", "scopes": ["orders:read"]});
    desk.post("/resource-servers", orders).await.created();
    desk.post("/resource-servers", json!({"identifier": STOCK, "scopes": ["stock:read"]})).await.created();
    let scope = "openid profile email offline_access orders:read stock:read";
    let change = json!({"resource_servers": [ORDERS, STOCK], "scope": scope});
    desk.patch(&format!("/clients/{}", shop.id), change).await.ok();
    shop
}

async fn token(app: &TestApp, shop: &Shop, form: &[(&str, &str)]) -> Answer {
    let request = app.http.post(app.project_url(shop, "/oauth2/token"));
    Answer::of(request.basic_auth(&shop.id, shop.secret.as_ref()).form(form).send().await.unwrap()).await
}

async fn exchange(app: &TestApp, shop: &Shop, code: &str, resources: &[&str]) -> Answer {
    let mut form = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
    form.extend(resources.iter().map(|resource| ("resource", *resource)));
    token(app, shop, &form).await
}

async fn refresh(app: &TestApp, shop: &Shop, tokens: &Value, resources: &[&str]) -> Answer {
    let mut form =
        vec![("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    form.extend(resources.iter().map(|resource| ("resource", *resource)));
    token(app, shop, &form).await
}

/// The audience of an access token, as it says itself.
fn audience(tokens: &Value) -> Value {
    let payload = tokens["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims = tessera::secret::decode_base64url(payload).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["aud"].clone()
}

fn both() -> String {
    format!("&resource={ORDERS}&resource={STOCK}&scope=openid+orders:read+stock:read")
}

async fn servers_are_made_and_changed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.post("/scopes", json!({"name": "orders:read"})).await.created();
    let body = json!({"identifier": ORDERS, "name": "Orders"});
    let made = desk.post("/resource-servers", body.clone()).await.created();
    let path = format!("/resource-servers/{}", made["id"].as_str().unwrap());
    assert_eq!((&made["identifier"], &made["scopes"]), (&json!(ORDERS), &json!([])));
    let again = desk.post("/resource-servers", body).await;
    again.refused_for(409, "conflict", "identifier", "a resource server has this identifier already");
    let changed = desk.patch(&path, json!({"name": "All orders", "scopes": ["orders:read"]})).await.ok();
    assert_eq!((&changed["name"], &changed["scopes"]), (&json!("All orders"), &json!(["orders:read"])));
    assert_eq!(desk.get(&path).await.ok(), changed);
    assert_eq!(desk.get("/resource-servers").await.ok(), json!({"items": [changed], "next": null}));
    let moved = desk.patch(&path, json!({"identifier": STOCK})).await;
    moved.refused_for(400, "invalid_request", "identifier", "unknown field identifier");
    desk.delete(&path).await.ok();
    desk.get(&path).await.refused(404, "not_found", "no such resource server");
    let log = desk.get(&format!("/audit?target=resource_server:{}", made["id"].as_str().unwrap())).await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 3);
}

async fn servers_are_bounded(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let bound = "identifier is an absolute URI without fragment, of at most 255 visible ASCII characters";
    for identifier in ["", "orders", "https://a.example/#f", "https://a.example/ b", &"x".repeat(256)] {
        let refused = desk.post("/resource-servers", json!({"identifier": identifier})).await;
        refused.refused_for(400, "invalid_request", "identifier", bound);
    }
    let unknown = desk.post("/resource-servers", json!({"identifier": ORDERS, "scopes": ["x"]})).await;
    unknown.refused_for(400, "invalid_request", "scopes", "scopes names something that is not there");
    for n in 0..100 {
        desk.post("/resource-servers", json!({"identifier": format!("urn:s:{n}")})).await.created();
    }
    let more = desk.post("/resource-servers", json!({"identifier": ORDERS})).await;
    more.refused_for(400, "invalid_request", "identifier", "a project has at most 100 resource servers");
    let client = format!("/clients/{}", shop.id);
    let unknown = desk.patch(&client, json!({"resource_servers": [ORDERS]})).await;
    let why = "resource_servers names identifiers of the project's resource servers";
    unknown.refused_for(400, "invalid_request", "resource_servers", why);
}

async fn tokens_are_for_what_was_asked(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = registered(&app, "shop").await;
    let (code, _) = app.code(&shop, "").await;
    assert_eq!(audience(&exchange(&app, &shop, &code, &[]).await.ok()), json!(shop.id));
    let (code, _) = app.code(&shop, &format!("&resource={ORDERS}")).await;
    assert_eq!(audience(&exchange(&app, &shop, &code, &[]).await.ok()), json!(ORDERS));
    let (code, _) = app.code(&shop, &both()).await;
    let tokens = exchange(&app, &shop, &code, &[]).await.ok();
    assert_eq!(audience(&tokens), json!([ORDERS, STOCK]));
    // The ID token is for the client, always.
    let payload = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims = tessera::secret::decode_base64url(payload).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&claims).unwrap()["aud"], json!(shop.id));
    assert_eq!(audience(&refresh(&app, &shop, &tokens, &[]).await.ok()), json!([ORDERS, STOCK]));
}

async fn less_can_be_asked_for(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = registered(&app, "shop").await;
    let (code, _) = app.code(&shop, &both()).await;
    let more = "resource names something that was not granted";
    exchange(&app, &shop, &code, &["urn:other"]).await.refused(400, "invalid_target", more);
    // The refusal has not used the code.
    let tokens = exchange(&app, &shop, &code, &[ORDERS]).await.ok();
    assert_eq!(audience(&tokens), json!(ORDERS));
    let other = refresh(&app, &shop, &tokens, &[STOCK]).await.ok();
    assert_eq!(audience(&other), json!(STOCK));
    refresh(&app, &shop, &other, &["urn:other"]).await.refused(400, "invalid_target", more);
    // The session has what it was granted.
    assert_eq!(audience(&refresh(&app, &shop, &other, &[]).await.ok()), json!([ORDERS, STOCK]));
    // A session that is for one never gets tokens for the other.
    let (code, _) = app.code(&shop, &format!("&resource={ORDERS}")).await;
    let tokens = exchange(&app, &shop, &code, &[]).await.ok();
    refresh(&app, &shop, &tokens, &[STOCK]).await.refused(400, "invalid_target", more);
    let (code, _) = app.code(&shop, "").await;
    exchange(&app, &shop, &code, &[ORDERS]).await.refused(400, "invalid_target", more);
}

async fn what_is_not_registered_is_refused(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = registered(&app, "shop").await;
    let desk = app.desk(&shop, "admin").await;
    desk.post("/resource-servers", json!({"identifier": "urn:closed"})).await.created();
    let many = format!("&resource={ORDERS}").repeat(11);
    let why = "this client is registered for no such resource server";
    for (more, why) in [
        ("&resource=urn:closed", why),
        ("&resource=urn:nothing", why),
        ("&resource=orders", why),
        ("&resource=https://orders.example/api/", why),
        (many.as_str(), "at most 10 resources are named at once"),
    ] {
        let answer = app.http.get(app.authorize_url(&shop, more)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let to = location_of(&answer);
        assert_eq!(parameter(&to, "error").as_deref(), Some("invalid_target"), "{more}");
        assert_eq!(parameter(&to, "error_description").as_deref(), Some(why));
        assert_eq!(parameter(&to, "state").as_deref(), Some("s1"));
    }
}

async fn scopes_stay_at_home(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = registered(&app, "shop").await;
    let (code, _) = app.code(&shop, &both()).await;
    let tokens = exchange(&app, &shop, &code, &[ORDERS]).await.ok();
    assert_eq!(tokens["scope"], "openid orders:read");
    let all = refresh(&app, &shop, &tokens, &[]).await.ok();
    assert_eq!(all["scope"], "openid orders:read stock:read");
}

// C094
/// An application that may ask for tokens for an API is not the API: it neither judges, sees nor swaps what another
/// application got for it.
async fn an_api_is_the_client_that_serves_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = registered(&app, "shop").await;
    let desk = app.desk(&shop, "admin").await;
    let exchange_grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let settings = || ClientSettings {
        grant_types: vec![GrantType::TokenExchange],
        resource_servers: vec![ORDERS.into()],
        ..ClientSettings::default()
    };
    let (other, api) =
        (app.second_client(&shop, settings()).await, app.second_client(&shop, settings()).await);
    desk.patch(&format!("/clients/{}", api.id), json!({"serves": [ORDERS]})).await.ok();
    let (code, _) = app.code(&shop, &format!("&resource={ORDERS}")).await;
    let tokens = exchange(&app, &shop, &code, &[]).await.ok();
    let access = tokens["access_token"].as_str().unwrap();
    let swap = async |client: &Shop| {
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        let form = [("grant_type", exchange_grant), ("subject_token", access), ("subject_token_type", kind)];
        token(&app, client, &form).await
    };
    assert_eq!(app.verify(&other, access).await["reason"], "wrong_audience");
    assert_eq!(app.introspect(&other, access).await, json!({"active": false}));
    let why = "the subject token is not acceptable: it is neither the client's nor meant for it";
    swap(&other).await.refused_for(400, "invalid_request", "subject_token", why);
    let verdict = app.verify(&api, access).await;
    assert_eq!((&verdict["active"], &verdict["claims"]["aud"]), (&json!(true), &json!(ORDERS)));
    assert_eq!(app.introspect(&api, access).await["active"], true);
    assert_eq!(audience(&swap(&api).await.ok()), json!(api.id));
    // The application that got it sees how it stands; to judge it, it has to say for whom.
    assert_eq!(app.introspect(&shop, access).await["active"], true);
    assert_eq!(app.verify(&shop, access).await["reason"], "wrong_audience");
    let named = |audience: &str| json!({"access_token": access, "audience": audience});
    assert_eq!(app.call(&shop, "verifyaccesstoken", named(ORDERS)).await.ok()["active"], true);
    assert_eq!(app.call(&api, "verifyaccesstoken", named(STOCK)).await.ok()["reason"], "wrong_audience");
    // It ends with the registration.
    desk.patch(&format!("/clients/{}", api.id), json!({"serves": []})).await.ok();
    assert_eq!(app.verify(&api, access).await["reason"], "wrong_audience");
    assert_eq!(app.introspect(&api, access).await, json!({"active": false}));
}

async fn who_may_serve(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, foreign) = (registered(&app, "shop").await, app.shop("foreign", "confidential").await);
    let desk = app.desk(&shop, "admin").await;
    let public = json!({"client_name": "x", "type": "public", "serves": [ORDERS]});
    let why = "serves is for clients that prove themselves";
    desk.post("/clients", public).await.refused_for(400, "invalid_request", "serves", why);
    let path = format!("/clients/{}", shop.id);
    let many: Vec<String> = (0..101).map(|n| format!("urn:s:{n}")).collect();
    let why = "serves has at most 100 entries";
    desk.patch(&path, json!({"serves": many})).await.refused_for(400, "invalid_request", "serves", why);
    let why = "serves names identifiers of the project's resource servers";
    desk.patch(&path, json!({"serves": ["urn:x"]})).await.refused_for(400, "invalid_request", "serves", why);
    let theirs = app.desk(&foreign, "admin").await;
    let abroad = theirs.patch(&format!("/clients/{}", foreign.id), json!({"serves": [ORDERS]})).await;
    abroad.refused_for(400, "invalid_request", "serves", why);
    let service = json!({"client_name": "x", "type": "service", "serves": [ORDERS]});
    assert_eq!(desk.post("/clients", service).await.created()["serves"], json!([ORDERS]));
    assert_eq!(desk.patch(&path, json!({"serves": [STOCK]})).await.ok()["serves"], json!([STOCK]));
}

async fn an_api_does_not_act_on_the_account(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = registered(&app, "shop").await;
    let (code, _) = app.code(&shop, &format!("&resource={ORDERS}")).await;
    let tokens = exchange(&app, &shop, &code, &[]).await.ok();
    for endpoint in ["GlobalSignOut", "attribute-update"] {
        let refused = app.bearer(&shop, endpoint, tokens["access_token"].as_str().unwrap(), json!({})).await;
        let why = "the token is for resource servers, not for the account";
        refused.refused(403, "insufficient_scope", why);
    }
}

/// The mail address of whoever called an API is for the application, not for the API.
async fn userinfo_is_not_for_apis(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = registered(&app, "shop").await;
    let why = "the token is for resource servers, not for userinfo";
    let refused = async |access: &str| {
        let at_oauth = app.http.get(app.project_url(&shop, "/oauth2/userinfo")).bearer_auth(access).send();
        let at_oauth = Answer::of(at_oauth.await.unwrap()).await;
        for answer in [at_oauth, app.bearer(&shop, "userinfofromaccesstoken", access, json!({})).await] {
            let said = (&answer.body["error"], &answer.body["error_description"], &answer.body["reason"]);
            let expected = (&json!("invalid_token"), &json!(why), &json!("wrong_audience"));
            assert_eq!((answer.status, said), (401, expected));
        }
    };
    let scope = "&scope=openid+email+orders:read";
    let (code, _) = app.code(&shop, &format!("{scope}&resource={ORDERS}")).await;
    let tokens = exchange(&app, &shop, &code, &[]).await.ok();
    refused(tokens["access_token"].as_str().unwrap()).await;
    // A server that is deleted takes nothing back of that.
    let desk = app.desk(&shop, "admin").await;
    let all = desk.get("/resource-servers").await.ok();
    for server in all["items"].as_array().unwrap().iter().filter(|server| server["identifier"] == ORDERS) {
        desk.delete(&format!("/resource-servers/{}", server["id"].as_str().unwrap())).await.ok();
    }
    refused(tokens["access_token"].as_str().unwrap()).await;
    // The application's own token is for us; one that it is handed in exchange for an API is not.
    let (code, _) = app.code(&shop, scope).await;
    let tokens = exchange(&app, &shop, &code, &[]).await.ok();
    let own = tokens["access_token"].as_str().unwrap();
    let info = app.bearer(&shop, "userinfofromaccesstoken", own, json!({})).await.ok();
    assert_eq!(info["email"], "alice@example.com");
    let settings = ClientSettings {
        grant_types: vec![GrantType::TokenExchange],
        audience: Some(shop.id.clone()),
        resource_servers: vec![STOCK.into()],
        ..ClientSettings::default()
    };
    let service = app.second_client(&shop, settings).await;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", own),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("resource", STOCK),
    ];
    let swapped = token(&app, &service, &form).await.ok();
    // What means something at another server only was left out on the way.
    assert_eq!((audience(&swapped), &swapped["scope"]), (json!(STOCK), &json!("openid email")));
    refused(swapped["access_token"].as_str().unwrap()).await;
    let closed = [&form[..3], &[("resource", "urn:nothing")]].concat();
    let why = "the client may not ask for tokens for this audience";
    token(&app, &service, &closed).await.refused(400, "invalid_target", why);
}

async fn what_is_gone_gets_no_tokens(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = registered(&app, "shop").await;
    let desk = app.desk(&shop, "admin").await;
    let (code, _) = app.code(&shop, &both()).await;
    let tokens = exchange(&app, &shop, &code, &[]).await.ok();
    // No longer registered for one; the other is no longer there.
    desk.patch(&format!("/clients/{}", shop.id), json!({"resource_servers": [STOCK]})).await.ok();
    let tokens = refresh(&app, &shop, &tokens, &[]).await.ok();
    assert_eq!(audience(&tokens), json!(STOCK));
    let all = desk.get("/resource-servers").await.ok();
    let stock = all["items"].as_array().unwrap().iter().find(|server| server["identifier"] == STOCK).unwrap();
    desk.delete(&format!("/resource-servers/{}", stock["id"].as_str().unwrap())).await.ok();
    let why = "the resource servers of this grant are no longer there for this client";
    refresh(&app, &shop, &tokens, &[]).await.refused(400, "invalid_target", why);
}

async fn unseen_by_other_projects(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (registered(&app, "shop").await, app.shop("other", "confidential").await);
    let (ours, theirs) = (app.desk(&shop, "admin").await, app.desk(&other, "admin").await);
    assert_eq!(theirs.get("/resource-servers").await.ok()["items"], json!([]));
    let id = ours.get("/resource-servers").await.ok()["items"][0]["id"].as_str().unwrap().to_owned();
    let none = "no such resource server";
    theirs.get(&format!("/resource-servers/{id}")).await.refused(404, "not_found", none);
    theirs.delete(&format!("/resource-servers/{id}")).await.refused(404, "not_found", none);
    let client = format!("/clients/{}", other.id);
    assert_eq!(theirs.patch(&client, json!({"resource_servers": [ORDERS]})).await.status, 400);
    let answer =
        app.http.get(app.authorize_url(&other, &format!("&resource={ORDERS}"))).send().await.unwrap();
    assert_eq!(parameter(&location_of(&answer), "error").as_deref(), Some("invalid_target"));
}
