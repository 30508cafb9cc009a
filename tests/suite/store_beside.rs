//! Other processes on the same SQLite file: the command line beside the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use tessera::error::Code;
use tessera::store::db::{Db, Settings};
use tokio::task::JoinHandle;

use crate::support::process::{Server, run, settings_of};
use crate::support::{
    Database, Engine, REDIRECT, TestApp, count, create_table, has, insert, insert_one, number,
};

/// A command needs much less beside an idle server; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two stores on one file, each with its own writer.
#[tokio::test]
async fn a_second_writer_writes_beside() {
    let (database, server) = Database::migrated(Engine::Sqlite).await;
    create_table(&server).await;
    let command_line = Db::connect(&database.settings()).await.unwrap();
    let units =
        (0..100).map(|n| insert_one(if n % 2 == 0 { &server } else { &command_line }, format!("{n}")));
    let units: Vec<_> = units.collect();
    for unit in join_all(units).await {
        unit.unwrap().unwrap();
    }
    assert_eq!((count(&server).await, count(&command_line).await), (100, 100));
}

/// A writer that is never idle: 32 units wait for it at any time, and each of them has to succeed.
struct Saturated {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    writers: Vec<JoinHandle<()>>,
}

impl Saturated {
    fn start(db: &Db) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let writers = (0..32).map(|writer| {
            let (db, stop, written) = (db.clone(), Arc::clone(&stop), Arc::clone(&written));
            tokio::spawn(async move {
                let mut n = 0;
                while !stop.load(SeqCst) {
                    let name = &format!("{writer} {n}");
                    db.unit(|conn| async move { insert(&conn, name).await }).await.unwrap();
                    written.fetch_add(1, SeqCst);
                    n += 1;
                }
            })
        });
        let writers = writers.collect();
        Self { stop, written, writers }
    }

    /// How many units were answered in the meantime, which may not take too long.
    async fn beside(&self, what: impl Future<Output = ()>) -> u64 {
        let (begun, before) = (Instant::now(), self.written.load(SeqCst));
        what.await;
        assert!(begun.elapsed() < PATIENCE, "it took {:?}", begun.elapsed());
        self.written.load(SeqCst) - before
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, SeqCst);
        for writer in join_all(self.writers).await {
            writer.unwrap();
        }
        self.written.load(SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_another_node_write_beside_a_saturated_writer() {
    let mut app = TestApp::new(Engine::Sqlite).await;
    let shop = app.shop("shop", "confidential").await;
    let settings = settings_of(&app);
    create_table(&app.app.db).await;
    let saturated = Saturated::start(&app.app.db);
    for n in 0..5 {
        let settings = settings.clone();
        let command = tokio::task::spawn_blocking(move || {
            let user = ["user", "create", "--project", "shop", "--no-password", &format!("user{n}")];
            let client =
                ["client", "create", "--project", "shop", "--name", "Web", "--redirect-uri", REDIRECT];
            (run(&user, &settings, ""), run(&client, &settings, ""), run(&["migrate"], &settings, ""))
        });
        let meanwhile = saturated.beside(async {
            let (user, client, migrate) = command.await.unwrap();
            for said in [user, client, migrate] {
                assert_eq!(said.code, Some(0), "{}", said.err);
            }
        });
        assert!(meanwhile.await > 0, "the server goes on");
    }
    // The other way round, a server that writes little has its turn beside a process that writes all the time.
    let _server = Server::serve(&mut app, &[]);
    for _ in 0..5 {
        let meanwhile = saturated.beside(async {
            let tokens = app.sign_in(&shop).await;
            app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
        });
        assert!(meanwhile.await > 0);
    }
    let written = saturated.stop().await;
    let db = &app.app.db;
    assert_eq!(count(db).await.unsigned_abs(), written, "what was answered is there, and nothing else");
    assert_eq!(number(db, "SELECT count(*) AS n FROM users").await, 6);
    // One is the built-in project's.
    assert_eq!(number(db, "SELECT count(*) AS n FROM clients").await, 7);
}

/// Another process that keeps the lock: a request gives up in time, a command waits, and both work afterwards.
#[tokio::test]
async fn a_lock_that_another_process_keeps() {
    let (database, server) = Database::migrated(Engine::Sqlite).await;
    create_table(&server).await;
    let hasty = Db::connect(&Settings { acquire_timeout_seconds: 1, ..database.settings() }).await.unwrap();
    let patient = Db::connect(&database.settings().patient()).await.unwrap();
    let mut other = SqliteConnection::connect(&database.url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();

    let begun = Instant::now();
    let waits = insert_one(&patient, "patient");
    let refused = insert_one(&hasty, "hasty").await.unwrap().unwrap_err();
    assert_eq!((refused.code(), refused.retry_after()), (Code::TemporarilyUnavailable, Some(1)));
    assert!(begun.elapsed() < Duration::from_secs(4), "after one second, and some for a busy machine");
    assert!(!waits.is_finished());
    // The writer asks no longer for a caller who has gone, so nothing keeps the store from closing.
    hasty.close().await;

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    waits.await.unwrap().unwrap();
    assert!(has(&server, "patient").await && !has(&server, "hasty").await);
}
