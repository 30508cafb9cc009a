//! A shop full of people, and who deletes many of them at once.

use serde_json::{Value, json};

use super::{Answer, Desk, REASON, Shop, TestApp};

pub struct Many<'a> {
    pub app: &'a TestApp,
    pub shop: &'a Shop,
    pub desk: Desk<'a>,
}

impl<'a> Many<'a> {
    /// With one admin, who can confirm alone.
    pub async fn new(app: &'a TestApp, shop: &'a Shop) -> Self {
        Self { app, shop, desk: app.desk(shop, "admin").await }
    }

    /// Makes somebody with a mail address; gives the id.
    pub async fn person(&self, name: &str) -> String {
        let new = json!({"username": name, "email": format!("{name}@example.com")});
        self.desk.post("/users", new).await.created()["id"].as_str().unwrap().to_owned()
    }

    pub async fn people(&self, names: &[&str]) -> Vec<String> {
        let mut ids = Vec::new();
        for name in names {
            ids.push(self.person(name).await);
        }
        ids
    }

    pub async fn post(&self, endpoint: &str, body: Value) -> Answer {
        self.app.bearer(self.shop, endpoint, &self.desk.key, body).await
    }

    pub async fn ask(&self, users: &[String]) -> Answer {
        self.post("delete-users", json!({"users": users, "reason": REASON})).await
    }

    /// Asks for what has to be granted.
    pub async fn asked(&self, body: Value) -> Value {
        let asked = self.post("delete-users", body).await;
        assert_eq!(asked.status, 202, "{}", asked.body);
        asked.body
    }

    pub async fn confirm(&self, asked: &Value, words: &str) -> Answer {
        let id = asked["confirmation"]["confirmation_id"].as_str().unwrap();
        self.desk.post(&format!("/confirmations/{id}"), json!({"confirmation": words})).await
    }

    /// Confirms with the words of the answer.
    pub async fn confirmed(&self, asked: &Value) -> Value {
        let words = asked["confirmation"]["words"].as_str().unwrap();
        let shown = self.confirm(asked, words).await.ok();
        assert_eq!(shown["state"], "running");
        shown
    }

    pub async fn cancel(&self, asked: &Value) -> Answer {
        self.post("delete-users/cancel", json!({"deletion_id": asked["deletion_id"]})).await
    }

    pub async fn get(&self, asked: &Value, rest: &str) -> Answer {
        let id = asked["deletion_id"].as_str().unwrap();
        let url = self.app.project_url(self.shop, &format!("/api/delete-users/{id}{rest}"));
        Answer::of(self.app.http.get(url).bearer_auth(&self.desk.key).send().await.unwrap()).await
    }

    /// What has become of somebody.
    pub async fn outcome(&self, asked: &Value, user: &str) -> Value {
        let page = self.get(asked, "/results?limit=200").await.ok();
        let items = page["items"].as_array().unwrap();
        items.iter().find(|item| item["user"] == user).unwrap_or_else(|| panic!("{page}"))["outcome"].clone()
    }
}
