//! The steps of a deletion, as admins take them.

use serde_json::{Value, json};
use tessera::ids::ProjectId;
use tessera::projects;
use tessera::store::db::{Conn, Db};

use super::{Answer, Shop, TestApp};

pub const REASON: &str = "asked for it in writing";

/// A shop of an app, and a key that may delete its users.
pub struct Deleting<'a> {
    pub app: &'a TestApp,
    pub shop: &'a Shop,
    pub key: String,
}

impl<'a> Deleting<'a> {
    pub async fn new(app: &'a TestApp, shop: &'a Shop) -> Self {
        Self { app, shop, key: admin_key(app, shop.project, "admin").await }
    }

    /// The same deletions on another node, or by another key.
    pub fn by<'b>(&self, app: &'b TestApp, key: &str) -> Deleting<'b>
    where
        'a: 'b,
    {
        Deleting { app, shop: self.shop, key: key.into() }
    }

    pub async fn post(&self, endpoint: &str, body: Value) -> Answer {
        self.app.bearer(self.shop, endpoint, &self.key, body).await
    }

    /// Asks for the deletion of alice.
    pub async fn ask(&self) -> Answer {
        self.post("delete-user", json!({"user": self.shop.user, "reason": REASON})).await
    }

    /// Asks, and gives the id.
    pub async fn asked(&self) -> String {
        let asked = self.ask().await;
        assert_eq!(asked.status, 202, "{}", asked.body);
        asked.body["deletion_id"].as_str().unwrap().to_owned()
    }

    pub async fn confirm(&self, id: &str, typed: &str) -> Answer {
        self.post("delete-user/confirm", json!({"deletion_id": id, "confirmation": typed})).await
    }

    pub async fn cancel(&self, id: &str) -> Answer {
        self.post("delete-user/cancel", json!({"deletion_id": id})).await
    }

    pub async fn show(&self, id: &str) -> Answer {
        let url = self.app.project_url(self.shop, &format!("/api/delete-user/{id}"));
        Answer::of(self.app.http.get(url).bearer_auth(&self.key).send().await.unwrap()).await
    }

    /// Asks and confirms.
    pub async fn delete(&self) -> String {
        let id = self.asked().await;
        assert_eq!(self.confirm(&id, "alice").await.ok()["state"], "executed");
        id
    }

    /// Changes the project's settings.
    pub async fn settings(&self, settings: Value) {
        let (settings, project) = (settings.to_string(), self.shop.project);
        let text = settings.as_str();
        let change = |conn: Conn| async move {
            let sql = "UPDATE projects SET settings = $1, version = version + 1 WHERE id = $2";
            tessera::execute!(&conn, sql, text, project)
        };
        assert_eq!(self.app.app.db.write(change).await.unwrap(), 1);
    }
}

pub async fn admin_key(app: &TestApp, project: ProjectId, role: &str) -> String {
    projects::create_admin_key(&app.app, Some(project), "test", role).await.unwrap().1.expose().to_owned()
}

#[derive(sqlx::FromRow)]
struct Count {
    n: i64,
}

/// `SELECT count(*) AS n …`
pub async fn number(db: &Db, sql: &'static str) -> i64 {
    db.read(|conn| async move { tessera::fetch_one!(&conn, Count, sql) }).await.unwrap().n
}

pub async fn run(db: &Db, sql: &'static str) -> u64 {
    db.write(|conn| async move { tessera::execute!(&conn, sql) }).await.unwrap()
}
