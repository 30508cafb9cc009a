//! Signed checkpoints and exports: whatever is done to a log, live or exported, is found; and what was kept elsewhere proves
//! that nothing was cut off the end.

use std::io::Cursor;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::Jwk};
use serde_json::{Value, json};
use tessera::audit::{Checkpoint, Demands, Proof, Verdict, checkpoint, verify, verify_export, verify_with};
use tessera::ids::ProjectId;
use tessera::keys::rotate;
use tessera::model::sign_in_policy::SecondFactor;
use tessera::model::signing_key::Alg;
use tessera::projects::admins::home;
use tessera::store::db::Conn;

use crate::jobs::{row, run_well};
use crate::keys_support::{change, header};
use crate::support::{Engine, Shop, TestApp, both_engines, run};

both_engines!(
    checkpoints_are_signed_listed_and_kept,
    a_retired_key_still_proves,
    the_job_signs_what_has_grown,
    a_changed_store_is_found,
    a_changed_export_is_found,
    exports_go_on_where_they_ended,
    the_chain_of_the_instance_is_signed_as_well,
    what_no_role_or_project_may,
    two_nodes_write_one_chain,
);

/// A shop whose log has six events, and a key that reads it.
async fn shop_with_log(app: &TestApp) -> (Shop, String) {
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    let auditor = app.admin_key(None, "auditor").await;
    (shop, auditor)
}

async fn made(app: &TestApp, key: &str, status: u16) -> Value {
    let answer = app.admin_post(key, "/projects/shop/audit/checkpoints", json!({})).await;
    assert_eq!(answer.status, status, "{}", answer.body);
    answer.body
}

fn read(shown: &Value) -> Checkpoint {
    Checkpoint::read(shown["jws"].as_str().unwrap()).unwrap()
}

fn holding(held: &[Checkpoint]) -> Demands {
    Demands { held: held.to_vec(), keys: None }
}

/// The page of an export, and where the next one is.
async fn page(app: &TestApp, key: &str, query: &str) -> (String, Option<String>) {
    let path = format!("/projects/shop/audit/export{query}");
    let response = app.admin_request(key, reqwest::Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let next = response.headers().get("link").map(|link| {
        let link = link.to_str().unwrap();
        assert!(link.ends_with(">; rel=\"next\""), "{link}");
        link.trim_start_matches('<').split('>').next().unwrap().to_owned()
    });
    (response.text().await.unwrap(), next)
}

fn judge(text: &str, demands: &Demands) -> Verdict {
    verify_export(Cursor::new(text), None, demands).unwrap().verdict
}

async fn checkpoints_are_signed_listed_and_kept(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, auditor) = shop_with_log(&app).await;
    let first = made(&app, &auditor, 201).await;
    assert_eq!((&first["seq"], &first["at"]), (&json!(6), &json!("2027-01-15T08:00:00Z")));
    assert_eq!(made(&app, &auditor, 200).await, first, "nothing has happened since");
    let admin = app.admin_key(Some(shop.project), "admin").await;
    app.admin_patch(&admin, "/projects/shop", json!({"name": "Corner shop"})).await.ok();
    let second = made(&app, &auditor, 201).await;
    assert_eq!(second["seq"], 8);
    let listed = app.admin_get(&auditor, "/projects/shop/audit/checkpoints?limit=1").await.ok();
    assert_eq!(listed, json!({"items": [second], "next": "8"}));
    let listed = app.admin_get(&auditor, "/projects/shop/audit/checkpoints?after=8").await.ok();
    assert_eq!(listed, json!({"items": [first], "next": null}));

    // Another library reads it with the published key.
    let jws = first["jws"].as_str().unwrap();
    let jwks = app.http.get(app.project_url(&shop, "/.well-known/jwks.json")).send().await.unwrap();
    let jwks: Value = jwks.json().await.unwrap();
    let published = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == first["kid"]).unwrap();
    assert_eq!(&header(jws)["jwk"], published);
    assert_eq!(header(jws)["typ"], "tessera-audit-checkpoint+jwt");
    let published: Jwk = serde_json::from_value(published.clone()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_jwk(&published).unwrap();
    let claims = jsonwebtoken::decode::<Value>(jws, &key, &validation).unwrap().claims;
    assert_eq!(claims["iss"], format!("{}/projects/shop", app.base));
    assert_eq!((&claims["project"], &claims["seq"]), (&json!(shop.project), &json!(6)));
    let (text, _) = page(&app, &auditor, "?after=5&limit=1").await;
    let sixth: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sixth["hash"], claims["hash"]);

    // It is no token, and no token is one.
    assert_eq!(app.verify(&shop, jws).await["active"], false);
    let tokens = app.sign_in(&shop).await;
    for token in ["access_token", "id_token"] {
        assert_eq!(Checkpoint::read(tokens.get(token)), None);
    }
    let held = [read(&first), read(&second)];
    let whole = verify_with(&app.app.db, shop.project, &holding(&held)).await.unwrap();
    assert_eq!(whole, Verdict::Whole { events: 8 });
}

async fn a_retired_key_still_proves(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, auditor) = shop_with_log(&app).await;
    let old = made(&app, &auditor, 201).await;
    rotate::advance(&change!(app, shop.project), Alg::ES256, None).await.unwrap();
    app.app.clock.advance(600);
    rotate::advance(&change!(app, shop.project), Alg::ES256, None).await.unwrap();
    app.app.clock.advance(30 * 86_400);
    rotate::rotate_due(&change!(app, shop.project)).await.unwrap();
    let new = made(&app, &auditor, 201).await;
    assert_ne!(old["kid"], new["kid"]);
    let jwks = app.http.get(app.project_url(&shop, "/.well-known/jwks.json")).send().await.unwrap();
    assert!(!jwks.text().await.unwrap().contains(old["kid"].as_str().unwrap()), "the old key is gone");
    let held = [read(&old), read(&new)];
    let is_whole = |verdict| matches!(verdict, Verdict::Whole { .. });
    assert!(is_whole(verify_with(&app.app.db, shop.project, &holding(&held)).await.unwrap()));
    let (text, _) = page(&app, &auditor, "").await;
    assert!(is_whole(judge(&text, &holding(&held))));
    // What the store has from later keys does not disturb whoever kept the key set of that day.
    let of_the_day =
        Demands { held: held[..1].to_vec(), keys: Some([old["kid"].as_str().unwrap().to_owned()].into()) };
    assert!(is_whole(verify_with(&app.app.db, shop.project, &of_the_day).await.unwrap()));
    // Whoever kept the key set of that day demands just that key.
    let kid = |shown: &Value| shown["kid"].as_str().unwrap().to_owned();
    for (key, good) in [(&old, true), (&new, false)] {
        let keys = Some([kid(key)].into());
        let verdict = judge(&text, &Demands { held: held[..1].to_vec(), keys });
        assert_eq!(is_whole(verdict.clone()), good, "{verdict:?}");
    }
}

async fn the_job_signs_what_has_grown(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, auditor) = shop_with_log(&app).await;
    let outcome = async || {
        run_well(&app.app).await;
        row(&app.app, tessera::jobs::Job::AuditCheckpoints).await.outcome.unwrap()
    };
    assert_eq!(outcome().await, "ok: 1 signed");
    app.app.clock.advance(3599);
    let admin = app.admin_key(Some(shop.project), "admin").await;
    assert_eq!(outcome().await, "ok: 0 signed", "the hour is not over");
    app.app.clock.advance(600);
    assert_eq!(outcome().await, "ok: 1 signed");
    app.app.clock.advance(7200);
    assert_eq!(outcome().await, "ok: 0 signed", "nothing has happened");
    for n in 0..1000 {
        app.admin_patch(&admin, "/projects/shop", json!({"name": format!("Shop {n}")})).await.ok();
    }
    app.app.clock.advance(600);
    assert_eq!(outcome().await, "ok: 1 signed", "so many events do not wait");
    // With the project's keys goes the last chance to sign.
    let owner = app.admin_key(None, "owner").await;
    app.admin_delete(&owner, "/projects/shop").await.ok();
    app.app.clock.advance(1200);
    run_well(&app.app).await;
    let project = shop.project;
    let list = |conn| async move { tessera::store::audit_checkpoints::list(&conn, project, None, 1).await };
    let last = app.app.db.read(list).await.unwrap();
    assert_eq!(verify(&app.app.db, project).await.unwrap(), Verdict::Whole { events: last[0].seq });
    let gone = app.admin_get(&auditor, "/projects/shop/audit/checkpoints").await;
    gone.refused(404, "not_found", "no such project");
}

/// What somebody with write access to the store, and without the master key, may try.
async fn a_changed_store_is_found(engine: Engine) {
    let fields = [
        "at",
        "actor",
        "actor_kind",
        "action",
        "target",
        "reason",
        "detail",
        "request_id",
        "commitment",
        "prev_hash",
        "hash",
    ];
    let edit = |field: &str| match field {
        "at" => {
            "UPDATE audit_log SET at = (SELECT created_at FROM projects WHERE slug = 'other') WHERE seq = 2"
                .into()
        }
        "commitment" | "hash" => format!("UPDATE audit_log SET {field} = prev_hash WHERE seq = 2"),
        "prev_hash" => "UPDATE audit_log SET prev_hash = hash WHERE seq = 2".into(),
        field => format!("UPDATE audit_log SET {field} = 'tampered' WHERE seq = 2"),
    };
    let mut edits: Vec<(String, i64)> = fields.map(|field| (edit(field), 2)).into();
    let swap = "UPDATE audit_log SET project_id = CASE WHEN project_id = (SELECT id FROM projects WHERE slug = 'shop')
        THEN (SELECT id FROM projects WHERE slug = 'void') ELSE project_id END";
    let insert = |seq: i64| {
        format!(
            "INSERT INTO audit_log (project_id, seq, at, actor, actor_kind, action, target, reason, detail, request_id,
               commitment, prev_hash, hash) SELECT project_id, {seq}, at, actor, actor_kind, action, target, reason,
               detail, request_id, commitment, prev_hash, hash FROM audit_log WHERE seq = 6"
        )
    };
    edits.extend([
        ("DELETE FROM audit_log WHERE seq = 1".to_owned(), 1),
        ("DELETE FROM audit_log WHERE seq <= 3".into(), 1),
        ("DELETE FROM audit_log WHERE seq = 4".into(), 4),
        ("DELETE FROM audit_log WHERE seq >= 5".into(), 5),
        (insert(0), 1),
        (insert(7), 7),
        (swap.into(), 1),
        // The end goes, with its head.
        ("DELETE FROM audit_log WHERE seq = 6".into(), 6),
        ("UPDATE audit_checkpoints SET seq = 5".into(), 5),
        ("UPDATE audit_checkpoints SET kid = 'x'".into(), 6),
        ("UPDATE audit_checkpoints SET jws = 'a.b.c'".into(), 6),
        ("UPDATE audit_heads SET seq = 7".into(), 7),
        ("UPDATE audit_heads SET seq = 5".into(), 0),
        ("DELETE FROM audit_heads".into(), 6),
    ]);
    for (edit, broken) in edits {
        let app = TestApp::new(engine).await;
        let (shop, auditor) = shop_with_log(&app).await;
        tessera::projects::create_project(&app.app, "void", "void").await.unwrap();
        app.app.clock.advance(1);
        tessera::projects::create_project(&app.app, "other", "other").await.unwrap();
        run(
            &app.app.db,
            "DELETE FROM audit_log WHERE project_id <> (SELECT id FROM projects WHERE slug = 'shop')",
        )
        .await;
        made(&app, &auditor, 201).await;
        assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 6 });
        run(&app.app.db, edit.leak()).await;
        let verdict = verify(&app.app.db, shop.project).await.unwrap();
        match (verdict, broken) {
            // A head that lags is what a walk beside an append sees.
            (Verdict::Whole { events: 6 }, 0) => {}
            (Verdict::Broken { seq, .. }, broken) => assert_eq!(seq, broken),
            (whole, _) => panic!("{whole:?}"),
        }
    }
    rewritten(engine).await;
}

/// Everything is made anew to fit, and only what was kept elsewhere can tell.
async fn rewritten(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, auditor) = shop_with_log(&app).await;
    let held = [read(&made(&app, &auditor, 201).await)];
    // The end is cut off so that nothing in the store says so.
    for edit in [
        "DELETE FROM audit_log WHERE seq > 4",
        "DELETE FROM audit_checkpoints",
        "UPDATE audit_heads SET seq = 4, hash = (SELECT hash FROM audit_log WHERE seq = 4) WHERE seq = 6",
    ] {
        run(&app.app.db, edit).await;
    }
    assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 4 });
    let cut = Verdict::Broken { seq: 5, why: "the end has been cut off: a checkpoint covers more" };
    assert_eq!(verify_with(&app.app.db, shop.project, &holding(&held)).await.unwrap(), cut);
    // Other events in their place, in a chain of their own that is whole.
    let admin = app.admin_key(Some(shop.project), "admin").await;
    for name in ["One", "Two"] {
        app.admin_patch(&admin, "/projects/shop", json!({"name": name})).await.ok();
    }
    assert_eq!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { events: 7 });
    let other = Verdict::Broken { seq: 6, why: "a checkpoint says something else of it" };
    assert_eq!(verify_with(&app.app.db, shop.project, &holding(&held)).await.unwrap(), other);
}

async fn a_changed_export_is_found(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, auditor) = shop_with_log(&app).await;
    let held = [read(&made(&app, &auditor, 201).await)];
    let (text, next) = page(&app, &auditor, "").await;
    assert_eq!(next, None);
    let lines: Vec<&str> = text.lines().collect();
    let whole = Verdict::Whole { events: 6 };
    assert_eq!(judge(&text, &holding(&held)), whole);
    assert_eq!(judge(&text, &Demands::default()), whole);
    // Nothing personal leaves with it.
    assert!(!text.contains("127.0.0.1") && !text.contains("alice") && !text.contains("sealed"));

    let broken = |text: &str| match judge(text, &holding(&held)) {
        Verdict::Broken { seq, .. } => seq,
        whole @ Verdict::Whole { .. } => panic!("{whole:?}: {text}"),
    };
    let with = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let third: Value = serde_json::from_str(lines[2]).unwrap();
    for field in third.as_object().unwrap().keys() {
        let mut edited = third.clone();
        edited[field] = match field.as_str() {
            "project" => json!(ProjectId::INSTANCE),
            "seq" => json!(4),
            "at" => json!("2027-01-15T08:00:00.000001Z"),
            "commitment" | "prev_hash" | "hash" => json!("AAAA"),
            _ => json!("tampered"),
        };
        let (edited, mut lines) = (edited.to_string(), lines.clone());
        lines[2] = &edited;
        assert_eq!(broken(&with(&lines)), 3, "{field}");
    }
    let mut more = third.clone();
    more["note"] = json!("added");
    for (line, name) in
        [(more.to_string(), "another member"), ("{}".into(), "nothing"), (String::new(), "empty")]
    {
        let mut lines = lines.clone();
        lines[2] = &line;
        assert_eq!(broken(&with(&lines)), 3, "{name}");
    }
    for n in 1..6 {
        let (mut removed, mut swapped, mut doubled) = (lines.clone(), lines.clone(), lines.clone());
        removed.remove(n);
        assert_eq!(broken(&with(&removed)), n as i64 + 1, "line {n} removed");
        swapped.swap(n, n - 1);
        assert!(broken(&with(&swapped)) <= n as i64 + 2, "line {n} swapped");
        doubled.insert(n, lines[n - 1]);
        assert_eq!(broken(&with(&doubled)), n as i64 + 1, "line {n} doubled");
        // Cut off the end: only the checkpoint tells.
        assert_eq!(judge(&with(&lines[..n]), &Demands::default()), Verdict::Whole { events: n as i64 });
        assert_eq!(broken(&with(&lines[..n])), n as i64 + 1, "cut after {n}");
    }
    assert_eq!(broken(&text[..text.len() - 20]), 6, "half a line");
    assert_eq!(broken(""), 1);

    // The whole log of another project in its place.
    let other = tessera::projects::create_project(&app.app, "other", "other").await.unwrap();
    let theirs = tessera::audit::export(&app.app.db, other.id, 0, 500).await.unwrap().text;
    let taken = verify_export(Cursor::new(&theirs), Some(shop.project), &Demands::default()).unwrap().verdict;
    assert_eq!(taken, Verdict::Broken { seq: 1, why: "it belongs to another project" });
    assert_eq!(broken(&theirs), 1);
    let foreign = checkpoint::make(&app.app, other.id, app.app.clock.now()).await.unwrap().unwrap().0;
    let foreign = [Checkpoint::read(&foreign.jws).unwrap()];
    let why = "the checkpoint is of another project";
    let verdict = verify_with(&app.app.db, shop.project, &holding(&foreign)).await.unwrap();
    assert_eq!(verdict, Verdict::Broken { seq: foreign[0].seq, why });
}

async fn exports_go_on_where_they_ended(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (_, auditor) = shop_with_log(&app).await;
    let held = read(&made(&app, &auditor, 201).await);
    let (all, _) = page(&app, &auditor, "").await;
    let (mut text, mut next) = page(&app, &auditor, "?limit=4").await;
    while let Some(link) = next {
        let query = link.split_once("/export").unwrap().1;
        let (more, then) = page(&app, &auditor, query).await;
        text += &more;
        next = then;
    }
    assert_eq!(text, all);
    assert_eq!(page(&app, &auditor, "?after=6").await, (String::new(), None));
    // What comes later is added to the file.
    let admin = app.admin_key(None, "admin").await;
    app.admin_patch(&admin, "/projects/shop", json!({"name": "Later"})).await.ok();
    let (later, _) = page(&app, &auditor, "?after=6").await;
    text += &later;
    assert_eq!(judge(&text, &holding(std::slice::from_ref(&held))), Verdict::Whole { events: 7 });
    // The later part alone is proven by a checkpoint of where it begins.
    let part = |demands: &Demands| verify_export(Cursor::new(&later), None, demands).unwrap();
    let proof = |begins_well| Proof { verdict: Verdict::Whole { events: 1 }, base: 6, begins_well };
    assert_eq!(part(&holding(std::slice::from_ref(&held))), proof(true));
    assert_eq!(part(&Demands::default()), proof(false));
    let mut wrong = held.clone();
    wrong.hash = vec![0; 32];
    let why = "a checkpoint says something else of it";
    assert_eq!(part(&holding(&[wrong])).verdict, Verdict::Broken { seq: 6, why });
    let mut early = held;
    early.seq = 5;
    let why = "what the checkpoint covers is no longer kept: take a later one";
    assert_eq!(part(&holding(&[early])).verdict, Verdict::Broken { seq: 5, why });
    let of_all = app.admin_request(&auditor, reqwest::Method::GET, "/audit/export").send().await.unwrap();
    assert_eq!(of_all.text().await.unwrap().lines().count(), 2, "the keys that were made");
}

async fn the_chain_of_the_instance_is_signed_as_well(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, auditor) = shop_with_log(&app).await;
    let ask = async |key: &str| app.admin_post(key, "/audit/checkpoints", json!({})).await;
    let nobody = "there is no key to sign with, or nothing to sign";
    ask(&auditor).await.refused(409, "conflict", nobody);
    home::ensure(&app.app, SecondFactor::Required).await.unwrap();
    let made = ask(&auditor).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(ask(&auditor).await.body, made.body);
    let listed = app.admin_get(&auditor, "/audit/checkpoints").await.ok();
    assert_eq!(listed, json!({"items": [made.body], "next": null}));
    let held = read(&made.body);
    assert_eq!(held.project, ProjectId::INSTANCE);
    let foreign = app.admin_key(Some(shop.project), "owner").await;
    for refused in [ask(&foreign).await, app.admin_get(&foreign, "/audit/checkpoints").await] {
        refused.refused(403, "forbidden", "a key for one project may not do this");
    }
    // What has come since is signed by the job.
    app.admin_key(None, "auditor").await;
    app.app.clock.advance(7200);
    run_well(&app.app).await;
    let listed = app.admin_get(&auditor, "/audit/checkpoints").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let whole = async |held: &[Checkpoint]| {
        verify_with(&app.app.db, ProjectId::INSTANCE, &holding(held)).await.unwrap()
    };
    assert!(matches!(whole(std::slice::from_ref(&held)).await, Verdict::Whole { .. }));
    assert!(matches!(whole(&[]).await, Verdict::Whole { .. }));
    for edit in ["DELETE FROM audit_log", "DELETE FROM audit_heads", "DELETE FROM audit_checkpoints"] {
        run(&app.app.db, edit).await;
    }
    let why = "the end has been cut off: a checkpoint covers more";
    assert_eq!(whole(&[held]).await, Verdict::Broken { seq: 1, why });
}

async fn what_no_role_or_project_may(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, auditor) = shop_with_log(&app).await;
    let other = app.shop("other", "public").await;
    let foreign = app.admin_key(Some(other.project), "owner").await;
    let manager = app.admin_key(Some(shop.project), "user_manager").await;
    for path in ["/projects/shop/audit/export", "/projects/shop/audit/checkpoints"] {
        let refused = app.admin_get(&foreign, path).await;
        refused.refused(401, "invalid_token", "the admin key is not valid here");
        let refused = app.admin_get(&manager, path).await;
        refused.refused(403, "forbidden", "the role user_manager may not do this");
    }
    let refused = app.admin_get(&foreign, "/audit/export").await;
    refused.refused(403, "forbidden", "a key for one project may not do this");
    for (query, field, why) in [
        ("limit=0", "limit", "limit must lie between 1 and 500"),
        ("limit=501", "limit", "limit must lie between 1 and 500"),
        ("from=1", "from", "unknown parameter from"),
    ] {
        let refused = app.admin_get(&auditor, &format!("/projects/shop/audit/export?{query}")).await;
        refused.refused_for(400, "invalid_request", field, why);
    }
    let body = json!({"seq": 1});
    let refused = app.admin_post(&auditor, "/projects/shop/audit/checkpoints", body).await;
    refused.refused_for(400, "invalid_request", "seq", "unknown field seq");
}

/// No number is lost and none given twice, also beside units that come to nothing after they appended, and beside checkpoints.
async fn two_nodes_write_one_chain(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let shop = app.shop("shop", "public").await;
    let (project, now) = (shop.project, app.app.clock.now());
    let writers = (0..60).map(|n| {
        let app = [&app, &node][n % 2].app.clone();
        tokio::spawn(async move {
            if n % 10 == 9 {
                checkpoint::make(&app, project, now).await.unwrap();
            }
            let actor = &tessera::audit::Actor::command_line();
            let append = |conn: Conn| async move {
                let target = format!("writer:{n}");
                let event = actor.did("test.done", &target);
                let seq = tessera::audit::append(&conn, project, now, &event).await?;
                if n % 5 == 4 { Err(tessera::error::conflict("changed its mind")) } else { Ok(seq) }
            };
            app.db.unit(append).await.ok()
        })
    });
    let mut seqs = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        seqs.extend(writer.await.unwrap());
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (6..6 + 48).collect::<Vec<_>>());
    assert_eq!(verify(&app.app.db, project).await.unwrap(), Verdict::Whole { events: 53 });
}
