//! The app under test, built the way `main` builds it; only the clock is swapped, and nobody sleeps.

use std::sync::Arc;

use reqwest::{Client as Http, Response, StatusCode, redirect};
use serde_json::{Value, json};
use tempfile::TempDir;
use tessera::app::App;
use tessera::clock::Clock;
use tessera::entropy::Entropy;
use tessera::http::router;
use tessera::identity::passwords::Hasher;
use tessera::ids::{ProjectId, UserId};
use tessera::keys::master::MasterKeys;
use tessera::model::client::ClientSettings;
use tessera::model::timestamp::Timestamp;
use tessera::projects;
use tessera::secret::Secret;
use tessera::store::db::{Db, Settings};
use url::Url;

pub const REDIRECT: &str = "http://localhost:9/callback";
pub const PASSWORD: &str = "correct horse battery";

#[derive(Clone, Copy)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// One body, told on both engines.
macro_rules! both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::support::Engine::Sqlite).await })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::support::Engine::Postgres).await })*
        }
    };
}
pub(crate) use both_engines;

pub struct TestApp {
    pub app: Arc<App>,
    pub base: String,
    pub http: Http,
    pub url: String,
    _data: TempDir,
}

pub struct Shop {
    pub project: ProjectId,
    pub slug: String,
    pub id: String,
    pub secret: Option<String>,
    pub user: UserId,
}

#[derive(Clone)]
pub struct Tokens(pub Value);

impl Tokens {
    pub fn get(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }
}

pub async fn fresh_database(engine: Engine, data: &TempDir) -> String {
    match engine {
        Engine::Sqlite => format!("sqlite://{}/test.db", data.path().display()),
        Engine::Postgres => {
            let server = std::env::var("TESSERA_TEST_POSTGRES").expect(
                "TESSERA_TEST_POSTGRES is not set: run scripts/test, which starts a PostgreSQL of its own",
            );
            let name =
                format!("t{}", Entropy::default().id::<uuid::Uuid>(Clock::System.now()).unwrap().simple());
            let pool = sqlx::PgPool::connect(&server).await.unwrap();
            let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
            sqlx::raw_sql(create).execute(&pool).await.unwrap();
            let mut url = Url::parse(&server).unwrap();
            url.set_path(&name);
            url.into()
        }
    }
}

impl TestApp {
    pub async fn new(engine: Engine) -> Self {
        let data = tempfile::tempdir().unwrap();
        let url = fresh_database(engine, &data).await;
        Self::on(url, data, Clock::manual(Timestamp::from_unix(1_800_000_000)), None).await
    }

    /// A node over an existing store; `first` shares its clock and keys.
    async fn on(url: String, data: TempDir, clock: Clock, keys: Option<String>) -> Self {
        let db = Db::connect(&Settings { max_connections: 4, ..Settings::new(&url) }).await.unwrap();
        db.migrate().await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let entropy = Entropy::default();
        let keys = keys.unwrap_or_else(|| format!("test:{}", "A".repeat(43)));
        // Cheap hashing: what is tested is the flow, not argon2.
        let hasher = Hasher::new(&entropy, 8, 1, 2, 64).unwrap();
        let app = Arc::new(App {
            base_url: base.clone(),
            db,
            clock,
            entropy,
            master_keys: MasterKeys::parse(&keys).unwrap(),
            hasher,
            demo_pages: false,
        });
        let router = router(app.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let http = Http::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { app, base, http, url, _data: data }
    }

    /// Another node over the same store, with the same clock.
    pub async fn second_node(&self) -> Self {
        Self::on(self.url.clone(), tempfile::tempdir().unwrap(), self.app.clock.clone(), None).await
    }

    pub async fn shop(&self, slug: &str, kind: &str) -> Shop {
        let settings = ClientSettings {
            redirect_uris: vec![REDIRECT.into()],
            require_pkce: false,
            refresh_rotation: Some(true),
            ..ClientSettings::default()
        };
        self.shop_with(slug, kind, settings).await
    }

    pub async fn shop_with(&self, slug: &str, kind: &str, settings: ClientSettings) -> Shop {
        let project = projects::create_project(&self.app, slug, slug).await.unwrap().id;
        let (client, secret) =
            projects::create_client(&self.app, project, "Shop", kind, settings).await.unwrap();
        let password = Secret::new(PASSWORD);
        let user = projects::create_user(&self.app, project, "alice", Some("alice@example.com"), password)
            .await
            .unwrap();
        let secret = secret.map(|secret| secret.expose().to_owned());
        Shop { project, slug: slug.into(), id: client.id.to_string(), secret, user }
    }

    pub fn project_url(&self, shop: &Shop, path: &str) -> String {
        format!("{}/projects/{}{path}", self.base, shop.slug)
    }

    /// Where a sign-in begins.
    pub fn authorize_url(&self, shop: &Shop, more: &str) -> String {
        let url = self.project_url(shop, "/oauth2/authorize");
        format!(
            "{url}?response_type=code&client_id={}&redirect_uri={REDIRECT}&state=s1&nonce=n1{more}",
            shop.id
        )
    }

    /// Opens the sign-in page: the cookie it sets and the sealed request in its form.
    pub async fn sign_in_page(&self, shop: &Shop, more: &str) -> (String, String) {
        let page = self.http.get(self.authorize_url(shop, more)).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        let cookie = cookie_of(&page);
        (cookie, sealed_of(&page.text().await.unwrap()))
    }

    pub async fn submit(&self, shop: &Shop, cookie: &str, sealed: &str, password: &str) -> Response {
        self.http
            .post(self.project_url(shop, "/sign-in"))
            .header("cookie", cookie)
            .form(&[("request", sealed), ("username", "Alice"), ("password", password)])
            .send()
            .await
            .unwrap()
    }

    /// Signs alice in and gives the code, and the cookie of the browser session.
    pub async fn code(&self, shop: &Shop, more: &str) -> (String, String) {
        let (cookie, sealed) = self.sign_in_page(shop, more).await;
        let response = self.submit(shop, &cookie, &sealed, PASSWORD).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        (code_of(&response), cookie_of(&response))
    }

    /// Calls the session API as the client.
    pub async fn call(&self, shop: &Shop, endpoint: &str, body: Value) -> Answer {
        let request = self.http.post(self.project_url(shop, &format!("/api/{endpoint}")));
        let (request, mut body) = match &shop.secret {
            Some(secret) => (request.basic_auth(&shop.id, Some(secret)), body),
            None => (request, body),
        };
        if shop.secret.is_none() {
            body["client_id"] = json!(shop.id);
        }
        Answer::of(request.json(&body).send().await.unwrap()).await
    }

    pub async fn exchange(&self, shop: &Shop, code: &str) -> Answer {
        self.call(shop, "GetTokenFromCode", json!({"code": code, "redirect_uri": REDIRECT})).await
    }

    pub async fn sign_in(&self, shop: &Shop) -> Tokens {
        let (code, _) = self.code(shop, "&scope=openid+profile+email").await;
        Tokens(self.exchange(shop, &code).await.ok())
    }

    pub async fn refresh(&self, shop: &Shop, token: &str) -> Answer {
        self.call(shop, "refresh", json!({"refresh_token": token})).await
    }

    pub async fn verify(&self, shop: &Shop, token: &str) -> Value {
        self.call(shop, "verifyaccesstoken", json!({"access_token": token})).await.ok()
    }

    /// Calls an endpoint with a bearer token.
    pub async fn bearer(&self, shop: &Shop, endpoint: &str, token: &str, body: Value) -> Answer {
        let request = self.http.post(self.project_url(shop, &format!("/api/{endpoint}"))).bearer_auth(token);
        Answer::of(request.json(&body).send().await.unwrap()).await
    }
}

/// A status and a JSON body, without the request id (which differs each time, and must be there in an error).
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.headers().contains_key("x-request-id"));
        let mut body: Value = response.json().await.unwrap();
        if status >= 400 {
            assert!(body.as_object_mut().unwrap().remove("request_id").is_some(), "{body}");
        }
        Self { status, body }
    }

    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// The exact error.
    pub fn refused(self, status: u16, code: &str, description: &str) {
        let expected = json!({"error": code, "error_description": description});
        assert_eq!((self.status, self.body), (status, expected));
    }
}

pub fn cookie_of(response: &Response) -> String {
    let text = response.headers()["set-cookie"].to_str().unwrap();
    text.split(';').next().unwrap().to_owned()
}

pub fn sealed_of(page: &str) -> String {
    let after = page.split(r#"name="request""#).nth(1).unwrap();
    after.split(r#"value=""#).nth(1).unwrap().split('"').next().unwrap().to_owned()
}

pub fn location_of(response: &Response) -> Url {
    Url::parse(response.headers()["location"].to_str().unwrap()).unwrap()
}

pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub fn code_of(response: &Response) -> String {
    parameter(&location_of(response), "code").unwrap()
}
