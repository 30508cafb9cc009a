//! Client credentials: what a client gets in its own name, what it is not taken for, and that it ends with the client.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::model::client::{ClientSettings, GrantType};

use crate::support::oauth::claims_of;
use crate::support::{Engine, REDIRECT, Shop, TestApp, both_engines, location_of, parameter, run};

both_engines!(
    // C100 C103
    a_client_gets_a_token_in_its_own_name,
    // C103
    who_gets_none,
    // C097 C102
    it_is_no_users_token,
    it_ends_with_the_client_and_the_project,
    // C131
    another_project_knows_nothing_of_it,
    what_it_costs,
    it_is_for_the_resources_that_it_names,
);

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

async fn token_of(app: &TestApp, service: &Shop) -> String {
    let answer = app.form(service, "token", &[GRANT]).await.ok();
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn a_client_gets_a_token_in_its_own_name(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let service = app.service(&shop, &[GrantType::ClientCredentials], Some("openid profile email")).await;
    let now = app.app.clock.now().unix();
    let answer = app.form(&service, "token", &[GRANT]).await.ok();
    let token = answer["access_token"].as_str().unwrap();
    let expected =
        json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": "profile email"});
    assert_eq!(answer, expected, "no refresh token and no ID token");
    let claims = claims_of(token);
    let expected = json!({"iss": app.project_url(&shop, ""), "sub": service.id, "aud": service.id,
        "client_id": service.id, "iat": now, "exp": now + 3600, "jti": claims["jti"], "scope": "profile email",
        "epochs": claims["epochs"]});
    assert_eq!(claims, expected);
    let verdict = app.verify(&service, token).await;
    let expected = json!({"active": true, "claims": claims, "claims_stale": false, "audience_checked": true});
    assert_eq!(verdict, expected);
    // Less on demand, in whatever order; nothing more.
    let narrowed = app.form(&service, "token", &[GRANT, ("scope", "email")]).await.ok();
    assert_eq!(narrowed["scope"], "email");
    for scope in ["phone", "profile openid", "offline_access", "account", "orders"] {
        let answer = app.form(&service, "token", &[GRANT, ("scope", scope)]).await;
        answer.refused(400, "invalid_scope", "scope asks for more than the client is registered for");
    }
    // Whoever asks for a role or an attribute asks for a person's.
    for (demand, reason) in [
        (json!({"required_scopes": ["phone"]}), "missing_scope"),
        (json!({"required_roles": ["r"]}), "missing_role"),
        (json!({"required_groups": ["g"]}), "missing_group"),
        (json!({"required_attributes": {"a": null}}), "attribute_mismatch"),
    ] {
        let mut body = demand;
        body["access_token"] = json!(token);
        let verdict = app.call(&service, "verifyaccesstoken", body).await.ok();
        assert_eq!(verdict["reason"], reason);
    }
    app.app.clock.advance(3600);
    assert_eq!(app.verify(&service, token).await["reason"], "expired");
}

async fn who_gets_none(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let public = ClientSettings { redirect_uris: vec![REDIRECT.into()], ..ClientSettings::default() };
    let public = app.client(&shop, "public", public).await;
    let unauthorized = "the client is not registered for this grant type";
    for client in [&shop, &public] {
        let answer = app.form(client, "token", &[GRANT]).await;
        answer.refused(400, "unauthorized_client", unauthorized);
    }
    let service = app.service(&shop, &[GrantType::ClientCredentials], None).await;
    let nameless = Shop { secret: None, slug: shop.slug.clone(), id: service.id.clone(), ..shop };
    app.form(&nameless, "token", &[GRANT]).await.refused(
        401,
        "invalid_client",
        "client authentication failed",
    );
    for (name, value) in [("refresh_token", "x"), ("code", "x")] {
        let grant = if name == "code" { "authorization_code" } else { name };
        let form = [("grant_type", grant), (name, value), ("redirect_uri", REDIRECT)];
        app.form(&service, "token", &form).await.refused(400, "unauthorized_client", unauthorized);
    }
    // A client of people may be registered for it beside.
    let both = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::ClientCredentials],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let both = app.client(&nameless, "confidential", both).await;
    app.form(&both, "token", &[GRANT]).await.ok();
    let program = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        grant_types: vec![GrantType::ClientCredentials],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let program = app.client(&nameless, "confidential", program).await;
    let answer = app.http.get(app.authorize_url(&program, "")).send().await.unwrap();
    assert_eq!(parameter(&location_of(&answer), "error").as_deref(), Some("unauthorized_client"));
    let (code, _) = app.code(&both, "&scope=openid+offline_access").await;
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
    let tokens = app.form(&both, "token", &form).await.ok();
    assert_eq!(tokens.get("refresh_token"), None, "it is not registered to use one");
}

async fn it_is_no_users_token(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let service = app.service(&shop, &[GrantType::ClientCredentials], Some("profile email")).await;
    let token = token_of(&app, &service).await;
    let why = |body: &Value| (body["error"].clone(), body["reason"].clone());
    for endpoint in ["userinfofromaccesstoken", "GlobalSignOut", "attribute-update"] {
        let body = if endpoint == "attribute-update" { json!({"set": {}}) } else { json!({}) };
        let answer = app.bearer(&service, endpoint, &token, body).await;
        assert_eq!(why(&answer.body), (json!("invalid_token"), json!("wrong_token_use")), "{endpoint}");
    }
    for method in [Method::GET, Method::POST] {
        let request = app.http.request(method, app.project_url(&shop, "/oauth2/userinfo"));
        let answer = request.bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401);
        assert_eq!(answer.headers()["www-authenticate"], r#"Bearer error="invalid_token""#);
    }
    // Nor a refresh token, nor a code.
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    app.form(&shop, "token", &form).await.refused(400, "invalid_grant", "the refresh token is not valid");
}

async fn it_ends_with_the_client_and_the_project(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let node = app.second_node().await;
    let owner = app.desk(&shop, "owner").await;
    let key = app.key(None, "owner").await;
    let judge = async |token: &str, service: &Shop| {
        let body = json!({"access_token": token, "audience": service.id});
        node.bearer(&shop, "verifyaccesstoken", &key, body).await.ok()
    };
    let service = app.service(&shop, &[GrantType::ClientCredentials], None).await;
    let path = format!("/clients/{}", service.id);
    for (change, back, reason, after) in [
        (Some((path.as_str(), "disabled")), Some("active"), "client_disabled", "signed_out"),
        (Some(("", "disabled")), Some("active"), "project_disabled", "signed_out"),
        (None, None, "signed_out", "signed_out"),
    ] {
        let token = token_of(&app, &service).await;
        assert_eq!(judge(&token, &service).await["active"], true);
        assert_eq!(node.introspect(&service, &token).await["active"], true);
        match change {
            Some((path, status)) => drop(owner.patch(path, json!({"status": status})).await.ok()),
            None => drop(owner.post("/end-all-sessions", json!({"reason": "test"})).await.ok()),
        }
        assert_eq!(judge(&token, &service).await["reason"], reason);
        if change.is_some() {
            let answer = node.form(&service, "token", &[GRANT]).await;
            match reason {
                "project_disabled" => answer.refused(400, "unauthorized_client", "the project is disabled"),
                _ => answer.refused(401, "invalid_client", "client authentication failed"),
            }
        }
        if let (Some((path, _)), Some(status)) = (change, back) {
            owner.patch(path, json!({"status": status})).await.ok();
        }
        assert_eq!(judge(&token, &service).await["reason"], after, "what has ended stays ended");
        assert_eq!(node.introspect(&service, &token).await, json!({"active": false}));
        // And the next one lives; none is given where nothing would take it.
        assert_eq!(judge(&token_of(&node, &service).await, &service).await["active"], true);
    }
    let token = token_of(&app, &service).await;
    owner.post(&format!("{path}/rotate-secret"), json!({"leaked": true})).await.ok();
    assert_eq!(judge(&token, &service).await["reason"], "signed_out");
    owner.delete(&path).await.ok();
    assert_eq!(judge(&token, &service).await["reason"], "client_deleted");
}

async fn another_project_knows_nothing_of_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let service = app.service(&shop, &[GrantType::ClientCredentials], None).await;
    let token = token_of(&app, &service).await;
    assert_eq!(app.verify(&other, &token).await["reason"], "unknown_key");
    assert_eq!(app.introspect(&other, &token).await, json!({"active": false}));
    app.form(&other, "revoke", &[("token", &token)]).await.ok();
    assert_eq!(app.introspect(&service, &token).await["active"], true);
    let abroad =
        Shop { slug: other.slug.clone(), id: service.id.clone(), secret: service.secret.clone(), ..other };
    app.form(&abroad, "token", &[GRANT]).await.refused(401, "invalid_client", "client authentication failed");
}

/// RFC 8707, 2: only what the client is registered for, and at each what means something there.
async fn it_is_for_the_resources_that_it_names(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    for (name, identifier) in [("orders:read", "https://orders.example"), ("stock:read", "urn:example:stock")]
    {
        desk.post("/scopes", json!({"name": name})).await.created();
        let server = json!({"identifier": identifier, "scopes": [name]});
        desk.post("/resource-servers", server).await.created();
    }
    let service = app.service(&shop, &[GrantType::ClientCredentials], None).await;
    let path = format!("/clients/{}", service.id);
    let change = json!({"scope": "orders:read stock:read", "resource_servers": ["https://orders.example"]});
    desk.patch(&path, change).await.ok();
    let ask = async |resource: &str| app.form(&service, "token", &[GRANT, ("resource", resource)]).await;
    let answer = ask("https://orders.example").await.ok();
    let claims = claims_of(answer["access_token"].as_str().unwrap());
    assert_eq!((&claims["aud"], &answer["scope"]), (&json!("https://orders.example"), &json!("orders:read")));
    for resource in ["urn:example:stock", "https://orders.example/", "x"] {
        let why = "this client is registered for no such resource server";
        ask(resource).await.refused(400, "invalid_target", why);
    }
    let own = claims_of(&token_of(&app, &service).await);
    assert_eq!((&own["aud"], &own["scope"]), (&json!(service.id), &json!("orders:read stock:read")));
    // A scope that the project no longer has is nobody's, whatever a registration says.
    for server in desk.get("/resource-servers").await.ok()["items"].as_array().unwrap() {
        desk.patch(&format!("/resource-servers/{}", server["id"].as_str().unwrap()), json!({"scopes": []}))
            .await
            .ok();
    }
    run(&app.app.db, "DELETE FROM scopes WHERE name = 'orders:read'").await;
    run(&app.app.db, "UPDATE projects SET version = version + 1").await;
    assert_eq!(claims_of(&token_of(&app, &service).await)["scope"], "stock:read");
    let gone = app.form(&service, "token", &[GRANT, ("scope", "orders:read")]).await;
    gone.refused(400, "invalid_scope", "scope asks for more than the client is registered for");
}

/// One read, whatever is asked.
async fn what_it_costs(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let service = app.service(&shop, &[GrantType::ClientCredentials], None).await;
    let token = token_of(&app, &service).await;
    let cost = async |call: &str| {
        let before = app.app.db.statements();
        match call {
            "token" => drop(token_of(&app, &service).await),
            "introspect" => drop(app.introspect(&service, &token).await),
            _ => drop(app.verify(&service, &token).await),
        }
        let after = app.app.db.statements();
        (after.reads - before.reads, after.writes - before.writes, after.units - before.units)
    };
    for call in ["token", "introspect", "verify"] {
        assert_eq!(cost(call).await, (1, 0, 0), "{call}");
    }
}
