//! The runner: each due job runs once, on whichever node, and its row tells how it went.

use std::sync::Arc;
use std::time::Duration;

use tessera::app::App;
use tessera::ids::ProjectId;
use tessera::jobs::{self, Job, LEASE_SECONDS, Outcome, run_due};
use tessera::store::db::{execute, fetch_one};
use tessera::store::jobs::JobRow;

use crate::support::{Engine, TestApp, both_engines};

both_engines!(
    last_run_is_visible,
    each_due_job_runs_once_on_two_nodes,
    a_lapsed_lease_is_taken_over,
    a_failure_is_told_and_tried_again_later,
    the_runner_starts_at_once_and_stops,
    an_absent_store_is_an_error_and_nothing_more,
);

#[derive(sqlx::FromRow)]
struct Count {
    n: i64,
}

/// Rows of one project: `count(&app.app, shop.project, "outbox", "state = 'dead'")`.
pub async fn count(app: &App, project: ProjectId, table: &str, condition: &str) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM {table} WHERE project_id = $1 AND {condition}");
    let sql = sql.as_str();
    app.db
        .read(|conn| async move { fetch_one!(conn, Count, sqlx::AssertSqlSafe(sql.to_owned()), project) })
        .await
        .unwrap()
        .n
}

/// Runs a statement of the test's own.
pub async fn run_sql(app: &App, sql: &'static str) {
    app.db.write(|conn| async move { execute!(conn, sql) }).await.unwrap();
}

pub async fn row(app: &App, job: Job) -> JobRow {
    let rows = app.db.read(|conn| async move { tessera::store::jobs::list(&conn).await }).await.unwrap();
    rows.into_iter().find(|row| row.name == job.name()).unwrap()
}

/// Runs what is due; nothing may fail.
pub async fn run_well(app: &Arc<App>) -> Vec<Outcome> {
    let outcomes = run_due(app).await.unwrap();
    for outcome in &outcomes {
        assert!(outcome.text.starts_with("ok: "), "{outcome:?}");
    }
    outcomes
}

async fn last_run_is_visible(engine: Engine) {
    let app = TestApp::new(engine).await;
    let start = app.app.clock.now();
    let ran = run_well(&app.app).await;
    assert_eq!(ran.iter().map(|ran| ran.job).collect::<Vec<_>>(), Job::ALL);
    let outbox = row(&app.app, Job::Outbox).await;
    let expected = JobRow {
        name: "outbox".into(),
        next_run_at: start.plus_seconds(5),
        lease_until: None,
        failures: 0,
        started_at: Some(start),
        finished_at: Some(start),
        outcome: Some("ok: 0 delivered, 0 to be tried again, 0 given up".into()),
    };
    assert_eq!(outbox, expected);
    assert_eq!(row(&app.app, Job::CleanUp).await.outcome.unwrap(), "ok: nothing had ended");
    assert_eq!(run_due(&app.app).await.unwrap(), [], "nothing is due");
    app.app.clock.advance(5);
    assert_eq!(run_well(&app.app).await.len(), 3, "the others are due later");
    app.app.clock.advance(595);
    assert_eq!(run_well(&app.app).await.len(), Job::ALL.len());
}

async fn each_due_job_runs_once_on_two_nodes(engine: Engine) {
    let first = TestApp::new(engine).await;
    let second = first.second_node().await;
    for round in 0..20 {
        let calls = [&first.app, &second.app, &first.app, &second.app].map(|app| {
            let app = Arc::clone(app);
            tokio::spawn(async move { run_due(&app).await.unwrap() })
        });
        let mut ran = Vec::new();
        for call in calls {
            ran.extend(call.await.unwrap().into_iter().map(|outcome| outcome.job.name()));
        }
        ran.sort_unstable();
        assert_eq!(
            ran,
            [
                "audit_checkpoints",
                "bulk_deletions",
                "clean_up",
                "deletions",
                "endings",
                "key_rotation",
                "outbox",
                "project_rows",
                "retention",
            ],
            "round {round}"
        );
        first.app.clock.advance(600);
    }
}

async fn a_lapsed_lease_is_taken_over(engine: Engine) {
    let app = TestApp::new(engine).await;
    run_well(&app.app).await;
    app.app.clock.advance(600);
    // A node takes the outbox and dies.
    let now = app.app.clock.now();
    let until = now.plus_seconds(LEASE_SECONDS);
    let take = |conn| async move { tessera::store::jobs::lease(&conn, now, "outbox", "dead", until).await };
    assert!(app.app.db.write(take).await.unwrap().is_some());
    let is_running = row(&app.app, Job::Outbox).await;
    assert!(is_running.started_at > is_running.finished_at);
    let ran = |outcomes: Vec<Outcome>| outcomes.iter().any(|outcome| outcome.job == Job::Outbox);
    assert!(!ran(run_well(&app.app).await));
    app.app.clock.advance(LEASE_SECONDS - 1);
    assert!(!ran(run_well(&app.app).await));
    app.app.clock.advance(1);
    assert!(ran(run_well(&app.app).await));
    let before = row(&app.app, Job::Outbox).await;
    // It was not dead after all: what it says at the end counts for nothing.
    let late = |conn| async move {
        tessera::store::jobs::finish(&conn, now, "outbox", "dead", "failed: late", (9, until)).await
    };
    assert_eq!(app.app.db.write(late).await.unwrap(), 0);
    assert_eq!(row(&app.app, Job::Outbox).await, before);
}

async fn a_failure_is_told_and_tried_again_later(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.code(&shop, "").await;
    app.app.clock.advance(2 * 86_400);
    run_sql(&app.app, "ALTER TABLE revoked_tokens RENAME TO mislaid").await;
    for (failures, pause) in [(1, 1200), (2, 2400), (3, 3600), (4, 3600)] {
        let outcomes = run_due(&app.app).await.unwrap();
        let clean_up = outcomes.iter().find(|outcome| outcome.job == Job::CleanUp).unwrap();
        assert_eq!(clean_up.text, "failed: server_error");
        let row = row(&app.app, Job::CleanUp).await;
        assert_eq!((row.failures, row.outcome.as_deref()), (failures, Some("failed: server_error")));
        assert_eq!(row.next_run_at, app.app.clock.now().plus_seconds(pause));
        app.app.clock.advance(pause);
    }
    // What can be removed is removed all the same.
    assert_eq!(count(&app.app, shop.project, "authorization_codes", "TRUE").await, 0);
    run_sql(&app.app, "ALTER TABLE mislaid RENAME TO revoked_tokens").await;
    run_well(&app.app).await;
    assert_eq!(row(&app.app, Job::CleanUp).await.failures, 0);
}

async fn the_runner_starts_at_once_and_stops(engine: Engine) {
    let app = TestApp::new(engine).await;
    // The server has all of its own handles once it has answered.
    app.http.get(&app.base).send().await.unwrap();
    let holders = Arc::strong_count(&app.app);
    let runner = jobs::start(&app.app);
    let all_ran = async {
        loop {
            let list = |conn| async move { tessera::store::jobs::list(&conn).await };
            let rows = app.app.db.read(list).await.unwrap();
            if rows.iter().filter(|row| row.outcome.is_some()).count() == Job::ALL.len() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_ran).await.expect("all jobs ran");
    tokio::time::timeout(Duration::from_secs(20), runner.stop()).await.expect("the runner stopped");
    assert_eq!(Arc::strong_count(&app.app), holders, "no task of it is left");
}

async fn an_absent_store_is_an_error_and_nothing_more(engine: Engine) {
    let app = TestApp::new(engine).await;
    run_well(&app.app).await;
    app.app.clock.advance(600);
    app.app.db.close().await;
    assert_eq!(run_due(&app.app).await.unwrap_err().code().as_str(), "temporarily_unavailable");
}
