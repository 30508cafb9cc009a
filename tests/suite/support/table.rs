//! A table of names, for tests of the store that need no more than that.

use tessera::error::Result;
use tessera::store::db::{Conn, Db, execute, fetch_one};

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
