//! A store that was set back is noticed by whoever saw it before, and not served until it is told.

use std::path::Path;

use tempfile::TempDir;
use tessera::ledger::mark::{Sight, look};
use tessera::ledger::replay::restored;

use crate::support::process::{Server, run as run_tessera, settings_of};
use crate::support::{Engine, TestApp, both_engines, number, run};

both_engines!(
    what_goes_on_fits,
    a_backup_is_noticed,
    one_that_went_on_is_noticed,
    another_store_is_not_taken_for_it,
    a_server_does_not_begin_to_serve_it,
);

const MINUTE: i64 = 61;

async fn node(engine: Engine, directory: &TempDir) -> TestApp {
    let ledger = directory.path().join("a/ledger");
    TestApp::changed(engine, |app| app.erasure_ledger = Some(ledger)).await
}

async fn sight(app: &TestApp) -> Sight {
    look(&app.app, false).await.unwrap()
}

async fn marks(app: &TestApp) -> i64 {
    number(&app.app.db, "SELECT count(*) AS n FROM store_marks WHERE seq > 0").await
}

async fn what_goes_on_fits(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let app = node(engine, &directory).await;
    let elsewhere = directory.path().join("b");
    let second = app.second_node_changed(|app| app.erasure_ledger = Some(elsewhere)).await;
    for minute in 1..=3 {
        let (one, two) = tokio::join!(sight(&app), sight(&second));
        assert_eq!((one, two), (Sight::Fits, Sight::Fits));
        assert_eq!(marks(&app).await, minute, "one mark for all nodes");
        assert_eq!(sight(&app).await, Sight::Fits);
        assert_eq!(marks(&app).await, minute, "one a minute");
        app.app.clock.advance(MINUTE);
    }
    // Who was away for so long that the mark is gone cannot judge.
    assert_eq!(sight(&app).await, Sight::Fits);
    run(&app.app.db, "DELETE FROM store_marks WHERE seq IN (1, 2, 3)").await;
    assert_eq!(sight(&second).await, Sight::Fits);
    // A file that says nothing, and one that is gone.
    for damage in [Some("nonsense"), Some(""), None] {
        let file = directory.path().join("b.mark");
        match damage {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        assert_eq!(sight(&second).await, Sight::Fits);
        assert!(file.exists());
    }
}

async fn a_backup_is_noticed(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let before = node(engine, &directory).await;
    assert_eq!(sight(&before).await, Sight::Fits);
    let ledger = directory.path().join("a/ledger");
    let (backup, app) = before.backed_up(&ledger).await;
    app.app.clock.advance(MINUTE);
    let seen_at = app.app.clock.now();
    assert_eq!(sight(&app).await, Sight::Fits);
    let other_ledger = directory.path().join("other");
    let named = other_ledger.clone();
    let other = app.second_node_changed(|app| app.erasure_ledger = Some(named)).await;
    assert_eq!(sight(&other).await, Sight::Fits);

    let restored_node = backup.node(&ledger).await;
    for _ in 0..3 {
        assert_eq!(sight(&restored_node).await, Sight::SetBack { seen_at });
        app.app.clock.advance(MINUTE);
    }
    restored(&restored_node.app, &[]).await.unwrap();
    assert_eq!(sight(&restored_node).await, Sight::Fits);
    // Every other node of the former store is told as well, whatever it saw.
    let other_node = backup.node(&other_ledger).await;
    assert_eq!(sight(&other_node).await, Sight::Fits);
    app.app.clock.advance(MINUTE);
    assert_eq!(sight(&other_node).await, Sight::Fits);
    // The same backup once more: what was told then is not in it.
    let again = backup.node(Path::new(&ledger)).await;
    run(&again.app.db, "DELETE FROM store_marks WHERE seq > 1").await;
    assert!(matches!(sight(&again).await, Sight::SetBack { .. }));
}

/// A node that knew nothing served it meanwhile, and its marks have overtaken what was seen.
async fn one_that_went_on_is_noticed(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let before = node(engine, &directory).await;
    assert_eq!(sight(&before).await, Sight::Fits);
    let ledger = directory.path().join("a/ledger");
    let (backup, app) = before.backed_up(&ledger).await;
    app.app.clock.advance(MINUTE);
    assert_eq!(sight(&app).await, Sight::Fits);
    let stranger = backup.node(&directory.path().join("new")).await;
    for _ in 0..5 {
        app.app.clock.advance(MINUTE);
        assert_eq!(sight(&stranger).await, Sight::Fits);
    }
    let node = backup.node(&ledger).await;
    assert!(matches!(sight(&node).await, Sight::SetBack { .. }));
}

async fn another_store_is_not_taken_for_it(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (node(engine, &directory).await, node(engine, &directory).await);
    for app in [&one, &two, &one] {
        assert_eq!(sight(app).await, Sight::Fits);
    }
}

async fn a_server_does_not_begin_to_serve_it(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger");
    let mut settings = vec![("TESSERA__ERASURE_LEDGER", ledger.to_str().unwrap().to_owned())];
    let before = TestApp::new(engine).await;
    settings.extend(settings_of(&before));
    drop(Server::start(&["serve"], &settings));
    let (backup, app) = before.backed_up(&ledger).await;
    // Each start is seen.
    drop(Server::start(&["serve"], &settings));
    drop(app);
    let node = backup.node(&ledger).await;
    settings.retain(|(name, _)| *name == "TESSERA__ERASURE_LEDGER");
    settings.extend(settings_of(&node));
    let said = run_tessera(&["serve"], &settings, "");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("the store is older than this node has seen it"), "{}", said.err);
    assert!(said.err.contains("run `tessera restored`"), "{}", said.err);
    let told = run_tessera(&["restored", "--no-ledger"], &settings, "");
    assert_eq!(told.code, Some(0), "{}", told.err);
    drop(Server::start(&["serve"], &settings));
}
