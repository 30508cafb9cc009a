//! `oauth2/introspect` (RFC 7662): what the owner and the audience of a token are told, and everybody else is not.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::model::client::{ClientSettings, GrantType};

use crate::support::oauth::claims_of;
use crate::support::{Answer, Engine, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    // C092
    the_owner_is_told,
    // C093
    only_clients_that_prove_themselves_ask,
    // C094
    nobody_learns_of_a_token_that_is_not_theirs,
    // C092 C099
    what_has_ended_is_not_active,
    // C088 C102
    what_is_no_token_of_ours_is_not_active,
    looking_at_a_refresh_token_is_no_use,
);

fn inactive() -> Value {
    json!({"active": false})
}

async fn the_owner_is_told(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let (access, refresh) = (tokens.get("access_token"), tokens.get("refresh_token"));
    let mut expected = claims_of(access);
    expected["active"] = json!(true);
    expected["token_type"] = json!("Bearer");
    for hint in ["access_token", "refresh_token", "colour"] {
        let form = [("token", access), ("token_type_hint", hint), ("colour", "blue")];
        assert_eq!(app.form(&shop, "introspect", &form).await.ok(), expected, "a wrong hint is survived");
    }
    let now = app.app.clock.now().unix();
    let expected = json!({"active": true, "iss": app.project_url(&shop, ""), "sub": shop.user,
        "client_id": shop.id, "scope": "openid profile email", "sid": expected["sid"], "iat": now,
        "exp": now + 30 * 86_400});
    for hint in ["access_token", "refresh_token"] {
        let form = [("token", refresh), ("token_type_hint", hint)];
        assert_eq!(app.form(&shop, "introspect", &form).await.ok(), expected);
    }
}

async fn only_clients_that_prove_themselves_ask(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let public = ClientSettings { redirect_uris: vec![REDIRECT.into()], ..ClientSettings::default() };
    let public = app.client(&shop, "public", public).await;
    let tokens = app.sign_in(&shop).await;
    let access = tokens.get("access_token");
    let url = app.project_url(&shop, "/oauth2/introspect");
    let post = || app.http.post(&url);
    let ask = async |request: reqwest::RequestBuilder| Answer::of(request.send().await.unwrap()).await;
    let form = [("token", access)];
    ask(post().form(&form)).await.refused(401, "invalid_client", "the request names no client");
    let wrong = ask(post().basic_auth(&shop.id, Some("wrong")).form(&form)).await;
    wrong.refused(401, "invalid_client", "client authentication failed");
    let named = "introspection is for clients that prove themselves";
    app.form(&public, "introspect", &form).await.refused(401, "invalid_client", named);
    let bearer = ask(post().bearer_auth(access).form(&form)).await;
    bearer.refused(401, "invalid_client", "the Authorization header is not HTTP Basic");
    let missing = app.form(&shop, "introspect", &[]).await;
    missing.refused_for(400, "invalid_request", "token", "token is missing");
    let twice = app.form(&shop, "introspect", &[("token", access), ("token", access)]).await;
    twice.refused(400, "invalid_request", "the body is not form-encoded, or a parameter is given twice");
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        let request = app.http.request(method, format!("{url}?token={access}"));
        let answer = request.basic_auth(&shop.id, shop.secret.as_ref()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 405);
    }
    let query = post().query(&form).basic_auth(&shop.id, shop.secret.as_ref()).form(&form);
    let why = "parameters belong into the body, not into the address";
    ask(query).await.refused(400, "invalid_request", why);
}

async fn nobody_learns_of_a_token_that_is_not_theirs(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let other = app.shop("other", "confidential").await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        audience: Some("https://orders.example".into()),
        ..ClientSettings::default()
    };
    let caller = app.client(&shop, "confidential", settings).await;
    let orders = ClientSettings {
        audience: Some("https://orders.example".into()),
        grant_types: vec![GrantType::ClientCredentials],
        ..ClientSettings::default()
    };
    let orders = app.client(&shop, "service", orders).await;
    let stranger = app.service(&shop, &[GrantType::ClientCredentials], None).await;
    let (code, _) = app.code(&caller, "&scope=openid").await;
    let tokens = app.exchange(&caller, &code).await.ok();
    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    // Its own, and whom it is meant for.
    for client in [&caller, &orders] {
        assert_eq!(app.introspect(client, access).await["active"], true);
    }
    for client in [&shop, &stranger, &other] {
        assert_eq!(app.introspect(client, access).await, inactive());
    }
    // A refresh token is meant for its client alone.
    assert_eq!(app.introspect(&caller, refresh).await["active"], true);
    for client in [&orders, &shop, &stranger, &other] {
        assert_eq!(app.introspect(client, refresh).await, inactive());
    }
}

async fn what_has_ended_is_not_active(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let both = async |tokens: &crate::support::Tokens| {
        let told = [
            app.introspect(&shop, tokens.get("access_token")).await,
            app.introspect(&shop, tokens.get("refresh_token")).await,
        ];
        told.map(|told| told["active"].as_bool().filter(|active| *active || told == inactive()).unwrap())
    };
    let tokens = app.sign_in(&shop).await;
    assert_eq!(both(&tokens).await, [true, true]);
    app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    assert_eq!(both(&tokens).await, [false, false]);
    let tokens = app.sign_in(&shop).await;
    app.app.clock.advance(3600);
    assert_eq!(both(&tokens).await, [false, true]);
    app.app.clock.advance(30 * 86_400);
    assert_eq!(both(&tokens).await, [false, false]);
    let tokens = app.sign_in(&shop).await;
    let owner = app.desk(&shop, "owner").await;
    owner.patch(&format!("/users/{}", shop.user), json!({"status": "disabled"})).await.ok();
    assert_eq!(both(&tokens).await, [false, false]);
}

async fn what_is_no_token_of_ours_is_not_active(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let unsigned = tokens.get("access_token").rsplit_once('.').unwrap().0;
    let unsigned = format!("{unsigned}.{}", "A".repeat(86));
    for token in [tokens.get("id_token"), unsigned.as_str(), "x", "a.b.c", "tsr_AAAA", "tco_x", "\u{0}'--"] {
        assert_eq!(app.introspect(&shop, token).await, inactive(), "{token}");
        if token != "x" {
            let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
            let answer = app.form(&shop, "token", &form).await;
            answer.refused(400, "invalid_grant", "the refresh token is not valid");
        }
    }
}

/// A token that was used already is not active, and looking at it is no replay.
async fn looking_at_a_refresh_token_is_no_use(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop: Shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let first = tokens.get("refresh_token");
    let second = app.refresh(&shop, first).await.ok();
    let second = second["refresh_token"].as_str().unwrap();
    // Within the window it may be asked for again.
    assert_eq!(app.introspect(&shop, first).await["active"], true);
    app.app.clock.advance(31);
    assert_eq!(app.introspect(&shop, first).await, inactive());
    assert_eq!(app.introspect(&shop, second).await["active"], true);
    app.refresh(&shop, second).await.ok();
}
