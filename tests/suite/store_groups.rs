//! SQLite's one writer: units that wait for it, and share a COMMIT.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tessera::error::{Code, Error};
use tessera::store::db::{Db, fetch_one};

use crate::support::{
    Database, Engine, count, create_child, create_table, has, hold, insert, insert_one, insert_orphan,
};

async fn store() -> (Database, Db) {
    let (database, db) = Database::migrated(Engine::Sqlite).await;
    create_table(&db).await;
    (database, db)
}

fn assert_unavailable(error: &Error) {
    assert_eq!((error.code(), error.retry_after()), (Code::TemporarilyUnavailable, Some(1)));
}

/// One unit makes the COMMIT of its whole group fail: nobody in it may believe in success.
#[tokio::test]
async fn a_failing_commit_is_told_to_the_whole_group() {
    let (_database, db) = store().await;
    create_child(&db).await;
    let (mut shared, mut round) = (0, 0);
    // A group is closed after two milliseconds, so that on a slow machine nobody may be in it; then once more.
    while shared == 0 {
        round += 1;
        assert!(round < 50, "units share groups");
        let (holder, release) = hold(&db).await;
        let before: Vec<_> = (0..8).map(|n| insert_one(&db, format!("{round} {n}"))).collect();
        let orphan = tokio::spawn({
            let db = db.clone();
            async move { db.unit(|conn| async move { insert_orphan(&conn).await }).await }
        });
        let after: Vec<_> = (8..16).map(|n| insert_one(&db, format!("{round} {n}"))).collect();
        tokio::task::yield_now().await;
        release.notify_one();
        let _ = holder.await.unwrap();
        assert_unavailable(&orphan.await.unwrap().unwrap_err());
        for (n, unit) in join_all(before.into_iter().chain(after)).await.into_iter().enumerate() {
            let outcome = unit.unwrap();
            assert_eq!(outcome.is_ok(), has(&db, &format!("{round} {n}")).await);
            if let Err(error) = outcome {
                assert_unavailable(&error);
                shared += 1;
            }
        }
        insert_one(&db, format!("next {round}")).await.unwrap().unwrap();
    }
}

/// Whoever hears of success finds it with another process's eyes.
#[tokio::test]
async fn a_group_answers_after_its_commit() {
    let (database, db) = store().await;
    let other = Db::connect(&database.settings()).await.unwrap();
    let (holder, release) = hold(&db).await;
    let units: Vec<_> = (0..500).map(|n| insert_one(&db, format!("{n}"))).collect();
    tokio::task::yield_now().await;
    release.notify_one();
    holder.await.unwrap().unwrap();
    for (n, unit) in units.into_iter().enumerate() {
        unit.await.unwrap().unwrap();
        assert!(has(&other, &format!("{n}")).await);
    }
}

/// What a reading unit has seen may be undone with its group, so it hears with the group, too.
#[tokio::test]
async fn a_unit_that_only_reads_answers_with_its_group() {
    let (database, db) = store().await;
    let other = Db::connect(&database.settings()).await.unwrap();
    let (holder, release) = hold(&db).await;
    let write = insert_one(&db, "written");
    let read = tokio::spawn({
        let db = db.clone();
        async move {
            let found = "SELECT count(*) FROM names_of_test WHERE name = 'written'";
            db.unit(|conn| async move { fetch_one!(conn, (i64,), found) }).await
        }
    });
    tokio::task::yield_now().await;
    release.notify_one();
    holder.await.unwrap().unwrap();
    assert_eq!(read.await.unwrap().unwrap().0, 1);
    assert!(has(&other, "written").await);
    write.await.unwrap().unwrap();
}

/// Over many groups: whoever came first is served first, and nobody is left out.
#[tokio::test]
async fn a_long_queue_is_served_in_its_order() {
    let (_database, db) = store().await;
    let served = Arc::new(Mutex::new(Vec::new()));
    let (holder, release) = hold(&db).await;
    let units: Vec<_> = (0..1000)
        .map(|n| {
            let (db, served) = (db.clone(), Arc::clone(&served));
            tokio::spawn(async move {
                let served = &served;
                let unit = db.unit(|conn| async move {
                    served.lock().unwrap().push(n);
                    insert(&conn, &format!("{n}")).await
                });
                unit.await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    release.notify_one();
    holder.await.unwrap().unwrap();
    for unit in units {
        unit.await.unwrap().unwrap();
    }
    assert_eq!(*served.lock().unwrap(), (0..1000).collect::<Vec<_>>());
    assert_eq!(count(&db).await, 1000);
}

#[tokio::test]
async fn who_finds_the_queue_full_is_turned_away_at_once() {
    let (_database, db) = store().await;
    let (holder, release) = hold(&db).await;
    let units: Vec<_> = (0..1200).map(|n| insert_one(&db, format!("{n}"))).collect();
    // One thread runs the tasks in their turn: when the last one has been refused, the others have had theirs.
    while !units[1199].is_finished() {
        tokio::task::yield_now().await;
    }
    let refused = units.iter().filter(|unit| unit.is_finished()).count();
    release.notify_one();
    holder.await.unwrap().unwrap();
    let errors: Vec<_> =
        join_all(units).await.into_iter().filter_map(|outcome| outcome.unwrap().err()).collect();
    assert_eq!((errors.len(), refused), (176, 176), "1,024 may wait");
    errors.iter().for_each(assert_unavailable);
    assert_eq!(count(&db).await, 1024);
}

#[tokio::test]
async fn a_unit_dropped_while_it_waits_never_runs() {
    let (_database, db) = store().await;
    let (holder, release) = hold(&db).await;
    let waits = insert_one(&db, "dropped");
    tokio::task::yield_now().await;
    waits.abort();
    let next = insert_one(&db, "next");
    release.notify_one();
    holder.await.unwrap().unwrap();
    next.await.unwrap().unwrap();
    assert!(!has(&db, "dropped").await);
}

/// A unit that has given its verdict is part of its group, whether or not anybody still waits for the answer.
#[tokio::test]
async fn a_verdict_stands_when_its_caller_goes() {
    let (_database, db) = store().await;
    let (holder, release) = hold(&db).await;
    let decided = insert_one(&db, "decided");
    let second = tokio::spawn({
        let db = db.clone();
        async move { hold(&db).await }
    });
    tokio::task::yield_now().await;
    release.notify_one();
    // The second one has the connection, so the first one has given its verdict.
    let (second, release) = second.await.unwrap();
    decided.abort();
    release.notify_one();
    holder.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert!(has(&db, "decided").await);
}
