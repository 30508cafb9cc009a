//! What a project keeps for a time of its own, and a log whose beginning was let go of and is still proven.

use serde_json::{Value, json};
use tessera::audit::{Checkpoint, Demands, Verdict, verify, verify_with};
use tessera::events::flush;
use tessera::jobs::Job;

use crate::jobs::{count, row, run_well};
use crate::support::{Engine, Shop, TestApp, both_engines, number, run};

both_engines!(
    settings_have_bounds,
    only_an_owner_shortens_the_log,
    events_go_by_the_setting,
    sessions_go_by_the_setting,
    the_log_is_cut_at_a_checkpoint,
    no_cut_is_a_cut_by_the_rule_alone,
    long_logs_go_in_batches,
);

const DAY: i64 = 86_400;

async fn keep(app: &TestApp, shop: &Shop, retention: Value) {
    let owner = app.admin_key(Some(shop.project), "owner").await;
    let body = json!({"settings": {"retention": retention}});
    app.admin_patch(&owner, &format!("/projects/{}", shop.slug), body).await.ok();
}

/// Runs the jobs after so many days: what the one about retention says.
async fn after(app: &TestApp, days: i64) -> String {
    app.app.clock.advance(days * DAY);
    run_well(&app.app).await;
    row(&app.app, Job::Retention).await.outcome.unwrap()
}

async fn settings_have_bounds(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "public").await;
    let owner = app.admin_key(Some(shop.project), "owner").await;
    let shown = app.admin_get(&owner, "/projects/shop").await.ok();
    let usual = json!({"audit_days": null, "sign_in_events_days": 90, "dead_sessions_days": 31});
    assert_eq!(shown["settings"]["retention"], usual);
    for (name, least, most) in
        [("audit_days", 30, 3650), ("sign_in_events_days", 0, 400), ("dead_sessions_days", 1, 31)]
    {
        for (days, good) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
            let body = json!({"settings": {"retention": {name: days}}});
            let answer = app.admin_patch(&owner, "/projects/shop", body).await;
            if good {
                assert_eq!(answer.ok()["settings"]["retention"][name], days);
                continue;
            }
            let why = format!("settings.retention.{name} must lie between {least} and {most}");
            answer.refused_for(400, "invalid_request", &format!("settings.retention.{name}"), &why);
        }
    }
    let body = json!({"settings": {"retention": {"forever": true}}});
    let answer = app.admin_patch(&owner, "/projects/shop", body).await;
    assert_eq!((answer.status, &answer.body["error"]), (400, &json!("invalid_request")));
}

async fn only_an_owner_shortens_the_log(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "public").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    keep(&app, &shop, json!({"audit_days": 100})).await;
    let ask = async |days: Value| {
        let body = json!({"settings": {"retention": {"audit_days": days}}});
        app.admin_patch(&admin, "/projects/shop", body).await
    };
    let why = "only the role owner may weaken settings.retention.audit_days: it binds those who delete users";
    ask(json!(99)).await.refused_for(403, "forbidden", "settings.retention.audit_days", why);
    ask(json!(101)).await.ok();
    ask(Value::Null).await.ok();
    ask(json!(3650)).await.refused_for(403, "forbidden", "settings.retention.audit_days", why);
}

async fn events_go_by_the_setting(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    keep(&app, &shop, json!({"sign_in_events_days": 10})).await;
    for shop in [&shop, &other] {
        app.sign_in(shop).await;
    }
    flush(&app.app).await.unwrap();
    let left = async || {
        [
            count(&app.app, shop.project, "events", "TRUE").await,
            count(&app.app, other.project, "events", "TRUE").await,
        ]
    };
    assert_eq!(after(&app, 10).await, "ok: removed 0 events, 0 token_families, 0 audit_log entries");
    assert_eq!(left().await, [2, 2]);
    app.app.clock.advance(600);
    assert_eq!(after(&app, 0).await, "ok: removed 2 events, 0 token_families, 0 audit_log entries");
    assert_eq!(left().await, [0, 2]);
    after(&app, 80).await;
    app.app.clock.advance(600);
    after(&app, 0).await;
    assert_eq!(left().await, [0, 0], "90 days unless the project says otherwise");
}

async fn sessions_go_by_the_setting(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    keep(&app, &shop, json!({"dead_sessions_days": 2})).await;
    let admin = app.admin_key(None, "admin").await;
    for shop in [&shop, &other] {
        app.sign_in(shop).await;
        app.sign_in(shop).await;
        let path = format!("/projects/{}/users/{}/sessions", shop.slug, shop.user);
        let sessions = app.admin_get(&admin, &path).await.ok();
        let sessions = sessions["items"].as_array().unwrap();
        let one = sessions.iter().find(|session| session["kind"] == "token_family").unwrap();
        let one = one["id"].as_str().unwrap();
        app.admin_delete(&admin, &format!("{path}/{one}")).await.ok();
    }
    let left = async || {
        [
            count(&app.app, shop.project, "token_families", "TRUE").await,
            count(&app.app, other.project, "token_families", "TRUE").await,
        ]
    };
    after(&app, 1).await;
    assert_eq!(left().await, [2, 2]);
    after(&app, 1).await;
    assert_eq!(left().await, [1, 2], "two days after it was revoked");
    after(&app, 29).await;
    assert_eq!(left().await, [1, 2 - 1], "a month after the absolute end, or 31 days after the revocation");
    after(&app, 1).await;
    assert_eq!(left().await, [0, 1], "two days after the absolute end");
}

/// The actions that are left of a log, oldest first.
async fn actions(app: &TestApp) -> Vec<String> {
    let auditor = app.admin_key(None, "auditor").await;
    let log = app.admin_get(&auditor, "/projects/shop/audit?order=asc&limit=200").await.ok();
    log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["action"].as_str().unwrap().to_owned())
        .collect()
}

/// A shop whose log was cut: five entries at the first day, one at the 20th, and the cut at the 31st.
async fn cut(engine: Engine) -> (TestApp, Shop, [Checkpoint; 2]) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    keep(&app, &shop, json!({"audit_days": 30})).await;
    after(&app, 0).await;
    after(&app, 20).await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    app.admin_patch(&admin, "/projects/shop", json!({"name": "Corner shop"})).await.ok();
    app.app.clock.advance(600);
    run_well(&app.app).await;
    let listed = app.admin_get(&admin, "/projects/shop/audit/checkpoints").await.ok();
    let read = |n: usize| Checkpoint::read(listed["items"][n]["jws"].as_str().unwrap()).unwrap();
    let held = [read(1), read(0)];
    assert_eq!(after(&app, 9).await, "ok: removed 0 events, 0 token_families, 0 audit_log entries");
    assert_eq!(after(&app, 2).await, "ok: removed 0 events, 0 token_families, 7 audit_log entries");
    (app, shop, held)
}

async fn the_log_is_cut_at_a_checkpoint(engine: Engine) {
    let (app, shop, [first, second]) = cut(engine).await;
    assert_eq!(first.seq, 7);
    let left = actions(&app).await;
    let expected = ["admin_key.created", "project.changed", "audit_log.cut"];
    assert_eq!(left, expected);
    assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 3 });
    // From the checkpoint on, and from any later one, it is proven.
    for held in [&first, &second] {
        let demands = Demands { held: vec![held.clone()], keys: None };
        let verdict = verify_with(&app.app.db, shop.project, &demands).await.unwrap();
        assert_eq!(verdict, Verdict::Whole { events: 3 }, "{held:?}");
    }
    // Once only; and the next cut takes the event of the first with it.
    assert_eq!(after(&app, 1).await, "ok: removed 0 events, 0 token_families, 0 audit_log entries");
    let told = after(&app, 40).await;
    assert!(told.ends_with(" 3 audit_log entries"), "{told}");
    assert_eq!(actions(&app).await, ["audit_log.cut"]);
    assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 1 });
    let gone = Demands { held: vec![first], keys: None };
    let why = "what the checkpoint covers is no longer kept: take a later one";
    let verdict = verify_with(&app.app.db, shop.project, &gone).await.unwrap();
    assert_eq!(verdict, Verdict::Broken { seq: 7, why });
}

/// Whoever takes a beginning away cannot make it look like a cut.
async fn no_cut_is_a_cut_by_the_rule_alone(engine: Engine) {
    for edit in [
        "DELETE FROM audit_log WHERE seq <= 8",
        "DELETE FROM audit_log WHERE seq <= 9",
        "DELETE FROM audit_checkpoints WHERE seq = 7",
        "UPDATE audit_checkpoints SET jws = 'a.b.c' WHERE seq = 7",
    ] {
        let (app, shop, _) = cut(engine).await;
        run(&app.app.db, edit).await;
        let verdict = verify(&app.app.db, shop.project).await.unwrap();
        let seq = if edit.starts_with("UPDATE") { 7 } else { 1 };
        assert!(matches!(verdict, Verdict::Broken { seq: at, .. } if at == seq), "{edit}: {verdict:?}");
    }
}

async fn long_logs_go_in_batches(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "public").await;
    keep(&app, &shop, json!({"audit_days": 30})).await;
    let before = number(&app.app.db, "SELECT count(*) AS n FROM audit_log").await;
    let (project, now) = (shop.project, app.app.clock.now());
    let actor = &tessera::audit::Actor::command_line();
    for _ in 0..1200 {
        let append = |conn| async move {
            tessera::audit::append(&conn, project, now, &actor.did("test.done", "nothing")).await
        };
        app.app.db.unit(append).await.unwrap();
    }
    after(&app, 0).await;
    let told = after(&app, 31).await;
    // One of them is the instance's.
    assert_eq!(told, format!("ok: removed 0 events, 0 token_families, {} audit_log entries", before + 1200));
    assert_eq!(verify(&app.app.db, project).await.unwrap(), Verdict::Whole { events: 1 });
}
