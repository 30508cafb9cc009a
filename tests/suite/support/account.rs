//! A person at work on their own account: through an application.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{Answer, PASSWORD, Shop, TestApp, Tokens, cookie_of};

/// `api/account/…` with an access token.
pub struct Account<'a> {
    pub app: &'a TestApp,
    pub shop: &'a Shop,
    pub token: String,
}

impl<'a> Account<'a> {
    /// Signs alice in.
    pub async fn new(app: &'a TestApp, shop: &'a Shop) -> Self {
        Self::with(app, shop, &app.sign_in(shop).await)
    }

    pub fn with(app: &'a TestApp, shop: &'a Shop, tokens: &Tokens) -> Self {
        Self { app, shop, token: tokens.get("access_token").to_owned() }
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let url = self.app.project_url(self.shop, &format!("/api/account{path}"));
        let request = self.app.http.request(method, url).bearer_auth(&self.token);
        match body {
            Some(body) => request.json(&body),
            None => request,
        }
        .send()
        .await
        .unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.send(Method::GET, path, None).await).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.send(Method::POST, path, Some(body)).await).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.send(Method::PATCH, path, Some(body)).await).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.send(Method::DELETE, path, None).await).await
    }

    /// Alice's own password.
    pub async fn change_password(&self, new: &str) -> Answer {
        self.post("/password", json!({"current_password": PASSWORD, "new_password": new})).await
    }

    pub async fn sessions(&self) -> Vec<Value> {
        self.get("/sessions").await.ok()["items"].as_array().unwrap().clone()
    }

    /// Why the token does not live; `None`: it does.
    pub async fn reason(&self, node: &TestApp) -> Option<String> {
        let verdict = node.verify(self.shop, &self.token).await;
        verdict["reason"].as_str().map(str::to_owned)
    }
}

impl TestApp {
    /// Whether the password signs alice in; the cookie of the browser session, if so.
    pub async fn try_password(&self, shop: &Shop, password: &str) -> Option<String> {
        let (cookie, sealed) = self.sign_in_page(shop, "").await;
        let answer = self.submit(shop, &cookie, &sealed, password).await;
        (answer.status() == 303).then(|| cookie_of(&answer))
    }
}
