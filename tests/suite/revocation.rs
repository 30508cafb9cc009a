//! `oauth2/revoke` (RFC 7009): what it ends, what it does not, and for whom.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tessera::model::client::{ClientSettings, GrantType};

use crate::support::{Engine, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    // C089 C090
    a_session_ends_by_either_token,
    // C089
    known_and_unknown_tokens_are_ended_alike,
    // C091
    nobody_ends_anothers_tokens,
    a_machines_token_ends_alone,
    it_is_recorded_once,
);

async fn revoke(app: &TestApp, shop: &Shop, token: &str, hint: Option<&str>) -> Value {
    let hint = hint.map(|hint| ("token_type_hint", hint));
    let form: Vec<(&str, &str)> = [Some(("token", token)), hint].into_iter().flatten().collect();
    app.form(shop, "revoke", &form).await.ok()
}

async fn a_session_ends_by_either_token(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    for (which, hint) in [
        ("access_token", None),
        ("refresh_token", Some("refresh_token")),
        ("refresh_token", Some("access_token")),
        ("access_token", Some("refresh_token")),
    ] {
        let (tokens, beside) = (app.sign_in(&shop).await, app.sign_in(&shop).await);
        assert_eq!(revoke(&app, &shop, tokens.get(which), hint).await, json!({}));
        // At once, on every node, and for all that the session has.
        assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "session_revoked");
        assert_eq!(node.introspect(&shop, tokens.get("access_token")).await, json!({"active": false}));
        let why = "the session has ended: session_revoked";
        node.refresh(&shop, tokens.get("refresh_token")).await.refused(400, "invalid_grant", why);
        // Another session of the same person goes on.
        assert_eq!(node.verify(&shop, beside.get("access_token")).await["active"], true);
        node.refresh(&shop, beside.get("refresh_token")).await.ok();
    }
    // A predecessor is the session's token as well.
    let tokens = app.sign_in(&shop).await;
    let renewed = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    revoke(&app, &shop, tokens.get("refresh_token"), None).await;
    let access = renewed["access_token"].as_str().unwrap();
    assert_eq!(node.verify(&shop, access).await["reason"], "session_revoked");
}

async fn known_and_unknown_tokens_are_ended_alike(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    for token in ["x", "a.b.c", "tsr_AAAA", tokens.get("id_token"), "\u{0}"] {
        assert_eq!(revoke(&app, &shop, token, Some("colour")).await, json!({}), "{token}");
    }
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
    for _ in 0..2 {
        revoke(&app, &shop, tokens.get("access_token"), None).await;
    }
    app.app.clock.advance(86_400);
    revoke(&app, &shop, tokens.get("access_token"), None).await;
    let missing = app.form(&shop, "revoke", &[]).await;
    missing.refused_for(400, "invalid_request", "token", "token is missing");
}

async fn nobody_ends_anothers_tokens(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, foreign) = (app.shop("shop", "confidential").await, app.shop("foreign", "confidential").await);
    let public = ClientSettings { redirect_uris: vec![REDIRECT.into()], ..ClientSettings::default() };
    let public = app.client(&shop, "public", public).await;
    let other = app.service(&shop, &[GrantType::ClientCredentials], None).await;
    let tokens = app.sign_in(&shop).await;
    for which in ["access_token", "refresh_token"] {
        for client in [&other, &public] {
            let answer = app.form(client, "revoke", &[("token", tokens.get(which))]).await;
            answer.refused(400, "unauthorized_client", "the token is another client's");
        }
        // Another project does not know it, and whoever proves nothing ends nothing.
        revoke(&app, &foreign, tokens.get(which), None).await;
        let nameless = Shop { secret: None, slug: shop.slug.clone(), id: shop.id.clone(), ..shop };
        let answer = app.form(&nameless, "revoke", &[("token", tokens.get(which))]).await;
        answer.refused(401, "invalid_client", "client authentication failed");
    }
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
    app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    // A public client ends its own by its name.
    let challenge = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let (code, _) = app.code(&public, challenge).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ];
    let own = app.form(&public, "token", &form).await.ok();
    let access = own["access_token"].as_str().unwrap();
    assert_eq!(app.verify(&public, access).await["active"], true);
    revoke(&app, &public, access, None).await;
    assert_eq!(app.verify(&public, access).await["reason"], "session_revoked");
}

async fn a_machines_token_ends_alone(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    let service = app.service(&shop, &[GrantType::ClientCredentials], None).await;
    let form = [("grant_type", "client_credentials")];
    let (first, second) =
        (app.form(&service, "token", &form).await.ok(), app.form(&service, "token", &form).await.ok());
    let (first, second) = (first["access_token"].as_str().unwrap(), second["access_token"].as_str().unwrap());
    assert_eq!(node.verify(&service, first).await["active"], true);
    let ends = (0..5).map(|_| revoke(&app, &service, first, None));
    join_all(ends).await;
    assert_eq!(node.verify(&service, first).await["reason"], "token_revoked");
    assert_eq!(node.introspect(&service, first).await, json!({"active": false}));
    assert_eq!(node.verify(&service, second).await["active"], true);
}

async fn it_is_recorded_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let claims = app.verify(&shop, tokens.get("access_token")).await["claims"].clone();
    join_all((0..5).map(|_| revoke(&app, &shop, tokens.get("refresh_token"), None))).await;
    let log = app.desk(&shop, "auditor").await.get("/audit?action=token_family.revoked").await.ok();
    let events = log["items"].as_array().unwrap();
    let family = format!("token_family:{}", claims["sid"].as_str().unwrap());
    assert_eq!((events.len(), &events[0]["target"]), (1, &json!(family)));
    assert_eq!(events[0]["actor"], format!("client:{}", shop.id));
}
