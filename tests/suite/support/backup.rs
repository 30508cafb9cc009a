//! A backup of a test's database, and nodes over it.

use std::path::Path;
use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};

use super::{Database, TestApp};

/// The store as it was.
pub struct Backup {
    database: Arc<Database>,
    like: TestApp,
}

impl TestApp {
    /// Ends this node, takes a backup of its store, and gives both the backup and a node that goes on.
    pub async fn backed_up(self, ledger: &Path) -> (Backup, Self) {
        self.app.db.close().await;
        let database = Arc::new(self.database.copy().await);
        let named = ledger.to_owned();
        let app = self.second_node_changed(|app| app.erasure_ledger = Some(named)).await;
        (Backup { database, like: self }, app)
    }
}

impl Backup {
    /// A node over the restored backup.
    pub async fn node(&self, ledger: &Path) -> TestApp {
        let named = ledger.to_owned();
        let clock = self.like.app.clock.clone();
        TestApp::on(self.database.clone(), clock, |app| app.erasure_ledger = Some(named)).await
    }
}

impl Database {
    /// A copy of a database that nobody is connected to.
    async fn copy(&self) -> Self {
        if !self.url.starts_with("sqlite") {
            let name = self.url.rsplit('/').next().unwrap();
            return Self::from_template(name).await;
        }
        let copy = Self::new(super::Engine::Sqlite).await;
        let mut conn = SqliteConnection::connect(&self.url).await.unwrap();
        let file = copy.url.strip_prefix("sqlite://").unwrap();
        let sql = sqlx::AssertSqlSafe(format!("VACUUM INTO '{file}'"));
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        copy
    }
}
