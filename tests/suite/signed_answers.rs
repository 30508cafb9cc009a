//! Answers that are signed: introspection (RFC 9701) and userinfo (OpenID Connect Core, 5.3.2).

use reqwest::Response;
use serde_json::{Value, json};
use tessera::keys::verify::verify_jws;
use tessera::model::client::ClientSettings;
use tessera::model::signing_key::Alg;

use crate::support::{Answer, Engine, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    introspection_is_signed_for_who_asks,
    introspection_is_signed_when_asked_for,
    // C098
    userinfo_is_signed_for_its_client,
    // C098 C102
    a_signed_answer_passes_for_no_token,
);

const SIGNED: &str = "application/token-introspection+jwt";

fn settings(alg: Alg) -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        userinfo_signed_response_alg: Some(alg),
        introspection_signed_response_alg: Some(alg),
        ..ClientSettings::default()
    }
}

async fn introspect(app: &TestApp, shop: &Shop, token: &str, accept: &str) -> Response {
    let request = app.post_as(shop, "/oauth2/introspect", &[("token", token)]);
    request.header("accept", accept).send().await.unwrap()
}

async fn user_info(app: &TestApp, shop: &Shop, token: &str) -> Response {
    app.http.get(app.project_url(shop, "/oauth2/userinfo")).bearer_auth(token).send().await.unwrap()
}

/// The claims of a JWT by a key of the project, and the type and algorithm of its header.
async fn opened(app: &TestApp, token: &str) -> (Value, String, Alg) {
    let entry = app.app.cache.project(&app.app, "shop").await.unwrap();
    let (header, claims) = verify_jws::<Value>(token, |kid| entry.verifier(kid)).unwrap();
    (claims, header.typ.unwrap(), header.alg)
}

async fn introspection_is_signed_for_who_asks(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let other = app.second_client(&shop, settings(Alg::EdDSA)).await;
    let tokens = app.sign_in(&shop).await;
    let access = tokens.get("access_token");
    let plain = app.introspect(&shop, access).await;
    let now = app.app.clock.now().unix();
    for (client, alg, found) in [(&shop, Alg::RS256, plain), (&other, Alg::EdDSA, json!({"active": false}))] {
        let answer = introspect(&app, client, access, SIGNED).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &SIGNED.parse().unwrap())
        );
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let (claims, typ, by) = opened(&app, &answer.text().await.unwrap()).await;
        let expected = json!({"iss": app.project_url(&shop, ""), "aud": client.id, "iat": now,
            "token_introspection": found});
        assert_eq!((claims, typ.as_str(), by), (expected, "token-introspection+jwt", alg));
    }
}

async fn introspection_is_signed_when_asked_for(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(Alg::ES256)).await;
    let tokens = app.sign_in(&shop).await;
    let access = tokens.get("access_token");
    for plain in ["application/json", "*/*", "application/*", "text/html", &format!("{SIGNED};q=0"), ""] {
        let answer = introspect(&app, &shop, access, plain).await;
        assert_eq!(
            (&answer.headers()["content-type"], &answer.headers()["vary"]),
            (&"application/json".parse().unwrap(), &"accept".parse().unwrap()),
            "{plain}"
        );
        assert_eq!(Answer::of(answer).await.ok()["active"], true);
    }
    for signed in ["application/json;q=0.5, application/Token-Introspection+JWT ; q=1", SIGNED] {
        let answer = introspect(&app, &shop, access, signed).await;
        assert_eq!(answer.headers()["content-type"], SIGNED, "{signed}");
    }
    // Refusals are JSON, whatever is asked for.
    let form = [("token", access), ("client_id", shop.id.as_str()), ("client_secret", "wrong")];
    let request = app.http.post(app.project_url(&shop, "/oauth2/introspect")).header("accept", SIGNED);
    let refused = Answer::of(request.form(&form).send().await.unwrap()).await;
    refused.refused(401, "invalid_client", "client authentication failed");
}

async fn userinfo_is_signed_for_its_client(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(Alg::EdDSA)).await;
    let plain = app
        .second_client(&shop, ClientSettings { userinfo_signed_response_alg: None, ..settings(Alg::ES256) });
    let plain = plain.await;
    let tokens = app.sign_in(&shop).await;
    let answer = user_info(&app, &shop, tokens.get("access_token")).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/jwt".parse().unwrap())
    );
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let (claims, _, alg) = opened(&app, &answer.text().await.unwrap()).await;
    assert_eq!(alg, Alg::EdDSA);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(app.project_url(&shop, "")), &json!(shop.id)));
    // The rest is what another client is told in JSON.
    let theirs = app.sign_in(&plain).await;
    let told = Answer::of(user_info(&app, &plain, theirs.get("access_token")).await).await.ok();
    let mut rest = claims.clone();
    for name in ["iss", "aud"] {
        rest.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(rest, told);
    // At once after the registration changes, on every node.
    let node = app.second_node_changed(|node| node.base_url.clone_from(&app.base)).await;
    user_info(&node, &shop, tokens.get("access_token")).await;
    let path = format!("/clients/{}", shop.id);
    let change = json!({"userinfo_signed_response_alg": null});
    app.desk(&shop, "admin").await.patch(&path, change).await.ok();
    assert_eq!(
        Answer::of(user_info(&node, &shop, tokens.get("access_token")).await).await.ok()["sub"],
        claims["sub"]
    );
    let refused = user_info(&app, &shop, "x").await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["content-type"]),
        (401, &"application/json".parse().unwrap())
    );
}

async fn a_signed_answer_passes_for_no_token(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(Alg::ES256)).await;
    let tokens = app.sign_in(&shop).await;
    let access = tokens.get("access_token");
    let info = user_info(&app, &shop, access).await.text().await.unwrap();
    let looked = introspect(&app, &shop, access, SIGNED).await.text().await.unwrap();
    for token in [&info, &looked] {
        assert_eq!(app.verify(&shop, token).await["reason"], "wrong_token_use");
        assert_eq!(app.introspect(&shop, token).await, json!({"active": false}));
        assert_eq!(user_info(&app, &shop, token).await.status(), 401);
        let hinted = app.authorize_url(&shop, &format!("&prompt=none&id_token_hint={token}"));
        let to = crate::support::location_of(&app.http.get(hinted).send().await.unwrap());
        let why = crate::support::parameter(&to, "error_description").unwrap();
        assert_eq!(why, "id_token_hint is not an ID token that this client got here");
    }
}
