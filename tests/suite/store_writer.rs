//! SQLite's one writer: groups, limits, and other processes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tessera::error::{Code, Result};
use tessera::store::db::{Db, execute};

use crate::support::{Database, Engine, count, create_table, insert};

#[tokio::test]
async fn a_unit_over_its_second_is_ended_and_the_writer_goes_on() {
    let (_database, db) = Database::migrated(Engine::Sqlite).await;
    create_table(&db).await;
    let begun = Instant::now();
    let error = db
        .unit(|conn| async move {
            insert(&conn, "slow").await?;
            std::future::pending::<Result<()>>().await
        })
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::TemporarilyUnavailable);
    assert!(begun.elapsed() < Duration::from_secs(2));
    db.write(|conn| async move { insert(&conn, "next").await }).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

/// The unit's future is neither polled nor dropped, as when its task is stuck between two statements.
#[tokio::test]
async fn a_stuck_unit_loses_the_connection_and_learns_it() {
    let (_database, db) = Database::migrated(Engine::Sqlite).await;
    create_table(&db).await;
    let mut unit = Box::pin(db.unit(|conn| async move {
        insert(&conn, "first").await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        insert(&conn, "second").await
    }));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut unit).await.is_err());
    db.write(|conn| async move { insert(&conn, "other").await }).await.unwrap();
    assert_eq!(unit.await.unwrap_err().code(), Code::TemporarilyUnavailable);
    assert_eq!(count(&db).await, 1);
}

/// As the command line does beside the server: a store of its own on the same file.
#[tokio::test]
async fn a_second_writer_writes_beside() {
    let (database, server) = Database::migrated(Engine::Sqlite).await;
    create_table(&server).await;
    let command_line = Db::connect(&database.settings()).await.unwrap();
    let units = (0..100).map(|n| {
        let db = if n % 2 == 0 { server.clone() } else { command_line.clone() };
        tokio::spawn(
            async move { db.unit(move |conn| async move { insert(&conn, &format!("{n}")).await }).await },
        )
    });
    for unit in join_all(units).await {
        unit.unwrap().unwrap();
    }
    assert_eq!((count(&server).await, count(&command_line).await), (100, 100));
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_database, db) = Database::migrated(Engine::Sqlite).await;
    create_table(&db).await;
    assert!(db.read(|conn| async move { insert(&conn, "sneaked").await }).await.is_err());
}

/// A deferred foreign key is looked at by COMMIT alone, so this unit makes the group's COMMIT fail.
#[tokio::test]
async fn a_failing_commit_is_unavailable_and_the_writer_goes_on() {
    let (_database, db) = Database::migrated(Engine::Sqlite).await;
    create_table(&db).await;
    let child =
        "CREATE TABLE child_of_test (name text REFERENCES names_of_test DEFERRABLE INITIALLY DEFERRED)";
    db.write(|conn| async move { execute!(conn, child) }).await.unwrap();
    let orphan = db.unit(|conn| async move {
        insert(&conn, "undone").await?;
        execute!(conn, "INSERT INTO child_of_test (name) VALUES ('nobody')")
    });
    assert_eq!(orphan.await.unwrap_err().code(), Code::TemporarilyUnavailable);
    assert_eq!(count(&db).await, 0);
    db.write(|conn| async move { insert(&conn, "next").await }).await.unwrap();
    assert_eq!(count(&db).await, 1);
}
