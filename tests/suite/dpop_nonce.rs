//! The server's nonces (RFC 9449, 8): asked for, given, known on every node, and soon too old.

use reqwest::Response;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use tessera::secret::{encode_base64url, sha256};

use crate::support::{Answer, Engine, ProofKey, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    a_client_may_need_nonces,
    a_project_may_need_nonces,
    nonces_are_good_for_minutes,
    nonces_at_every_door,
    a_resource_has_the_rule_of_the_client,
);

const WHY: &str = "the DPoP proof needs the nonce of the DPoP-Nonce header";

async fn shop(app: &TestApp, slug: &str, require_dpop_nonce: bool) -> Shop {
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        require_dpop_nonce,
        ..ClientSettings::default()
    };
    app.shop_with(slug, "confidential", settings).await
}

/// Asks for the tokens of a code with a proof of this nonce.
async fn ask(app: &TestApp, shop: &Shop, key: &ProofKey, code: &str, nonce: Option<&str>) -> Response {
    let url = app.project_url(shop, "/oauth2/token");
    let mut claims = ProofKey::claims(app, "POST", &url);
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
    let request = app.http.post(&url).basic_auth(&shop.id, shop.secret.as_ref()).form(&form);
    request.header("dpop", key.sign(&key.header(), &claims)).send().await.unwrap()
}

fn nonce_of(response: &Response) -> Option<String> {
    response.headers().get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned())
}

/// The refusal, and the nonce that comes with it.
async fn demanded(response: Response) -> String {
    let nonce = nonce_of(&response).unwrap();
    Answer::of(response).await.refused(400, "use_dpop_nonce", WHY);
    nonce
}

async fn a_client_may_need_nonces(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (shop(&app, "shop", true).await, shop(&app, "other", false).await);
    let (key, (code, _)) = (ProofKey::new().await, app.code(&shop, "").await);
    let nonce = demanded(ask(&app, &shop, &key, &code, None).await).await;
    // Somebody else's, and none at all.
    let foreign = ask(&app, &other, &key, &app.code(&other, "").await.0, Some("x")).await;
    let foreign = demanded(foreign).await;
    for wrong in [foreign.as_str(), "", "x", &format!("{nonce}A"), &nonce[..20]] {
        demanded(ask(&app, &shop, &key, &code, Some(wrong)).await).await;
    }
    let answer = ask(&app, &shop, &key, &code, Some(&nonce)).await;
    assert!(nonce_of(&answer).is_some(), "the next one comes along");
    Answer::of(answer).await.ok();
    // Who does not need one gets none, unless it uses them.
    let answer = ask(&app, &other, &key, &app.code(&other, "").await.0, None).await;
    assert_eq!(nonce_of(&answer), None);
    Answer::of(answer).await.ok();
    let answer = ask(&app, &other, &key, &app.code(&other, "").await.0, Some(&foreign)).await;
    assert!(nonce_of(&answer).is_some());
    Answer::of(answer).await.ok();
}

async fn a_project_may_need_nonces(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop", false).await;
    let key = ProofKey::new().await;
    let owner = app.admin_key(None, "owner").await;
    let settings = json!({"settings": {"require_dpop_nonce": true}});
    app.admin(&owner, reqwest::Method::PATCH, "/projects/shop", settings).await.ok();
    let (code, _) = app.code(&shop, "").await;
    let nonce = demanded(ask(&app, &shop, &key, &code, None).await).await;
    let tokens = Answer::of(ask(&app, &shop, &key, &code, Some(&nonce)).await).await.ok();
    let token = tokens["access_token"].as_str().unwrap();
    // At a resource as well.
    let url = app.project_url(&shop, "/oauth2/userinfo");
    let ask = async |nonce: Option<&str>| {
        let mut claims = ProofKey::claims(&app, "GET", &url);
        claims["ath"] = json!(encode_base64url(&sha256(token.as_bytes())));
        claims["nonce"] = nonce.map_or(Value::Null, |nonce| json!(nonce));
        let request = app.http.get(&url).header("authorization", format!("DPoP {token}"));
        request.header("dpop", key.sign(&key.header(), &claims)).send().await.unwrap()
    };
    for wrong in [None, Some("x")] {
        let answer = ask(wrong).await;
        let challenge = r#"DPoP error="use_dpop_nonce", algs="ES256 RS256 EdDSA""#;
        assert_eq!(answer.headers()["www-authenticate"], challenge);
        let nonce = nonce_of(&answer).unwrap();
        Answer::of(answer).await.refused(401, "use_dpop_nonce", WHY);
        Answer::of(ask(Some(&nonce)).await).await.ok();
    }
    // Without a proof there is nothing to have a nonce.
    app.sign_in(&shop).await;
}

async fn nonces_are_good_for_minutes(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop", true).await;
    let key = ProofKey::new().await;
    let node = app.second_node_changed(|other| other.base_url.clone_from(&app.base)).await;
    let code = async || app.code(&shop, "").await.0;
    let nonce = demanded(ask(&app, &shop, &key, &code().await, None).await).await;
    app.app.clock.advance(119);
    let url = app.project_url(&shop, "/oauth2/token");
    let mut claims = ProofKey::claims(&app, "POST", &url);
    claims["nonce"] = json!(nonce);
    let code_now = code().await;
    let form =
        [("grant_type", "authorization_code"), ("code", code_now.as_str()), ("redirect_uri", REDIRECT)];
    let request = node.http.post(format!("{}/projects/shop/oauth2/token", node.base)).form(&form);
    let request = request.basic_auth(&shop.id, shop.secret.as_ref());
    let answer = request.header("dpop", key.sign(&key.header(), &claims)).send().await.unwrap();
    Answer::of(answer).await.ok();
    app.app.clock.advance(121);
    let next = demanded(ask(&app, &shop, &key, &code().await, Some(&nonce)).await).await;
    assert_ne!(next, nonce);
    Answer::of(ask(&app, &shop, &key, &code().await, Some(&next)).await).await.ok();
}

/// Pushed requests and the session API ask for nonces, and give the next one.
async fn nonces_at_every_door(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop", true).await;
    let (key, code) = (ProofKey::new().await, app.code(&shop, "").await.0);
    let send = async |path: &str, body: &Value, nonce: Option<&str>| {
        let url = app.project_url(&shop, path);
        let mut claims = ProofKey::claims(&app, "POST", &url);
        claims["nonce"] = nonce.map_or(Value::Null, |nonce| json!(nonce));
        let request = app.http.post(&url).basic_auth(&shop.id, shop.secret.as_ref());
        let request = if path == "/oauth2/par" { request.form(body) } else { request.json(body) };
        request.header("dpop", key.sign(&key.header(), &claims)).send().await.unwrap()
    };
    let pushed = json!({"response_type": "code", "redirect_uri": REDIRECT});
    let exchanged = json!({"code": code, "redirect_uri": REDIRECT});
    let mut refresh_token = Value::Null;
    for (path, body) in
        [("/oauth2/par", &pushed), ("/api/GetTokenFromCode", &exchanged), ("/api/refresh", &pushed)]
    {
        let refreshed = json!({"refresh_token": refresh_token});
        let body = if path == "/api/refresh" { &refreshed } else { body };
        let nonce = demanded(send(path, body, None).await).await;
        demanded(send(path, body, Some("x")).await).await;
        let answer = send(path, body, Some(&nonce)).await;
        assert_eq!(nonce_of(&answer).as_deref(), Some(nonce.as_str()), "{path}");
        assert!(answer.status().is_success(), "{path}");
        refresh_token = answer.json::<Value>().await.unwrap()["refresh_token"].clone();
    }
    // Without a proof a request may be pushed all the same.
    let plain = app.http.post(app.project_url(&shop, "/oauth2/par")).form(&pushed);
    Answer::of(plain.basic_auth(&shop.id, shop.secret.as_ref()).send().await.unwrap()).await.created();
}

/// At userinfo and its neighbours the rule of the token's client holds, and a success brings the nonce that is due.
async fn a_resource_has_the_rule_of_the_client(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, free) = (shop(&app, "shop", true).await, shop(&app, "free", false).await);
    let key = ProofKey::new().await;
    let bound = async |shop: &Shop, nonce: Option<&str>| {
        let code = app.code(shop, "").await.0;
        let answer = ask(&app, shop, &key, &code, nonce).await;
        Answer::of(answer).await.ok()["access_token"].as_str().unwrap().to_owned()
    };
    let nonce = demanded(ask(&app, &shop, &key, &app.code(&shop, "").await.0, None).await).await;
    let (token, unasked) = (bound(&shop, Some(&nonce)).await, bound(&free, None).await);
    let call = async |shop: &Shop, method: reqwest::Method, path: &str, token: &str, nonce: Option<&str>| {
        let url = app.project_url(shop, path);
        let mut claims = ProofKey::claims(&app, method.as_str(), &url);
        claims["ath"] = json!(encode_base64url(&sha256(token.as_bytes())));
        claims["nonce"] = nonce.map_or(Value::Null, |nonce| json!(nonce));
        let request = app.http.request(method, &url).header("authorization", format!("DPoP {token}"));
        request.header("dpop", key.sign(&key.header(), &claims)).send().await.unwrap()
    };
    use reqwest::Method;
    for (method, path) in [
        (Method::GET, "/oauth2/userinfo"),
        (Method::POST, "/oauth2/userinfo"),
        (Method::POST, "/api/userinfofromaccesstoken"),
    ] {
        let refused = call(&shop, method.clone(), path, &token, None).await;
        let given = nonce_of(&refused).unwrap();
        Answer::of(refused).await.refused(401, "use_dpop_nonce", WHY);
        let answer = call(&shop, method.clone(), path, &token, Some(&given)).await;
        assert_eq!(
            (answer.status().as_u16(), nonce_of(&answer)),
            (200, None),
            "{path}: it is good for a while"
        );
        let answer = call(&free, method, path, &unasked, None).await;
        assert_eq!((answer.status().as_u16(), nonce_of(&answer)), (200, None), "{path}");
    }
    // In its second span of time the next one comes along, and at the end of the session as well.
    app.app.clock.advance(121);
    let answer = call(&shop, Method::GET, "/oauth2/userinfo", &token, Some(&nonce)).await;
    let next = nonce_of(&answer).unwrap();
    assert!(answer.status() == 200 && next != nonce);
    let answer = call(&shop, Method::POST, "/api/GlobalSignOut", &token, Some(&nonce)).await;
    assert_eq!((answer.status().as_u16(), nonce_of(&answer)), (200, Some(next)));
    // On another node, as soon as the registration says so.
    let desk = app.desk(&free, "admin").await;
    desk.patch(&format!("/clients/{}", free.id), json!({"require_dpop_nonce": true})).await.ok();
    let refused = call(&free, Method::GET, "/oauth2/userinfo", &unasked, None).await;
    Answer::of(refused).await.refused(401, "use_dpop_nonce", WHY);
}
