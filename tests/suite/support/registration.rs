//! Applications that register themselves (RFC 7591).

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, Shop, TestApp};

impl TestApp {
    /// Lets applications of the project register themselves, or nobody.
    pub async fn set_registration(&self, shop: &Shop, owner: &str, how: &str) {
        let change = json!({"settings": {"dynamic_registration": how}});
        self.admin_patch(owner, &format!("/projects/{}", shop.slug), change).await.ok();
    }

    /// An initial access token, as its maker sees it.
    pub async fn initial_access_token(&self, shop: &Shop, owner: &str, body: Value) -> Value {
        self.admin_post(owner, &format!("/projects/{}/initial-access-tokens", shop.slug), body)
            .await
            .created()
    }

    /// A project that is open, and a token for so many applications.
    pub async fn open_registration(&self, shop: &Shop, owner: &str, max_uses: i64) -> String {
        self.set_registration(shop, owner, "initial_access_token").await;
        let body = json!({"name": "Partners", "max_uses": max_uses});
        text(&self.initial_access_token(shop, owner, body).await, "token").to_owned()
    }

    pub fn register_request(&self, shop: &Shop, token: &str, metadata: &Value) -> RequestBuilder {
        self.http.post(self.project_url(shop, "/oauth2/register")).bearer_auth(token).json(metadata)
    }

    pub async fn register(&self, shop: &Shop, token: &str, metadata: &Value) -> Answer {
        Answer::of(self.register_request(shop, token, metadata).send().await.unwrap()).await
    }

    /// What a client asks of its own registration.
    pub fn own_request(&self, shop: &Shop, method: Method, client: &str, token: &str) -> RequestBuilder {
        let url = self.project_url(shop, &format!("/oauth2/register/{client}"));
        self.http.request(method, url).bearer_auth(token)
    }

    pub async fn read_own(&self, shop: &Shop, client: &str, token: &str) -> Answer {
        Answer::of(self.own_request(shop, Method::GET, client, token).send().await.unwrap()).await
    }

    pub async fn replace_own(&self, shop: &Shop, made: &Value, metadata: &Value) -> Answer {
        let (client, token) = (text(made, "client_id"), text(made, "registration_access_token"));
        let request = self.own_request(shop, Method::PUT, client, token);
        Answer::of(request.json(metadata).send().await.unwrap()).await
    }
}

/// A client that registered itself, in the project of this one.
pub fn registered(shop: &Shop, made: &Value) -> Shop {
    let (id, secret) = (text(made, "client_id").to_owned(), made["client_secret"].as_str());
    Shop { id, secret: secret.map(str::to_owned), slug: shop.slug.clone(), ..*shop }
}

/// A text member that is there.
pub fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}"))
}
