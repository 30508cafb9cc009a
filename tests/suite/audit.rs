//! The chain is whole after the flow, and every edit of it is found.

use serde_json::json;
use tessera::audit::{Verdict, verify};
use tessera::store::db::Db;

use crate::support::{Engine, TestApp, both_engines};

both_engines!(every_edit_is_found);

async fn run(db: &Db, sql: &'static str) {
    db.write(|conn| async move { tessera::execute!(&conn, sql) }).await.unwrap();
}

async fn every_edit_is_found(engine: Engine) {
    for (edit, broken) in [
        ("UPDATE audit_log SET reason = 'x' WHERE seq = 2", 2),
        ("UPDATE audit_log SET actor = 'x' WHERE seq = 4", 4),
        ("DELETE FROM audit_log WHERE seq = 2", 2),
        ("DELETE FROM audit_log WHERE seq = 4", 4),
        ("UPDATE audit_log SET seq = 9 WHERE seq = 2", 2),
    ] {
        let app = TestApp::new(engine).await;
        let shop = app.shop("shop", "confidential").await;
        let tokens = app.sign_in(&shop).await;
        app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
        assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 4 });
        run(&app.app.db, edit).await;
        match verify(&app.app.db, shop.project).await.unwrap() {
            Verdict::Broken { seq, .. } => assert_eq!(seq, broken, "{edit}"),
            whole @ Verdict::Whole { .. } => panic!("{edit}: {whole:?}"),
        }
    }
}
