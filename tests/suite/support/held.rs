//! A unit that is kept open while a request arrives: the two meet in the one order that is to be shown.

use std::sync::Arc;

use tessera::error::Result;
use tessera::store::db::Conn;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::TestApp;
use super::deleting::number;

/// Holds its locks, and on SQLite the write connection (for a second at most), until it commits.
pub struct Held {
    node: TestApp,
    /// Statements that the app had read when the unit stood.
    reads: u64,
    go: Arc<Notify>,
    unit: JoinHandle<Result<()>>,
}

impl Held {
    /// Begins a unit of another node, with `change` in it.
    pub async fn new<F, Fut>(app: &TestApp, change: F) -> Self
    where
        F: Fn(Conn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send,
    {
        let node = app.second_node().await;
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, waits, db) = (begun.clone(), go.clone(), node.app.db.clone());
        let unit = tokio::spawn(async move {
            let held = |conn| {
                let (change, begins, waits) = (&change, &begins, &waits);
                async move {
                    change(conn).await?;
                    begins.notify_one();
                    waits.notified().await;
                    Ok(())
                }
            };
            db.unit(held).await
        });
        begun.notified().await;
        Self { node, reads: app.app.db.statements().reads, go, unit }
    }

    pub async fn commit(self) {
        self.go.notify_one();
        self.unit.await.unwrap().unwrap();
    }

    /// Commits once a request to `app` has begun its `reads`-th read, and stands at a lock where locks can be seen.
    pub async fn commit_when_awaited(self, app: &TestApp, reads: u64) {
        while app.app.db.statements().reads < self.reads + reads || !self.is_awaited().await {
            assert!(!self.unit.is_finished(), "nobody waited");
            tokio::task::yield_now().await;
        }
        self.commit().await;
    }

    async fn is_awaited(&self) -> bool {
        let waiting = "SELECT count(*) AS n FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.node.database.url.starts_with("sqlite") || number(&self.node.app.db, waiting).await > 0
    }
}
