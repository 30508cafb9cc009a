//! A person at work on their own account: through an application, and in a browser.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{Answer, PASSWORD, Seen, Shop, TestApp, Tokens, cookie_of, sealed_of};

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

/// A browser that is signed in, at the account page.
pub struct Visit<'a> {
    pub app: &'a TestApp,
    pub shop: &'a Shop,
    pub cookie: String,
}

impl<'a> Visit<'a> {
    /// Signs alice in.
    pub async fn new(app: &'a TestApp, shop: &'a Shop) -> Self {
        Self { app, shop, cookie: app.code(shop, "").await.1 }
    }

    pub async fn get(&self, path: &str) -> Response {
        let url = self.app.project_url(self.shop, &format!("/account{path}"));
        self.app.http.get(url).header("cookie", &self.cookie).send().await.unwrap()
    }

    /// A page that is there.
    pub async fn open(&self, path: &str) -> Seen {
        let seen = Seen::of(self.get(path).await).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.text);
        seen
    }

    /// What the form of a page carries.
    pub async fn sealed(&self, path: &str) -> String {
        sealed_of(&self.open(path).await.text)
    }

    pub async fn post(&self, path: &str, sealed: &str, fields: &[(&str, &str)]) -> Response {
        let url = self.app.project_url(self.shop, &format!("/account{path}"));
        let form = [&[("request", sealed)], fields].concat();
        self.app.http.post(url).header("cookie", &self.cookie).form(&form).send().await.unwrap()
    }

    /// Opens the page, and posts its form.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.post(path, &self.sealed(path).await, fields).await
    }

    /// The page that a posted form leads to.
    pub async fn follow(&self, answer: Response) -> Seen {
        assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());
        let to = answer.headers()["location"].to_str().unwrap();
        let to = format!("{}{to}", self.app.base);
        Seen::of(self.app.http.get(to).header("cookie", &self.cookie).send().await.unwrap()).await
    }

    /// Whether the browser is signed in.
    pub async fn is_signed_in(&self) -> bool {
        self.get("").await.text().await.unwrap().contains("aria-current")
    }
}
