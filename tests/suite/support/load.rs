//! A client and an admin who go on calling a server whatever happens to it.

use reqwest::{Client as Http, Method, RequestBuilder, redirect};
use serde_json::{Value, json};

use super::{PASSWORD, REDIRECT, Shop, TestApp, Tokens, parameter, sealed_of};

/// An answer that arrived whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// JSON; a text where it is a page.
    pub body: Value,
    pub request_id: String,
    pub retry_after: Option<String>,
    pub location: Option<String>,
    pub cookie: Option<String>,
}

/// Sends a request; `None` when the connection ended before the answer did.
pub async fn send(request: RequestBuilder) -> Option<Reply> {
    let response = request.send().await.ok()?;
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (request_id, retry_after) = (header("x-request-id").unwrap(), header("retry-after"));
    let (location, cookie) = (header("location"), header("set-cookie"));
    let cookie = cookie.map(|cookie| cookie.split(';').next().unwrap().to_owned());
    let status = response.status().as_u16();
    let text = response.text().await.ok()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Some(Reply { status, body, request_id, retry_after, location, cookie })
}

impl Reply {
    /// The body of an answer that has to have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The code that a redirect takes to the client.
    #[track_caller]
    pub fn code(&self) -> String {
        let location = self.location.as_deref().unwrap_or_else(|| panic!("{self:?}"));
        let code = parameter(&url::Url::parse(location).unwrap(), "code");
        code.unwrap_or_else(|| panic!("{location}"))
    }

    /// 400 with this code and description.
    #[track_caller]
    pub fn refused(&self, code: &str, description: &str) {
        let said = (self.status, &self.body["error"], &self.body["error_description"]);
        assert_eq!(said, (400, &json!(code), &json!(description)));
    }
}

/// One client of one project and an admin key, at one server.
#[derive(Clone)]
pub struct Caller {
    http: Http,
    base: String,
    slug: String,
    client: (String, String),
    key: String,
}

impl Caller {
    /// The confidential client of `shop`, at the server that `app` talks to.
    pub fn new(app: &TestApp, shop: &Shop, key: &str) -> Self {
        // Connections of their own: what is kept open at one server says nothing about the next one.
        let http = Http::builder().redirect(redirect::Policy::none()).build().unwrap();
        let client = (shop.id.clone(), shop.secret.clone().unwrap());
        Self { http, base: app.base.clone(), slug: shop.slug.clone(), client, key: key.into() }
    }

    pub async fn get(&self, path: &str) -> Option<Reply> {
        send(self.http.get(format!("{}{path}", self.base))).await
    }

    fn post(&self, endpoint: &str) -> RequestBuilder {
        self.http.post(format!("{}/projects/{}/{endpoint}", self.base, self.slug))
    }

    /// Calls the session API as the client.
    pub async fn call(&self, endpoint: &str, body: Value) -> Option<Reply> {
        let (id, secret) = &self.client;
        send(self.post(&format!("api/{endpoint}")).basic_auth(id, Some(secret)).json(&body)).await
    }

    /// Calls the session API with a user's token.
    pub async fn bearer(&self, endpoint: &str, token: &str, body: Value) -> Option<Reply> {
        send(self.post(&format!("api/{endpoint}")).bearer_auth(token).json(&body)).await
    }

    /// Calls the session API as the admin.
    pub async fn act(&self, endpoint: &str, body: Value) -> Option<Reply> {
        self.bearer(endpoint, &self.key, body).await
    }

    /// Calls the admin API.
    pub async fn admin(&self, method: Method, path: &str, body: Value) -> Option<Reply> {
        let url = format!("{}/admin/projects/{}{path}", self.base, self.slug);
        let request = self.http.request(method.clone(), url).bearer_auth(&self.key);
        send(if method == Method::GET { request } else { request.json(&body) }).await
    }

    /// How a deletion stands.
    pub async fn deletion(&self, id: &str) -> Option<Reply> {
        let url = format!("{}/projects/{}/api/delete-user/{id}", self.base, self.slug);
        send(self.http.get(url).bearer_auth(&self.key)).await
    }

    /// Makes a user with the usual password.
    pub async fn create_user(&self, name: &str) -> Option<Reply> {
        self.admin(Method::POST, "/users", json!({"username": name, "password": PASSWORD})).await
    }

    /// Signs in at the hosted pages, and gives the cookie.
    pub async fn sign_in(&self, name: &str) -> Option<String> {
        let page = self.authorize("", "").await?;
        let cookie = page.cookie.clone().unwrap();
        let sealed = sealed_of(page.expect(200).as_str().unwrap());
        let fields = [("request", sealed.as_str()), ("username", name), ("password", PASSWORD)];
        let done = send(self.post("sign-in").header("cookie", cookie).form(&fields)).await?;
        let cookie = done.cookie.clone();
        done.expect(303);
        cookie
    }

    /// The sign-in page, or with the cookie of a browser session and `&prompt=none` the way back to the client.
    pub async fn authorize(&self, cookie: &str, more: &str) -> Option<Reply> {
        let query = format!("response_type=code&client_id={}&redirect_uri={REDIRECT}{more}", self.client.0);
        let url = format!("{}/projects/{}/oauth2/authorize?{query}&scope=openid", self.base, self.slug);
        send(self.http.get(url).header("cookie", cookie)).await
    }

    /// A code for a browser that is signed in.
    pub async fn code(&self, cookie: &str) -> Option<String> {
        Some(self.authorize(cookie, "&prompt=none").await?.code())
    }

    pub async fn exchange(&self, code: &str) -> Option<Reply> {
        self.call("GetTokenFromCode", json!({"code": code, "redirect_uri": REDIRECT})).await
    }

    /// A session for a browser that is signed in.
    pub async fn tokens(&self, cookie: &str) -> Option<Tokens> {
        let code = self.code(cookie).await?;
        Some(Tokens(self.exchange(&code).await?.expect(200)))
    }

    pub async fn refresh(&self, token: &str) -> Option<Reply> {
        self.call("refresh", json!({"refresh_token": token})).await
    }

    pub async fn verify(&self, token: &str) -> Option<Reply> {
        self.call("verifyaccesstoken", json!({"access_token": token})).await
    }
}
