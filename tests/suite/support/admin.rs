//! The admin API, as admins with different keys call it.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tessera::ids::ProjectId;
use tessera::projects;

use super::{Answer, REASON, TestApp};

impl TestApp {
    /// A key for one project, or for all.
    pub async fn admin_key(&self, project: Option<ProjectId>, role: &str) -> String {
        let (_, key) = projects::create_admin_key(&self.app, project, "test", role).await.unwrap();
        key.expose().to_owned()
    }

    pub fn admin_request(&self, key: &str, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/admin{path}", self.base)).bearer_auth(key)
    }

    pub async fn admin(&self, key: &str, method: Method, path: &str, body: Value) -> Answer {
        Answer::of(self.admin_request(key, method, path).json(&body).send().await.unwrap()).await
    }

    pub async fn admin_get(&self, key: &str, path: &str) -> Answer {
        Answer::of(self.admin_request(key, Method::GET, path).send().await.unwrap()).await
    }

    pub async fn admin_post(&self, key: &str, path: &str, body: Value) -> Answer {
        self.admin(key, Method::POST, path, body).await
    }

    pub async fn admin_patch(&self, key: &str, path: &str, body: Value) -> Answer {
        self.admin(key, Method::PATCH, path, body).await
    }

    /// Deletes, and confirms where that is asked for.
    pub async fn admin_delete(&self, key: &str, path: &str) -> Answer {
        let asked = self.admin_ask_to_delete(key, path).await;
        self.confirmed(key, path, asked).await
    }

    /// Asks, and nothing more.
    pub async fn admin_ask_to_delete(&self, key: &str, path: &str) -> Answer {
        let request = self.admin_request(key, Method::DELETE, path);
        // The end of a project has to be explained.
        let request = match path.matches('/').count() {
            2 if path.starts_with("/projects/") => request.json(&json!({"reason": REASON})),
            _ => request,
        };
        Answer::of(request.send().await.unwrap()).await
    }

    /// What came of asking for the end of what `path` names: confirmed, if that is asked for, by typing its name or by a
    /// second owner.
    pub async fn confirmed(&self, key: &str, path: &str, asked: Answer) -> Answer {
        let Some(id) = asked.body["confirmation_id"].as_str().filter(|_| asked.status == 202) else {
            return asked;
        };
        let project = path.trim_start_matches("/admin").split('/').nth(2).unwrap();
        let at = format!("/projects/{}/confirmations/{id}", project.split('?').next().unwrap());
        match asked.body["method"].as_str() {
            Some("typed") => {
                let shown = self.admin_get(key, &at).await.ok();
                let name = match shown["what"].as_str() {
                    Some("project") => {
                        self.admin_get(key, &format!("/projects/{project}")).await.ok()["slug"].clone()
                    }
                    _ => shown["target"].clone(),
                };
                self.admin_post(key, &at, json!({"confirmation": name})).await
            }
            _ => {
                let second = self.admin_key(None, "owner").await;
                self.admin_post(&second, &at, json!({})).await
            }
        }
    }

    /// A PATCH that says which version it has seen.
    pub async fn admin_patch_seen(&self, key: &str, path: &str, seen: &str, body: Value) -> Answer {
        let request = self.admin_request(key, Method::PATCH, path).header("if-match", seen);
        Answer::of(request.json(&body).send().await.unwrap()).await
    }
}
