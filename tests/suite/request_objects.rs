//! Request objects by value (RFC 9101): what a client signed is what counts, and nothing else passes for it.

use reqwest::Response;
use serde_json::{Value, json};
use tessera::keys::generate::{NewKey, RsaSize, generate};
use tessera::keys::signing::Signer;
use tessera::model::client::ClientSettings;
use tessera::model::signing_key::Alg;
use tessera::secret::encode_base64url;

use crate::support::oauth::jwks_of;
use crate::support::{
    Answer, Engine, PASSWORD, REDIRECT, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of,
    parameter, sealed_of,
};

both_engines!(
    // C025
    what_is_signed_counts,
    // C025
    objects_that_are_not_acceptable,
    // C025 C101
    nothing_else_passes_for_an_object,
    a_client_may_have_to_sign,
    // C025 C108
    objects_are_pushed_as_well,
    what_a_client_registers_for_it,
);

async fn shop(app: &TestApp, slug: &str, change: impl FnOnce(&mut ClientSettings)) -> (Shop, NewKey) {
    let key = generate(Alg::ES256, RsaSize::default()).await.unwrap();
    let mut settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into(), "http://localhost:9/other".into()],
        require_pkce: false,
        jwks: Some(jwks_of(&[&key])),
        ..ClientSettings::default()
    };
    change(&mut settings);
    (app.shop_with(slug, "confidential", settings).await, key)
}

/// What a good object says.
fn claims(app: &TestApp, shop: &Shop) -> Value {
    let now = app.app.clock.now().unix();
    json!({"iss": shop.id, "aud": app.project_url(shop, ""), "iat": now, "nbf": now, "exp": now + 300, "jti": "1",
        "client_id": shop.id, "response_type": "code", "redirect_uri": REDIRECT, "scope": "openid email",
        "state": "inside", "nonce": "n-inside", "max_age": 600, "claims": {"id_token": {"email": null}}})
}

fn sign(key: &NewKey, typ: &str, claims: &Value) -> String {
    Signer::new(key.alg, &key.kid, &key.private_der).unwrap().sign(typ, claims).unwrap()
}

async fn ask(app: &TestApp, shop: &Shop, query: &[(&str, &str)]) -> Response {
    let query = [&[("client_id", shop.id.as_str())][..], query].concat();
    app.http.get(app.project_url(shop, "/oauth2/authorize")).query(&query).send().await.unwrap()
}

async fn refused(app: &TestApp, shop: &Shop, object: &str, why: &str) {
    // Beside an address that would do: nobody is led there by what was not signed.
    let query = [("request", object), ("redirect_uri", REDIRECT), ("response_type", "code")];
    let page = Seen::of(ask(app, shop, &query).await).await;
    page.refused(400, &format!("The request object is not acceptable: {why}."));
}

async fn what_is_signed_counts(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, key) = shop(&app, "shop", |_| ()).await;
    for typ in ["oauth-authz-req+jwt", "JWT"] {
        let object = sign(&key, typ, &claims(&app, &shop));
        // What stands beside it is passed over, be it an attack or what OpenID Connect Core, 6.1 asks for.
        let beside = [
            ("request", object.as_str()),
            ("redirect_uri", "http://localhost:9/other"),
            ("scope", "openid email offline_access phone"),
            ("state", "outside"),
            ("nonce", "outside"),
            ("response_type", "token"),
            ("prompt", "none"),
        ];
        let page = ask(&app, &shop, &beside).await;
        assert_eq!(page.status(), 200);
        let (cookie, form) = (cookie_of(&page), Seen::of(page).await);
        let signed_in = app.submit(&shop, &cookie, &sealed_of(&form.text), PASSWORD).await;
        let to = location_of(&signed_in);
        assert!(to.as_str().starts_with(&format!("{REDIRECT}?")), "{to}");
        assert_eq!(parameter(&to, "state").as_deref(), Some("inside"));
        let tokens = app.oauth_exchange(&shop, &code_of(&signed_in)).await;
        let id = crate::support::oauth::claims_of(tokens.get("id_token"));
        assert_eq!((&id["nonce"], &id["email"]), (&json!("n-inside"), &json!("alice@example.com")));
        assert_eq!(tokens.0["scope"], "openid email");
        // By POST as well, and silently from now on.
        let silent = json!({"prompt": "none", "state": "again"});
        let mut again = claims(&app, &shop);
        again.as_object_mut().unwrap().extend(silent.as_object().unwrap().clone());
        let object = sign(&key, typ, &again);
        let post = app.http.post(app.project_url(&shop, "/oauth2/authorize"));
        let post = post.header("cookie", cookie_of(&signed_in));
        let answer = post.form(&[("client_id", &shop.id), ("request", &object)]).send().await.unwrap();
        assert_eq!(parameter(&location_of(&answer), "state").as_deref(), Some("again"));
        code_of(&answer);
    }
    // What is wrong inside goes to the proven address, as ever.
    let mut wrong = claims(&app, &shop);
    wrong["response_type"] = json!("token");
    let object = sign(&key, "JWT", &wrong);
    let to = location_of(&ask(&app, &shop, &[("request", &object)]).await);
    assert_eq!(parameter(&to, "error").as_deref(), Some("unsupported_response_type"));
    wrong["redirect_uri"] = json!("https://evil.example/");
    let object = sign(&key, "JWT", &wrong);
    let page = Seen::of(ask(&app, &shop, &[("request", &object), ("redirect_uri", REDIRECT)]).await).await;
    page.refused(400, "The application asked to return to an address that is not registered.");
    // A form that came of one begins anew with it.
    let object = sign(&key, "JWT", &claims(&app, &shop));
    let page = ask(&app, &shop, &[("request", &object)]).await;
    let sealed = sealed_of(&page.text().await.unwrap());
    let stale = Seen::of(app.submit(&shop, "", &sealed, PASSWORD).await).await;
    assert!(stale.text.contains(&format!("&#38;request={object}")), "{}", stale.text);
}

async fn objects_that_are_not_acceptable(engine: Engine) {
    let app = TestApp::new(engine).await;
    let ((shop, key), (other, _)) = (shop(&app, "shop", |_| ()).await, shop(&app, "other", |_| ()).await);
    let now = app.app.clock.now().unix();
    let (issuer, subject) =
        ("its issuer is the client, and it has no subject", "its audience is the issuer of this project");
    let (expiry, begin) =
        ("it expires within an hour, and has not yet", "its time has not come, or is long over");
    for (changes, why) in [
        (json!({"iss": null}), issuer),
        (json!({"iss": other.id}), issuer),
        (json!({"sub": shop.id}), issuer),
        (json!({"client_id": other.id}), "it is of another client"),
        (json!({"client_id": ["x"]}), "it is of another client"),
        (json!({"aud": null}), subject),
        (json!({"aud": app.project_url(&other, "")}), subject),
        (json!({"aud": [app.base]}), subject),
        (json!({"aud": app.project_url(&shop, "/oauth2/authorize")}), subject),
        (json!({"exp": null}), "a time in it is no number"),
        (json!({"exp": "soon"}), "a time in it is no number"),
        (json!({"exp": now}), expiry),
        (json!({"exp": now + 3601}), expiry),
        (json!({"nbf": now + 31}), begin),
        (json!({"iat": now + 31}), begin),
        (json!({"nbf": now - 3601}), begin),
        (json!({"request": "a.b.c"}), "it holds another request"),
        (json!({"request_uri": "urn:ietf:params:oauth:request_uri:x"}), "it holds another request"),
        (json!({"resource": [1]}), "resource in it is a list of texts"),
    ] {
        let mut claims = claims(&app, &shop);
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        refused(&app, &shop, &sign(&key, "JWT", &claims), why).await;
    }
    let good = claims(&app, &shop);
    for typ in ["dpop+jwt", "at+jwt", "logout+jwt", "client-authentication+jwt", ""] {
        refused(&app, &shop, &sign(&key, typ, &good), "its type is oauth-authz-req+jwt").await;
    }
    // Its hour passes.
    let object = sign(&key, "JWT", &good);
    app.app.clock.advance(300);
    refused(&app, &shop, &object, expiry).await;
    // Two at once, and one that names another client outside.
    let object = sign(&key, "JWT", &claims(&app, &shop));
    for beside in [("request", object.as_str()), ("request_uri", "https://elsewhere.example/r")] {
        let page = Seen::of(ask(&app, &shop, &[("request", &object), beside]).await).await;
        page.refused(400, "The application named two requests.");
    }
    refused(&app, &other, &object, "no key that the client registered has signed it").await;
}

async fn nothing_else_passes_for_an_object(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, key) = shop(&app, "shop", |_| ()).await;
    let stranger = generate(Alg::ES256, RsaSize::default()).await.unwrap();
    let good = claims(&app, &shop);
    let unsigned = "no key that the client registered has signed it";
    refused(&app, &shop, &sign(&stranger, "JWT", &good), unsigned).await;
    let part = |value: &Value| encode_base64url(value.to_string().as_bytes());
    let public: Value = serde_json::from_str(&key.public_jwk).unwrap();
    let by = |header: Value| format!("{}.{}.{}", part(&header), part(&good), encode_base64url(&[7; 64]));
    let none = "its algorithm is none of ES256, RS256 and EdDSA";
    for (object, why) in [
        (by(json!({"alg": "none"})), none),
        (by(json!({"alg": "HS256", "kid": key.kid})), none),
        (by(json!({"alg": "es256", "kid": key.kid})), none),
        (by(json!({"alg": "ES256", "kid": key.kid, "jwk": public})), "it brings a key along"),
        (
            by(json!({"alg": "ES256", "kid": key.kid, "jku": "https://evil.example/"})),
            "it brings a key along",
        ),
        (by(json!({"alg": "ES256", "kid": key.kid, "crit": ["exp"]})), "it is not a signed JWT"),
        (by(json!({"alg": "ES256", "kid": key.kid})), unsigned),
        (by(json!({"alg": "RS256", "kid": key.kid})), unsigned),
        (by(json!({"alg": "ES256", "kid": "../../x"})), unsigned),
        (format!("{}.{}.", part(&json!({"alg": "none"})), part(&good)), "it is not a signed JWT"),
        (part(&good), "it is not a signed JWT"),
        ("a.b.c.d.e".into(), "it is not a signed JWT"),
    ] {
        refused(&app, &shop, &object, why).await;
    }
    // One member changed, the signature kept.
    let object = sign(&key, "JWT", &good);
    let pieces: Vec<&str> = object.split('.').collect();
    let mut changed = good.clone();
    changed["scope"] = json!("openid email offline_access");
    refused(&app, &shop, &format!("{}.{}.{}", pieces[0], part(&changed), pieces[2]), unsigned).await;
    // A client assertion says the same of itself, and is none.
    let mut assertion = good.clone();
    assertion["sub"] = json!(shop.id);
    refused(&app, &shop, &sign(&key, "JWT", &assertion), "its issuer is the client, and it has no subject")
        .await;
    // A client without keys has none that are acceptable.
    let keyless = app.second_client(
        &shop,
        ClientSettings { redirect_uris: vec![REDIRECT.into()], ..ClientSettings::default() },
    );
    let keyless = keyless.await;
    refused(&app, &keyless, &sign(&key, "JWT", &claims(&app, &keyless)), unsigned).await;
}

async fn a_client_may_have_to_sign(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, key) = shop(&app, "shop", |settings| settings.require_signed_request_object = true).await;
    let to = location_of(&app.http.get(app.authorize_url(&shop, "")).send().await.unwrap());
    assert_eq!(parameter(&to, "error").as_deref(), Some("invalid_request"));
    let why = "this client must sign its authorization requests";
    assert_eq!(parameter(&to, "error_description").as_deref(), Some(why));
    let object = sign(&key, "JWT", &claims(&app, &shop));
    assert_eq!(ask(&app, &shop, &[("request", &object)]).await.status(), 200);
    // A pushed one as well.
    let plain = [("response_type", "code"), ("redirect_uri", REDIRECT)];
    app.form(&shop, "par", &plain).await.refused(400, "invalid_request", why);
    app.form(&shop, "par", &[("request", &object)]).await.created();
    // Its login link makes no request in its place: it signs the browser in.
    let link = app.project_url(&shop, &format!("/sign-in?client_id={}", shop.id));
    assert_eq!(app.http.get(link).send().await.unwrap().status(), 200);
}

async fn objects_are_pushed_as_well(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, key) =
        shop(&app, "shop", |settings| settings.require_pushed_authorization_requests = true).await;
    let object = sign(&key, "oauth-authz-req+jwt", &claims(&app, &shop));
    let to = location_of(&ask(&app, &shop, &[("request", &object)]).await);
    let why = "this client must push its authorization requests";
    assert_eq!(parameter(&to, "error_description").as_deref(), Some(why));
    let beside =
        [("request", object.as_str()), ("redirect_uri", "https://evil.example/"), ("state", "outside")];
    let pushed = app.form(&shop, "par", &beside).await.created();
    let page = ask(&app, &shop, &[("request_uri", pushed["request_uri"].as_str().unwrap())]).await;
    let (cookie, sealed) = (cookie_of(&page), sealed_of(&page.text().await.unwrap()));
    let to = location_of(&app.submit(&shop, &cookie, &sealed, PASSWORD).await);
    assert!(to.as_str().starts_with(&format!("{REDIRECT}?")) && parameter(&to, "code").is_some(), "{to}");
    assert_eq!(parameter(&to, "state").as_deref(), Some("inside"));
    let mut late = claims(&app, &shop);
    late["exp"] = json!(app.app.clock.now().unix());
    let answer: Answer = app.form(&shop, "par", &[("request", &sign(&key, "JWT", &late))]).await;
    let why = "The request object is not acceptable: it expires within an hour, and has not yet.";
    answer.refused(400, "invalid_request_object", why);
}

async fn what_a_client_registers_for_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, key) = shop(&app, "shop", |_| ()).await;
    let (desk, path) = (app.desk(&shop, "admin").await, format!("/clients/{}", shop.id));
    desk.patch(&path, json!({"request_object_signing_alg": "RS256"})).await.ok();
    let object = sign(&key, "JWT", &claims(&app, &shop));
    refused(&app, &shop, &object, "its algorithm is not the one that the client registered").await;
    desk.patch(&path, json!({"request_object_signing_alg": "none"})).await.refused_for(
        400,
        "invalid_request",
        "request_object_signing_alg",
        "request_object_signing_alg must be one of ES256, RS256, EdDSA",
    );
    desk.patch(&path, json!({"request_object_signing_alg": null, "require_signed_request_object": true}))
        .await
        .ok();
    let why = "require_signed_request_object is for clients with jwks or jwks_uri";
    let answer = desk.patch(&path, json!({"jwks": null})).await;
    answer.refused_for(400, "invalid_request", "require_signed_request_object", why);
}
