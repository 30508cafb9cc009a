//! The steps of the flow, as people and clients take them.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tessera::ids::{ProjectId, UserId};
use tessera::model::client::ClientSettings;
use tessera::projects;
use tessera::secret::Secret;

use super::{Answer, PASSWORD, REDIRECT, TestApp, Tokens, code_of, cookie_of, sealed_of};

/// A project with one client and one user, alice.
pub struct Shop {
    pub project: ProjectId,
    pub slug: String,
    pub id: String,
    pub secret: Option<String>,
    pub user: UserId,
}

impl TestApp {
    pub async fn shop(&self, slug: &str, kind: &str) -> Shop {
        let settings = ClientSettings {
            redirect_uris: vec![REDIRECT.into()],
            require_pkce: kind == "public",
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

    /// Another confidential client of the same project.
    pub async fn second_client(&self, shop: &Shop, settings: ClientSettings) -> Shop {
        let (client, secret) =
            projects::create_client(&self.app, shop.project, "Second", "confidential", settings)
                .await
                .unwrap();
        let secret = secret.map(|secret| secret.expose().to_owned());
        Shop {
            project: shop.project,
            slug: shop.slug.clone(),
            id: client.id.to_string(),
            secret,
            user: shop.user,
        }
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
        self.submit_as(shop, cookie, sealed, ("Alice", password)).await
    }

    pub async fn submit_as(&self, shop: &Shop, cookie: &str, sealed: &str, who: (&str, &str)) -> Response {
        self.http
            .post(self.project_url(shop, "/sign-in"))
            .header("cookie", cookie)
            .form(&[("request", sealed), ("username", who.0), ("password", who.1)])
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

    /// Exchanges a code at `oauth2/token`, where the scope decides whether the session outlives the browser's.
    pub async fn oauth_exchange(&self, shop: &Shop, code: &str) -> Tokens {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
        let request = self.http.post(self.project_url(shop, "/oauth2/token"));
        let request = request.basic_auth(&shop.id, shop.secret.as_ref()).form(&form);
        Tokens(Answer::of(request.send().await.unwrap()).await.ok())
    }

    pub async fn sign_in(&self, shop: &Shop) -> Tokens {
        let (code, _) = self.code(shop, "&scope=openid+profile+email").await;
        Tokens(self.exchange(shop, &code).await.ok())
    }

    /// Signs in somebody else than alice, with the same password.
    pub async fn sign_in_as(&self, shop: &Shop, username: &str) -> Tokens {
        let (cookie, sealed) = self.sign_in_page(shop, "").await;
        let response = self.submit_as(shop, &cookie, &sealed, (username, PASSWORD)).await;
        Tokens(self.exchange(shop, &code_of(&response)).await.ok())
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
