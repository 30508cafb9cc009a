//! What a project keeps for a time of its own, and a log whose beginning was let go of and is still proven.

use serde_json::{Value, json};
use tessera::audit::{Checkpoint, Demands, Verdict, verify, verify_export, verify_with};
use tessera::events::flush;
use tessera::jobs::Job;
use tessera::keys::generate::{RsaSize, generate};
use tessera::keys::signing::Signer;
use tessera::model::signing_key::Alg;

use crate::jobs::{count, row, run_well};
use crate::support::{Engine, Shop, TestApp, both_engines, number, run};

both_engines!(
    settings_have_bounds,
    only_an_owner_shortens_the_log,
    events_go_by_the_setting,
    a_sandbox_goes_by_its_own_clock,
    sessions_go_by_the_setting,
    codes_go_by_the_setting,
    the_log_is_cut_at_a_checkpoint,
    a_cut_log_outlives_its_project,
    no_cut_is_a_cut_by_the_rule_alone,
    a_forged_cut_is_found,
    a_cut_by_a_later_key_is_proven_by_an_earlier_checkpoint,
    long_logs_go_in_batches,
    a_legal_hold_keeps_what_is_due,
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
    let usual = json!({"audit_days": null, "sign_in_events_days": 90, "dead_sessions_days": 31,
        "codes_hours": 24});
    assert_eq!(shown["settings"]["retention"], usual);
    for (name, least, most) in [
        ("audit_days", 30, 3650),
        ("sign_in_events_days", 0, 400),
        ("dead_sessions_days", 1, 31),
        ("codes_hours", 1, 24),
    ] {
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
    assert_eq!(
        after(&app, 10).await,
        "ok: removed 0 events, 0 token_families, 0 authorization_codes, 0 audit_log entries"
    );
    assert_eq!(left().await, [2, 2]);
    app.app.clock.advance(600);
    assert_eq!(
        after(&app, 0).await,
        "ok: removed 2 events, 0 token_families, 0 authorization_codes, 0 audit_log entries"
    );
    assert_eq!(left().await, [0, 2]);
    after(&app, 80).await;
    app.app.clock.advance(600);
    after(&app, 0).await;
    assert_eq!(left().await, [0, 0], "90 days unless the project says otherwise");
}

/// What a sandbox noted today is of a day to come for everybody else.
async fn a_sandbox_goes_by_its_own_clock(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, live) = (app.shop("shop", "confidential").await, app.shop("live", "confidential").await);
    run(&app.app.db, "UPDATE projects SET kind = 'sandbox', clock_offset = 864000, version = version + 1 WHERE slug = 'shop'").await;
    for shop in [&shop, &live] {
        keep(&app, shop, json!({"sign_in_events_days": 10})).await;
        app.sign_in(shop).await;
    }
    flush(&app.app).await.unwrap();
    let left = async || {
        [
            count(&app.app, shop.project, "events", "TRUE").await,
            count(&app.app, live.project, "events", "TRUE").await,
        ]
    };
    // Nothing is lost before its day, by either clock.
    app.app.clock.advance(9 * DAY);
    after(&app, 0).await;
    assert_eq!(left().await, [2, 2]);
    run(
        &app.app.db,
        "UPDATE projects SET clock_offset = clock_offset + 172800, version = version + 1 WHERE slug = 'shop'",
    )
    .await;
    app.app.clock.advance(600);
    after(&app, 0).await;
    assert_eq!(left().await, [0, 2]);
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
    assert_eq!(
        after(&app, 9).await,
        "ok: removed 0 events, 0 token_families, 0 authorization_codes, 0 audit_log entries"
    );
    assert_eq!(
        after(&app, 2).await,
        "ok: removed 0 events, 0 token_families, 0 authorization_codes, 7 audit_log entries"
    );
    (app, shop, held)
}

async fn codes_go_by_the_setting(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    keep(&app, &shop, json!({"codes_hours": 2})).await;
    for shop in [&shop, &other] {
        app.sign_in(shop).await;
    }
    // A code lives for a minute, and a second use of it is found for as long as it is kept.
    let (code, _) = app.code(&shop, "").await;
    let tokens = app.exchange(&shop, &code).await.ok();
    let left = async || {
        [
            count(&app.app, shop.project, "authorization_codes", "TRUE").await,
            count(&app.app, other.project, "authorization_codes", "TRUE").await,
        ]
    };
    app.app.clock.advance(7200);
    after(&app, 0).await;
    assert_eq!(left().await, [2, 1]);
    assert_eq!(app.exchange(&shop, &code).await.status, 400);
    let reason = app.verify(&shop, tokens["access_token"].as_str().unwrap()).await["reason"].clone();
    assert!(reason == "expired" || reason == "family_revoked", "{reason}");
    app.app.clock.advance(600);
    let said = after(&app, 0).await;
    assert_eq!(said, "ok: removed 0 events, 0 token_families, 2 authorization_codes, 0 audit_log entries");
    assert_eq!(left().await, [0, 1]);
    app.app.clock.advance(DAY);
    after(&app, 0).await;
    assert_eq!(left().await, [0, 0], "a day unless the project says otherwise");
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
    assert_eq!(
        after(&app, 1).await,
        "ok: removed 0 events, 0 token_families, 0 authorization_codes, 0 audit_log entries"
    );
    let told = after(&app, 40).await;
    assert!(told.ends_with(" 3 audit_log entries"), "{told}");
    assert_eq!(actions(&app).await, ["audit_log.cut"]);
    assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 1 });
    let gone = Demands { held: vec![first], keys: None };
    let why = "what the checkpoint covers is no longer kept: take a later one";
    let verdict = verify_with(&app.app.db, shop.project, &gone).await.unwrap();
    assert_eq!(verdict, Verdict::Broken { seq: 7, why });
}

/// The key that signed the cut goes with the project, and the log stays.
async fn a_cut_log_outlives_its_project(engine: Engine) {
    let (app, shop, _) = cut(engine).await;
    let owner = app.admin_key(None, "owner").await;
    app.admin_delete(&owner, "/projects/shop").await.ok();
    after(&app, 1).await;
    let keys = number(
        &app.app.db,
        "SELECT count(*) AS n FROM signing_keys k JOIN projects p ON p.id = k.project_id AND p.slug = 'shop'",
    );
    assert_eq!(keys.await, 0);
    let verdict = verify(&app.app.db, shop.project).await.unwrap();
    assert!(matches!(verdict, Verdict::Whole { .. }), "{verdict:?}");
}

/// Whoever takes a beginning away cannot make it look like a cut.
async fn no_cut_is_a_cut_by_the_rule_alone(engine: Engine) {
    for edit in [
        "DELETE FROM audit_log WHERE seq <= 8",
        "DELETE FROM audit_log WHERE seq <= 9",
        "UPDATE audit_log SET detail = '{\"through\":7}' WHERE action = 'audit_log.cut'",
        "UPDATE audit_checkpoints SET jws = 'a.b.c' WHERE seq = 7",
    ] {
        let (app, shop, _) = cut(engine).await;
        run(&app.app.db, edit).await;
        let verdict = verify(&app.app.db, shop.project).await.unwrap();
        let seq = match edit.split_once(" SET ") {
            Some(("UPDATE audit_checkpoints", _)) => 7,
            Some(_) => 10,
            None => 1,
        };
        assert!(matches!(verdict, Verdict::Broken { seq: at, .. } if at == seq), "{edit}: {verdict:?}");
    }
}

/// Somebody with write access to the tables says that there was a cut, in entries that follow each other as they should.
async fn a_forged_cut_is_found(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let auditor = app.admin_key(None, "auditor").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    let mut kept = Vec::new();
    for name in ["One", "Two", "Three"] {
        app.admin_patch(&admin, "/projects/shop", json!({"name": name})).await.ok();
        let made = app.admin_post(&auditor, "/projects/shop/audit/checkpoints", json!({})).await;
        kept.push(Checkpoint::read(made.body["jws"].as_str().unwrap()).unwrap());
    }
    let jwks = app.http.get(app.project_url(&shop, "/.well-known/jwks.json")).send().await.unwrap();
    let jwks: Value = jwks.json().await.unwrap();
    let kids = jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned());
    let keys = Some(kids.collect());
    let (first, last) = (kept[0].clone(), kept[2].clone());
    let through = first.seq;
    run(&app.app.db, format!("DELETE FROM audit_log WHERE seq <= {through} AND project_id = (SELECT id FROM projects WHERE slug = 'shop')").leak()).await;

    // The strange key, of which the chain is made to tell, and what it signs.
    let pair = generate(Alg::ES256, RsaSize::default()).await.unwrap();
    let strange = Signer::new(Alg::ES256, &pair.kid, &pair.private_der).unwrap();
    let claims = json!({"iss": "https://id.example/projects/shop", "project": shop.project, "seq": through,
        "hash": tessera::secret::encode_base64url(&first.hash), "at": "2027-01-15T08:00:00Z"});
    let jwk: Value = serde_json::from_str(&pair.public_jwk).unwrap();
    let proof = strange.sign_with_key("tessera-audit-cut+jwt", &jwk, &claims).unwrap();
    // A checkpoint is no cut, though the right key signed it.
    let listed = app.admin_get(&auditor, "/projects/shop/audit/checkpoints").await.ok();
    let checkpoint = listed["items"][2]["jws"].clone();
    let target = format!("signing_key:{}", pair.kid);
    let details = [
        json!({"through": through}),
        json!({"through": through, "proof": checkpoint}),
        json!({"through": through, "proof": proof}),
    ];
    for (n, detail) in details.into_iter().enumerate() {
        let actor = &tessera::audit::Actor::system("retention");
        let (project, now) = (shop.project, app.app.clock.now());
        let (target, detail) = (&target, &detail);
        let append = |conn| async move {
            if n == 2 {
                tessera::audit::append(&conn, project, now, &actor.did("signing_key.created", target))
                    .await?;
            }
            let event = actor.did("audit_log.cut", "project:shop").with(detail.clone());
            tessera::audit::append(&conn, project, now, &event).await
        };
        app.app.db.unit(append).await.unwrap();
        let why = "the beginning has been cut off";
        let broken = Verdict::Broken { seq: 1, why };
        for held in [&first, &last] {
            for keys in [&keys, &None] {
                let demands = Demands { held: vec![held.clone()], keys: keys.clone() };
                let verdict = verify_with(&app.app.db, shop.project, &demands).await.unwrap();
                assert_eq!(verdict, broken, "{n}, checkpoint of {}", held.seq);
            }
        }
        if n < 2 {
            // Only whoever makes a key anew as well gets past those who kept nothing.
            assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), broken);
        }
        let export = tessera::audit::export(&app.app.db, shop.project, 0, 500).await.unwrap().text;
        let demands = Demands { held: vec![last.clone()], keys: keys.clone() };
        let proof = verify_export(std::io::Cursor::new(export), None, &demands).unwrap();
        assert_eq!((proof.base, proof.begins_well), (through, false));
    }
}

/// Keys follow each other, and each signs that the next one is the project's.
async fn a_cut_by_a_later_key_is_proven_by_an_earlier_checkpoint(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    keep(&app, &shop, json!({"audit_days": 300})).await;
    after(&app, 0).await;
    let auditor = app.admin_key(None, "auditor").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    app.app.clock.advance(250 * DAY);
    app.admin_patch(&admin, "/projects/shop", json!({"name": "Corner shop"})).await.ok();
    let made = app.admin_post(&auditor, "/projects/shop/audit/checkpoints", json!({})).await.body;
    let held = Checkpoint::read(made["jws"].as_str().unwrap()).unwrap();
    // Ninety days, and a new key; the job cuts with it.
    for _ in 0..8 {
        app.app.clock.advance(600);
        run_well(&app.app).await;
    }
    app.app.clock.advance(100 * DAY);
    for _ in 0..3 {
        app.app.clock.advance(600);
        run_well(&app.app).await;
    }
    let listed = app.admin_get(&auditor, "/projects/shop/audit/checkpoints?limit=1").await.ok();
    assert_ne!(listed["items"][0]["kid"], held.kid);
    assert!(number(&app.app.db, "SELECT min(seq) AS n FROM audit_log WHERE project_id = (SELECT id FROM projects WHERE slug = 'shop')").await > 1);
    let demands = Demands { held: vec![held], keys: None };
    let verdict = verify_with(&app.app.db, shop.project, &demands).await.unwrap();
    assert!(matches!(verdict, Verdict::Whole { .. }), "{verdict:?}");
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
    assert_eq!(
        told,
        format!(
            "ok: removed 0 events, 0 token_families, 0 authorization_codes, {} audit_log entries",
            before + 1200
        )
    );
    assert_eq!(verify(&app.app.db, project).await.unwrap(), Verdict::Whole { events: 1 });
}

/// Of somebody who is under a legal hold, and of nobody else; the log as a whole.
async fn a_legal_hold_keeps_what_is_due(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let kept = json!({"sign_in_events_days": 10, "dead_sessions_days": 1, "audit_days": 30});
    for shop in [&shop, &other] {
        keep(&app, shop, kept.clone()).await;
        app.sign_in(shop).await;
    }
    flush(&app.app).await.unwrap();
    let owner = app.desk(&shop, "owner").await;
    let path = format!("/users/{}/legal-hold", shop.user);
    let reason = json!({"reason": "case 4711 of the court"});
    owner.send(reqwest::Method::PUT, &path, Some(reason.clone()), None).await.created();
    run(&app.app.db, "UPDATE token_families SET revoked_at = created_at, revoked_reason = 'signed_out'")
        .await;
    let left = async |shop: &Shop| {
        let (events, families) = (
            count(&app.app, shop.project, "events", "TRUE").await,
            count(&app.app, shop.project, "token_families", "TRUE").await,
        );
        (events, families)
    };
    after(&app, 0).await;
    let held = left(&shop).await;
    assert!(held.0 > 0 && held.1 == 1, "{held:?}");
    after(&app, 5).await;
    assert_eq!((left(&shop).await, left(&other).await.1), (held, 0), "its session as well");
    after(&app, 35).await;
    let outcome = after(&app, 1).await;
    assert!(
        outcome.ends_with("1 audit logs stay whole, because somebody is under a legal hold"),
        "{outcome}"
    );
    // A dead session goes with its month, as everybody's.
    assert_eq!((left(&shop).await, left(&other).await), ((held.0, 0), (0, 0)));
    assert!(actions(&app).await.contains(&"user.created".to_owned()), "not cut");
    // Lifted, and all of it goes.
    owner.send(reqwest::Method::DELETE, &path, Some(reason), None).await.ok();
    after(&app, 1).await;
    assert_eq!(left(&shop).await, (0, 0));
    assert!(!actions(&app).await.contains(&"user.created".to_owned()), "cut");
}
