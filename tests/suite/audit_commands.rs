//! `audit export`, `audit checkpoint` and `audit verify`, as operators and auditors run them.

use std::fs;

use serde_json::json;

use crate::support::process::{Said, run, settings_of};
use crate::support::{Engine, TestApp, both_engines, run as change};

both_engines!(a_log_is_proven_from_files);

fn said(said: &Said) -> (Option<i32>, &str, &str) {
    (said.code, &said.out, &said.err)
}

async fn a_log_is_proven_from_files(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.app.clock.advance(1);
    app.shop("other", "public").await;
    let settings = settings_of(&app);
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (log, signed, jwks) = (file("shop.jsonl"), file("shop.checkpoint"), file("jwks.json"));

    let exported = run(&["audit", "export", "--project", "shop"], &settings, "");
    assert_eq!((exported.code, exported.err.as_str()), (Some(0), ""));
    fs::write(&log, &exported.out).unwrap();
    let checkpoint = run(&["audit", "checkpoint", "--project", "shop"], &settings, "");
    assert_eq!((checkpoint.code, checkpoint.err.as_str()), (Some(0), ""));
    fs::write(&signed, &checkpoint.out).unwrap();
    let keys = app.http.get(app.project_url(&shop, "/.well-known/jwks.json")).send().await.unwrap();
    fs::write(&jwks, keys.text().await.unwrap()).unwrap();

    // Without a store.
    let offline = ["audit", "verify", "--export", &log, "--checkpoint", &signed, "--jwks", &jwks];
    let whole = format!("{log}: whole, 5 events\n");
    assert_eq!(said(&run(&offline, &[], "")), (Some(0), whole.as_str(), ""));
    let id = shop.project.to_string();
    assert_eq!(run(&["audit", "verify", "--export", &log, "--project", &id], &[], "").code, Some(0));
    fs::write(&jwks, r#"{"keys": []}"#).unwrap();
    let unknown =
        format!("{log}: broken at 5: its checkpoint is signed with a key that is not the project's\n");
    assert_eq!(said(&run(&offline, &[], "")), (Some(1), unknown.as_str(), "error: 1 chain is broken\n"));

    // Against the store, of one project and of all.
    for arguments in [&["--project", "shop"][..], &[]] {
        let arguments = [&["audit", "verify", "--checkpoint", &signed][..], arguments].concat();
        assert_eq!(run(&arguments, &settings, "").code, Some(0));
    }
    // Resumed.
    let admin = app.admin_key(Some(shop.project), "admin").await;
    app.admin_patch(&admin, "/projects/shop", json!({"name": "Corner shop"})).await.ok();
    let later = run(&["audit", "export", "--project", &id, "--after", "5"], &settings, "");
    assert_eq!(later.out.lines().count(), 2);
    fs::write(&log, exported.out + later.out.as_str()).unwrap();
    let both = ["audit", "verify", "--export", &log, "--checkpoint", &signed];
    assert_eq!(run(&both, &[], "").out, format!("{log}: whole, 7 events\n"));
    let part = file("later.jsonl");
    fs::write(&part, &later.out).unwrap();
    let alone = run(&["audit", "verify", "--export", &part], &[], "");
    let unproven = "It begins after 5, and nothing proves what it follows: add the part before, or a checkpoint of that entry; \
        or, if the log was cut there, a later checkpoint or the project's JWK Set.\n";
    let told = format!("{part}: whole, 2 events\n{unproven}");
    assert_eq!(said(&alone), (Some(1), told.as_str(), "error: 1 chain is broken\n"));
    let whose = run(&["audit", "verify", "--jwks", &jwks], &settings, "");
    let why = "error: --jwks is the JWK Set of one project: name it with --project\n";
    assert_eq!(said(&whose), (Some(1), "", why));
    let proven = run(&["audit", "verify", "--export", &part, "--checkpoint", &signed], &[], "");
    assert_eq!(proven.out, format!("{part}: whole, 2 events\n"));

    // A file that was touched, and no file at all.
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replacen("project.created", "project.changed", 1)).unwrap();
    let broken = format!("{log}: broken at 1: its content does not fit its hash\n");
    assert_eq!(said(&run(&both, &[], "")), (Some(1), broken.as_str(), "error: 1 chain is broken\n"));
    fs::write(&signed, checkpoint.out.replacen('.', ".x", 1)).unwrap();
    let forged = run(&both, &[], "");
    let why = format!("error: {signed} holds a checkpoint whose signature does not fit\n");
    assert_eq!((forged.code, forged.err), (Some(1), why));
    assert_eq!(run(&["audit", "verify", "--export", &file("none")], &[], "").code, Some(1));

    // The store loses its end, and everything that says so.
    fs::write(&signed, &checkpoint.out).unwrap();
    for sql in [
        "DELETE FROM audit_checkpoints",
        "DELETE FROM audit_log WHERE seq > 3 AND project_id = (SELECT id FROM projects WHERE slug = 'shop')",
        "UPDATE audit_heads SET seq = 3, hash = (SELECT l.hash FROM audit_log l WHERE l.seq = 3
           AND l.project_id = audit_heads.project_id) WHERE project_id = (SELECT id FROM projects WHERE slug = 'shop')",
    ] {
        change(&app.app.db, sql).await;
    }
    let unaware = run(&["audit", "verify", "--project", "shop"], &settings, "");
    assert_eq!(unaware.out, "shop: whole, 3 events\n");
    let cut = "shop: broken at 4: the end has been cut off: a checkpoint covers more\n";
    let aware = run(&["audit", "verify", "--project", "shop", "--checkpoint", &signed], &settings, "");
    assert_eq!(said(&aware), (Some(1), cut, "error: 1 chain is broken\n"));
    let all = run(&["audit", "verify", "--checkpoint", &signed], &settings, "");
    assert_eq!((all.code, all.err.as_str()), (Some(1), "error: 1 chain is broken\n"));
    let nobody = run(&["audit", "export", "--project", "nobody"], &settings, "");
    assert_eq!(said(&nobody), (Some(1), "", "error: no such project\n"));
}
