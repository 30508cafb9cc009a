//! What the store promises about units, on both engines.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tessera::error::{Code, Result, invalid_request};
use tessera::store::db::{Conn, Db, Settings, execute, fetch_one};

use crate::support::{Database, Engine, both_engines};

both_engines!(
    ok_commits_and_error_rolls_back,
    a_dropped_unit_rolls_back,
    a_violation_is_a_conflict_and_undoes_its_unit_alone,
    a_unit_cannot_go_on_after_a_failed_statement,
    concurrent_units_are_all_seen_once_they_answer,
    statements_are_counted,
    a_closed_store_is_unavailable,
    migrations_are_applied_once,
);

async fn insert(conn: &Conn, name: &str) -> Result<u64> {
    execute!(conn, "INSERT INTO jobs_of_test (name) VALUES ($1)", name)
}

async fn create(db: &Db) {
    db.write(|conn| async move { execute!(conn, "CREATE TABLE jobs_of_test (name text PRIMARY KEY)") })
        .await
        .unwrap();
}

async fn count(db: &Db) -> i64 {
    db.read(|conn| async move { fetch_one!(conn, (i64,), "SELECT count(*) FROM jobs_of_test") })
        .await
        .unwrap()
        .0
}

async fn ok_commits_and_error_rolls_back(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create(&db).await;
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
    create(&db).await;
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
    create(&db).await;
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
    create(&db).await;
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

async fn concurrent_units_are_all_seen_once_they_answer(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create(&db).await;
    let units = (0..300).map(|n| {
        let db = db.clone();
        tokio::spawn(async move {
            db.unit(move |conn| async move { insert(&conn, &format!("{n}")).await }).await.unwrap();
            let name = format!("{n}");
            let (seen,) = db
                .read(|conn| {
                    let name = name.clone();
                    async move {
                        fetch_one!(conn, (i64,), "SELECT count(*) FROM jobs_of_test WHERE name = $1", name)
                    }
                })
                .await
                .unwrap();
            assert_eq!(seen, 1);
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
    create(&db).await;
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

#[tokio::test]
async fn a_unit_over_its_second_is_ended_and_the_writer_goes_on() {
    let (_database, db) = Database::migrated(Engine::Sqlite).await;
    create(&db).await;
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
    create(&db).await;
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
    create(&server).await;
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
    create(&db).await;
    assert!(db.read(|conn| async move { insert(&conn, "sneaked").await }).await.is_err());
}

/// As after a restart of the server: every idle connection is dead.
#[tokio::test]
async fn closed_connections_are_met_by_trying_once_more() {
    let (database, db) = Database::migrated(Engine::Postgres).await;
    create(&db).await;
    let other = Db::connect(&database.settings()).await.unwrap();
    for _ in 0..2 {
        join_all((0..5).map(|_| count(&db))).await;
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
        other.read(|conn| async move { fetch_one!(conn, (i64,), kill) }).await.unwrap();
        assert_eq!(count(&db).await, 0);
        join_all((0..5).map(|_| count(&db))).await;
        other.read(|conn| async move { fetch_one!(conn, (i64,), kill) }).await.unwrap();
        db.unit(|conn| async move { execute!(conn, "DELETE FROM jobs_of_test") }).await.unwrap();
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
    create(&db).await;
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

/// A deferred foreign key is looked at by COMMIT alone, so this unit makes the group's COMMIT fail.
#[tokio::test]
async fn a_failing_commit_is_unavailable_and_the_writer_goes_on() {
    let (_database, db) = Database::migrated(Engine::Sqlite).await;
    create(&db).await;
    let child =
        "CREATE TABLE child_of_test (name text REFERENCES jobs_of_test DEFERRABLE INITIALLY DEFERRED)";
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
