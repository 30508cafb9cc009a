//! Nothing personal is left, in any column of any table, once the outbox has delivered.

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tessera::audit::{Verdict, verify};
use tessera::jobs::run_due;
use tessera::mail::Mailer;

use crate::support::{Deleting, Engine, REASON, Shop, TestApp, both_engines, number, run};

both_engines!(nothing_is_left, told_only_when_wanted);

/// What a person is known by, in lower case. None of it may appear after the deletion.
const NEEDLES: [&str; 6] =
    ["alice", "alice@example.com", "blue penguin", "allison", "mosaic/2.6", "emperor road"];

/// Every column of every table: `table`, `column`.
async fn columns(app: &TestApp) -> Vec<(String, String)> {
    match app.database.url.starts_with("sqlite") {
        true => {
            let mut conn = SqliteConnection::connect(&app.database.url).await.unwrap();
            let sql = "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'";
            sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap()
        }
        false => {
            let mut conn = PgConnection::connect(&app.database.url).await.unwrap();
            let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns
                WHERE table_schema = 'public'";
            sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap()
        }
    }
}

/// `table.column needle` for every needle that is found, whatever the type of the column and the case of the letters.
async fn found(app: &TestApp) -> Vec<String> {
    let mut found = Vec::new();
    for (table, column) in columns(app).await {
        for needle in NEEDLES {
            let hex: String = needle.bytes().map(|byte| format!("{byte:02x}")).collect();
            let rows = match app.database.url.starts_with("sqlite") {
                true => {
                    let mut conn = SqliteConnection::connect(&app.database.url).await.unwrap();
                    let sql = format!(
                        "SELECT count(*) FROM \"{table}\" WHERE instr(lower(hex(\"{column}\")), '{hex}') > 0
                           OR instr(lower(CAST(\"{column}\" AS TEXT)), '{needle}') > 0"
                    );
                    sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).fetch_one(&mut conn).await.unwrap()
                }
                false => {
                    let mut conn = PgConnection::connect(&app.database.url).await.unwrap();
                    let sql = format!(
                        "SELECT count(*) FROM \"{table}\" WHERE strpos(lower(\"{column}\"::text), '{needle}') > 0
                           OR strpos(lower(\"{column}\"::text), '{hex}') > 0"
                    );
                    sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).fetch_one(&mut conn).await.unwrap()
                }
            };
            if rows > 0 {
                found.push(format!("{table}.{column} {needle}"));
            }
        }
    }
    found
}

/// Rows that still name the user, apart from the tombstone and the record of the deletion.
async fn rows_of_the_user(app: &TestApp, shop: &Shop) -> Vec<String> {
    let mut left = Vec::new();
    let tables = columns(app).await.into_iter().filter(|(_, column)| column == "user_id");
    for (table, _) in tables.filter(|(table, _)| table != "deletions") {
        let (sql, user) = (format!("SELECT count(*) AS n FROM {table} WHERE user_id = $1"), shop.user);
        let sql = sql.as_str();
        let rows = app
            .app
            .db
            .read(
                |conn| async move { tessera::fetch_one!(&conn, Count, AssertSqlSafe(sql.to_owned()), user) },
            )
            .await
            .unwrap();
        if rows.n > 0 {
            left.push(table);
        }
    }
    left
}

#[derive(sqlx::FromRow)]
struct Count {
    n: i64,
}

/// Leaves a trace of alice wherever the server keeps one.
async fn lives_here(app: &TestApp, shop: &Shop) {
    let tokens = app.sign_in(shop).await;
    app.code(shop, "").await;
    for sql in [
        "UPDATE users SET attributes = '{\"animal\": \"Blue Penguin\"}', roles = '[\"keeper\"]', groups = '[\"staff\"]',
           profile = '{\"nickname\": \"Allison\", \"address\": {\"street_address\": \"Emperor Road\"}}'",
        "UPDATE token_families SET user_agent = 'Mosaic/2.6'",
        "UPDATE browser_sessions SET user_agent = 'Mosaic/2.6'",
        "UPDATE authorization_codes SET user_agent = 'Mosaic/2.6'",
        "INSERT INTO roles (project_id, name, description, created_at) SELECT id, 'keeper', '', created_at FROM projects",
        "INSERT INTO groups (project_id, name, description, created_at) SELECT id, 'staff', '', created_at FROM projects",
        "INSERT INTO user_roles (project_id, user_id, role) SELECT project_id, id, 'keeper' FROM users",
        "INSERT INTO user_groups (project_id, user_id, group_name) SELECT project_id, id, 'staff' FROM users",
    ] {
        assert!(run(&app.app.db, sql).await > 0, "{sql}");
    }
    let out =
        app.http.post(app.project_url(shop, "/api/GlobalSignOut")).bearer_auth(tokens.get("access_token"));
    let out = out.header("user-agent", "Mosaic/2.6").json(&json!({})).send().await.unwrap();
    assert_eq!(out.status(), 200);
    app.sign_in(shop).await;
}

async fn nothing_is_left(engine: Engine) {
    let mails = tempfile::tempdir().unwrap();
    let directory = mails.path().to_owned();
    let app = TestApp::changed(engine, |app| app.mailer = Mailer::Files(directory)).await;
    let shop = app.shop("shop", "confidential").await;
    lives_here(&app, &shop).await;
    let before = found(&app).await;
    for needle in NEEDLES {
        assert!(before.iter().any(|place| place.ends_with(needle)), "{needle} can be found: {before:?}");
    }
    let held = rows_of_the_user(&app, &shop).await;
    for table in ["token_families", "user_keys", "audit_log", "user_groups", "credentials"] {
        assert!(held.iter().any(|held| held == table), "{table}: {held:?}");
    }
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    let shown = admin.confirm(&id, "alice").await.ok();
    assert_eq!((&shown["impact"]["groups"], &shown["notify"]), (&json!(1), &json!(true)));
    // The address waits sealed in the outbox, and goes with the letter.
    let waiting = "SELECT count(*) AS n FROM outbox WHERE sealed_body IS NOT NULL";
    assert_eq!(number(&app.app.db, waiting).await, 1);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, waiting).await, 0);
    let letters: Vec<_> = std::fs::read_dir(mails.path()).unwrap().collect();
    assert_eq!(letters.len(), 1);
    let letter = std::fs::read_to_string(letters[0].as_ref().unwrap().path()).unwrap();
    assert!(letter.contains("alice@example.com") && letter.contains("has been deleted"), "{letter}");

    assert_eq!(found(&app).await, [""; 0]);
    assert_eq!(rows_of_the_user(&app, &shop).await, [""; 0]);
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn told_only_when_wanted(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    // Not wanted.
    let admin = Deleting::new(&app, &shop).await;
    let ask =
        json!({"user": shop.user, "reason": REASON, "notify": false, "notify_reason": "told on the phone"});
    let asked = admin.post("delete-user", ask).await.body;
    assert_eq!(asked["notify"], false);
    admin.confirm(asked["deletion_id"].as_str().unwrap(), "alice").await.ok();
    // Wanted, but nowhere to write to.
    run(&app.app.db, "UPDATE users SET email = NULL, email_key = NULL").await;
    let admin = Deleting::new(&app, &other).await;
    let ask = json!({"user": other.user, "reason": REASON, "notify": true});
    let asked = admin.post("delete-user", ask).await.body;
    assert_eq!(asked["notify"], false);
    admin.confirm(asked["deletion_id"].as_str().unwrap(), "alice").await.ok();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM outbox").await, 0);
}
