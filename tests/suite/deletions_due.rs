//! The job that executes deletions on their day: by the clock of the project, and whatever becomes of the first ones.

use serde_json::json;
use tessera::jobs::run_due;
use tessera::store::db::Conn;

use crate::support::{Deleting, Engine, Many, TestApp, both_engines, number, run};

both_engines!(a_sandbox_goes_by_its_own_clock, those_that_fail_keep_nobody_waiting);

const DAY: i64 = 86_400;

/// Its clock was moved before anything was asked for.
async fn a_sandbox_goes_by_its_own_clock(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, live) = (app.shop("try", "confidential").await, app.shop("live", "confidential").await);
    let project = shop.project;
    let make = |conn: Conn| async move {
        let sql = "UPDATE projects SET kind = 'sandbox', version = version + 1 WHERE id = $1";
        tessera::execute!(&conn, sql, project)
    };
    app.app.db.write(make).await.unwrap();
    let desk = app.desk(&shop, "admin").await;
    desk.post("/sandbox/clock", json!({"advance_seconds": 30 * DAY})).await.ok();
    let mut deletions = Vec::new();
    for shop in [&shop, &live] {
        let admin = Deleting::new(&app, shop).await;
        app.desk(shop, "admin").await.patch("", json!({"settings": {"deletion_restore_days": 2}})).await.ok();
        let id = admin.asked().await;
        assert_eq!(admin.confirm(&id, "alice").await.ok()["state"], "scheduled");
        deletions.push((admin, id));
    }
    let states = async || {
        let mut states = Vec::new();
        for (admin, id) in &deletions {
            states.push(admin.show(id).await.ok()["state"].clone());
        }
        states
    };
    app.app.clock.advance(2 * DAY - 1);
    run_due(&app.app).await.unwrap();
    assert_eq!(states().await, ["scheduled", "scheduled"]);
    app.app.clock.advance(61);
    run_due(&app.app).await.unwrap();
    assert_eq!(states().await, ["executed", "executed"], "each on its own second day");
}

/// More than one page of them, the oldest of all.
async fn those_that_fail_keep_nobody_waiting(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    many.desk.patch("", json!({"settings": {"deletion_restore_days": 1}})).await.ok();
    let names: Vec<String> = (0..52).map(|n| format!("user-{n}")).collect();
    let users = many.people(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let asked = many.ask(&users).await.body;
    many.confirmed(&asked).await;
    app.app.clock.advance(5);
    run_due(&app.app).await.unwrap();
    let waiting = "SELECT count(*) AS n FROM deletions WHERE state = 'scheduled'";
    assert_eq!(number(&app.app.db, waiting).await, 52);
    // What is kept of them does not open, so they fail each time.
    run(&app.app.db, "UPDATE deletions SET impact = '' WHERE state = 'scheduled'").await;
    // An hour later one that is as it should be.
    app.app.clock.advance(3600);
    let admin = Deleting { app: &app, shop: &shop, key: many.desk.key.clone() };
    let id = admin.asked().await;
    assert_eq!(admin.confirm(&id, "alice").await.ok()["state"], "scheduled");
    app.app.clock.advance(DAY + 60);
    let outcomes = run_due(&app.app).await.unwrap();
    assert_eq!(admin.show(&id).await.ok()["state"], "executed");
    assert_eq!(number(&app.app.db, waiting).await, 52);
    let failed = outcomes.iter().filter(|outcome| !outcome.text.starts_with("ok")).count();
    assert_eq!(failed, 1, "{outcomes:?}");
}
