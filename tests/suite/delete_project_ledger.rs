//! A project that was deleted after the backup was taken stays deleted: the erasure ledger has a line for it.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tessera::audit::{Verdict, verify};
use tessera::ids::ProjectId;
use tessera::ledger::file::{Copied, copy};
use tessera::ledger::replay::restored;

use crate::jobs::run_well;
use crate::support::{Answer, Deleting, Engine, Shop, TestApp, both_engines, number};

both_engines!(
    it_leaves_a_line,
    a_restored_backup_forgets_the_project_again,
    a_store_that_went_on_deletes_it_all_the_same,
    what_the_backup_does_not_know_is_kept_in_the_ledger,
);

const GONE: &str = "no such project";
const AGAIN: &str =
    "SELECT count(*) AS n FROM audit_log WHERE action = 'project.deleted' AND actor = 'command_line'";

async fn node(engine: Engine, directory: &TempDir) -> (TestApp, PathBuf) {
    let path = directory.path().join("erasure-ledger");
    let named = path.clone();
    (TestApp::changed(engine, |app| app.erasure_ledger = Some(named)).await, path)
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

async fn userinfo(app: &TestApp, shop: &Shop, token: &str) -> Answer {
    let request = app.http.get(app.project_url(shop, "/oauth2/userinfo")).bearer_auth(token);
    Answer::of(request.send().await.unwrap()).await
}

async fn it_leaves_a_line(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (app, path) = node(engine, &directory).await;
    let shop = app.shop("shop", "confidential").await;
    let owner = app.admin_key(None, "owner").await;
    Deleting::new(&app, &shop).await.delete().await;
    let asked = app.admin_ask_to_delete(&owner, "/projects/shop").await;
    assert_eq!(lines(&path).len(), 1, "nothing has ended");
    let confirmation = asked.body["confirmation_id"].as_str().unwrap().to_owned();
    app.confirmed(&owner, "/projects/shop", asked).await.ok();
    // There before the answer, and after the line of the user.
    let written = lines(&path);
    assert_eq!(written.len(), 2);
    let before: Vec<_> = written[0].split(' ').collect();
    let words: Vec<_> = written[1].split(' ').collect();
    let expected = [
        "2",
        "2",
        "2027-01-15T08:00:00Z",
        &shop.project.to_string(),
        "-",
        &confirmation,
        "test",
        before.last().unwrap(),
    ];
    assert_eq!(words[..8], expected);
    assert_eq!(copy(&app.app).await.unwrap(), Copied::Lines(0));
    // Nothing brings a sandbox back either, once it is deleted.
    app.admin_post(&owner, "/projects", json!({"slug": "school", "kind": "sandbox"})).await.created();
    app.admin_delete(&owner, "/projects/school").await.ok();
    assert_eq!(lines(&path).len(), 3);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM erasures").await, 3);
}

async fn a_restored_backup_forgets_the_project_again(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (before, path) = node(engine, &directory).await;
    let shop = before.shop("shop", "confidential").await;
    let other = before.shop("other", "confidential").await;
    let (alice, bystander) = (before.sign_in(&shop).await, before.sign_in(&other).await);
    let owner = before.admin_key(None, "owner").await;
    let own_key = before.admin_key(Some(shop.project), "admin").await;
    // Neither a hold of that day nor a deletion that waits for its own keeps the project.
    let hold = format!("/projects/shop/users/{}/legal-hold", shop.user);
    before.admin(&owner, Method::PUT, &hold, json!({"reason": "case 4711 of the court"})).await.created();
    let (backup, app) = before.backed_up(&path).await;
    let lifted = json!({"reason": "case 4711 is closed"});
    app.admin(&owner, Method::DELETE, &hold, lifted).await.ok();
    Deleting::new(&app, &shop).await.delete().await;
    app.admin_delete(&owner, "/projects/shop").await.ok();
    assert_eq!(lines(&path).len(), 2);

    // The backup is in place of the store, and nobody has told it.
    let node = backup.node(&path).await;
    assert_eq!(node.verify(&shop, alice.get("access_token")).await["active"], true, "it does not know");
    app.app.clock.advance(60);
    let report = restored(&node.app, std::slice::from_ref(&path)).await.unwrap();
    assert_eq!((report.lines, report.erased, report.deleted_projects), (2, 1, 1));
    assert_eq!((report.faults.len(), report.postponed), (0, 0), "{:?}", report.faults);

    // It is not found, and nothing of it lives.
    node.admin_get(&owner, "/projects/shop").await.refused(404, "not_found", GONE);
    userinfo(&node, &shop, alice.get("access_token")).await.refused(404, "not_found", GONE);
    node.refresh(&shop, alice.get("refresh_token")).await.refused(404, "not_found", GONE);
    let strange = "the admin key is not valid here";
    node.admin_get(&own_key, "/projects").await.refused(401, "invalid_token", strange);
    // The other one goes on as after any restore.
    assert_eq!(node.verify(&other, bystander.get("access_token")).await["reason"], "signed_out");
    let fresh = node.sign_in(&other).await;
    assert_eq!(node.verify(&other, fresh.get("access_token")).await["active"], true);

    // Its rows go as those of every deleted project, its keys as well.
    node.app.clock.advance(3600);
    run_well(&node.app).await;
    for of_the_shop in [
        "SELECT count(*) AS n FROM users u JOIN projects p ON p.id = u.project_id WHERE p.slug = 'shop'",
        "SELECT count(*) AS n FROM signing_keys k JOIN projects p ON p.id = k.project_id WHERE p.slug = 'shop'",
        "SELECT count(*) AS n FROM projects WHERE slug = 'shop' AND (emptied_at IS NULL OR status <> 'deleted')",
    ] {
        assert_eq!(number(&node.app.db, of_the_shop).await, 0, "{of_the_shop}");
    }
    assert_eq!(number(&node.app.db, "SELECT count(*) AS n FROM users WHERE status = 'active'").await, 1);
    node.admin_post(&owner, "/projects", json!({"slug": "shop"})).await.refused_for(
        409,
        "conflict",
        "slug",
        "the slug is taken, or was once",
    );
    for project in [shop.project, other.project, ProjectId::INSTANCE] {
        assert!(matches!(verify(&node.app.db, project).await.unwrap(), Verdict::Whole { .. }));
    }
    // One event in its own chain, one in the instance's.
    assert_eq!(number(&node.app.db, AGAIN).await, 2);
    let told = node.admin_get(&owner, "/audit?action=project.deleted").await.ok();
    let event = &told["items"][0];
    assert_eq!(event["reason"], "deleted before the backup was restored");
    let detail = &event["detail"];
    assert_eq!((&detail["slug"], &detail["ledger_line"]), (&json!("shop"), &json!(2)));
    assert_eq!(detail["deleted_at"], "2027-01-15T08:00:00Z");

    // The ledger goes on and fits; a second run changes nothing.
    assert_eq!(copy(&node.app).await.unwrap(), Copied::Lines(0));
    let report = restored(&node.app, std::slice::from_ref(&path)).await.unwrap();
    assert_eq!((report.lines, report.erased, report.deleted_projects), (2, 0, 0));
    assert_eq!((report.faults.len(), &report.set_aside), (0, &None));
    assert_eq!(number(&node.app.db, AGAIN).await, 2);
    assert_eq!(number(&node.app.db, "SELECT count(*) AS n FROM erasures").await, 2);
}

/// The backup was served for a while before anybody ran `restored`: its own line keeps its number.
async fn a_store_that_went_on_deletes_it_all_the_same(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (before, path) = node(engine, &directory).await;
    let (shop, other) = (before.shop("shop", "public").await, before.shop("other", "confidential").await);
    let owner = before.admin_key(None, "owner").await;
    let (backup, app) = before.backed_up(&path).await;
    app.admin_delete(&owner, "/projects/shop").await.ok();
    let lost = lines(&path);
    let node = backup.node(&path).await;
    Deleting::new(&node, &other).await.delete().await;

    let report = restored(&node.app, std::slice::from_ref(&path)).await.unwrap();
    assert_eq!((report.lines, report.deleted_projects, report.faults.len()), (1, 1, 0));
    let aside = report.set_aside.unwrap();
    assert_eq!(lines(&aside), lost);
    let both = lines(&path);
    assert_eq!(both.len(), 2);
    let words: Vec<_> = both[1].split(' ').collect();
    assert_eq!((words[0], words[1], words[3], words[4]), ("2", "2", &*shop.project.to_string(), "-"));
    node.admin_get(&owner, "/projects/shop").await.refused(404, "not_found", GONE);
    node.admin_get(&owner, "/projects/other").await.ok();
    let report = restored(&node.app, &[path, aside]).await.unwrap();
    assert_eq!((report.lines, report.erased, report.deleted_projects), (3, 0, 0));
}

/// Made and deleted after the backup was taken; an altered line deletes nothing.
async fn what_the_backup_does_not_know_is_kept_in_the_ledger(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let (before, path) = node(engine, &directory).await;
    let shop = before.shop("shop", "confidential").await;
    let owner = before.admin_key(None, "owner").await;
    let (backup, app) = before.backed_up(&path).await;
    let late = app.shop("late", "confidential").await;
    app.admin_delete(&owner, "/projects/late").await.ok();
    let node = backup.node(&path).await;
    // The node moves its own copy out of the way, which does not fit.
    let (forged, kept) = (directory.path().join("forged"), directory.path().join("kept"));
    fs::copy(&path, &kept).unwrap();
    let line = lines(&path).remove(0);
    fs::write(&forged, line.replace(&late.project.to_string(), &shop.project.to_string()) + "\n").unwrap();
    let report = restored(&node.app, std::slice::from_ref(&forged)).await.unwrap();
    let fault = format!("{}, line 1 has been altered: its signature is wrong", forged.display());
    assert_eq!((report.deleted_projects, report.faults), (0, vec![fault]));
    let report = restored(&node.app, &[kept]).await.unwrap();
    assert_eq!((report.lines, report.deleted_projects, report.faults.len()), (1, 0, 0));
    assert_eq!(number(&node.app.db, "SELECT count(*) AS n FROM erasures").await, 1);
    node.admin_get(&owner, "/projects/shop").await.ok();
}
