//! What PostgreSQL alone needs: a pool that survives the server, time limits, and transactions that run again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use futures_util::future::join_all;
use tessera::error::{Code, Error, Result};
use tessera::store::db::{Conn, Db, Settings, execute, fetch_one};
use tokio::sync::Barrier;

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

/// The net below the checks of each input: what cannot be stored is the caller's fault, in a write and in a unit.
#[tokio::test]
async fn a_text_with_nul_is_bad_input() {
    let (_database, db) = Database::migrated(Engine::Postgres).await;
    create_table(&db).await;
    let write = db.write(|conn| async move { insert(&conn, "a\0").await }).await.unwrap_err();
    let unit = db.unit(|conn| async move { insert(&conn, "a\0").await }).await.unwrap_err();
    for error in [write, unit] {
        let why = "a text holds a character that cannot be stored";
        assert_eq!((error.code(), error.description()), (Code::InvalidRequest, why));
    }
    db.write(|conn| async move { insert(&conn, "a").await }).await.unwrap();
}

/// A table of two numbers, and a server that looks for deadlocks at once instead of after a second.
async fn numbers() -> (Database, Db) {
    let database = Database::new(Engine::Postgres).await;
    let db = Db::connect(&Settings::new(format!("{}?options[deadlock_timeout]=10ms", database.url)))
        .await
        .unwrap();
    db.unit(|conn| async move {
        execute!(conn, "CREATE TABLE numbers_of_test (name text PRIMARY KEY, n bigint NOT NULL)")?;
        execute!(conn, "INSERT INTO numbers_of_test VALUES ('a', 0), ('b', 0)")
    })
    .await
    .unwrap();
    (database, db)
}

async fn raise(conn: &Conn, name: &str) -> Result<u64> {
    execute!(conn, "UPDATE numbers_of_test SET n = n + 1 WHERE name = $1", name)
}

async fn sum(conn: &Conn) -> Result<i64> {
    Ok(fetch_one!(conn, (i64,), "SELECT sum(n)::bigint FROM numbers_of_test")?.0)
}

async fn sum_in(db: &Db) -> i64 {
    db.read(|conn| async move { sum(&conn).await }).await.unwrap()
}

fn cause(error: &Error) -> String {
    format!("{:?}", error.cause())
}

/// 40P01: two units hold a row each and want the other's. The server ends one of them, and that one runs again.
#[tokio::test]
async fn a_deadlock_is_run_again() {
    let (_database, db) = numbers().await;
    let (both_hold, failures) = (Barrier::new(2), Mutex::new(Vec::new()));
    let unit = async |first: &'static str, second: &'static str| {
        let runs = AtomicU32::new(0);
        let (both_hold, failures, counted) = (&both_hold, &failures, &runs);
        let outcome = db.unit(|conn| async move {
            raise(&conn, first).await?;
            if counted.fetch_add(1, SeqCst) == 0 {
                both_hold.wait().await;
            }
            raise(&conn, second).await.inspect_err(|error| failures.lock().unwrap().push(cause(error)))
        });
        assert_eq!(outcome.await.unwrap(), 1);
        runs.into_inner()
    };
    let before = db.statements().units;
    let (one, other) = tokio::join!(unit("a", "b"), unit("b", "a"));
    assert_eq!((one + other, db.statements().units - before), (3, 3), "one of them ran twice");
    let failures = failures.into_inner().unwrap();
    assert!(failures.len() == 1 && failures[0].contains("deadlock detected"), "{failures:?}");
    assert_eq!(sum_in(&db).await, 4, "what was undone is not counted");
}

/// 40001, as often as `spoilt`: somebody else changes the row that a unit has looked at. Gives the runs.
async fn serialized(spoilt: u32) -> (Result<u64>, u32, i64) {
    let (database, db) = numbers().await;
    let other = &Db::connect(&database.settings()).await.unwrap();
    let runs = &AtomicU32::new(0);
    let before = db.statements().units;
    let outcome = db.unit(|conn| async move {
        execute!(conn, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
        sum(&conn).await?;
        if runs.fetch_add(1, SeqCst) < spoilt {
            other.write(|conn| async move { raise(&conn, "a").await }).await?;
        }
        raise(&conn, "a").await
    });
    let outcome = outcome.await;
    assert_eq!(db.statements().units - before, u64::from(runs.load(SeqCst)));
    (outcome, runs.load(SeqCst), sum_in(&db).await)
}

#[tokio::test]
async fn a_serialization_failure_is_run_again_three_times() {
    for spoilt in 0..=3 {
        let (outcome, runs, sum) = serialized(spoilt).await;
        assert_eq!((outcome.unwrap(), runs, sum), (1, spoilt + 1, i64::from(spoilt) + 1));
    }
    let (outcome, runs, sum) = serialized(100).await;
    let error = outcome.unwrap_err();
    assert!(cause(&error).contains("could not serialize access"), "{error:?}");
    assert_eq!(
        (error.code(), error.code().status(), error.retry_after()),
        (Code::TemporarilyUnavailable, 503, Some(1))
    );
    assert_eq!((runs, sum), (4, 4), "nothing of the unit is there");
}

/// 40001 at COMMIT: each of two units has read what the other one writes, and the first to commit wins.
#[tokio::test]
async fn a_refused_commit_is_run_again() {
    let (database, db) = numbers().await;
    let other = &Db::connect(&database.settings()).await.unwrap();
    let runs = &AtomicU32::new(0);
    let before = db.statements().units;
    let looked = db.unit(|conn| async move {
        execute!(conn, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")?;
        let looked = sum(&conn).await?;
        raise(&conn, "a").await?;
        if runs.fetch_add(1, SeqCst) == 0 {
            let first = other.unit(|conn| async move {
                execute!(conn, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")?;
                sum(&conn).await?;
                raise(&conn, "b").await
            });
            first.await?;
        }
        Ok(looked)
    });
    assert_eq!(looked.await.unwrap(), 1, "the second run has seen what the other unit wrote");
    assert_eq!((runs.load(SeqCst), db.statements().units - before), (2, 2));
    assert_eq!(sum_in(&db).await, 2);
}
