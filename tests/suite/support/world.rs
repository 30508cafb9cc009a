//! A project that two nodes have served, and what the second one says of it in a few words.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use tessera::projects;

use super::{
    Answer, PASSWORD, REDIRECT, Seen, Shop, TestApp, Tokens, cookie_of, location_of, parameter, sealed_of,
};

/// A project on two nodes, both of which have served it.
pub struct World<'a> {
    pub app: &'a TestApp,
    pub node: &'a TestApp,
    pub owner: &'a str,
    pub shop: Shop,
    /// Another client of the project.
    pub till: Shop,
    pub tokens: Tokens,
    pub code: String,
    pub cookie: String,
}

/// What a request was answered with, in a few words.
fn words(answer: &Answer) -> String {
    let said = ["reason", "error_description"].into_iter().find_map(|name| answer.body[name].as_str());
    format!("{} {}", answer.status, said.unwrap_or("ok"))
}

impl<'a> World<'a> {
    pub async fn new(app: &'a TestApp, node: &'a TestApp, owner: &'a str, slug: &str) -> Self {
        let shop = app.shop(slug, "confidential").await;
        let settings = ClientSettings {
            redirect_uris: vec![REDIRECT.into()],
            require_pkce: false,
            ..ClientSettings::default()
        };
        let (till, secret) =
            projects::create_client(&app.app, shop.project, "Till", "confidential", settings).await.unwrap();
        let secret = secret.map(|secret| secret.expose().to_owned());
        let till = Shop { id: till.id.to_string(), secret, slug: slug.to_owned(), ..shop };
        let tokens = node.sign_in(&shop).await;
        let (code, cookie) = node.code(&shop, "&scope=openid+profile").await;
        let world = Self { app, node, owner, shop, till, tokens, code, cookie };
        for ask in ["verify", "verify by another", "verify by a key", "userinfo", "read a user"] {
            assert_eq!(world.ask(ask).await, "200 ok", "{ask}");
        }
        assert_eq!(world.ask("authorize").await, "code");
        let renewed = node.refresh(&world.shop, world.tokens.get("refresh_token")).await.ok();
        Self { tokens: Tokens(renewed), ..world }
    }

    /// Changes something at the first node. `{c}` is the client, `{u}` the user, `{p}` the project.
    pub async fn change(&self, method: Method, path: &str, body: Value) -> Value {
        let user = self.shop.user.to_string();
        let path = path.replace("{c}", &self.shop.id).replace("{u}", &user).replace("{p}", &self.shop.slug);
        let answer = self.app.admin(self.owner, method, &path, body).await;
        let answer = self.app.confirmed(self.owner, &path, answer).await;
        assert!(answer.status < 300, "{}", answer.body);
        answer.body
    }

    /// Asks the other node.
    pub async fn ask(&self, what: &str) -> String {
        let (node, shop, access) = (self.node, &self.shop, self.tokens.get("access_token"));
        let of_shop = json!({"access_token": access, "audience": shop.id});
        let answer = match what {
            "verify" => node.call(shop, "verifyaccesstoken", of_shop).await,
            "verify by another" => node.call(&self.till, "verifyaccesstoken", of_shop).await,
            "verify by a key" => node.bearer(shop, "verifyaccesstoken", self.owner, of_shop).await,
            "userinfo" => node.bearer(shop, "userinfofromaccesstoken", access, json!({})).await,
            "sign out" => node.bearer(shop, "GlobalSignOut", access, json!({})).await,
            "refresh" => node.refresh(shop, self.tokens.get("refresh_token")).await,
            "exchange" => node.exchange(shop, &self.code).await,
            "read a user" => {
                node.admin_get(self.owner, &format!("/projects/{}/users/{}", shop.slug, shop.user)).await
            }
            "authorize" => return self.authorize(REDIRECT).await,
            "sign in" => {
                let url = node.authorize_url(shop, "");
                let page = node.http.get(url).send().await.unwrap();
                if page.status() != 200 {
                    return format!("{} {}", page.status().as_u16(), Seen::of(page).await.message());
                }
                let (cookie, sealed) = (cookie_of(&page), sealed_of(&page.text().await.unwrap()));
                return node.submit(shop, &cookie, &sealed, PASSWORD).await.status().as_u16().to_string();
            }
            other => panic!("{other}"),
        };
        words(&answer)
    }

    /// What the signed-in browser gets, which is asked nothing.
    pub async fn authorize(&self, redirect_uri: &str) -> String {
        let url = self.node.authorize_url(&self.shop, "&prompt=none").replace(REDIRECT, redirect_uri);
        let answer = self.node.http.get(url).header("cookie", &self.cookie).send().await.unwrap();
        if answer.status() != 303 {
            return format!("{} {}", answer.status().as_u16(), Seen::of(answer).await.message());
        }
        let to = location_of(&answer);
        assert!(to.as_str().starts_with(redirect_uri), "{to}");
        parameter(&to, "error")
            .unwrap_or_else(|| if parameter(&to, "code").is_some() { "code".into() } else { to.into() })
    }
}
