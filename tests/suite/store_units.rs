//! What the store promises about units, on both engines.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::join_all;
use tessera::error::{Code, Result, invalid_request};
use tessera::store::db::{Db, Settings, execute, fetch_optional};

use crate::support::{
    Database, Engine, both_engines, count, create_child, create_table, has, insert, insert_orphan,
};

both_engines!(
    ok_commits_and_error_rolls_back,
    a_dropped_unit_rolls_back,
    a_violation_is_a_conflict_and_undoes_its_unit_alone,
    a_unit_cannot_go_on_after_a_failed_statement,
    a_failing_commit_is_an_error_and_undoes_its_unit,
    concurrent_units_are_all_seen_once_they_answer,
    statements_are_counted,
    a_closed_store_is_unavailable,
    migrations_are_applied_once,
    a_call_inside_another_is_refused_at_once,
    autocommit_is_one_statement,
    nobody_starves,
    reads_see_the_newest_commit,
    what_runs_is_finished_before_the_store_closes,
);

async fn ok_commits_and_error_rolls_back(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    db.unit(|conn| async move { insert(&conn, "kept").await }).await.unwrap();
    let error = db
        .unit(|conn| async move {
            insert(&conn, "undone").await?;
            Err::<(), _>(invalid_request("no"))
        })
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    assert_eq!(count(&db).await, 1);
}

async fn a_dropped_unit_rolls_back(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    let unit = db.unit(|conn| async move {
        insert(&conn, "undone").await?;
        std::future::pending::<Result<()>>().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(200), unit).await.is_err());
    db.unit(|conn| async move { insert(&conn, "undone").await }).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

async fn a_violation_is_a_conflict_and_undoes_its_unit_alone(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    db.write(|conn| async move { insert(&conn, "taken").await }).await.unwrap();
    let units = (0..40).map(|n| {
        let db = db.clone();
        async move {
            db.unit(move |conn| async move {
                insert(&conn, &format!("{n}")).await?;
                if n % 2 == 0 { insert(&conn, "taken").await } else { Ok(1) }
            })
            .await
        }
    });
    for (n, outcome) in join_all(units).await.into_iter().enumerate() {
        match outcome {
            Ok(_) => assert_eq!(n % 2, 1),
            Err(error) => assert_eq!((n % 2, error.code()), (0, Code::Conflict), "{error:?}"),
        }
    }
    assert_eq!(count(&db).await, 21);
}

async fn a_unit_cannot_go_on_after_a_failed_statement(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    db.write(|conn| async move { insert(&conn, "taken").await }).await.unwrap();
    let swallowed = db.unit(|conn| async move {
        insert(&conn, "before").await?;
        let _ = insert(&conn, "taken").await;
        Ok(())
    });
    assert_eq!(swallowed.await.unwrap_err().code(), Code::ServerError);
    let went_on = db.unit(|conn| async move {
        let _ = insert(&conn, "taken").await;
        insert(&conn, "after").await
    });
    assert_eq!(went_on.await.unwrap_err().code(), Code::ServerError);
    assert_eq!(count(&db).await, 1);
}

async fn a_failing_commit_is_an_error_and_undoes_its_unit(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    create_child(&db).await;
    let orphan = db.unit(|conn| async move {
        insert(&conn, "undone").await?;
        insert_orphan(&conn).await
    });
    assert_eq!(orphan.await.unwrap_err().code(), Code::TemporarilyUnavailable);
    assert_eq!(count(&db).await, 0);
    db.unit(|conn| async move { insert(&conn, "next").await }).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

async fn concurrent_units_are_all_seen_once_they_answer(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    let units = (0..300).map(|n| {
        let db = db.clone();
        tokio::spawn(async move {
            db.unit(move |conn| async move { insert(&conn, &format!("{n}")).await }).await.unwrap();
            assert!(has(&db, &format!("{n}")).await);
        })
    });
    for unit in join_all(units).await {
        unit.unwrap();
    }
    assert_eq!(count(&db).await, 300);
    assert!(db.is_healthy().await);
}

async fn statements_are_counted(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    let before = db.statements();
    count(&db).await;
    db.write(|conn| async move { insert(&conn, "a").await }).await.unwrap();
    db.unit(|conn| async move {
        insert(&conn, "b").await?;
        insert(&conn, "c").await
    })
    .await
    .unwrap();
    let after = db.statements();
    assert_eq!(after.reads - before.reads, 1);
    assert_eq!(after.writes - before.writes, 3);
    assert_eq!(after.units - before.units, 1);
}

async fn a_closed_store_is_unavailable(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    db.close().await;
    let error = db.unit(|conn| async move { insert(&conn, "late").await }).await.unwrap_err();
    assert_eq!(error.code(), Code::TemporarilyUnavailable);
    assert!(!db.is_healthy().await);
}

async fn migrations_are_applied_once(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    assert_eq!(db.pending_migrations().await.unwrap(), 0);
    db.migrate().await.unwrap();
    // A history that is not this program's is not passed over.
    let changed = "UPDATE _sqlx_migrations SET checksum = $1
                   WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    db.write(|conn| async move { execute!(conn, changed, &[7_u8; 48][..]) }).await.unwrap();
    assert_eq!(db.migrate().await.unwrap_err().code(), Code::ServerError);
    let unfinished = "UPDATE _sqlx_migrations SET success = $1
                      WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    db.write(|conn| async move { execute!(conn, unfinished, false) }).await.unwrap();
    assert_eq!(db.pending_migrations().await.unwrap(), 1);
    assert_eq!(db.migrate().await.unwrap_err().code(), Code::ServerError);
}

/// It would wait for a connection while it keeps one from others; on SQLite, for the writer that it holds itself.
async fn a_call_inside_another_is_refused_at_once(engine: Engine) {
    let (database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    let (_elsewhere, other) = Database::migrated(Engine::Sqlite).await;
    let same = Db::connect(&Settings { max_connections: 1, ..database.settings() }).await.unwrap();
    let (same, other, reached) = (&same, &other, &AtomicU32::new(0));
    let refused = |outcome: Result<i64>| {
        assert_eq!(outcome.unwrap_err().code(), Code::ServerError);
        reached.fetch_add(1, SeqCst);
    };
    let nested = async || {
        refused(same.unit(|conn| async move { insert(&conn, "nested").await.map(|_| 0) }).await);
        refused(same.write(|conn| async move { insert(&conn, "nested").await.map(|_| 0) }).await);
        refused(same.read(|_| async { Ok(0) }).await);
        // Another store is another matter.
        other.read(|_| async { Ok(()) }).await
    };
    let nested = &nested;
    same.unit(|conn| async move { insert(&conn, "outer").await.and(nested().await) }).await.unwrap();
    same.read(|_| nested()).await.unwrap();
    assert_eq!(reached.load(SeqCst), 6);
    assert_eq!(count(same).await, 1);
}

/// Two statements in autocommit could end half done on PostgreSQL.
async fn autocommit_is_one_statement(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    let two = db.write(|conn| async move {
        insert(&conn, "first").await?;
        insert(&conn, "second").await
    });
    assert_eq!(two.await.unwrap_err().code(), Code::ServerError);
    assert!(!has(&db, "second").await);
}

/// Whoever waits longest is next: 16 writers share two connections, or one writer, in equal parts.
async fn nobody_starves(engine: Engine) {
    const WRITERS: usize = 16;
    const UNITS: u32 = 960;
    let database = Database::new(engine).await;
    let db = Db::connect(&Settings { max_connections: 2, ..database.settings() }).await.unwrap();
    create_table(&db).await;
    let total = Arc::new(AtomicU32::new(0));
    let writers = (0..WRITERS).map(|writer| {
        let (db, total) = (db.clone(), Arc::clone(&total));
        tokio::spawn(async move {
            let mut done = 0;
            while total.fetch_add(1, SeqCst) < UNITS {
                db.unit(|conn| async move { insert(&conn, &format!("{writer} {done}")).await })
                    .await
                    .unwrap();
                done += 1;
            }
            done
        })
    });
    for done in join_all(writers).await {
        assert!(done.unwrap() > UNITS / 16 / 4, "a fair part is 60");
    }
}

/// Also by a connection that left a statement in the middle of its rows: nothing keeps an old view of the data open.
async fn reads_see_the_newest_commit(engine: Engine) {
    let database = Database::new(engine).await;
    let db = Db::connect(&Settings { max_connections: 2, ..database.settings() }).await.unwrap();
    create_table(&db).await;
    let many = (0..300).map(|n| db.write(move |conn| async move { insert(&conn, &format!("{n}")).await }));
    join_all(many).await;
    let committed = Arc::new(AtomicI64::new(count(&db).await));
    let readers = (0..6).map(|_| {
        let (db, committed) = (db.clone(), Arc::clone(&committed));
        tokio::spawn(async move {
            for _ in 0..60 {
                let first = "SELECT name FROM names_of_test";
                db.read(|conn| async move { fetch_optional!(conn, (String,), first) }).await.unwrap();
                let least = committed.load(SeqCst);
                assert!(count(&db).await >= least, "an answered write was not seen");
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for n in 300..400 {
        db.write(|conn| async move { insert(&conn, &format!("{n}")).await }).await.unwrap();
        committed.store(n + 1, SeqCst);
    }
    for reader in join_all(readers).await {
        reader.unwrap();
    }
}

async fn what_runs_is_finished_before_the_store_closes(engine: Engine) {
    let (database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    let (begun, mut running) = tokio::sync::mpsc::channel(8);
    let unit = tokio::spawn({
        let db = db.clone();
        async move {
            db.unit(|conn| {
                let begun = begun.clone();
                async move {
                    insert(&conn, "finished").await?;
                    begun.send(()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    Ok(())
                }
            })
            .await
        }
    });
    running.recv().await.unwrap();
    db.close().await;
    unit.await.unwrap().unwrap();
    assert!(has(&Db::connect(&database.settings()).await.unwrap(), "finished").await);
}

/// Several nodes meet an empty database at the same time.
async fn migrate_at_once(settings: Settings) {
    let nodes = join_all((0..4).map(|_| Db::connect(&settings))).await;
    let nodes: Vec<Db> = nodes.into_iter().map(|node| node.unwrap()).collect();
    assert!(nodes[0].pending_migrations().await.unwrap() > 0);
    for outcome in join_all(nodes.iter().map(Db::migrate)).await {
        outcome.unwrap();
    }
    assert_eq!(nodes[3].pending_migrations().await.unwrap(), 0);
}

#[tokio::test]
async fn nodes_that_migrate_at_once_take_turns_on_sqlite() {
    migrate_at_once(Database::new(Engine::Sqlite).await.settings()).await;
}

#[tokio::test]
async fn nodes_that_migrate_at_once_take_turns_on_postgres() {
    migrate_at_once(Database::new(Engine::Postgres).await.settings()).await;
}
