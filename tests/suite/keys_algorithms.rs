//! Which keys a project has, and which of them signs for a client.

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};
use tessera::keys::provide::{ensure, for_client};
use tessera::keys::signing::token_hash;
use tessera::model::client::ClientSettings;
use tessera::model::signing_key::Alg;
use tessera::projects;

use crate::keys_support::{change, events, header, kid, states};
use crate::support::{Engine, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    each_client_gets_its_algorithm,
    keys_come_with_the_project_and_its_clients,
    a_race_for_a_key_has_one_winner,
    the_key_set_has_its_shape,
    the_key_set_holds_public_halves,
);

fn settings(id: Alg, access: Alg) -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        id_token_signed_response_alg: id,
        access_token_signed_response_alg: access,
        ..ClientSettings::default()
    }
}

/// Reads a token as an application would, with the published keys and another library.
async fn read(app: &TestApp, shop: &Shop, token: &str, audience: &str) -> Value {
    let set: JwkSet = serde_json::from_value(app.document(shop, "jwks.json").await).unwrap();
    let jwk: &Jwk = set.find(&kid(token)).expect("the key is published");
    let mut validation = Validation::new(header(token)["alg"].as_str().unwrap().parse().unwrap());
    validation.set_audience(&[audience]);
    validation.set_issuer(&[app.project_url(shop, "")]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims
}

async fn each_client_gets_its_algorithm(engine: Engine) {
    let app = TestApp::new(engine).await;
    for (slug, id, access) in [
        ("shop-a", Alg::ES256, Alg::ES256),
        ("shop-b", Alg::RS256, Alg::ES256),
        ("shop-c", Alg::EdDSA, Alg::RS256),
        ("shop-d", Alg::ES256, Alg::EdDSA),
    ] {
        let shop = app.shop_with(slug, "confidential", settings(id, access)).await;
        let tokens = app.sign_in(&shop).await;
        let (id_token, access_token) = (tokens.get("id_token"), tokens.get("access_token"));
        assert_eq!(
            (&header(id_token)["alg"], &header(id_token)["typ"]),
            (&json!(id.as_str()), &json!("JWT"))
        );
        let expected = (&json!(access.as_str()), &json!("at+jwt"));
        assert_eq!((&header(access_token)["alg"], &header(access_token)["typ"]), expected);

        let claims = read(&app, &shop, id_token, &shop.id).await;
        // The hash goes with the algorithm of the ID token, not with the one of what it hashes.
        assert_eq!(claims["at_hash"], token_hash(id, access_token));
        assert_eq!(read(&app, &shop, access_token, &shop.id).await["sub"], shop.user.to_string());
        assert_eq!(app.verify(&shop, access_token).await["active"], true);
        app.bearer(&shop, "userinfofromaccesstoken", access_token, json!({})).await.ok();
        let renewed = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
        assert_eq!(header(renewed["access_token"].as_str().unwrap())["alg"], access.as_str());
        // An ID token stays one, whatever signs it.
        assert_eq!(app.verify(&shop, id_token).await["reason"], "wrong_token_use");
    }
}

async fn keys_come_with_the_project_and_its_clients(engine: Engine) {
    let app = TestApp::new(engine).await;
    let project = projects::create_project(&app.app, "shop", "Shop").await.unwrap().id;
    let shop = Shop {
        project,
        slug: "shop".into(),
        id: String::new(),
        secret: None,
        user: uuid::Uuid::nil().into(),
    };
    let supported = async || {
        app.app.clock.advance(5);
        app.document(&shop, "openid-configuration").await["id_token_signing_alg_values_supported"].clone()
    };
    assert_eq!(supported().await, json!(["ES256"]));
    app.published(&shop).await;
    assert_eq!(states(&app.app, project).await, ["ES256 current"], "no GET makes a key");

    let create = async |settings| {
        projects::create_client(&app.app, project, "Shop", "confidential", settings).await.unwrap()
    };
    create(settings(Alg::ES256, Alg::ES256)).await;
    assert_eq!(supported().await, json!(["ES256", "RS256"]));
    create(settings(Alg::ES256, Alg::ES256)).await;
    create(settings(Alg::RS256, Alg::RS256)).await;
    assert_eq!(states(&app.app, project).await, ["ES256 current", "RS256 current"]);
    // A changed client is seen to in the same way.
    for_client(&change!(app, project), &settings(Alg::EdDSA, Alg::ES256)).await.unwrap();
    assert_eq!(supported().await, json!(["ES256", "RS256", "EdDSA"]));
    assert_eq!(events(&app.app, project, None).await, ["signing_key.created"; 3]);
    assert_eq!(app.published(&shop).await.len(), 3);

    let other = projects::create_project(&app.app, "other", "Other").await.unwrap().id;
    assert_eq!(states(&app.app, other).await, ["ES256 current"], "another project has its own");
    let nobody = uuid::Uuid::from_u128(7).into();
    let refused = ensure(&change!(app, nobody), &[Alg::ES256]).await.unwrap_err();
    assert_eq!(refused.code().status(), 404);
}

async fn a_race_for_a_key_has_one_winner(engine: Engine) {
    let app = TestApp::new(engine).await;
    let second = app.second_node().await;
    let project = projects::create_project(&app.app, "shop", "Shop").await.unwrap().id;
    let asking = (0..6).map(|n| {
        let node = if usize::is_multiple_of(n, 2) { &app } else { &second };
        async move { ensure(&change!(node, project), &[Alg::RS256, Alg::EdDSA]).await }
    });
    for outcome in futures_util::future::join_all(asking).await {
        outcome.unwrap();
    }
    assert_eq!(states(&app.app, project).await, ["ES256 current", "EdDSA current", "RS256 current"]);
    assert_eq!(events(&app.app, project, None).await, ["signing_key.created"; 3]);
}

async fn the_key_set_has_its_shape(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(Alg::EdDSA, Alg::ES256)).await;
    let mut set = app.document(&shop, "jwks.json").await;
    let keys = set["keys"].as_array_mut().unwrap();
    keys.sort_by_key(|key| key["alg"].to_string());
    // Key material differs each time; its length does not.
    for key in keys {
        for (name, value) in key.as_object_mut().unwrap() {
            if matches!(name.as_str(), "kid" | "x" | "y" | "n") {
                *value = json!(format!("{} characters", value.as_str().unwrap().len()));
            }
        }
    }
    // The name is given, so that both engines are held to one text.
    insta::with_settings!({sort_maps => true}, { insta::assert_json_snapshot!("jwks", set) });
}

// C010
/// RFC 7517, 4 and OpenID Connect Core, 10.1.
async fn the_key_set_holds_public_halves(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(Alg::EdDSA, Alg::ES256)).await;
    let set = app.document(&shop, "jwks.json").await;
    let keys = set["keys"].as_array().unwrap();
    let mut kids: Vec<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    kids.sort_unstable();
    kids.dedup();
    assert_eq!((keys.len(), kids.len()), (3, 3));
    for key in keys {
        assert_eq!(key["use"], "sig");
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{key}");
        }
    }
    let rsa = keys.iter().find(|key| key["alg"] == "RS256").unwrap();
    let modulus = tessera::secret::decode_base64url(rsa["n"].as_str().unwrap()).unwrap();
    assert!(modulus.len() * 8 >= 2048);
}
