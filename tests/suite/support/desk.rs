//! An admin at work on one project.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::ids::ProjectId;
use tessera::projects;

use super::{Answer, Shop, TestApp};

/// An admin key and the project it is used on.
pub struct Desk<'a> {
    app: &'a TestApp,
    pub key: String,
    project: String,
}

impl TestApp {
    /// A key of the project with a role.
    pub async fn desk(&self, shop: &Shop, role: &str) -> Desk<'_> {
        Desk { app: self, key: self.key(Some(shop.project), role).await, project: shop.slug.clone() }
    }

    pub async fn key(&self, project: Option<ProjectId>, role: &str) -> String {
        projects::create_admin_key(&self.app, project, "test", role).await.unwrap().1.expose().to_owned()
    }
}

impl<'a> Desk<'a> {
    /// The same key at another node.
    pub fn at<'b>(&self, app: &'b TestApp) -> Desk<'b> {
        Desk { app, key: self.key.clone(), project: self.project.clone() }
    }

    /// The same key at another project.
    pub fn on(&self, shop: &Shop) -> Desk<'a> {
        Desk { app: self.app, key: self.key.clone(), project: shop.slug.clone() }
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        if_match: Option<&str>,
    ) -> Answer {
        let url = format!("{}/admin/projects/{}{path}", self.app.base, self.project);
        let mut request = self.app.http.request(method, url).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// Second factors do not count in the project from now on, so that a password alone is as good as it gets.
    pub async fn count_no_factor(&self) {
        self.patch("", json!({"settings": {"sign_in": {"second_factor": "off"}}})).await.ok();
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body), None).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body), None).await
    }

    /// Deletes, and confirms where that is asked for.
    pub async fn delete(&self, path: &str) -> Answer {
        let asked = self.send(Method::DELETE, path, None, None).await;
        let path = format!("/projects/{}{path}", self.project);
        self.app.confirmed(&self.key, &path, asked).await
    }

    /// `attribute-update`.
    pub async fn update(&self, body: Value) -> Answer {
        let url = format!("{}/projects/{}/api/attribute-update", self.app.base, self.project);
        Answer::of(self.app.http.post(url).bearer_auth(&self.key).json(&body).send().await.unwrap()).await
    }

    /// Defines string attributes, roles and groups.
    pub async fn define(&self, attributes: &[&str], roles: &[&str], groups: &[&str]) {
        for name in attributes {
            let body = json!({"name": name, "type": "string"});
            assert_eq!(self.post("/attribute-definitions", body).await.status, 201);
        }
        for (list, names) in [("/roles", roles), ("/groups", groups)] {
            for name in names {
                assert_eq!(self.post(list, json!({"name": name})).await.status, 201);
            }
        }
    }
}
