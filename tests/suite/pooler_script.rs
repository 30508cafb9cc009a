//! The script that the tests of the pooler drive: the whole flow and the admin API, with what they refuse.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{PASSWORD, REASON, REDIRECT, TestApp, Transcript};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// One reader of one server, who has a key for everything.
struct Reader<'a> {
    log: Transcript<'a>,
    key: String,
    client: String,
    secret: String,
}

/// Every answer of a server to the same requests.
pub async fn script(app: &TestApp) -> Vec<String> {
    let key = app.key(None, "owner").await;
    let mut reader = Reader { log: Transcript::new(app), key, client: String::new(), secret: String::new() };
    let user = reader.make().await;
    reader.read_and_change(&user).await;
    reader.flow(&user).await;
    reader.lifetimes_and_secrets().await;
    reader.delete(&user).await;
    reader.log.lines
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}

impl Reader<'_> {
    fn as_admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.log.request(method, path).bearer_auth(&self.key)
    }

    async fn admin(&mut self, method: Method, path: &str, body: Value) -> Value {
        let request = self.as_admin(method, &format!("/admin{path}"));
        let request = if body.is_null() { request } else { request.json(&body) };
        self.log.send(request).await.1
    }

    async fn seen(&mut self, path: &str, etag: &str, body: Value) {
        let request = self.as_admin(PATCH, &format!("/admin{path}")).header("if-match", etag).json(&body);
        self.log.send(request).await;
    }

    async fn api(&mut self, endpoint: &str, body: Value) -> Value {
        let request = self.log.request(POST, &format!("/projects/shop/api/{endpoint}"));
        self.log.send(request.basic_auth(&self.client, Some(&self.secret)).json(&body)).await.1
    }

    async fn bearer(&mut self, endpoint: &str, token: &str, body: Value) -> Value {
        let request = self.log.request(POST, &format!("/projects/shop/api/{endpoint}"));
        self.log.send(request.bearer_auth(token).json(&body)).await.1
    }

    async fn get(&mut self, path: &str) {
        let request = self.log.request(GET, path);
        self.log.send(request).await;
    }

    /// A project with all there is in one. Gives the user.
    async fn make(&mut self) -> String {
        self.admin(POST, "/projects", json!({"slug": "shop", "name": "Shop"})).await;
        self.admin(POST, "/projects", json!({"slug": "shop"})).await;
        self.admin(POST, "/projects", json!({"slug": "other"})).await;
        let client = json!({"client_name": "Till", "type": "confidential", "redirect_uris": [REDIRECT],
            "require_pkce": false, "refresh_rotation": true});
        let made = self.admin(POST, "/projects/shop/clients", client).await;
        (self.client, self.secret) = (text(&made, "client_id"), text(&made, "client_secret"));
        let public = json!({"client_name": "App", "type": "public", "redirect_uris": [REDIRECT]});
        self.admin(POST, "/projects/shop/clients", public).await;
        for (name, writable) in [("colour", true), ("size", false)] {
            let definition =
                json!({"name": name, "type": "string", "user_writable": writable, "in_access_token": true});
            self.admin(POST, "/projects/shop/attribute-definitions", definition).await;
        }
        for list in ["roles", "groups"] {
            self.admin(POST, &format!("/projects/shop/{list}"), json!({"name": "clerk"})).await;
        }
        let alice = json!({"username": "alice", "email": "alice@example.com", "password": PASSWORD, "given_name": "A"});
        let user = text(&self.admin(POST, "/projects/shop/users", alice.clone()).await, "id");
        self.admin(POST, "/projects/shop/users", alice).await;
        for name in ["bob", "carol", "dave"] {
            self.admin(POST, "/projects/shop/users", json!({"username": name})).await;
        }
        user
    }

    async fn read_and_change(&mut self, user: &str) {
        let client = format!("/projects/shop/clients/{}", self.client);
        let user = format!("/projects/shop/users/{user}");
        for path in [
            "/projects",
            "/projects/shop",
            "/projects/nothing",
            &client,
            "/projects/other/clients",
            &user,
            "/projects/shop/users?limit=2",
            "/projects/shop/users?search=ca",
            "/projects/shop/users?limit=0",
            "/projects/shop/attribute-definitions",
            "/projects/shop/roles",
            "/projects/shop/groups/clerk",
        ] {
            self.admin(GET, path, Value::Null).await;
        }
        let page = self.admin(GET, "/projects/shop/users?limit=2", Value::Null).await;
        let next = text(&page, "next");
        self.admin(GET, &format!("/projects/shop/users?limit=2&after={next}"), Value::Null).await;
        self.seen(&user, "\"1\"", json!({"given_name": "Alice"})).await;
        self.seen(&user, "\"1\"", json!({"given_name": "Malice"})).await;
        self.seen(&user, "1", json!({"given_name": "Malice"})).await;
        self.seen(&client, "\"1\"", json!({"client_name": "Checkout"})).await;
        self.seen(&client, "\"1\"", json!({"client_name": "Nothing"})).await;
        self.seen("/projects/shop", "\"99\"", json!({"name": "Nothing"})).await;
        self.admin(PATCH, &user, json!({"colour": 1})).await;
        self.admin(PATCH, "/projects/shop", json!({"settings": {"max_families": 50}})).await;
        let made = self.admin(POST, "/admin-keys", json!({"name": "desk", "role": "auditor"})).await;
        self.admin(GET, "/admin-keys", Value::Null).await;
        for _ in 0..2 {
            self.admin(DELETE, &format!("/admin-keys/{}", text(&made, "id")), Value::Null).await;
        }
        self.bearer("verifyaccesstoken", &text(&made, "key"), json!({"access_token": "x"})).await;
    }

    /// A code, by the form or by the cookie that it gives.
    async fn code(&mut self, cookie: &mut Option<String>) -> String {
        let path = format!(
            "/projects/shop/oauth2/authorize?response_type=code&client_id={}&redirect_uri={REDIRECT}&state=s&nonce=n\
             &scope=openid+profile+email",
            self.client
        );
        let mut request = self.log.request(GET, &path);
        if let Some(cookie) = cookie.as_ref() {
            request = request.header("cookie", cookie);
        }
        let (mut headers, page) = self.log.send(request).await;
        let set = |headers: &reqwest::header::HeaderMap| {
            let text = headers["set-cookie"].to_str().unwrap();
            text.split(';').next().unwrap().to_owned()
        };
        if cookie.is_none() {
            let anonymous = set(&headers);
            let sealed = crate::support::sealed_of(page.as_str().unwrap());
            for password in ["wrong", PASSWORD] {
                let form = [("request", sealed.as_str()), ("username", "Alice"), ("password", password)];
                let request =
                    self.log.request(POST, "/projects/shop/sign-in").header("cookie", &anonymous).form(&form);
                headers = self.log.send(request).await.0;
            }
            *cookie = Some(set(&headers));
        }
        let to = url::Url::parse(headers["location"].to_str().unwrap()).unwrap();
        crate::support::parameter(&to, "code").unwrap()
    }

    async fn flow(&mut self, user: &str) {
        for path in [".well-known/openid-configuration", ".well-known/jwks.json"] {
            self.get(&format!("/projects/shop/{path}")).await;
        }
        let mut cookie = None;
        let code = self.code(&mut cookie).await;
        let exchange = json!({"code": code, "redirect_uri": REDIRECT});
        self.api("GetTokenFromCode", json!({"code": code, "redirect_uri": "http://localhost:9/other"})).await;
        let tokens = self.api("GetTokenFromCode", exchange.clone()).await;
        let (access, first) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let renewed = self.api("refresh", json!({"refresh_token": first})).await;
        let second = text(&renewed, "refresh_token");
        self.api("refresh", json!({"refresh_token": first})).await;
        self.api("refresh", json!({"refresh_token": "tsr_forged"})).await;
        for body in [
            json!({"access_token": access}),
            json!({"access_token": access, "required_roles": ["clerk"]}),
            json!({"access_token": access, "audience": "somebody"}),
            json!({"access_token": "a.b.c"}),
            json!({"access_token": access, "colour": 1}),
        ] {
            self.api("verifyaccesstoken", body).await;
        }
        self.bearer("userinfofromaccesstoken", &access, json!({})).await;
        self.bearer("userinfofromaccesstoken", "nothing", json!({})).await;
        let key = self.key.clone();
        let all = json!({"user": user, "set": {"colour": "red", "size": "small"}, "roles": {"add": ["clerk"]}, "groups": {"add": ["clerk"]}});
        self.bearer("attribute-update", &key, all).await;
        self.bearer("attribute-update", &access, json!({"user": user, "set": {"colour": "blue"}})).await;
        self.bearer("attribute-update", &access, json!({"user": user, "set": {"size": "big"}})).await;
        self.bearer("attribute-update", &key, json!({"user": user, "set": {"nothing": "x"}})).await;
        self.api("verifyaccesstoken", json!({"access_token": access, "required_roles": ["clerk"]})).await;
        self.admin(GET, "/projects/shop/roles/clerk/users", Value::Null).await;
        self.admin(GET, &format!("/projects/shop/users/{user}/sessions"), Value::Null).await;
        // A replay: the first token, when the second one has been used.
        self.api("refresh", json!({"refresh_token": second})).await;
        self.api("refresh", json!({"refresh_token": first})).await;
        self.api("verifyaccesstoken", json!({"access_token": access})).await;
        // The cookie still signs in, and a used code is used.
        let code = self.code(&mut cookie).await;
        let tokens = self.api("GetTokenFromCode", json!({"code": code, "redirect_uri": REDIRECT})).await;
        let waiting = self.code(&mut cookie).await;
        let access = text(&tokens, "access_token");
        self.bearer("GlobalSignOut", &access, json!({})).await;
        self.bearer("GlobalSignOut", &access, json!({})).await;
        self.api("verifyaccesstoken", json!({"access_token": access})).await;
        self.api("GetTokenFromCode", json!({"code": waiting, "redirect_uri": REDIRECT})).await;
        self.api("GetTokenFromCode", exchange).await;
    }

    async fn lifetimes_and_secrets(&mut self) {
        let path = format!("/projects/shop/api/token-validity?client_id={}", self.client);
        let read = self.as_admin(GET, &path);
        self.log.send(read).await;
        for body in [json!({"access_token": 2, "refresh_token": 1}), json!({"access_token": 25})] {
            let change = self.as_admin(Method::PUT, &path).json(&body);
            self.log.send(change).await;
        }
        let tokens = {
            let mut cookie = None;
            let code = self.code(&mut cookie).await;
            self.api("GetTokenFromCode", json!({"code": code, "redirect_uri": REDIRECT})).await
        };
        let client = format!("/projects/shop/clients/{}", self.client);
        let rotated = self.admin(POST, &format!("{client}/rotate-secret"), json!({})).await;
        self.admin(DELETE, &format!("{client}/secrets/1"), Value::Null).await;
        self.api("verifyaccesstoken", json!({"access_token": tokens["access_token"]})).await;
        self.secret = text(&rotated, "client_secret");
        self.api("verifyaccesstoken", json!({"access_token": tokens["access_token"]})).await;
        self.admin(PATCH, &client, json!({"status": "disabled"})).await;
        self.api("verifyaccesstoken", json!({"access_token": tokens["access_token"]})).await;
        self.admin(PATCH, &client, json!({"status": "active"})).await;
        self.admin(DELETE, "/projects/shop/groups/clerk", Value::Null).await;
    }

    async fn delete(&mut self, user: &str) {
        let key = self.key.clone();
        let mut cookie = None;
        let code = self.code(&mut cookie).await;
        let tokens = self.api("GetTokenFromCode", json!({"code": code, "redirect_uri": REDIRECT})).await;
        self.bearer("delete-user", &key, json!({"user": user, "dry_run": true})).await;
        self.bearer("delete-user", &key, json!({"user": user})).await;
        let asked = self.bearer("delete-user", &key, json!({"user": user, "reason": REASON})).await;
        let id = text(&asked, "deletion_id");
        self.bearer("delete-user", &key, json!({"user": user, "reason": REASON})).await;
        for typed in ["bob", "alice", "alice"] {
            self.bearer("delete-user/confirm", &key, json!({"deletion_id": id, "confirmation": typed})).await;
        }
        let state = self.as_admin(GET, &format!("/projects/shop/api/delete-user/{id}"));
        self.log.send(state).await;
        self.api("verifyaccesstoken", json!({"access_token": tokens["access_token"]})).await;
        self.api("refresh", json!({"refresh_token": tokens["refresh_token"]})).await;
        self.admin(GET, &format!("/projects/shop/users/{user}"), Value::Null).await;
        self.admin(GET, "/projects/shop/audit?limit=100", Value::Null).await;
        self.admin(GET, "/audit", Value::Null).await;
        self.admin(GET, "/jobs", Value::Null).await;
        for path in ["/projects/other?dry_run=true", "/projects/other", "/projects/other"] {
            self.admin(DELETE, path, Value::Null).await;
        }
        self.get("/projects/other/.well-known/jwks.json").await;
        self.get("/health").await;
    }
}
