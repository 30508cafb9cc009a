//! The job that empties deleted projects.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::FromRow;
use tessera::audit::{Verdict, verify};
use tessera::fetch_all;
use tessera::jobs::run_due;
use uuid::Uuid;

use crate::support::{Engine, Shop, TestApp, both_engines};

both_engines!(a_deleted_project_is_emptied);

/// Tables with a column, as the migrations have them.
pub fn tables_with(column: &str) -> BTreeSet<&'static str> {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).unwrap();
    let mut files: Vec<_> = folder.map(|file| file.unwrap().path()).collect();
    files.sort();
    let schema: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let lines = schema.lines().map(|line| line.split("--").next().unwrap());
    let schema: &'static str = lines.collect::<Vec<_>>().join("\n").leak();
    let mut tables = BTreeSet::new();
    for statement in schema.split(';').map(str::trim) {
        let words: Vec<_> = statement.split_whitespace().collect();
        let has_it = match words[..] {
            ["CREATE", "TABLE", ..] => {
                statement.lines().any(|line| line.split_whitespace().next() == Some(column))
            }
            ["ALTER", "TABLE", _, "ADD", "COLUMN", name, ..] => name == column,
            _ => false,
        };
        tables.extend(words.get(2).filter(|_| has_it));
    }
    tables
}

/// How many rows each of them has for the project.
async fn rows(app: &TestApp, shop: &Shop) -> Vec<(&'static str, usize)> {
    #[derive(FromRow)]
    struct Row {
        project_id: Option<Uuid>,
    }
    let mut found = Vec::new();
    for table in tables_with("project_id") {
        let sql: &'static str = format!("SELECT project_id FROM {table} LIMIT 100000").leak();
        let rows = app.app.db.read(|conn| async move { fetch_all!(&conn, Row, sql) }).await.unwrap();
        let mine = rows.iter().filter(|row| row.project_id == Some(shop.project.0)).count();
        found.push((table, mine));
    }
    found
}

async fn a_deleted_project_is_emptied(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let owner = app.admin_key(None, "owner").await;
    app.admin_key(Some(shop.project), "auditor").await;
    for shop in [&shop, &other] {
        app.sign_in(shop).await;
        app.code(shop, "").await;
        app.admin_post(&owner, &format!("/projects/{}/roles", shop.slug), json!({"name": "cook"})).await;
    }
    let theirs = rows(&app, &other).await;
    app.admin_delete(&owner, "/projects/shop").await.ok();
    let before = rows(&app, &shop).await;
    assert!(before.iter().filter(|(_, rows)| *rows > 0).count() > 8, "{before:?}");
    // What was under way at that moment may still write.
    run_due(&app.app).await.unwrap();
    assert_eq!(rows(&app, &shop).await, before);
    app.app.clock.advance(3600);
    run_due(&app.app).await.unwrap();
    for (table, left) in rows(&app, &shop).await {
        let kept =
            matches!(table, "audit_log" | "audit_heads" | "audit_checkpoints" | "audit_signers" | "erasures");
        assert!(left == 0 || kept, "{table}");
    }
    let others_after: Vec<_> = rows(&app, &other).await;
    for ((table, before), (_, after)) in theirs.iter().zip(&others_after) {
        // Its hour-old codes and browser sessions have ended by themselves, and its log was signed.
        let changed = ["authorization_codes", "browser_sessions", "audit_checkpoints"];
        assert!(before == after || changed.contains(table), "{table}");
    }
    let listed = app.admin_get(&owner, "/jobs").await.ok();
    let job = listed["items"].as_array().unwrap().iter().find(|job| job["name"] == "project_rows").unwrap();
    assert!(job["outcome"].as_str().unwrap().starts_with("ok: 1 projects emptied"), "{job}");
    assert_eq!((&job["failures"], &job["held_until"]), (&json!(0), &json!(null)));
    // Once; and the slug is still taken, the log still whole.
    let outcomes = run_due(&app.app).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.text.starts_with("ok")), "{outcomes:?}");
    let again = app.admin_post(&owner, "/projects", json!({"slug": "shop"})).await;
    again.refused_for(409, "conflict", "slug", "the slug is taken, or was once");
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}
