//! `jwks_uri`: keys that a client publishes, and how often they are fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tessera::keys::generate::{NewKey, RsaSize, generate};
use tessera::model::client::{AuthMethod, ClientSettings, GrantType};
use tessera::model::signing_key::Alg;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::support::oauth::{ASSERTION_TYPE, jwks_of, sign};
use crate::support::{Answer, Engine, Shop, TestApp, both_engines};

both_engines!(
    // C079
    published_keys_prove_a_client,
    strangers_do_not_make_us_fetch,
    what_is_no_key_set_proves_nothing,
    they_are_fetched_once_for_all_who_wait,
);

/// A client's own server: what it publishes, and how often that was fetched.
struct Publisher {
    uri: String,
    body: Arc<Mutex<(u16, String)>>,
    fetched: Arc<AtomicU64>,
}

impl Publisher {
    async fn new(set: &Value) -> Self {
        let body = Arc::new(Mutex::new((200, set.to_string())));
        let fetched = Arc::new(AtomicU64::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
        let (told, counted) = (body.clone(), fetched.clone());
        let answer = move || {
            let (told, counted) = (told.clone(), counted.clone());
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                let (status, body) = told.lock().await.clone();
                (StatusCode::from_u16(status).unwrap(), body)
            }
        };
        let router = Router::new().route("/jwks", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { uri, body, fetched }
    }

    async fn publish(&self, status: u16, body: &str) {
        *self.body.lock().await = (status, body.to_owned());
    }

    fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::SeqCst)
    }
}

async fn key() -> NewKey {
    generate(Alg::ES256, RsaSize::default()).await.unwrap()
}

async fn service(app: &TestApp, shop: &Shop, publisher: &Publisher) -> Shop {
    let settings = ClientSettings {
        grant_types: vec![GrantType::ClientCredentials],
        token_endpoint_auth_method: Some(AuthMethod::PrivateKeyJwt),
        jwks_uri: Some(publisher.uri.clone()),
        ..ClientSettings::default()
    };
    app.client(shop, "service", settings).await
}

async fn ask(app: &TestApp, service: &Shop, key: &NewKey, jti: &str) -> Answer {
    let assertion = sign(key, &app.assertion_claims(service, jti));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", &assertion),
    ];
    let request = app.http.post(app.project_url(service, "/oauth2/token")).form(&form);
    Answer::of(request.send().await.unwrap()).await
}

fn refused(answer: Answer) {
    answer.refused(401, "invalid_client", "client authentication failed");
}

async fn published_keys_prove_a_client(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (old, new) = (key().await, key().await);
    let publisher = Publisher::new(&jwks_of(&[&old])).await;
    let service = service(&app, &shop, &publisher).await;
    assert_eq!(publisher.fetched(), 0, "not before they are needed");
    for jti in ["1", "2", "3"] {
        ask(&app, &service, &old, jti).await.ok();
    }
    assert_eq!(publisher.fetched(), 1);
    // A new key is found after half a minute, an old one that was taken back is gone after five.
    publisher.publish(200, &jwks_of(&[&new]).to_string()).await;
    refused(ask(&app, &service, &new, "4").await);
    app.app.clock.advance(30);
    ask(&app, &service, &new, "5").await.ok();
    refused(ask(&app, &service, &old, "6").await);
    publisher.publish(200, &jwks_of(&[&old]).to_string()).await;
    app.app.clock.advance(299);
    ask(&app, &service, &new, "7").await.ok();
    app.app.clock.advance(1);
    refused(ask(&app, &service, &new, "8").await);
    assert_eq!(publisher.fetched(), 3);
}

async fn strangers_do_not_make_us_fetch(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (known, stranger) = (key().await, key().await);
    let publisher = Publisher::new(&jwks_of(&[&known])).await;
    let service = service(&app, &shop, &publisher).await;
    for number in 0..10 {
        refused(ask(&app, &service, &stranger, &number.to_string()).await);
    }
    assert_eq!(publisher.fetched(), 1);
    ask(&app, &service, &known, "1").await.ok();
    assert_eq!(publisher.fetched(), 1);
}

async fn what_is_no_key_set_proves_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let known = key().await;
    let publisher = Publisher::new(&json!({})).await;
    let service = service(&app, &shop, &publisher).await;
    let set = jwks_of(&[&known]);
    let mut private = set.clone();
    private["keys"][0]["d"] = json!("AAAA");
    let huge = json!({"keys": set["keys"], "more": "x".repeat(70_000)});
    for (status, body) in [
        (200, "{}".to_owned()),
        (200, "not JSON".to_owned()),
        (200, private.to_string()),
        (200, huge.to_string()),
        (500, set.to_string()),
        (302, set.to_string()),
    ] {
        publisher.publish(status, &body).await;
        refused(ask(&app, &service, &known, "1").await);
        app.app.clock.advance(30);
    }
    // None of these used the id up, and the keys are there again as soon as they are.
    publisher.publish(200, &set.to_string()).await;
    ask(&app, &service, &known, "1").await.ok();
}

async fn they_are_fetched_once_for_all_who_wait(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let known = key().await;
    let publisher = Publisher::new(&jwks_of(&[&known])).await;
    let service = service(&app, &shop, &publisher).await;
    let asks = (0..10).map(|number| {
        let (app, service, known) = (&app, &service, &known);
        async move { ask(app, service, known, &number.to_string()).await }
    });
    for answer in join_all(asks).await {
        answer.ok();
    }
    assert_eq!(publisher.fetched(), 1);
}
