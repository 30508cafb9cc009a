//! The erasure ledger: a line for each deletion, a copy outside of the database, and a restored backup that forgets again.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;
use tessera::audit::{Verdict, verify};
use tessera::ids::ProjectId;
use tessera::ledger::file::{Copied, copy};
use tessera::ledger::replay::{Report, restored};
use tessera::projects;
use tessera::secret::Secret;

use crate::support::{Deleting, Engine, Many, PASSWORD, Shop, TestApp, both_engines, number, run};

both_engines!(
    every_deletion_leaves_a_line,
    the_file_heals_itself,
    a_restored_backup_forgets_again,
    a_store_that_went_on_loses_no_line,
    altered_lines_are_not_applied,
    what_was_spared_is_not_executed,
    what_was_under_way_is_called_off,
);

/// A node with a ledger of its own in `directory`.
async fn node(engine: Engine, directory: &TempDir) -> (TestApp, PathBuf) {
    let path = directory.path().join("ledgers/erasure-ledger");
    let named = path.clone();
    (TestApp::changed(engine, |app| app.erasure_ledger = Some(named)).await, path)
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Another user, by the same name.
async fn alice_again(app: &TestApp, shop: &mut Shop) {
    let password = Secret::new(PASSWORD);
    shop.user = projects::create_user(&app.app, shop.project, "alice", None, password).await.unwrap();
}

async fn every_deletion_leaves_a_line(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (app, path) = node(engine, &directory).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    assert_eq!(admin.confirm(&id, "bob").await.status, 403);
    assert!(!path.exists(), "nothing was deleted");
    admin.confirm(&id, "alice").await.ok();
    Deleting::new(&app, &other).await.delete().await;
    let written = lines(&path);
    assert_eq!(written.len(), 2);
    let words: Vec<_> = written[0].split(' ').collect();
    let expected = [
        "1",
        "1",
        "2027-01-15T08:00:00Z",
        &shop.project.to_string(),
        &shop.user.to_string(),
        &id,
        "test",
        "-",
    ];
    assert_eq!(words[..8], expected);
    assert_eq!(written[1].split(' ').nth(7), words.last().copied(), "a chain");
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM erasures").await, 2);
    // A node that has deleted nobody has the same copy.
    let elsewhere = directory.path().join("other-node");
    let named = elsewhere.clone();
    let second = app.second_node_changed(|app| app.erasure_ledger = Some(named)).await;
    assert_eq!(copy(&second.app).await.unwrap(), Copied::Lines(2));
    assert_eq!(copy(&second.app).await.unwrap(), Copied::Lines(0));
    assert_eq!(lines(&elsewhere), written);
    // Many at once, from two nodes into one file.
    let shared = app.second_node_changed(|app| app.erasure_ledger = Some(path.clone())).await;
    let (one, two) = tokio::join!(copy(&app.app), copy(&shared.app));
    assert_eq!((one.unwrap(), two.unwrap()), (Copied::Lines(0), Copied::Lines(0)));
}

async fn the_file_heals_itself(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (app, path) = node(engine, &directory).await;
    let mut shop = app.shop("shop", "confidential").await;
    for _ in 0..3 {
        Deleting::new(&app, &shop).await.delete().await;
        alice_again(&app, &mut shop).await;
    }
    let whole = fs::read_to_string(&path).unwrap();
    // Torn within the last line, at its end, within the first, and gone.
    let ends = [whole.len() - 9, whole.len() - 1, 20, 0];
    for (end, missing) in ends.into_iter().zip([1, 1, 3, 3]) {
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(copy(&app.app).await.unwrap(), Copied::Lines(missing), "cut at {end}");
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(copy(&app.app).await.unwrap(), Copied::Lines(3));
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    // A deletion does not depend on the file: it is made up for.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    Deleting::new(&app, &shop).await.delete().await;
    fs::remove_dir(&path).unwrap();
    assert_eq!(copy(&app.app).await.unwrap(), Copied::Lines(4));
}

/// What `restored` reports when nothing is at fault.
fn report(projects: u64, lines: u64, erased: u64) -> Report {
    Report { projects, lines, erased, ..Report::default() }
}

async fn a_restored_backup_forgets_again(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (before, path) = node(engine, &directory).await;
    let shop = before.shop("shop", "confidential").await;
    let other = before.shop("other", "confidential").await;
    let (alice, bystander) = (before.sign_in(&shop).await, before.sign_in(&other).await);
    let (code, cookie) = before.code(&other, "").await;
    let (backup, app) = before.backed_up(&path).await;
    Deleting::new(&app, &shop).await.delete().await;
    // Somebody else signs out, and of that the backup knows nothing.
    app.bearer(&other, "GlobalSignOut", bystander.get("access_token"), json!({})).await.ok();
    assert_eq!(app.verify(&other, bystander.get("access_token")).await["reason"], "signed_out");

    // The backup is in place of the store, and nobody has told it.
    let node = backup.node(&path).await;
    for (shop, tokens) in [(&shop, &alice), (&other, &bystander)] {
        assert_eq!(node.verify(shop, tokens.get("access_token")).await["active"], true, "it does not know");
    }
    assert!(matches!(copy(&node.app).await.unwrap(), Copied::Differs(_)), "but its ledger does");

    app.app.clock.advance(60);
    assert_eq!(restored(&node.app, std::slice::from_ref(&path)).await.unwrap(), report(2, 1, 1));
    assert_eq!(node.verify(&shop, alice.get("access_token")).await["reason"], "user_deleted");
    let bare =
        "SELECT count(*) AS n FROM users WHERE status = 'deleted' AND username IS NULL AND email IS NULL";
    assert_eq!(number(&node.app.db, bare).await, 1);
    // Everything granted before has ended, for everybody.
    assert_eq!(node.verify(&other, bystander.get("access_token")).await["active"], false);
    assert_eq!(node.refresh(&other, bystander.get("refresh_token")).await.status, 400);
    assert_eq!(node.exchange(&other, &code).await.status, 400);
    let silent = node.http.get(node.authorize_url(&other, "&prompt=none")).header("cookie", cookie);
    let silent = silent.send().await.unwrap();
    assert!(silent.headers()["location"].to_str().unwrap().contains("error=login_required"));
    // And everybody else may sign in again.
    let fresh = node.sign_in(&other).await;
    assert_eq!(node.verify(&other, fresh.get("access_token")).await["active"], true);
    // The ledger goes on, and fits.
    assert_eq!(copy(&node.app).await.unwrap(), Copied::Lines(0));
    Deleting::new(&node, &other).await.delete().await;
    assert_eq!(lines(&path).len(), 2);
    for project in [shop.project, other.project, ProjectId::INSTANCE] {
        assert!(matches!(verify(&node.app.db, project).await.unwrap(), Verdict::Whole { .. }));
    }
    let told = "SELECT count(*) AS n FROM audit_log WHERE action = 'instance.restored'";
    assert_eq!(number(&node.app.db, told).await, 1);
    let again =
        "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deleted' AND actor = 'command_line'";
    assert_eq!(number(&node.app.db, again).await, 1);
    // Safe to repeat.
    assert_eq!(restored(&node.app, &[path]).await.unwrap(), report(2, 2, 0));
    assert_eq!(number(&node.app.db, "SELECT count(*) AS n FROM erasures").await, 2);
}

/// The backup was served for a while before anybody ran `restored`.
async fn a_store_that_went_on_loses_no_line(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (before, path) = node(engine, &directory).await;
    let (shop, other) =
        (before.shop("shop", "confidential").await, before.shop("other", "confidential").await);
    let (backup, app) = before.backed_up(&path).await;
    Deleting::new(&app, &shop).await.delete().await;
    let lost = lines(&path);
    let node = backup.node(&path).await;
    Deleting::new(&node, &other).await.delete().await;
    assert_eq!(lines(&path), lost, "nothing is written over");

    let report = restored(&node.app, std::slice::from_ref(&path)).await.unwrap();
    assert_eq!((report.lines, report.erased, report.faults.len()), (1, 1, 0));
    assert_eq!(lines(&report.set_aside.unwrap()), lost);
    let both = lines(&path);
    assert_eq!(both.len(), 2);
    for user in [shop.user, other.user] {
        assert!(both.iter().any(|line| line.contains(&user.to_string())));
    }
    assert_eq!(number(&node.app.db, "SELECT count(*) AS n FROM users WHERE username IS NOT NULL").await, 0);
}

async fn altered_lines_are_not_applied(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (before, path) = node(engine, &directory).await;
    let shop = before.shop("shop", "confidential").await;
    let (backup, app) = before.backed_up(&path).await;
    Deleting::new(&app, &shop).await.delete().await;
    let line = lines(&path).remove(0);
    let bob =
        projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    let forged = line.replace(&shop.user.to_string(), &bob.to_string());
    let other = directory.path().join("copy");
    let node = backup.node(&path).await;
    run(&node.app.db, "UPDATE users SET last_sign_in_at = updated_at").await;
    fs::write(&other, format!("{forged}\nnonsense\n{line}\n{}", &line[..40])).unwrap();
    let report = restored(&node.app, std::slice::from_ref(&other)).await.unwrap();
    assert_eq!((report.lines, report.erased), (1, 1));
    let place = other.display();
    let faults = [
        format!("{place}, line 1 has been altered: its signature is wrong"),
        format!("{place}, line 2 is not a line of the ledger"),
        format!("{place}, line 4 is not a line of the ledger"),
    ];
    assert_eq!(report.faults, faults);
    // A line is missing before the first one.
    let admin = Deleting::new(&node, &shop).await;
    run(&node.app.db, "UPDATE users SET status = 'active', username = 'alice', username_key = 'alice'").await;
    run(&node.app.db, "DELETE FROM deletions").await;
    admin.delete().await;
    let second = lines(&path).pop().unwrap();
    fs::write(&other, format!("{second}\n")).unwrap();
    let report = restored(&node.app, std::slice::from_ref(&other)).await.unwrap();
    assert_eq!(
        report.faults,
        [format!("{place}, line 1 does not follow the line before it: lines are missing")]
    );
    assert_eq!(json!(report.erased), 0);
}

/// A deletion of many runs in the backup, and was cancelled since.
async fn what_was_under_way_is_called_off(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (before, path) = node(engine, &directory).await;
    let shop = before.shop("shop", "confidential").await;
    let many = Many::new(&before, &shop).await;
    let people = many.people(&["ben", "cleo"]).await;
    let asked = many.ask(&people).await.body;
    many.confirmed(&asked).await;
    let (backup, _app) = before.backed_up(&path).await;
    let node = backup.node(&path).await;
    let report = restored(&node.app, &[]).await.unwrap();
    assert_eq!((report.called_off, report.postponed), (1, 0));
    crate::jobs::run_well(&node.app).await;
    let left = "SELECT count(*) AS n FROM users WHERE username IN ('ben', 'cleo') AND status = 'active'";
    assert_eq!(number(&node.app.db, left).await, 2);
    let told = "SELECT count(*) AS n FROM audit_log WHERE action = 'users.deletion_cancelled'";
    assert_eq!(number(&node.app.db, told).await, 1);
}

/// A deletion that was cancelled after the backup was taken is scheduled again in it.
async fn what_was_spared_is_not_executed(engine: Engine) {
    const DAY: i64 = 86_400;
    let directory = tempfile::tempdir().unwrap();
    let (before, path) = node(engine, &directory).await;
    let shop = before.shop("shop", "confidential").await;
    let owner = before.admin_key(None, "owner").await;
    let body = json!({"settings": {"deletion_restore_days": 3}});
    before.admin_patch(&owner, "/projects/shop", body).await.ok();
    let admin = Deleting::new(&before, &shop).await;
    let id = admin.asked().await;
    admin.confirm(&id, "alice").await.ok();
    let (backup, app) = before.backed_up(&path).await;
    app.app.clock.advance(4 * DAY);
    let node = backup.node(&path).await;
    assert_eq!(restored(&node.app, &[]).await.unwrap().postponed, 1);
    let state = async || {
        crate::jobs::run_well(&node.app).await;
        Deleting::new(&node, &shop).await.show(&id).await.ok()["state"].clone()
    };
    assert_eq!(state().await, "scheduled");
    app.app.clock.advance(7 * DAY - 100);
    assert_eq!(state().await, "scheduled");
    app.app.clock.advance(100);
    app.app.clock.advance(60);
    assert_eq!(state().await, "executed", "nobody said otherwise");
    let told = "SELECT count(*) AS n FROM audit_log WHERE action = 'project.deletions_postponed'";
    assert_eq!(number(&node.app.db, told).await, 1);
}
