//! SQLite's one writer: what it does with units that keep it, or that nobody waits for any more.

use std::time::{Duration, Instant};

use tessera::error::{Code, Result};
use tessera::store::db::{Db, execute, fetch_one};

use crate::support::{Database, Engine, count, create_table, hold, insert, insert_one};

/// A unit has one second; the rest is for a busy machine.
const ABOUT_A_SECOND: Duration = Duration::from_secs(4);

const ENDLESS_WRITE: &str = "INSERT INTO names_of_test (name)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000000000000) SELECT 'x' || n FROM n";
const ENDLESS_READ: &str = "
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000000000000) SELECT count(*) FROM n";

async fn store() -> (Database, Db) {
    let (database, db) = Database::migrated(Engine::Sqlite).await;
    create_table(&db).await;
    (database, db)
}

#[tokio::test]
async fn a_unit_over_its_second_is_ended_and_the_writer_goes_on() {
    let (_database, db) = store().await;
    let begun = Instant::now();
    let error = db
        .unit(|conn| async move {
            insert(&conn, "slow").await?;
            std::future::pending::<Result<()>>().await
        })
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::TemporarilyUnavailable);
    assert!(begun.elapsed() < ABOUT_A_SECOND);
    insert_one(&db, "next").await.unwrap().unwrap();
    assert_eq!(count(&db).await, 1);
}

/// The unit's future is neither polled nor dropped, as when its task is stuck between two statements.
#[tokio::test]
async fn a_stuck_unit_loses_the_connection_and_learns_it() {
    let (_database, db) = store().await;
    let mut unit = Box::pin(db.unit(|conn| async move {
        insert(&conn, "first").await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        insert(&conn, "second").await
    }));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut unit).await.is_err());
    insert_one(&db, "other").await.unwrap().unwrap();
    assert_eq!(unit.await.unwrap_err().code(), Code::TemporarilyUnavailable);
    assert_eq!(count(&db).await, 1);
}

/// SQLite itself has to stop it: nobody else can take the connection out of a statement.
#[tokio::test]
async fn an_endless_statement_ends_with_its_second() {
    let (_database, db) = store().await;
    for round in 0..2 {
        let begun = Instant::now();
        let written = db.unit(|conn| async move {
            insert(&conn, "before").await?;
            execute!(conn, ENDLESS_WRITE)
        });
        let alone = db.write(|conn| async move { execute!(conn, ENDLESS_WRITE) });
        let read = db.unit(|conn| async move {
            insert(&conn, "before").await?;
            fetch_one!(conn, (i64,), ENDLESS_READ)
        });
        let refused = [written.await.map(drop), alone.await.map(drop), read.await.map(drop)];
        for error in refused.map(Result::unwrap_err) {
            assert_eq!((error.code(), error.retry_after()), (Code::TemporarilyUnavailable, Some(1)));
        }
        assert!(begun.elapsed() < 3 * ABOUT_A_SECOND);
        insert_one(&db, format!("next {round}")).await.unwrap().unwrap();
    }
    assert_eq!(count(&db).await, 2, "nothing of them is left");
}

/// Whoever drops a unit leaves its statement behind inside SQLite, with the rest of its second.
#[tokio::test]
async fn an_endless_statement_whose_unit_was_dropped_ends_with_its_second() {
    let (_database, db) = store().await;
    let begun = Instant::now();
    let endless = db.unit(|conn| async move {
        insert(&conn, "before").await?;
        execute!(conn, ENDLESS_WRITE)
    });
    assert!(tokio::time::timeout(Duration::from_millis(100), endless).await.is_err());
    let others: Vec<_> = (0..100).map(|n| insert_one(&db, format!("{n}"))).collect();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert!(begun.elapsed() < ABOUT_A_SECOND);
    assert_eq!(count(&db).await, 100);
}

/// Ended in the middle of writing, it takes the transaction with it: its group hears so, and nobody else.
#[tokio::test]
async fn an_endless_statement_undoes_its_group_alone() {
    let (_database, db) = store().await;
    let (holder, release) = hold(&db).await;
    let before = insert_one(&db, "before");
    tokio::task::yield_now().await;
    let endless = db.unit(|conn| async move { execute!(conn, ENDLESS_WRITE) });
    release.notify_one();
    endless.await.unwrap_err();
    insert_one(&db, "after").await.unwrap().unwrap();
    // Two milliseconds may have passed, and then the first ones had a group of their own.
    let (holder, before) = (holder.await.unwrap(), before.await.unwrap());
    let stood = i64::from(before.is_ok());
    for error in [holder.err(), before.err()].into_iter().flatten() {
        assert_eq!((error.code(), error.retry_after()), (Code::TemporarilyUnavailable, Some(1)));
    }
    assert_eq!(count(&db).await, stood + 1, "whoever hears of success has it, and nobody else");
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_database, db) = store().await;
    assert!(db.read(|conn| async move { insert(&conn, "sneaked").await }).await.is_err());
}

/// Not through its own task, where it would be refused at once: the wait is over with the outer unit's second.
#[tokio::test]
async fn a_unit_that_waits_for_another_task_of_its_own_ends() {
    let (_database, db) = store().await;
    let (begun, other) = (Instant::now(), &db);
    let outer = db.unit(|conn| async move {
        insert(&conn, "outer").await?;
        insert_one(other, "inner").await.unwrap()
    });
    assert_eq!(outer.await.unwrap_err().code(), Code::TemporarilyUnavailable);
    assert!(begun.elapsed() < ABOUT_A_SECOND);
    insert_one(&db, "next").await.unwrap().unwrap();
    assert_eq!(count(&db).await, 2, "the inner one came after the outer one was gone");
}
