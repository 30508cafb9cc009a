//! A table of names, for tests of the store that need no more than that.

use std::sync::Arc;

use tessera::error::Result;
use tessera::store::db::{Conn, Db, execute, fetch_one};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

pub async fn create_table(db: &Db) {
    db.write(|conn| async move { execute!(conn, "CREATE TABLE names_of_test (name text PRIMARY KEY)") })
        .await
        .unwrap();
}

pub async fn insert(conn: &Conn, name: &str) -> Result<u64> {
    execute!(conn, "INSERT INTO names_of_test (name) VALUES ($1)", name)
}

pub async fn count(db: &Db) -> i64 {
    let count = "SELECT count(*) FROM names_of_test";
    db.read(|conn| async move { fetch_one!(conn, (i64,), count) }).await.unwrap().0
}

pub async fn has(db: &Db, name: &str) -> bool {
    let count = "SELECT count(*) FROM names_of_test WHERE name = $1";
    db.read(|conn| async move { fetch_one!(conn, (i64,), count, name) }).await.unwrap().0 == 1
}

/// A table of rows that need a parent among the names, which is looked at by COMMIT alone.
pub async fn create_child(db: &Db) {
    let sql = "CREATE TABLE child_of_test (name text REFERENCES names_of_test DEFERRABLE INITIALLY DEFERRED)";
    db.write(|conn| async move { execute!(conn, sql) }).await.unwrap();
}

/// Makes the COMMIT fail.
pub async fn insert_orphan(conn: &Conn) -> Result<u64> {
    execute!(conn, "INSERT INTO child_of_test (name) VALUES ('nobody')")
}

/// A unit in a task of its own.
pub fn insert_one(db: &Db, name: impl Into<String>) -> JoinHandle<Result<u64>> {
    let (db, name) = (db.clone(), name.into());
    tokio::spawn(async move {
        let name = name.as_str();
        db.unit(|conn| async move { insert(&conn, name).await }).await
    })
}

/// A unit that keeps SQLite's writer until it is told, within its second: what comes meanwhile waits, and then shares a
/// group.
pub async fn hold(db: &Db) -> (JoinHandle<Result<()>>, Arc<Notify>) {
    let (db, release) = (db.clone(), Arc::new(Notify::new()));
    let (until, (holds, mut held)) = (Arc::clone(&release), mpsc::channel(1));
    let holder = tokio::spawn(async move {
        let (holds, until) = (&holds, &until);
        let unit = db.unit(|_| async move {
            holds.send(()).await.unwrap();
            until.notified().await;
            Ok(())
        });
        unit.await
    });
    held.recv().await.unwrap();
    (holder, release)
}
