//! `verifyaccesstoken` names the first fault of a fixed order: a token with every fault, which are mended one by one.

use serde_json::{Value, json};
use tessera::app::Visit;
use tessera::keys::generate::{RsaSize, generate};
use tessera::keys::jwks::thumbprint;
use tessera::keys::signing::Signer;
use tessera::model::signing_key::Alg;
use tessera::projects;
use tessera::secret::{decode_base64url, encode_base64url, sha256};
use tessera::store::db::execute;

use crate::support::{Answer, Engine, START, Shop, TestApp, both_engines};

both_engines!(reasons_in_their_order, demands_on_the_record, callers, bound_tokens);

/// Signs with the project's own key, as nobody outside can.
async fn sign(app: &TestApp, shop: &Shop, typ: &str, claims: &Value) -> String {
    let visit = Visit::of_nobody(&app.app, &shop.slug, app.app.clock.now());
    visit.current().await.unwrap().signer(Alg::ES256).unwrap().sign(typ, claims).unwrap()
}

fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&decode_base64url(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

async fn sql(app: &TestApp, sql: &'static str, shop: &Shop) {
    let done = app.app.db.write(|conn| async move { execute!(conn, sql, shop.project) }).await.unwrap();
    assert_eq!(done, 1, "{sql}");
}

struct Judge<'a> {
    app: &'a TestApp,
    shop: &'a Shop,
    key: String,
    demand: Value,
}

impl Judge<'_> {
    async fn reason(&self, token: &str) -> String {
        let mut body = self.demand.clone();
        body["access_token"] = json!(token);
        let answer = self.app.bearer(self.shop, "verifyaccesstoken", &self.key, body).await.ok();
        assert_eq!(answer["active"], false, "{answer}");
        assert!(answer["detail"].is_string());
        answer["reason"].as_str().unwrap().to_owned()
    }
}

async fn reasons_in_their_order(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let genuine = app.sign_in(&shop).await;
    let (_, key) = projects::create_admin_key(&app.app, None, "test", "auditor").await.unwrap();
    let demand = json!({"audience": shop.id, "required_scopes": ["x"], "required_roles": ["x"],
        "required_groups": ["x"], "required_attributes": {"x": 1}});
    let judge = Judge { app: &app, shop: &shop, key: key.expose().to_owned(), demand };

    assert_eq!(judge.reason("nonsense").await, "malformed");
    let header = |text: Value| encode_base64url(text.to_string().as_bytes());
    let unsigned = format!("{}.{}.AAAA", header(json!({"alg": "none", "kid": "x"})), header(json!({})));
    assert_eq!(judge.reason(&unsigned).await, "unsupported_alg");
    let stranger = generate(Alg::ES256, RsaSize::default()).await.unwrap();
    let signer = |kid: &str| Signer::new(Alg::ES256, kid, &stranger.private_der).unwrap();
    let foreign = signer("x").sign("JWT", &json!({})).unwrap();
    assert_eq!(judge.reason(&foreign).await, "unknown_key");
    let head = genuine.get("access_token").split('.').next().unwrap();
    let head: Value = serde_json::from_slice(&decode_base64url(head).unwrap()).unwrap();
    let forged = signer(head["kid"].as_str().unwrap()).sign("JWT", &json!({})).unwrap();
    assert_eq!(judge.reason(&forged).await, "bad_signature");

    let good = claims_of(genuine.get("access_token"));
    let mut claims = good.clone();
    let now = app.app.clock.now().unix();
    for (name, value) in [
        ("iss", json!("https://elsewhere")),
        ("exp", json!(now - 1)),
        ("iat", json!(now + 60)),
        ("sandbox", json!(true)),
        ("aud", json!("somebody-else")),
    ] {
        claims[name] = value;
    }
    assert_eq!(judge.reason(&sign(&app, &shop, "JWT", &claims).await).await, "wrong_issuer");
    claims["iss"] = good["iss"].clone();
    assert_eq!(judge.reason(&sign(&app, &shop, "JWT", &claims).await).await, "wrong_token_use");
    assert_eq!(judge.reason(&sign(&app, &shop, "at+jwt", &claims).await).await, "expired");
    claims["exp"] = json!(now + 900);
    assert_eq!(judge.reason(&sign(&app, &shop, "at+jwt", &claims).await).await, "not_yet_valid");
    claims["iat"] = json!(now);
    assert_eq!(judge.reason(&sign(&app, &shop, "at+jwt", &claims).await).await, "sandbox_token");
    claims["sandbox"] = json!(false);
    let misdirected = sign(&app, &shop, "at+jwt", &claims).await;
    claims["aud"] = good["aud"].clone();
    let bound = sign(&app, &shop, "at+jwt", &claims).await;
    // Of a client that acts in its own name: the one kind of a session's token that is revoked alone.
    claims["epochs"] = json!([START, START]);
    let token = sign(&app, &shop, "at+jwt", &claims).await;

    for broken in [
        "UPDATE projects SET status = 'disabled', version = version + 1 WHERE id = $1",
        "UPDATE clients SET status = 'disabled', version = version + 1 WHERE project_id = $1",
        "UPDATE users SET status = 'disabled', token_epoch = token_epoch + 1 WHERE project_id = $1",
        "UPDATE token_families SET revoked_at = created_at, cnf_jkt = 'x', expires_at = created_at WHERE project_id = $1",
    ] {
        sql(&app, broken, &shop).await;
    }
    let (jti, ends) = (good["jti"].as_str().unwrap(), app.app.clock.now());
    app.app
        .db
        .write(|conn| async move {
            execute!(
                conn,
                "INSERT INTO revoked_tokens (project_id, jti, expires_at) VALUES ($1, $2, $3)",
                shop.project,
                jti,
                ends
            )
        })
        .await
        .unwrap();
    assert_eq!(judge.reason(&misdirected).await, "wrong_audience");
    for (reason, mend) in [
        ("project_disabled", "UPDATE projects SET status = 'active', version = version + 1 WHERE id = $1"),
        ("client_disabled", "UPDATE clients SET status = 'deleted' WHERE project_id = $1"),
        ("client_deleted", "UPDATE clients SET status = 'active' WHERE project_id = $1"),
        ("user_disabled", "UPDATE users SET status = 'deleted' WHERE project_id = $1"),
        ("user_deleted", "UPDATE users SET status = 'active' WHERE project_id = $1"),
        ("session_revoked", "UPDATE token_families SET revoked_at = NULL WHERE project_id = $1"),
        ("token_revoked", "DELETE FROM revoked_tokens WHERE project_id = $1"),
        ("session_expired", "UPDATE token_families SET expires_at = idle_expires_at WHERE project_id = $1"),
        ("signed_out", "UPDATE users SET token_epoch = token_epoch - 1 WHERE project_id = $1"),
    ] {
        assert_eq!(judge.reason(&token).await, reason);
        sql(&app, mend, &shop).await;
    }
    assert_eq!(judge.reason(&bound).await, "missing_proof");
}

/// Roles, groups and attributes are judged on the record as it is now, and in their order.
async fn demands_on_the_record(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let access = tokens.get("access_token");
    let ask = async |mut demand: Value| {
        demand["access_token"] = json!(access);
        app.call(&shop, "verifyaccesstoken", demand).await.ok()
    };
    let all = json!({"required_scopes": ["openid"], "required_roles": ["r"], "required_groups": ["g"],
        "required_attributes": {"a": [1, "b"]}});
    for (reason, mend) in [
        ("missing_role", "UPDATE users SET roles = '[\"r\"]', version = version + 1 WHERE project_id = $1"),
        ("missing_group", "UPDATE users SET groups = '[\"g\"]' WHERE project_id = $1"),
        ("attribute_mismatch", "UPDATE users SET attributes = '{\"a\": [1, \"b\"]}' WHERE project_id = $1"),
    ] {
        assert_eq!(ask(all.clone()).await["reason"], reason);
        sql(&app, mend, &shop).await;
    }
    let active = ask(all).await;
    assert_eq!((&active["active"], &active["claims_stale"]), (&json!(true), &json!(true)));
    assert_eq!(active["audience_checked"], true);
    assert_eq!(ask(json!({"required_scopes": ["openid", "x"]})).await["reason"], "missing_scope");
}

/// Who may ask, and about what.
async fn callers(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, public) = (app.shop("shop", "confidential").await, app.shop("kiosk", "public").await);
    let tokens = app.sign_in(&shop).await;
    let access = json!({"access_token": tokens.get("access_token")});
    let url = app.project_url(&shop, "/api/verifyaccesstoken");
    let bare = Answer::of(app.http.post(&url).json(&access).send().await.unwrap()).await;
    bare.refused(401, "invalid_client", "the request names no client");
    // Another project's client is no client here.
    let crossed = app.http.post(&url).basic_auth(&public.id, Some("x")).json(&access);
    let crossed = Answer::of(crossed.send().await.unwrap()).await;
    crossed.refused(401, "invalid_client", "client authentication failed");
    let foreign = projects::create_admin_key(&app.app, Some(public.project), "test", "owner").await.unwrap();
    let foreign = app.bearer(&shop, "verifyaccesstoken", foreign.1.expose(), access.clone()).await;
    foreign.refused(401, "invalid_token", "the admin key is not valid here");
    // A public client asks about its own tokens only, whatever audience it names.
    let (second, _) = projects::create_client(
        &app.app,
        shop.project,
        "second",
        "public",
        tessera::model::client::ClientSettings::default(),
    )
    .await
    .unwrap();
    let mut asked = access.clone();
    asked["client_id"] = json!(second.id.to_string());
    asked["audience"] = json!(shop.id);
    let other = Answer::of(app.http.post(&url).json(&asked).send().await.unwrap()).await;
    other.refused(403, "forbidden", "a public client may verify only its own tokens");
    // Nor does it learn how such a token has ended.
    app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    let dead = Answer::of(app.http.post(&url).json(&asked).send().await.unwrap()).await;
    dead.refused(403, "forbidden", "a public client may verify only its own tokens");
    let access = json!({"access_token": app.sign_in(&shop).await.get("access_token")});
    // An admin key that names no audience skips the check, and the answer says so.
    let (_, key) = projects::create_admin_key(&app.app, None, "test", "auditor").await.unwrap();
    let skipped = app.bearer(&shop, "verifyaccesstoken", key.expose(), access).await.ok();
    assert_eq!((&skipped["active"], &skipped["audience_checked"]), (&json!(true), &json!(false)));
}

/// RFC 9449: a bound token needs the proof of its key, for this token and this request.
async fn bound_tokens(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let key = generate(Alg::ES256, RsaSize::default()).await.unwrap();
    let jwk: Value = serde_json::from_str(&key.public_jwk).unwrap();
    let jkt = thumbprint(Alg::ES256, &jwk).unwrap();
    let bound = jkt.as_str();
    app.app
        .db
        .write(|conn| async move {
            let bind = "UPDATE token_families SET cnf_jkt = $2 WHERE project_id = $1";
            execute!(conn, bind, shop.project, bound)
        })
        .await
        .unwrap();
    let access = tokens.get("access_token");

    let now = app.app.clock.now().unix();
    let good = json!({"jti": "j1", "htm": "GET", "htu": "https://api.example/orders", "iat": now,
        "ath": encode_base64url(&sha256(access.as_bytes()))});
    let public = json!({"kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"], "y": jwk["y"]});
    let ask = async |header: Value, claims: Value, by: &tessera::keys::generate::NewKey| {
        let text = |value: &Value| encode_base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", text(&header), text(&claims));
        let signature = signature(by, &signed);
        let dpop = json!({"proof": format!("{signed}.{signature}"), "method": "GET",
            "url": "https://api.example/orders?page=2"});
        let body = json!({"access_token": access, "dpop": dpop});
        app.call(&shop, "verifyaccesstoken", body).await.ok()
    };
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": public});
    assert_eq!(ask(header.clone(), good.clone(), &key).await["active"], true);

    let stranger = generate(Alg::ES256, RsaSize::default()).await.unwrap();
    assert_eq!(ask(header.clone(), good.clone(), &stranger).await["reason"], "invalid_proof");
    let theirs: Value = serde_json::from_str(&stranger.public_jwk).unwrap();
    let own = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": theirs});
    assert_eq!(ask(own, good.clone(), &stranger).await["reason"], "invalid_proof", "another key");
    for (name, wrong) in [
        ("htm", json!("POST")),
        ("htu", json!("https://api.example/other")),
        ("iat", json!(now - 61)),
        ("iat", json!(now + 61)),
        ("iat", json!(i64::MIN)),
        ("iat", json!(i64::MAX)),
        ("ath", json!("x")),
        ("jti", json!("")),
    ] {
        let mut claims = good.clone();
        claims[name] = wrong;
        assert_eq!(ask(header.clone(), claims, &key).await["reason"], "invalid_proof", "{name}");
    }
    for (name, wrong) in
        [("typ", json!("JWT")), ("alg", json!("none")), ("alg", json!("HS256")), ("crit", json!(["x"]))]
    {
        let mut header = header.clone();
        header[name] = wrong;
        assert_eq!(ask(header, good.clone(), &key).await["reason"], "invalid_proof", "{name}");
    }
    let mut leaky = header.clone();
    leaky["jwk"]["d"] = json!("secret");
    assert_eq!(ask(leaky, good.clone(), &key).await["reason"], "invalid_proof", "a private key");
    // A bound token is not a bearer token.
    let info = app.bearer(&shop, "userinfofromaccesstoken", access, json!({})).await;
    assert_eq!((info.status, &info.body["reason"]), (401, &json!("missing_proof")));
    // A proof beside a token that is bound to nothing proves nothing.
    let plain = app.sign_in(&shop).await;
    let body = json!({"access_token": plain.get("access_token"),
        "dpop": {"proof": "a.b.c", "method": "GET", "url": "https://api.example/orders"}});
    assert_eq!(app.call(&shop, "verifyaccesstoken", body).await.ok()["reason"], "invalid_proof");
}

/// The signature part of a compact JWS over `signed`.
fn signature(key: &tessera::keys::generate::NewKey, signed: &str) -> String {
    let encoding = jsonwebtoken::EncodingKey::from_ec_der(&key.private_der);
    jsonwebtoken::crypto::sign(signed.as_bytes(), &encoding, jsonwebtoken::Algorithm::ES256).unwrap()
}
