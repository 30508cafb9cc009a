//! `private_key_jwt`: what proves a client, once, and what does not.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tessera::keys::generate::{NewKey, RsaSize, generate};
use tessera::model::client::{ClientSettings, GrantType};
use tessera::model::signing_key::Alg;
use tessera::secret::encode_base64url;

use crate::support::oauth::{ASSERTION_TYPE, jwks_of, sign};
use crate::support::{Answer, Engine, REDIRECT, Shop, TestApp, both_engines, number};

both_engines!(
    // C079
    a_signed_assertion_proves_a_client,
    // C079
    what_an_assertion_has_to_say,
    // C080
    an_assertion_is_used_once,
    // C081
    forged_assertions_prove_nothing,
    // C074 C075
    the_registered_method_is_the_only_one,
    another_project_takes_no_assertion,
    keys_are_changed_and_the_old_one_ends,
    secrets_do_not_come_back,
);

async fn with(app: &TestApp, shop: &Shop, endpoint: &str, assertion: &str, form: &[(&str, &str)]) -> Answer {
    let proof = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)];
    let request = app.http.post(app.project_url(shop, &format!("/oauth2/{endpoint}")));
    Answer::of(request.form(&[&proof[..], form].concat()).send().await.unwrap()).await
}

/// Asks for a machine's token with the assertion alone.
async fn ask(app: &TestApp, shop: &Shop, assertion: &str) -> Answer {
    with(app, shop, "token", assertion, &[("grant_type", "client_credentials")]).await
}

fn refused(answer: Answer) {
    answer.refused(401, "invalid_client", "client authentication failed");
}

async fn a_signed_assertion_proves_a_client(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    for alg in Alg::ALL {
        let (service, key) = app.signing_service(&shop, alg).await;
        assert_eq!(service.secret, None, "no secret is made for it");
        let mut claims = app.assertion_claims(&service, "1");
        let token = ask(&app, &service, &sign(&key, &claims)).await.ok();
        let token = token["access_token"].as_str().unwrap();
        // The issuer or an endpoint, alone or among others.
        for (number, aud) in [
            json!([app.project_url(&shop, "")]),
            json!(app.project_url(&shop, "/oauth2/token")),
            json!(["https://elsewhere.example", app.project_url(&shop, "/oauth2/token")]),
        ]
        .into_iter()
        .enumerate()
        {
            claims["aud"] = aud;
            claims["jti"] = json!(format!("a{number}"));
            ask(&app, &service, &sign(&key, &claims)).await.ok();
        }
        // At the neighbours as well, and in the session API.
        claims["jti"] = json!("introspect");
        let told = with(&app, &service, "introspect", &sign(&key, &claims), &[("token", token)]).await.ok();
        assert_eq!(told["active"], true);
        claims["jti"] = json!("verify");
        let body = json!({"access_token": token, "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": sign(&key, &claims)});
        let request = app.http.post(app.project_url(&service, "/api/verifyaccesstoken")).json(&body);
        assert_eq!(Answer::of(request.send().await.unwrap()).await.ok()["active"], true);
        claims["jti"] = json!("revoke");
        with(&app, &service, "revoke", &sign(&key, &claims), &[("token", token)]).await.ok();
        claims["jti"] = json!("again");
        let told = with(&app, &service, "introspect", &sign(&key, &claims), &[("token", token)]).await.ok();
        assert_eq!(told, json!({"active": false}));
    }
}

async fn what_an_assertion_has_to_say(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (service, key) = app.signing_service(&shop, Alg::ES256).await;
    let now = app.app.clock.now().unix();
    let issuer = app.project_url(&shop, "");
    for (name, value) in [
        ("iss", json!(shop.id)),
        ("iss", Value::Null),
        ("sub", json!(shop.id)),
        ("aud", json!("https://elsewhere.example")),
        ("aud", json!([])),
        ("aud", json!(format!("{issuer}/"))),
        ("aud", Value::Null),
        ("exp", json!(now)),
        ("exp", json!(now + 601)),
        ("exp", json!(i64::MAX)),
        ("exp", Value::Null),
        ("iat", json!(now + 31)),
        ("nbf", json!(now + 31)),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("jti", json!("x".repeat(257))),
    ] {
        let mut claims = app.assertion_claims(&service, "1");
        claims[name] = value.clone();
        let answer = ask(&app, &service, &sign(&key, &claims)).await;
        assert_eq!((answer.status, &answer.body["error"]), (401, &json!("invalid_client")), "{name} {value}");
    }
    // None of them used the id up, and clocks differ a little.
    let mut claims = app.assertion_claims(&service, "1");
    (claims["iat"], claims["nbf"], claims["exp"]) = (json!(now + 30), json!(now + 30), json!(now + 600));
    ask(&app, &service, &sign(&key, &claims)).await.ok();
}

/// RFC 7523, 3: also in parallel, and on whatever node.
async fn an_assertion_is_used_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (service, key) = app.signing_service(&shop, Alg::ES256).await;
    let (other, other_key) = app.signing_service(&shop, Alg::ES256).await;
    let node = app.second_node().await;
    let once = sign(&key, &app.assertion_claims(&service, "1"));
    let asks = (0..10).map(|number| ask(if number % 2 == 0 { &app } else { &node }, &service, &once));
    let answers = join_all(asks).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.refused(401, "invalid_client", "the client assertion was used before");
    }
    // Signed again with the same id it is the same; another client's id is its own.
    let mut again = app.assertion_claims(&service, "1");
    again["exp"] = json!(app.app.clock.now().unix() + 120);
    let answer = ask(&app, &service, &sign(&key, &again)).await;
    answer.refused(401, "invalid_client", "the client assertion was used before");
    ask(&app, &other, &sign(&other_key, &app.assertion_claims(&other, "1"))).await.ok();
    ask(&app, &service, &sign(&key, &app.assertion_claims(&service, "2"))).await.ok();
}

fn forged(header: Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| encode_base64url(value.to_string().as_bytes());
    format!("{}.{}.{}", part(&header), part(claims), encode_base64url(signature))
}

/// RFC 8725, 3.1 and 3.2.
async fn forged_assertions_prove_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (service, key) = app.signing_service(&shop, Alg::ES256).await;
    let claims = app.assertion_claims(&service, "1");
    let genuine = sign(&key, &claims);
    let stranger = generate(Alg::ES256, RsaSize::default()).await.unwrap();
    let named = NewKey { kid: key.kid.clone(), ..stranger };
    let jwk: Value = serde_json::from_str(&named.public_jwk).unwrap();
    let hmac = |header: &Value| {
        let signed = forged(header.clone(), &claims, &[]);
        let signed = signed.trim_end_matches('.').as_bytes();
        let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.public_jwk.as_bytes());
        aws_lc_rs::hmac::sign(&secret, signed).as_ref().to_vec()
    };
    let symmetric = json!({"alg": "HS256", "kid": key.kid});
    for assertion in [
        // Another key under the known name, or under its own.
        sign(&named, &claims),
        forged(json!({"alg": "none", "kid": key.kid}), &claims, &[0]),
        forged(symmetric.clone(), &claims, &hmac(&symmetric)),
        forged(json!({"alg": "ES256", "kid": key.kid}), &claims, &[0; 64]),
        forged(json!({"alg": "RS256", "kid": key.kid}), &claims, &[0; 256]),
        "nonsense".into(),
        "a.b.c".into(),
    ] {
        let answer = ask(&app, &service, &assertion).await;
        assert_eq!((answer.status, &answer.body["error"]), (401, &json!("invalid_client")), "{assertion}");
    }
    // Even the right key proves nothing beside a key in the header, or what we do not understand.
    for more in [
        json!({"jwk": jwk}),
        json!({"jku": "https://evil.example/jwks"}),
        json!({"x5u": "https://evil.example/"}),
        json!({"x5c": ["AA"]}),
        json!({"crit": ["exp"], "exp": 1}),
    ] {
        for signer in [&key, &named] {
            let mut header = json!({"typ": "JWT", "alg": "ES256", "kid": signer.kid});
            header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            refused(ask(&app, &service, &sign_with_header(signer, &header, &claims)).await);
        }
    }
    ask(&app, &service, &genuine).await.ok();
}

/// ES256 over a header of our own making.
fn sign_with_header(key: &NewKey, header: &Value, claims: &Value) -> String {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let part = |value: &Value| encode_base64url(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.private_der).unwrap();
    let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", encode_base64url(signature.as_ref()))
}

async fn the_registered_method_is_the_only_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (service, key) = app.signing_service(&shop, Alg::ES256).await;
    let grant = ("grant_type", "client_credentials");
    let by_name = Shop { secret: None, slug: shop.slug.clone(), id: service.id.clone(), ..shop };
    refused(app.form(&by_name, "token", &[grant]).await);
    refused(app.form(&by_name, "token", &[grant, ("client_secret", "x")]).await);
    // A client with a secret does not become one with a key by bringing it along.
    let secret = app.service(&service, &[GrantType::ClientCredentials], None).await;
    refused(ask(&app, &secret, &sign(&key, &app.assertion_claims(&secret, "1"))).await);
    for (form, field, description) in [
        (
            vec![("client_assertion", "a.b.c")],
            "client_assertion_type",
            "client_assertion_type is urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        (vec![("client_assertion_type", ASSERTION_TYPE)], "client_assertion", "client_assertion is missing"),
    ] {
        let answer = app.form(&by_name, "token", &[&[grant][..], &form].concat()).await;
        answer.refused_for(400, "invalid_request", field, description);
    }
    let good = || sign(&key, &app.assertion_claims(&service, "1"));
    let twice = [grant, ("client_secret", "x")];
    let answer = with(&app, &service, "token", &good(), &twice).await;
    answer.refused(400, "invalid_request", "the client authenticates in two ways at once");
    let another = [grant, ("client_id", secret.id.as_str())];
    let answer = with(&app, &service, "token", &good(), &another).await;
    let why = "client_id is another client than the one that authenticates";
    answer.refused(400, "invalid_request", why);
    let named = [grant, ("client_id", service.id.as_str())];
    with(&app, &service, "token", &good(), &named).await.ok();
}

async fn another_project_takes_no_assertion(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (service, key) = app.signing_service(&shop, Alg::ES256).await;
    let abroad = Shop { slug: other.slug.clone(), id: service.id.clone(), secret: None, ..other };
    refused(ask(&app, &abroad, &sign(&key, &app.assertion_claims(&abroad, "1"))).await);
    // One that was meant for the other project is not taken here either.
    refused(ask(&app, &service, &sign(&key, &app.assertion_claims(&abroad, "1"))).await);
}

/// A key that the client no longer registers proves nothing from then on, on every node.
async fn keys_are_changed_and_the_old_one_ends(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let owner = app.desk(&shop, "owner").await;
    let old = generate(Alg::ES256, RsaSize::default()).await.unwrap();
    let new = generate(Alg::EdDSA, RsaSize::default()).await.unwrap();
    let made = json!({"client_name": "Nightly", "type": "service", "jwks": jwks_of(&[&old]),
        "token_endpoint_auth_method": "private_key_jwt"});
    let made = owner.post("/clients", made).await.created();
    assert_eq!((made.get("client_secret"), &made["grant_types"]), (None, &json!(["client_credentials"])));
    assert_eq!(made["login_link"], Value::Null);
    let path = format!("/clients/{}", made["client_id"].as_str().unwrap());
    let service = Shop {
        id: made["client_id"].as_str().unwrap().into(),
        secret: None,
        slug: shop.slug.clone(),
        ..shop
    };
    let node = app.second_node().await;
    ask(&node, &service, &sign(&old, &app.assertion_claims(&service, "1"))).await.ok();
    owner.patch(&path, json!({"jwks": jwks_of(&[&old, &new])})).await.ok();
    ask(&node, &service, &sign(&new, &app.assertion_claims(&service, "2"))).await.ok();
    owner.patch(&path, json!({"token_endpoint_auth_signing_alg": "EdDSA"})).await.ok();
    refused(ask(&node, &service, &sign(&old, &app.assertion_claims(&service, "3"))).await);
    owner.patch(&path, json!({"token_endpoint_auth_signing_alg": null, "jwks": jwks_of(&[&new])})).await.ok();
    refused(ask(&node, &service, &sign(&old, &app.assertion_claims(&service, "4"))).await);
    ask(&node, &service, &sign(&new, &app.assertion_claims(&service, "5"))).await.ok();
    let secret = owner.post(&format!("{path}/rotate-secret"), json!({})).await;
    secret.refused(400, "invalid_request", "the client proves itself by its keys and has no secret");
    owner.patch(&path, json!({"status": "disabled"})).await.ok();
    refused(ask(&node, &service, &sign(&new, &app.assertion_claims(&service, "6"))).await);
}

/// A client that moves to keys leaves its secrets behind for good.
async fn secrets_do_not_come_back(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let node = app.second_node().await;
    let desk = app.desk(&shop, "owner").await;
    let service = app.service(&shop, &[GrantType::ClientCredentials], None).await;
    let path = format!("/clients/{}", service.id);
    let grant = [("grant_type", "client_credentials")];
    desk.post(&format!("{path}/rotate-secret"), json!({})).await.ok();
    node.form(&service, "token", &grant).await.ok();
    let key = generate(Alg::ES256, RsaSize::default()).await.unwrap();
    let keys = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks_of(&[&key])});
    desk.patch(&path, keys).await.ok();
    refused(node.form(&service, "token", &grant).await);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM client_secrets").await, 1, "the shop's");
    desk.patch(&path, json!({"token_endpoint_auth_method": null, "jwks": null})).await.ok();
    refused(node.form(&service, "token", &grant).await);
    let renewed = desk.post(&format!("{path}/rotate-secret"), json!({})).await.ok();
    refused(node.form(&service, "token", &grant).await);
    let secret = renewed["client_secret"].as_str().unwrap().to_owned();
    let service = Shop { secret: Some(secret), ..service };
    node.form(&service, "token", &grant).await.ok();
    // Another change of a client with a secret leaves it alone.
    desk.patch(&path, json!({"client_name": "Nightly"})).await.ok();
    node.form(&service, "token", &grant).await.ok();
}

/// A person's client may prove itself so as well.
#[tokio::test]
async fn a_confidential_client_exchanges_its_code_with_an_assertion() {
    let app = TestApp::new(Engine::Sqlite).await;
    let key = generate(Alg::RS256, RsaSize::default()).await.unwrap();
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        token_endpoint_auth_method: Some(tessera::model::client::AuthMethod::PrivateKeyJwt),
        jwks: Some(jwks_of(&[&key])),
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let (code, _) = app.code(&shop, "&scope=openid").await;
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
    let tokens = with(&app, &shop, "token", &sign(&key, &app.assertion_claims(&shop, "1")), &form).await.ok();
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    with(&app, &shop, "token", &sign(&key, &app.assertion_claims(&shop, "2")), &form).await.ok();
}
