//! What PostgreSQL alone needs: a pool that survives the server, time limits, and transactions that run again.

use futures_util::future::join_all;
use tessera::store::db::{Db, Settings, execute, fetch_one};

use crate::support::{Database, Engine, count, create_table, insert};

/// As after a restart of the server: every idle connection is dead.
#[tokio::test]
async fn closed_connections_are_met_by_trying_once_more() {
    let (database, db) = Database::migrated(Engine::Postgres).await;
    create_table(&db).await;
    let other = Db::connect(&database.settings()).await.unwrap();
    for _ in 0..2 {
        join_all((0..5).map(|_| count(&db))).await;
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
        other.read(|conn| async move { fetch_one!(conn, (i64,), kill) }).await.unwrap();
        assert_eq!(count(&db).await, 0);
        join_all((0..5).map(|_| count(&db))).await;
        other.read(|conn| async move { fetch_one!(conn, (i64,), kill) }).await.unwrap();
        db.unit(|conn| async move { execute!(conn, "DELETE FROM names_of_test") }).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_would_lose_commits_is_refused() {
    let url = Database::new(Engine::Postgres).await.url;
    let lax = format!("{url}?options[synchronous_commit]=off");
    let error = Db::connect(&Settings::new(lax)).await.err().expect("refused");
    assert!(format!("{:?}", error.cause()).contains("synchronous_commit is off"), "{error:?}");
}

#[tokio::test]
async fn behind_a_transaction_pooler_everything_is_unnamed_and_in_a_transaction() {
    let mut settings = Database::new(Engine::Postgres).await.settings();
    settings.transaction_pooler = true;
    let db = Db::connect(&settings).await.unwrap();
    create_table(&db).await;
    db.write(|conn| async move { insert(&conn, "a").await }).await.unwrap();
    db.unit(|conn| async move { insert(&conn, "b").await }).await.unwrap();
    assert_eq!(count(&db).await, 2);
    let read = db.read(|conn| async move {
        let (first,) = fetch_one!(conn, (String,), "SELECT now()::text")?;
        let (second,) = fetch_one!(conn, (String,), "SELECT now()::text")?;
        let named = "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''";
        let (named,) = fetch_one!(conn, (i64,), named)?;
        Ok((first == second, named))
    });
    // now() stands still within a transaction and nowhere else.
    assert_eq!(read.await.unwrap(), (true, 0));
}
