//! Each user of many is deleted once: whatever nodes work, wherever they stop, and whoever confirms.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tessera::app::Visit;
use tessera::audit::{Verdict, verify};
use tessera::clock::Clock;
use tessera::ids::{BulkId, UserId};
use tessera::jobs::run_due;
use tessera::session::delete_user::bulk::delete_one;
use tessera::store::bulk_users;
use tessera::store::db::Db;

use crate::support::process::{Server, run as run_command, settings_of};
use crate::support::{Answer, Engine, Many, REASON, Shop, TestApp, both_engines, number, run};

both_engines!(
    two_nodes_at_the_same_users,
    two_confirm_at_once,
    two_ask_at_once,
    a_kill_in_the_middle,
    one_that_fails_keeps_nobody_waiting,
    by_turns,
    from_the_command_line,
);

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("user-{n}")).collect()
}

async fn crowd(many: &Many<'_>, count: usize) -> Vec<String> {
    let names = names(count);
    many.people(&names.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// Every user has one event, one line, one letter, one deletion.
async fn each_once(db: &Db, count: i64) {
    for sql in [
        "SELECT count(*) AS n FROM users WHERE status = 'deleted'",
        "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deleted'",
        "SELECT count(DISTINCT target) AS n FROM audit_log WHERE action = 'user.deleted'",
        "SELECT count(*) AS n FROM erasures",
        "SELECT count(*) AS n FROM outbox WHERE kind = 'mail'",
        "SELECT count(*) AS n FROM deletions WHERE state = 'executed'",
        "SELECT count(*) AS n FROM bulk_deletion_users WHERE outcome = 'executed'",
    ] {
        assert_eq!(number(db, sql).await, count, "{sql}");
    }
}

/// As if two nodes had the job: one whose lease lapsed while it slept, and the one that took over.
async fn two_nodes_at_the_same_users(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let users = crowd(&many, 12).await;
    let asked = many.ask(&users).await.body;
    many.confirmed(&asked).await;
    let id: BulkId = asked["deletion_id"].as_str().unwrap().parse().unwrap();
    let list = |conn| async move {
        bulk_users::list_waiting(&conn, shop.project, id, (UserId(uuid::Uuid::nil()), 100)).await
    };
    let waiting: Vec<UserId> = app.app.db.read(list).await.unwrap();
    assert_eq!(waiting.len(), 12);
    let mut calls = Vec::new();
    for next in waiting {
        for node in [&app, &node, &app] {
            let visit = Visit::of_nobody(&node.app, shop.project, node.app.clock.now());
            calls.push(async move { delete_one(&visit.current().await.unwrap(), id, next).await.unwrap() });
        }
    }
    let outcomes = join_all(calls).await;
    assert_eq!(outcomes.iter().flatten().count(), 12, "{outcomes:?}");
    run_due(&node.app).await.unwrap();
    assert_eq!(many.get(&asked, "").await.ok()["state"], "done");
    each_once(&app.app.db, 12).await;
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn two_confirm_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let asked = many.ask(&crowd(&many, 3).await).await.body;
    let answers = join_all((0..4).map(|_| many.confirm(&asked, "delete 3 users"))).await;
    let (done, late): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(done.len(), 1, "{done:?} {late:?}");
    for answer in late {
        answer.refused(409, "conflict", "this has been confirmed already");
    }
    run_due(&app.app).await.unwrap();
    each_once(&app.app.db, 3).await;
    let confirmed = "SELECT count(*) AS n FROM audit_log WHERE action = 'users.deletion_confirmed'";
    assert_eq!(number(&app.app.db, confirmed).await, 1);
}

async fn two_ask_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let users = crowd(&many, 3).await;
    let answers = join_all((0..4).map(|_| many.ask(&users))).await;
    let (asked, late): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 202);
    assert_eq!(asked.len(), 1, "{asked:?} {late:?}");
    let why = "another deletion of many waits for its confirmation; confirm it or cancel it";
    for answer in late {
        assert_eq!((answer.status, &answer.body["error_description"]), (409, &json!(why)));
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM bulk_deletions").await, 1);
}

async fn a_kill_in_the_middle(engine: Engine) {
    const USERS: i64 = 40;
    let mut app = TestApp::changed(engine, |app| app.clock = Clock::System).await;
    let shop = app.shop("shop", "confidential").await;
    let (asked, key) = {
        let many = Many::new(&app, &shop).await;
        let asked = many.ask(&crowd(&many, 40).await).await.body;
        many.confirmed(&asked).await;
        (asked, many.desk.key)
    };
    app.app.db.close().await;
    let settings = [("TESSERA__JOBS__DELETIONS_PER_SECOND", "40")];
    let mut gone = 0;
    for least in [3, 15] {
        let server = Server::serve(&mut app, &settings);
        while gone < least {
            let shown = look(&app, &shop, &key, &asked).await;
            gone = shown["outcomes"]["executed"].as_i64().unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.kill();
        // A node that has died holds its jobs no longer than their lease.
        let db = Db::connect(&app.database.settings()).await.unwrap();
        run(&db, "UPDATE jobs SET lease_until = started_at, next_run_at = started_at").await;
        db.close().await;
    }
    assert!(gone < USERS, "it was over before the kill");
    let server = Server::serve(&mut app, &settings);
    let shown = loop {
        let shown = look(&app, &shop, &key, &asked).await;
        if shown["state"] != "running" {
            break shown;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&shown["state"], &shown["outcomes"]), (&json!("done"), &json!({"executed": USERS})));
    server.stop();
    let db = Db::connect(&app.database.settings()).await.unwrap();
    each_once(&db, USERS).await;
    assert!(matches!(verify(&db, shop.project).await.unwrap(), Verdict::Whole { .. }));
    db.close().await;
}

async fn look(app: &TestApp, shop: &Shop, key: &str, asked: &Value) -> Value {
    let url = format!("/api/delete-users/{}", asked["deletion_id"].as_str().unwrap());
    let request = app.http.get(app.project_url(shop, &url)).bearer_auth(key);
    Answer::of(request.send().await.unwrap()).await.ok()
}

/// A user whose row says what no user's does.
async fn one_that_fails_keeps_nobody_waiting(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let users = crowd(&many, 3).await;
    let asked = many.ask(&users).await.body;
    many.confirmed(&asked).await;
    run(&app.app.db, "UPDATE users SET groups = 'broken' WHERE username = 'user-1'").await;
    run_due(&app.app).await.unwrap();
    assert_eq!(many.outcome(&asked, &users[1]).await, "failed");
    let shown = many.get(&asked, "").await.ok();
    assert_eq!((&shown["state"], &shown["outcomes"]), (&json!("done"), &json!({"executed": 2, "failed": 1})));
}

/// Somebody's many do not stand before somebody else's few.
async fn by_turns(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (many, few) = (Many::new(&app, &shop).await, Many::new(&app, &other).await);
    let asked = many.ask(&crowd(&many, 50).await).await.body;
    many.confirmed(&asked).await;
    app.app.clock.advance(1);
    let theirs = few.ask(&crowd(&few, 2).await).await.body;
    few.confirmed(&theirs).await;
    run_due(&app.app).await.unwrap();
    let first =
        format!("SELECT count(*) AS n FROM erasures WHERE seq <= 22 AND line LIKE '%{}%'", other.project);
    assert_eq!(number(&app.app.db, first.leak()).await, 2);
    assert_eq!(few.get(&theirs, "").await.ok()["state"], "done");
    assert_eq!(many.get(&asked, "").await.ok()["state"], "done");
    each_once(&app.app.db, 52).await;
}

async fn from_the_command_line(engine: Engine) {
    let app = TestApp::changed(engine, |app| app.clock = Clock::System).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many { app: &app, shop: &shop, desk: app.desk(&shop, "user_manager").await };
    crowd(&many, 4).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "user-0\n\nuser-1\nuser-0\n").unwrap();
    let settings = settings_of(&app);
    let path = file.path().to_str().unwrap().to_owned();
    let base = ["delete-users", "--project", "shop", "--reason", REASON];
    let call = |more: &[&str], input: &str| run_command(&[&base, more].concat(), &settings, input);
    // Nobody is there to confirm it, or somebody expects another number.
    let said = call(&["--file", &path], "");
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("nobody is there to confirm it: --confirm 'delete 2 users'"), "{}", said.err);
    let said = call(&["--file", &path, "--confirm", "delete 3 users"], "");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("the typed words are not those that confirm this deletion"), "{}", said.err);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM erasures").await, 0);
    let said = call(&["--file", &path, "--confirm", "delete 2 users", "--json"], "");
    assert_eq!(said.code, Some(0), "{}", said.err);
    let shown: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&shown["state"], &shown["outcomes"], &shown["requested_by"]),
        (&json!("done"), &json!({"executed": 2}), &json!("command_line"))
    );
    assert!(
        said.err.contains("2 users, 0 sessions of applications") && said.err.contains("2/2"),
        "{}",
        said.err
    );
    // By a filter, and from standard input.
    let said = call(&["--username-prefix", "user-2", "--confirm", "delete 1 users"], "");
    assert_eq!(said.code, Some(0), "{}", said.err);
    let said = call(
        &["--file", "-", "--confirm", "delete 1 users", "--no-notify", "they know it already"],
        "user-3\n",
    );
    assert_eq!(said.code, Some(0), "{}", said.err);
    let said = call(&["--file", "-", "--confirm", "delete 1 users"], "nobody\n");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("nobody: no such user"), "{}", said.err);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM erasures").await, 4);
}
