//! What a project publishes: where it is found, how long it is kept, and how soon it follows a change.

use reqwest::Response;
use serde_json::{Value, json};
use tessera::keys::rotate;
use tessera::model::signing_key::Alg;

use crate::keys_support::change;
use crate::support::{Engine, Shop, TestApp, both_engines};

both_engines!(
    the_document_is_where_it_is_looked_for,
    the_document_is_well_formed,
    hosts_are_not_reflected,
    what_is_known_is_not_sent_again,
    five_seconds_from_memory
);

const LOCATIONS: [&str; 3] = [
    "/projects/shop/.well-known/openid-configuration",
    "/projects/shop/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/projects/shop",
];
const JWKS: &str = "/projects/shop/.well-known/jwks.json";

async fn get(app: &TestApp, path: &str, known: Option<&str>) -> Response {
    let request = app.http.get(format!("{}{path}", app.base));
    match known {
        Some(etag) => request.header("if-none-match", etag).send().await.unwrap(),
        None => request.send().await.unwrap(),
    }
}

fn etag(response: &Response) -> String {
    response.headers()["etag"].to_str().unwrap().to_owned()
}

// C001 C002 C009
async fn the_document_is_where_it_is_looked_for(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let issuer = format!("{}/projects/shop", app.base);
    let with_none = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
    let algs = ["ES256", "RS256", "EdDSA"];
    let expected = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth2/authorize"),
        "token_endpoint": format!("{issuer}/oauth2/token"),
        "userinfo_endpoint": format!("{issuer}/oauth2/userinfo"),
        "device_authorization_endpoint": format!("{issuer}/oauth2/device_authorization"),
        "pushed_authorization_request_endpoint": format!("{issuer}/oauth2/par"),
        "end_session_endpoint": format!("{issuer}/oauth2/logout"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "introspection_endpoint": format!("{issuer}/oauth2/introspect"),
        "revocation_endpoint": format!("{issuer}/oauth2/revoke"),
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials",
            "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:device_code"],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "dpop_signing_alg_values_supported": ["ES256", "RS256", "EdDSA"],
        "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access", "account"],
        "token_endpoint_auth_methods_supported": with_none,
        "token_endpoint_auth_signing_alg_values_supported": algs,
        "introspection_endpoint_auth_methods_supported": &with_none[..3],
        "introspection_endpoint_auth_signing_alg_values_supported": algs,
        "revocation_endpoint_auth_methods_supported": with_none,
        "revocation_endpoint_auth_signing_alg_values_supported": algs,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": ["ES256", "RS256", "EdDSA"],
        "userinfo_signing_alg_values_supported": ["ES256", "RS256"],
        "introspection_signing_alg_values_supported": ["ES256", "RS256"],
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": true,
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "sid", "name", "given_name",
            "family_name", "middle_name", "nickname", "profile", "picture", "website", "gender", "birthdate", "zoneinfo",
            "locale", "phone_number", "phone_number_verified", "address", "preferred_username", "updated_at", "email",
            "email_verified", "roles", "groups"],
        "acr_values_supported": ["1", "2"],
        "ui_locales_supported": ["en", "de", "zh-Hans"],
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    for location in LOCATIONS {
        let answer = get(&app, location, None).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"application/json".parse().unwrap())
        );
        assert_eq!(answer.json::<Value>().await.unwrap(), expected, "{location}");
    }
    // Under the issuer, which has the slug, and nowhere else.
    let id = shop.project;
    for nothing in [
        format!("/.well-known/oauth-authorization-server/projects/{id}"),
        "/.well-known/oauth-authorization-server/projects/nobody".into(),
        "/.well-known/oauth-authorization-server".into(),
        format!("/projects/{id}/.well-known/openid-configuration"),
    ] {
        assert_eq!(get(&app, &nothing, None).await.status(), 404, "{nothing}");
    }
}

// C003 C004 C005 C006 C007
/// Discovery 3 and RFC 8414, 2: what must be there is, of the right type, and nothing is null or empty.
async fn the_document_is_well_formed(engine: Engine) {
    let app = TestApp::new(engine).await;
    app.shop("shop", "confidential").await;
    let document: Value = get(&app, LOCATIONS[0], None).await.json().await.unwrap();
    for (name, value) in document.as_object().unwrap() {
        match value {
            Value::Array(values) => {
                assert!(!values.is_empty() && values.iter().all(Value::is_string), "{name}: {value}");
            }
            Value::String(text) => assert!(!text.is_empty(), "{name}"),
            Value::Bool(_) => {}
            _ => panic!("{name}: {value}"),
        }
        assert_eq!(value.is_array(), name.ends_with("_supported") && !value.is_boolean(), "{name}");
    }
    for required in [
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    ] {
        assert!(document.get(required).is_some(), "{required}");
    }
    let has = |name: &str, value: &str| document[name].as_array().unwrap().contains(&json!(value));
    assert!(has("id_token_signing_alg_values_supported", "RS256"));
    assert!(!has("id_token_signing_alg_values_supported", "none"));
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["request_uri_parameter_supported"], false);
    let issuer = url::Url::parse(document["issuer"].as_str().unwrap()).unwrap();
    assert_eq!((issuer.query(), issuer.fragment()), (None, None));
}

// C008
async fn hosts_are_not_reflected(engine: Engine) {
    let app = TestApp::new(engine).await;
    app.shop("shop", "confidential").await;
    let issuer = format!("{}/projects/shop/", app.base);
    for location in LOCATIONS {
        let request = app.http.get(format!("{}{location}", app.base)).header("host", "evil.example");
        let request = request.header("x-forwarded-host", "evil.example").header("x-forwarded-proto", "https");
        let answer = request.header("forwarded", "host=evil.example").send().await.unwrap();
        let document: Value = answer.json().await.unwrap();
        assert!(!document.to_string().contains("evil"), "{document}");
        for (name, value) in document.as_object().unwrap() {
            if name.ends_with("_endpoint") || name == "jwks_uri" {
                assert!(value.as_str().unwrap().starts_with(&issuer), "{name}: {value}");
            }
        }
    }
}

async fn what_is_known_is_not_sent_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let other_node = app.second_node().await;
    for path in LOCATIONS.into_iter().chain([JWKS]) {
        let known = etag(&get(&app, path, None).await);
        // The same text has the same ETag on every node.
        assert_eq!(etag(&get(&other_node, path, None).await), known);
        let lists = [known.clone(), format!("\"x\", {known}"), format!("W/{known}"), "*".into()];
        for list in lists {
            let answer = get(&app, path, Some(&list)).await;
            assert_eq!((answer.status().as_u16(), etag(&answer)), (304, known.clone()), "{path} {list}");
            assert_eq!(answer.headers()["cache-control"], "public, max-age=300");
            assert_eq!(answer.text().await.unwrap(), "");
        }
        assert_eq!(get(&app, path, Some("\"x\"")).await.status(), 200);
    }
    // Another key, another ETag.
    let known = etag(&get(&app, JWKS, None).await);
    publish_another_key(&app, &shop).await;
    app.app.clock.advance(6);
    let answer = get(&app, JWKS, Some(&known)).await;
    assert_eq!(answer.status(), 200);
    assert_ne!(etag(&answer), known);
}

async fn publish_another_key(app: &TestApp, shop: &Shop) {
    rotate::prepare(&change!(app, shop.project), Alg::ES256, None).await.unwrap();
}

async fn five_seconds_from_memory(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let changing = app.second_node().await;
    let reads = async |seconds: i64| {
        app.app.clock.advance(seconds);
        let before = app.app.db.statements();
        let mut keys = 0;
        for path in LOCATIONS.into_iter().chain([JWKS]) {
            let document: Value = get(&app, path, None).await.json().await.unwrap();
            keys = document["keys"].as_array().map_or(keys, Vec::len);
        }
        let after = app.app.db.statements();
        assert_eq!((after.writes, after.units), (before.writes, before.units));
        (after.reads - before.reads, keys)
    };
    let (first, keys) = reads(6).await;
    assert!(first > 0);
    assert_eq!(reads(0).await, (0, keys));
    publish_another_key(&changing, &shop).await;
    // From memory, as it was.
    assert_eq!(reads(4).await, (0, keys));
    // Then it is read, once for all of them, and follows.
    let (read, now) = reads(2).await;
    assert!(read > 0 && now == keys + 1, "{read} reads, {now} keys after {keys}");
    assert_eq!(reads(4).await, (0, now));
    // What has not changed costs one read.
    assert_eq!(reads(2).await, (1, now));
}
