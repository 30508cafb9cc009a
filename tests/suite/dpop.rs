//! DPoP (RFC 9449) at our own endpoints: what a proof has to be, and what is bound to its key.

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tessera::model::client::{ClientSettings, GrantType};
use tessera::model::signing_key::Alg;

use crate::support::{
    Answer, Engine, ProofKey, REDIRECT, Shop, TestApp, both_engines, code_of, location_of, number, parameter,
    silent_code,
};

both_engines!(
    // C114
    tokens_are_bound_to_the_key,
    // C111 C116
    a_bad_proof_is_an_error,
    // C112
    addresses_are_ours_to_say,
    // C113
    proofs_are_used_once,
    a_stranger_uses_no_proof_up,
    // C115
    public_clients_keep_their_key,
    nobody_else_ends_what_is_bound,
    // C114
    confidential_clients_may_change_it,
    machines_may_be_bound,
    // C115
    a_code_may_be_for_one_key,
    a_client_may_have_to_prove,
    the_session_api_takes_proofs,
    // C111 C113
    resources_judge_the_proof,
);

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const PKCE: &str = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

/// Signs alice in at a client; gives a code.
async fn code(app: &TestApp, shop: &Shop) -> String {
    let pkce = if shop.secret.is_none() { PKCE } else { "" };
    app.code(shop, &format!("&scope=openid+profile+offline_access{pkce}")).await.0
}

fn code_form(code: &str) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", "authorization_code".into()),
        ("code", code.into()),
        ("redirect_uri", REDIRECT.into()),
    ]
}

fn refresh_form(token: &Value) -> Vec<(&'static str, String)> {
    vec![("grant_type", "refresh_token".into()), ("refresh_token", token.as_str().unwrap().into())]
}

/// A request to the token endpoint.
fn request(app: &TestApp, shop: &Shop, mut form: Vec<(&'static str, String)>) -> RequestBuilder {
    let request = app.http.post(app.project_url(shop, "/oauth2/token"));
    match &shop.secret {
        Some(secret) => request.basic_auth(&shop.id, Some(secret)).form(&form),
        None => {
            form.extend([("client_id", shop.id.clone()), ("code_verifier", VERIFIER.into())]);
            request.form(&form)
        }
    }
}

async fn ask(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

/// The same with a proof of now by this key.
async fn ask_with(app: &TestApp, shop: &Shop, key: &ProofKey, form: Vec<(&'static str, String)>) -> Answer {
    let proof = key.proof(app, "POST", &app.project_url(shop, "/oauth2/token"));
    ask(request(app, shop, form).header("dpop", proof)).await
}

fn claims_of(answer: &Value) -> Value {
    crate::support::oauth::claims_of(answer["access_token"].as_str().unwrap())
}

/// Calls userinfo with a token, a scheme and a proof.
async fn userinfo(app: &TestApp, shop: &Shop, scheme: &str, token: &str, proof: Option<&str>) -> Response {
    let request = app.http.get(app.project_url(shop, "/oauth2/userinfo"));
    let request = request.header("authorization", format!("{scheme} {token}"));
    proof.into_iter().fold(request, |request, proof| request.header("dpop", proof)).send().await.unwrap()
}

fn challenges(response: &Response) -> Vec<String> {
    let all = response.headers().get_all("www-authenticate").iter();
    all.map(|value| value.to_str().unwrap().to_owned()).collect()
}

async fn tokens_are_bound_to_the_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("open", "public").await;
    for alg in Alg::ALL {
        let key = ProofKey::with(alg).await;
        let tokens = ask_with(&app, &shop, &key, code_form(&code(&app, &shop).await)).await.ok();
        assert_eq!(
            (&tokens["token_type"], &claims_of(&tokens)["cnf"]),
            (&json!("DPoP"), &json!({"jkt": key.jkt}))
        );
        let token = tokens["access_token"].as_str().unwrap();
        let url = app.project_url(&shop, "/oauth2/userinfo");
        let proof = key.proof_with(&app, "GET", &url, token);
        let answer = Answer::of(userinfo(&app, &shop, "dpop", token, Some(&proof)).await).await;
        assert_eq!(answer.ok()["sub"], json!(shop.user));
        // It is no bearer token, anywhere, with or without a proof beside it.
        let proof = key.proof_with(&app, "GET", &url, token);
        for proof in [None, Some(proof.as_str())] {
            let answer = userinfo(&app, &shop, "Bearer", token, proof).await;
            let both = [
                r#"Bearer error="invalid_token""#,
                r#"DPoP error="invalid_token", algs="ES256 RS256 EdDSA""#,
            ];
            assert_eq!(challenges(&answer), both);
            let body = Answer::of(answer).await;
            assert_eq!((body.status, &body.body["reason"]), (401, &json!("missing_proof")));
        }
        for endpoint in ["userinfofromaccesstoken", "GlobalSignOut", "attribute-update"] {
            let answer = app.bearer(&shop, endpoint, token, json!({})).await;
            assert_eq!((answer.status, &answer.body["reason"]), (401, &json!("missing_proof")), "{endpoint}");
        }
        let in_body = app.http.post(app.project_url(&shop, "/api/userinfofromaccesstoken"));
        let in_body = ask(in_body.json(&json!({"access_token": token}))).await;
        assert_eq!((in_body.status, &in_body.body["reason"]), (401, &json!("missing_proof")));
        assert_eq!(app.verify(&shop, token).await["reason"], "missing_proof");
    }
    let found =
        app.http.get(app.project_url(&shop, "/.well-known/openid-configuration")).send().await.unwrap();
    let found: Value = found.json().await.unwrap();
    assert_eq!(found["dpop_signing_alg_values_supported"], json!(["ES256", "RS256", "EdDSA"]));
}

async fn a_bad_proof_is_an_error(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (key, stranger) = (ProofKey::new().await, ProofKey::new().await);
    let (url, code) = (app.project_url(&shop, "/oauth2/token"), code(&app, &shop).await);
    let now = app.app.clock.now().unix();
    let refused = async |proof: &str, why: &str| {
        let answer = ask(request(&app, &shop, code_form(&code)).header("dpop", proof)).await;
        answer.refused(400, "invalid_dpop_proof", why);
    };
    let (no_jwt, no_members) =
        ("the DPoP proof is not a signed JWT", "the DPoP proof has no typ, alg and jwk");
    refused("a.b", no_jwt).await;
    refused("", no_jwt).await;
    refused("a.b.c.d", no_jwt).await;
    refused("a.b.c", no_members).await;
    refused(&format!("{}..", "a".repeat(8200)), "the DPoP proof is longer than 8192 bytes").await;
    let alg = "the alg of the DPoP proof is ES256, RS256 or EdDSA";
    let wrong_key = "the jwk of the DPoP proof is not a public key for its alg";
    let leaked = "the jwk of the DPoP proof holds a private key, which is leaked now";
    let oct = json!({"kty": "oct", "k": "AAAA"});
    let oct_without = json!({"kty": "oct"});
    let mut private = key.header()["jwk"].clone();
    private["d"] = json!("AAAA");
    let off_curve = json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"});
    for (name, value, why) in [
        ("typ", json!("JWT"), "the typ of the DPoP proof is dpop+jwt"),
        ("typ", json!(null), no_members),
        ("alg", json!("none"), alg),
        ("alg", json!("HS256"), alg),
        ("alg", json!("RS256"), wrong_key),
        ("crit", json!(["exp"]), "the DPoP proof has a crit header"),
        ("jwk", oct, leaked),
        ("jwk", oct_without, wrong_key),
        ("jwk", private, leaked),
        ("jwk", json!("x"), wrong_key),
        ("jwk", off_curve, "the signature of the DPoP proof does not fit"),
        ("jwk", stranger.header()["jwk"].clone(), "the signature of the DPoP proof does not fit"),
    ] {
        let mut header = key.header();
        header[name] = value;
        let proof = key.sign(&header, &ProofKey::claims(&app, "POST", &url));
        refused(&proof, why).await;
    }
    let no_claims = "the DPoP proof has no jti, htm, htu and iat";
    let old = "the DPoP proof is not of this minute";
    for (name, value, why) in [
        ("jti", json!(null), no_claims),
        ("jti", json!(""), "the jti of the DPoP proof has 1 to 256 bytes"),
        ("jti", json!("x".repeat(257)), "the jti of the DPoP proof has 1 to 256 bytes"),
        ("htm", json!("GET"), "the DPoP proof is for another method"),
        ("htm", json!("post"), "the DPoP proof is for another method"),
        ("htu", json!(app.project_url(&shop, "/oauth2/userinfo")), "the DPoP proof is for another address"),
        ("htu", json!(null), no_claims),
        ("iat", json!(now - 61), old),
        ("iat", json!(now + 61), old),
        ("iat", json!(i64::MAX), old),
        ("iat", json!(i64::MIN), old),
        ("iat", json!("now"), no_claims),
    ] {
        let mut claims = ProofKey::claims(&app, "POST", &url);
        claims[name] = value;
        refused(&key.sign(&key.header(), &claims), why).await;
    }
    let good = key.proof(&app, "POST", &url);
    let (signed, _) = good.rsplit_once('.').unwrap();
    refused(&format!("{signed}."), "the signature of the DPoP proof does not fit").await;
    let two = request(&app, &shop, code_form(&code)).header("dpop", &good).header("dpop", &good);
    ask(two).await.refused(400, "invalid_dpop_proof", "the request has more than one DPoP header");
    // None of these used the code up; members that nobody knows are passed over.
    let (mut header, mut claims) = (key.header(), ProofKey::claims(&app, "POST", &url));
    header["kid"] = json!("x");
    claims["colour"] = json!({"blue": true});
    claims["exp"] = json!(0);
    let proof = key.sign(&header, &claims);
    let tokens = ask(request(&app, &shop, code_form(&code)).header("dpop", proof)).await.ok();
    assert_eq!(tokens["token_type"], "DPoP");
}

async fn addresses_are_ours_to_say(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (key, url) = (ProofKey::new().await, app.project_url(&shop, "/oauth2/token"));
    for same in [url.replace("http://", "HTTP://"), format!("{url}?a=b"), format!("{url}#here")] {
        let proof = key.proof(&app, "POST", &same);
        let form = code_form(&code(&app, &shop).await);
        ask(request(&app, &shop, form).header("dpop", proof)).await.ok();
    }
    // Whatever the request calls us.
    let elsewhere = key.proof(&app, "POST", "http://elsewhere.example/projects/shop/oauth2/token");
    let form = code_form(&code(&app, &shop).await);
    let request = request(&app, &shop, form).header("dpop", elsewhere).header("host", "elsewhere.example");
    let why = "the DPoP proof is for another address";
    ask(request).await.refused(400, "invalid_dpop_proof", why);
}

async fn proofs_are_used_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let node = app.second_node().await;
    let (key, url) = (ProofKey::new().await, app.project_url(&shop, "/oauth2/token"));
    let tokens = ask_with(&app, &shop, &key, code_form(&code(&app, &shop).await)).await.ok();
    let used = "the DPoP proof was used already";
    for seconds in [-10, 0, 10] {
        let mut claims = ProofKey::claims(&app, "POST", &url);
        claims["iat"] = json!(app.app.clock.now().unix() + seconds);
        let proof = key.sign(&key.header(), &claims);
        let send = |node: &TestApp| {
            let form = code_form("unknown");
            let request = node.http.post(format!("{}/projects/shop/oauth2/token", node.base));
            request.basic_auth(&shop.id, shop.secret.as_ref()).form(&form).header("dpop", &proof)
        };
        let (one, two) = tokio::join!(ask(send(&app)), ask(send(&node)));
        let (first, second) = if one.body["error"] == "invalid_grant" { (one, two) } else { (two, one) };
        first.refused(400, "invalid_grant", "the code is unknown");
        second.refused(400, "invalid_dpop_proof", used);
        app.app.clock.advance(30);
        tessera::jobs::run_due(&app.app).await.unwrap();
        ask(send(&app)).await.refused(400, "invalid_dpop_proof", used);
    }
    // Another key's proof of the same name is another one, and so is another project's.
    let mut claims = ProofKey::claims(&app, "POST", &url);
    claims["jti"] = json!("same");
    for key in [&key, &ProofKey::new().await] {
        let request = request(&app, &shop, refresh_form(&tokens["refresh_token"]));
        assert_eq!(ask(request.header("dpop", key.sign(&key.header(), &claims))).await.status, 200);
    }
    claims["htu"] = json!(app.project_url(&other, "/oauth2/token"));
    let form = code_form(&code(&app, &other).await);
    ask(request(&app, &other, form).header("dpop", key.sign(&key.header(), &claims))).await.ok();
    // What is remembered goes once no clock would take it.
    app.app.clock.advance(2 * 3600);
    tessera::jobs::run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM used_jtis").await, 0);
}

async fn public_clients_keep_their_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("open", "public").await;
    let (key, stranger) = (ProofKey::new().await, ProofKey::new().await);
    let first = ask_with(&app, &shop, &key, code_form(&code(&app, &shop).await)).await.ok();
    let refused = async || {
        let why = "the refresh token is bound to a key that did not prove itself";
        let form = || refresh_form(&first["refresh_token"]);
        ask(request(&app, &shop, form())).await.refused(400, "invalid_grant", why);
        ask_with(&app, &shop, &stranger, form()).await.refused(400, "invalid_grant", why);
    };
    refused().await;
    let second = ask_with(&app, &shop, &key, refresh_form(&first["refresh_token"])).await.ok();
    assert_eq!((&second["token_type"], &claims_of(&second)["cnf"]["jkt"]), (&json!("DPoP"), &json!(key.jkt)));
    // A lost answer is given again to the key alone, and nobody else ends the session.
    refused().await;
    let again = ask_with(&app, &shop, &key, refresh_form(&first["refresh_token"])).await.ok();
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    app.app.clock.advance(31);
    refused().await;
    let third = ask_with(&app, &shop, &key, refresh_form(&second["refresh_token"])).await.ok();
    let events = "SELECT count(*) AS n FROM audit_log WHERE action = 'token_family.replayed'";
    assert_eq!(number(&app.app.db, events).await, 0);
    // A session that began without a key goes on without.
    let plain = ask(request(&app, &shop, code_form(&code(&app, &shop).await))).await.ok();
    assert_eq!(plain["token_type"], "Bearer");
    let bound = ask_with(&app, &shop, &key, refresh_form(&plain["refresh_token"])).await.ok();
    assert_eq!(bound["token_type"], "DPoP");
    let again = ask(request(&app, &shop, refresh_form(&bound["refresh_token"]))).await.ok();
    assert_eq!((&again["token_type"], &claims_of(&again)["cnf"]), (&json!("Bearer"), &Value::Null));
    assert_eq!(third["token_type"], "DPoP");
}

// C091
/// A public client proves nothing by its name: whoever found its tokens does not sign its user out.
async fn nobody_else_ends_what_is_bound(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("open", "public").await;
    let (key, stranger) = (ProofKey::new().await, ProofKey::new().await);
    let url = app.project_url(&shop, "/oauth2/revoke");
    let revoke = async |token: &str, proof: Option<String>| {
        let request = app.http.post(&url).form(&[("token", token), ("client_id", &shop.id)]);
        ask(proof.into_iter().fold(request, |request, proof| request.header("dpop", proof))).await
    };
    let events = "SELECT count(*) AS n FROM token_families WHERE revoked_at IS NOT NULL";
    for (ended, which) in [(0, "refresh_token"), (1, "access_token")] {
        let tokens = ask_with(&app, &shop, &key, code_form(&code(&app, &shop).await)).await.ok();
        let token = tokens[which].as_str().unwrap();
        let why = "the token is bound to a key that did not prove itself";
        revoke(token, None).await.refused(400, "invalid_dpop_proof", why);
        let other = stranger.proof(&app, "POST", &url);
        revoke(token, Some(other)).await.refused(400, "invalid_dpop_proof", why);
        let elsewhere = key.proof(&app, "POST", &app.project_url(&shop, "/oauth2/token"));
        assert_eq!(revoke(token, Some(elsewhere)).await.body["error"], "invalid_dpop_proof");
        assert_eq!(number(&app.app.db, events).await, ended);
        assert_eq!(revoke(token, Some(key.proof(&app, "POST", &url))).await.ok(), json!({}));
        assert_eq!(number(&app.app.db, events).await, ended + 1);
    }
    // A token that is bound by itself, in a session that is not.
    let plain = ask(request(&app, &shop, code_form(&code(&app, &shop).await))).await.ok();
    let bound = ask_with(&app, &shop, &key, refresh_form(&plain["refresh_token"])).await.ok();
    let refused = revoke(bound["access_token"].as_str().unwrap(), None).await;
    assert_eq!((refused.status, &refused.body["error"]), (400, &json!("invalid_dpop_proof")));
    revoke(bound["refresh_token"].as_str().unwrap(), None).await.ok();
    assert_eq!(number(&app.app.db, events).await, 3);
    // A confidential client proves itself.
    let shop = app.shop("shop", "confidential").await;
    let tokens = ask_with(&app, &shop, &key, code_form(&code(&app, &shop).await)).await.ok();
    app.form(&shop, "revoke", &[("token", tokens["access_token"].as_str().unwrap())]).await.ok();
    assert_eq!(number(&app.app.db, events).await, 4);
}

async fn confidential_clients_may_change_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (key, next) = (ProofKey::new().await, ProofKey::new().await);
    let first = ask_with(&app, &shop, &key, code_form(&code(&app, &shop).await)).await.ok();
    assert_eq!(claims_of(&first)["cnf"]["jkt"], json!(key.jkt));
    let second = ask_with(&app, &shop, &next, refresh_form(&first["refresh_token"])).await.ok();
    assert_eq!(claims_of(&second)["cnf"]["jkt"], json!(next.jkt));
    // Introspection tells the resource which key it has to ask for.
    let told = app.introspect(&shop, first["access_token"].as_str().unwrap()).await;
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("DPoP")));
    assert_eq!(told["cnf"], json!({"jkt": key.jkt}));
    // Each token is bound to the key that it was asked for with.
    let url = app.project_url(&shop, "/oauth2/userinfo");
    for (tokens, own, other) in [(&first, &key, &next), (&second, &next, &key)] {
        let token = tokens["access_token"].as_str().unwrap();
        let wrong = other.proof_with(&app, "GET", &url, token);
        let answer = Answer::of(userinfo(&app, &shop, "DPoP", token, Some(&wrong)).await).await;
        assert_eq!((answer.status, &answer.body["error"]), (401, &json!("invalid_dpop_proof")));
        let right = own.proof_with(&app, "GET", &url, token);
        Answer::of(userinfo(&app, &shop, "DPoP", token, Some(&right)).await).await.ok();
    }
    let plain = ask(request(&app, &shop, refresh_form(&second["refresh_token"]))).await.ok();
    assert_eq!((&plain["token_type"], &claims_of(&plain)["cnf"]), (&json!("Bearer"), &Value::Null));
}

async fn machines_may_be_bound(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let service = app.service(&shop, &[GrantType::ClientCredentials], None).await;
    let key = ProofKey::new().await;
    let form = vec![("grant_type", "client_credentials".to_owned())];
    let tokens = ask_with(&app, &service, &key, form.clone()).await.ok();
    assert_eq!((&tokens["token_type"], &claims_of(&tokens)["cnf"]["jkt"]), (&json!("DPoP"), &json!(key.jkt)));
    let verdict = app.verify(&service, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(verdict["reason"], "missing_proof");
    let plain = ask(request(&app, &service, form)).await.ok();
    assert_eq!((&plain["token_type"], &claims_of(&plain)["cnf"]), (&json!("Bearer"), &Value::Null));
}

async fn a_code_may_be_for_one_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (key, stranger) = (ProofKey::new().await, ProofKey::new().await);
    let why = "the code is for a key that did not prove itself";
    let check = async |code: &str| {
        ask(request(&app, &shop, code_form(code))).await.refused(400, "invalid_grant", why);
        app.exchange(&shop, code).await.refused(400, "invalid_grant", why);
        ask_with(&app, &shop, &stranger, code_form(code)).await.refused(400, "invalid_grant", why);
        let tokens = ask_with(&app, &shop, &key, code_form(code)).await.ok();
        assert_eq!(claims_of(&tokens)["cnf"]["jkt"], json!(key.jkt));
    };
    let (code, cookie) = app.code(&shop, &format!("&dpop_jkt={}", key.jkt)).await;
    check(&code).await;
    let wrong = app.http.get(app.authorize_url(&shop, "&dpop_jkt=short")).send().await.unwrap();
    let why = parameter(&location_of(&wrong), "error_description");
    assert_eq!(why.as_deref(), Some("dpop_jkt has 43 base64url characters"));
    assert!(silent_code(&app, &shop, &cookie).await.is_some());

    // A pushed request says so by its proof, too.
    let url = app.project_url(&shop, "/oauth2/par");
    let push = async |form: &[(&str, &str)], by: &ProofKey| {
        let form = [&[("response_type", "code"), ("redirect_uri", REDIRECT)][..], form].concat();
        let request = app.http.post(&url).basic_auth(&shop.id, shop.secret.as_ref()).form(&form);
        ask(request.header("dpop", by.proof(&app, "POST", &url))).await
    };
    let other = "dpop_jkt is not the thumbprint of the proof's key";
    let mismatch = push(&[("dpop_jkt", &stranger.jkt)], &key).await;
    mismatch.refused_for(400, "invalid_request", "dpop_jkt", other);
    for form in [&[][..], &[("dpop_jkt", key.jkt.as_str())]] {
        let pushed = push(form, &key).await.created();
        let name = pushed["request_uri"].as_str().unwrap();
        let link = app.project_url(&shop, "/oauth2/authorize");
        let request = app.http.get(link).query(&[("client_id", shop.id.as_str()), ("request_uri", name)]);
        let answer = request.header("cookie", &cookie).send().await.unwrap();
        check(&code_of(&answer)).await;
    }
    let twice = app.http.post(&url).basic_auth(&shop.id, shop.secret.as_ref()).header("dpop", "x");
    let twice = twice.form(&[("response_type", "code")]);
    ask(twice).await.refused(400, "invalid_dpop_proof", "the DPoP proof is not a signed JWT");
}

async fn a_client_may_have_to_prove(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        dpop_bound_access_tokens: true,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let (key, code) = (ProofKey::new().await, code(&app, &shop).await);
    let why = "this client must send a DPoP proof";
    ask(request(&app, &shop, code_form(&code))).await.refused(400, "invalid_dpop_proof", why);
    app.exchange(&shop, &code).await.refused(400, "invalid_dpop_proof", why);
    let tokens = ask_with(&app, &shop, &key, code_form(&code)).await.ok();
    let form = refresh_form(&tokens["refresh_token"]);
    ask(request(&app, &shop, form.clone())).await.refused(400, "invalid_dpop_proof", why);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    app.refresh(&shop, refresh).await.refused(400, "invalid_dpop_proof", why);
    // Whoever does not prove to be the client is not told.
    let stranger = app.http.post(app.project_url(&shop, "/oauth2/token")).basic_auth(&shop.id, Some("x"));
    ask(stranger.form(&form)).await.refused(401, "invalid_client", "client authentication failed");
    assert_eq!(ask_with(&app, &shop, &key, form).await.ok()["token_type"], "DPoP");
}

async fn the_session_api_takes_proofs(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let key = ProofKey::new().await;
    let mut refresh = Value::Null;
    // Under the slug and under the id of the project.
    for project in [shop.slug.clone(), shop.project.to_string()] {
        let call = async |endpoint: &str, body: Value, token: Option<&str>| {
            let url = format!("{}/projects/{project}/api/{endpoint}", app.base);
            let request = app.http.post(&url).json(&body);
            let (request, proof) = match token {
                Some(token) => {
                    let request = request.header("authorization", format!("DPoP {token}"));
                    (request, key.proof_with(&app, "POST", &url, token))
                }
                None => {
                    let request = request.basic_auth(&shop.id, shop.secret.as_ref());
                    (request, key.proof(&app, "POST", &url))
                }
            };
            ask(request.header("dpop", proof)).await
        };
        let body = json!({"code": code(&app, &shop).await, "redirect_uri": REDIRECT});
        let tokens = call("GetTokenFromCode", body, None).await.ok();
        let tokens = call("refresh", json!({"refresh_token": tokens["refresh_token"]}), None).await.ok();
        assert_eq!(
            (&tokens["token_type"], &claims_of(&tokens)["cnf"]["jkt"]),
            (&json!("DPoP"), &json!(key.jkt))
        );
        let token = tokens["access_token"].as_str().unwrap();
        let known = call("userinfofromaccesstoken", json!({}), Some(token)).await.ok();
        assert_eq!(known["sub"], json!(shop.user));
        assert_eq!(call("attribute-update", json!({"set": {}}), Some(token)).await.status, 200);
        assert_eq!(call("GlobalSignOut", json!({}), Some(token)).await.ok()["families_ended"], 1);
        let ended = call("GlobalSignOut", json!({}), Some(token)).await;
        assert_eq!((ended.status, &ended.body["reason"]), (401, &json!("signed_out")));
        refresh = tokens["refresh_token"].clone();
    }
    let bad =
        app.http.post(app.project_url(&shop, "/api/refresh")).basic_auth(&shop.id, shop.secret.as_ref());
    let bad = bad.json(&json!({"refresh_token": refresh})).header("dpop", "x");
    ask(bad).await.refused(400, "invalid_dpop_proof", "the DPoP proof is not a signed JWT");
}

async fn resources_judge_the_proof(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (key, url) = (ProofKey::new().await, app.project_url(&shop, "/oauth2/userinfo"));
    let tokens = ask_with(&app, &shop, &key, code_form(&code(&app, &shop).await)).await.ok();
    let token = tokens["access_token"].as_str().unwrap();
    let refused = async |proof: Option<&str>, why: &str| {
        let answer = userinfo(&app, &shop, "DPoP", token, proof).await;
        assert_eq!(challenges(&answer), [r#"DPoP error="invalid_dpop_proof", algs="ES256 RS256 EdDSA""#]);
        let answer = Answer::of(answer).await;
        let said = &answer.body["error_description"];
        assert_eq!(
            (answer.status, &answer.body["error"], said),
            (401, &json!("invalid_dpop_proof"), &json!(why))
        );
    };
    refused(None, "the request has no DPoP header").await;
    let wrong = "the proof does not fit the token and the request";
    refused(Some("x"), wrong).await;
    refused(Some(&key.proof(&app, "GET", &url)), wrong).await;
    refused(Some(&key.proof_with(&app, "GET", &url, "another")), wrong).await;
    refused(Some(&key.proof_with(&app, "POST", &url, token)), wrong).await;
    refused(Some(&key.proof_with(&app, "GET", &app.base, token)), wrong).await;
    let proof = key.proof_with(&app, "GET", &url, token);
    let node = app.second_node().await;
    let send = |node: &TestApp| {
        let request = node.http.get(format!("{}/projects/shop/oauth2/userinfo", node.base));
        request.header("authorization", format!("DPoP {token}")).header("dpop", &proof)
    };
    let (one, two) = tokio::join!(ask(send(&app)), ask(send(&node)));
    let mut both = [one.status, two.status];
    both.sort_unstable();
    assert_eq!(both, [200, 401]);
    refused(Some(&proof), "the DPoP proof was used already").await;
    // A token that is bound to nothing is not proven by a proof.
    let plain = app.sign_in(&shop).await;
    let plain = plain.get("access_token");
    let proof = key.proof_with(&app, "GET", &url, plain);
    let answer = Answer::of(userinfo(&app, &shop, "DPoP", plain, Some(&proof)).await).await;
    assert_eq!((answer.status, &answer.body["reason"]), (401, &json!("invalid_proof")));
}

/// A proof is used up by its client alone, and then once.
async fn a_stranger_uses_no_proof_up(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (key, rows) = (ProofKey::new().await, "SELECT count(*) AS n FROM used_jtis");
    for path in ["/oauth2/token", "/oauth2/par"] {
        let url = app.project_url(&shop, path);
        let proof = key.proof(&app, "POST", &url);
        let before = number(&app.app.db, rows).await;
        let form = || match path {
            "/oauth2/par" => {
                vec![("response_type", "code".to_owned()), ("redirect_uri", REDIRECT.to_owned())]
            }
            _ => code_form("unknown"),
        };
        let send = |id: &str, secret: Option<&str>| {
            let request = app.http.post(&url).basic_auth(id, secret).form(&form());
            ask(request.header("dpop", &proof))
        };
        let unknown = app.app.entropy.id::<tessera::ids::ClientId>(app.app.clock.now()).unwrap().to_string();
        for (id, secret) in [(shop.id.as_str(), Some("wrong")), (unknown.as_str(), shop.secret.as_deref())] {
            send(id, secret).await.refused(401, "invalid_client", "client authentication failed");
        }
        assert_eq!(number(&app.app.db, rows).await, before, "{path}");
        let (one, two) =
            tokio::join!(send(&shop.id, shop.secret.as_deref()), send(&shop.id, shop.secret.as_deref()));
        let used = |answer: &Answer| answer.body["error"] == "invalid_dpop_proof";
        assert!(used(&one) != used(&two), "{path}: {} {}", one.body, two.body);
        assert_eq!(number(&app.app.db, rows).await, before + 1, "{path}");
        let again = send(&shop.id, shop.secret.as_deref()).await;
        again.refused(400, "invalid_dpop_proof", "the DPoP proof was used already");
    }
}
