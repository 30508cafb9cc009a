//! Codes: whose they are, what a second use ends and what it does not, and how many sessions a client may hold.

use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use tessera::secret::decode_base64url;

use crate::support::{Answer, Engine, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    // C041 C065 C066 C068
    only_a_second_use_that_proves_itself_ends_the_session,
    the_longest_unused_session_makes_room,
    // C054 C058 C087 C100
    tokens_say_how_somebody_signed_in,
    tokens_of_a_sandbox_say_so,
);

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn settings() -> ClientSettings {
    ClientSettings { redirect_uris: vec![REDIRECT.into()], require_pkce: false, ..ClientSettings::default() }
}

async fn exchange(app: &TestApp, shop: &Shop, code: &str, redirect_uri: &str, verifier: &str) -> Answer {
    let body = json!({"code": code, "redirect_uri": redirect_uri, "code_verifier": verifier});
    app.call(shop, "GetTokenFromCode", body).await
}

/// RFC 6749, 4.1.3, and RFC 7636, 4.6: a stranger who found a code neither burns it nor ends what came of it.
async fn only_a_second_use_that_proves_itself_ends_the_session(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let other = app.second_client(&shop, settings()).await;
    let (code, _) = app.code(&shop, &format!("&code_challenge={CHALLENGE}&code_challenge_method=S256")).await;
    let strangers = async || {
        let unknown = "the code is unknown";
        exchange(&app, &other, &code, REDIRECT, VERIFIER).await.refused(400, "invalid_grant", unknown);
        let uri = "redirect_uri is not the one of the authorization request";
        exchange(&app, &shop, &code, "https://evil.example/", VERIFIER).await.refused(
            400,
            "invalid_grant",
            uri,
        );
        let wrong = "code_verifier does not match";
        exchange(&app, &shop, &code, REDIRECT, &"x".repeat(43)).await.refused(400, "invalid_grant", wrong);
    };
    strangers().await;
    let tokens = exchange(&app, &shop, &code, REDIRECT, VERIFIER).await.ok();
    strangers().await;
    let access = tokens["access_token"].as_str().unwrap();
    let live = app.verify(&shop, access).await;
    assert_eq!(live["active"], true);

    let used = "the code has been used already";
    exchange(&app, &shop, &code, REDIRECT, VERIFIER).await.refused(400, "invalid_grant", used);
    assert_eq!(app.verify(&shop, access).await["reason"], "session_revoked");
    exchange(&app, &shop, &code, REDIRECT, VERIFIER).await.refused(400, "invalid_grant", used);
    let log = app.desk(&shop, "auditor").await.get("/audit?action=authorization_code.replayed").await.ok();
    let targets: Vec<&Value> =
        log["items"].as_array().unwrap().iter().map(|event| &event["target"]).collect();
    let family = format!("token_family:{}", live["claims"]["sid"].as_str().unwrap());
    assert_eq!(targets, [&json!(family)], "one event, for the use that ended it");
}

async fn the_longest_unused_session_makes_room(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let other = app.second_client(&shop, settings()).await;
    let owner = app.desk(&shop, "owner").await;
    owner.patch("", json!({"settings": {"max_families": 2}})).await.ok();
    let elsewhere = app.sign_in(&other).await;
    let mut sessions = Vec::new();
    for _ in 0..2 {
        app.app.clock.advance(1);
        sessions.push(app.sign_in(&shop).await);
    }
    app.app.clock.advance(1);
    // The first one is used, so the second one is the longest unused.
    let used = app.refresh(&shop, sessions[0].get("refresh_token")).await.ok();
    app.app.clock.advance(1);
    let third = app.sign_in(&shop).await;
    let reason = app.verify(&shop, sessions[1].get("access_token")).await;
    assert_eq!(reason["reason"], "session_revoked");
    for (shop, token) in [
        (&shop, used["access_token"].as_str().unwrap()),
        (&shop, third.get("access_token")),
        (&other, elsewhere.get("access_token")),
    ] {
        assert_eq!(app.verify(shop, token).await["active"], true);
    }
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&decode_base64url(payload).unwrap()).unwrap()
}

/// OpenID Connect Core, 2 and 12.2; RFC 9068, 2.2.
async fn tokens_say_how_somebody_signed_in(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, _) = app.code(&shop, "&scope=openid+profile").await;
    let signed_in = app.app.clock.now().unix();
    app.app.clock.advance(30);
    let tokens = app.exchange(&shop, &code).await.ok();
    let (id, access) =
        (claims(tokens["id_token"].as_str().unwrap()), claims(tokens["access_token"].as_str().unwrap()));
    let issuer = app.project_url(&shop, "");
    let expected = json!({"iss": issuer, "sub": shop.user.to_string(), "aud": shop.id, "iat": signed_in + 30,
        "exp": signed_in + 30 + 3600, "auth_time": signed_in, "nonce": "n1", "amr": ["pwd"], "acr": "1",
        "sid": access["sid"], "at_hash": id["at_hash"]});
    assert_eq!(id, expected);
    let expected = json!({"iss": issuer, "sub": shop.user.to_string(), "aud": shop.id, "client_id": shop.id,
        "iat": signed_in + 30, "exp": signed_in + 30 + 3600, "jti": access["jti"], "scope": "openid profile",
        "sid": access["sid"], "auth_time": signed_in, "acr": "1", "amr": ["pwd"], "roles": [], "groups": [],
        "user_version": 1});
    assert_eq!(access, expected);
    // A refresh is no sign-in: the time stays, and the nonce was for the first ID token.
    app.app.clock.advance(100);
    let renewed = app.refresh(&shop, tokens["refresh_token"].as_str().unwrap()).await.ok();
    let again = claims(renewed["id_token"].as_str().unwrap());
    assert_eq!(
        (&again["auth_time"], &again["sid"], again.get("nonce")),
        (&id["auth_time"], &id["sid"], None)
    );
    assert_eq!(again["iat"], signed_in + 130);
}

async fn tokens_of_a_sandbox_say_so(engine: Engine) {
    let app = TestApp::new(engine).await;
    let key = app.admin_key(None, "owner").await;
    let made = json!({"slug": "try", "name": "Try", "kind": "sandbox"});
    app.admin_post(&key, "/projects", made).await.created();
    let client = json!({"client_name": "Try", "type": "confidential", "redirect_uris": [REDIRECT], "require_pkce": false});
    let client = app.admin_post(&key, "/projects/try/clients", client).await.created();
    let user = json!({"username": "alice", "password": crate::support::PASSWORD});
    let user = app.admin_post(&key, "/projects/try/users", user).await.created();
    let project = app.admin_get(&key, "/projects/try").await.ok();
    let shop = Shop {
        project: project["id"].as_str().unwrap().parse().unwrap(),
        slug: "try".into(),
        id: client["client_id"].as_str().unwrap().into(),
        secret: client["client_secret"].as_str().map(str::to_owned),
        user: user["id"].as_str().unwrap().parse().unwrap(),
    };
    let tokens = app.sign_in(&shop).await;
    for token in ["access_token", "id_token"] {
        assert_eq!(claims(tokens.get(token))["sandbox"], true, "{token}");
    }
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
}
