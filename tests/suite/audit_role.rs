//! The server as a database role that cannot change the log: everything works, and the database refuses the rest.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tessera::audit::{Verdict, verify};
use tessera::jobs::Job;
use tessera::store::db::{Db, Settings};
use url::Url;

use crate::jobs::{row, run_well};
use crate::support::process::{Server, settings_of};
use crate::support::{Deleting, Engine, TestApp};

/// The statements of docs/audit.md as printed, for a role of this test's own; and the URL under which it connects.
async fn role(app: &TestApp) -> String {
    let name = format!("r{}", app.app.entropy.id::<uuid::Uuid>(app.app.clock.now()).unwrap().simple());
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.md")).unwrap();
    let sql = docs.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let mut owner = PgConnection::connect(&app.database.url).await.unwrap();
    let sql = AssertSqlSafe(sql.replace("tessera_server", &name));
    sqlx::raw_sql(sql).execute(&mut owner).await.unwrap();
    let mut url = Url::parse(&app.database.url).unwrap();
    url.set_username(&name).unwrap();
    url.into()
}

/// The role goes with its test, because roles belong to the whole cluster.
async fn drop_role(app: &TestApp, url: &str) {
    let name = Url::parse(url).unwrap().username().to_owned();
    let mut owner = PgConnection::connect(&app.database.url).await.unwrap();
    let sql = AssertSqlSafe(format!("DROP OWNED BY {name}; DROP ROLE {name}"));
    sqlx::raw_sql(sql).execute(&mut owner).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_runs_whole_and_the_log_cannot_be_changed() {
    let mut app = TestApp::new(Engine::Postgres).await;
    let shop = app.shop("shop", "confidential").await;
    let owner = app.admin_key(None, "owner").await;
    let url = role(&app).await;
    let mut settings = settings_of(&app);
    settings.push(("DATABASE_URL", url.clone()));
    let server = Server::start(&["serve", "--no-migrate"], &settings);
    app.base = format!("http://{}", server.address);

    // A life.
    let tokens = app.sign_in(&shop).await;
    let refreshed = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    let access = refreshed["access_token"].as_str().unwrap();
    assert_eq!(app.verify(&shop, access).await["active"], true);
    app.bearer(&shop, "userinfofromaccesstoken", access, json!({})).await.ok();
    app.bearer(&shop, "GlobalSignOut", access, json!({})).await.ok();
    let replayed = app.refresh(&shop, tokens.get("refresh_token")).await;
    assert_eq!(replayed.status, 400);
    app.admin_post(&owner, "/projects/shop/roles", json!({"name": "cook"})).await.created();
    let user = json!({"username": "bob", "password": "correct horse battery staple"});
    app.admin_post(&owner, "/projects/shop/users", user).await.created();
    app.admin_patch(&owner, "/projects/shop", json!({"name": "Corner shop"})).await.ok();
    app.admin_post(&owner, "/projects/shop/audit/checkpoints", json!({})).await.created();
    Deleting::new(&app, &shop).await.by(&app, &owner).delete().await;
    // Every job has run, and well.
    let all = async || {
        let jobs = app.admin_get(&owner, "/jobs").await.ok();
        jobs["items"].as_array().unwrap().clone()
    };
    let ran =
        |jobs: &[Value]| jobs.len() == Job::ALL.len() && jobs.iter().all(|job| !job["outcome"].is_null());
    let mut jobs = all().await;
    while !ran(&jobs) {
        jobs = all().await;
    }
    for job in jobs {
        assert!(job["outcome"].as_str().unwrap().starts_with("ok: "), "{job}");
    }
    let (status, log) = server.stop();
    assert!(status.success(), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("permission denied")), "{log:#?}");
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));

    // The database refuses whatever would change the log.
    let mut conn = PgConnection::connect(&url).await.unwrap();
    let columns = [
        "project_id",
        "seq",
        "at",
        "actor",
        "actor_kind",
        "action",
        "target",
        "reason",
        "detail",
        "request_id",
        "commitment",
        "origin_commitment",
        "prev_hash",
        "hash",
    ];
    let mut refused: Vec<String> =
        columns.iter().map(|column| format!("UPDATE audit_log SET {column} = {column}")).collect();
    for table in ["audit_log", "audit_checkpoints", "audit_heads"] {
        refused.extend([
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("DROP TABLE {table}"),
        ]);
    }
    refused.push("UPDATE audit_checkpoints SET jws = jws".into());
    refused.push("ALTER TABLE audit_log DISABLE TRIGGER ALL".into());
    refused.push("DELETE FROM _sqlx_migrations".into());
    for sql in refused {
        let error = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut conn).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
    }
    conn.close().await.unwrap();
    drop_role(&app, &url).await;
}

/// A log that is to be cut stays whole, the job says why, and the owner's command cuts it.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_cut_by_the_owner_alone() {
    let app = TestApp::new(Engine::Postgres).await;
    let shop = app.shop("shop", "confidential").await;
    let owner = app.admin_key(None, "owner").await;
    let body = json!({"settings": {"retention": {"audit_days": 30}}});
    app.admin(&owner, Method::PATCH, "/projects/shop", body).await.ok();
    let url = role(&app).await;
    let db = Db::connect(&Settings::new(url.as_str())).await.unwrap();
    let node = app.second_node_changed(|node| node.db = db).await;
    run_well(&node.app).await;
    for _ in 0..2 {
        node.app.clock.advance(40 * 86_400);
        run_well(&node.app).await;
        let told = row(&node.app, Job::Retention).await.outcome.unwrap();
        let why = "; the database role may not cut 1 audit logs, see docs/audit.md";
        assert!(told.ends_with(&format!("0 audit_log entries{why}")), "{told}");
        // Nor does the chain speak of a cut that did not come.
        assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 6 });
    }
    let (now, end) = (app.app.clock.now(), app.app.clock.now().plus_seconds(-30 * 86_400));
    let actor = tessera::audit::Actor::command_line();
    let cut = tessera::audit::cut(&app.app, shop.project, &actor, (now, end), || true).await.unwrap();
    assert_eq!(cut, (6, false));
    assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 1 });
    node.app.db.close().await;
    drop_role(&app, &url).await;
}
