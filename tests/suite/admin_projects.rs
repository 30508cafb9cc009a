//! `/admin/projects`: making, changing, switching off, deleting.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::ids::ProjectId;

use crate::support::{Engine, START, TestApp, both_engines};

both_engines!(
    made_listed_and_changed,
    bad_input_changes_nothing,
    keys_of_other_projects,
    two_changes_at_once,
    a_disabled_project_lives_on_no_node,
    the_emergency_ends_everything_and_changes_nothing,
    deleted_for_good,
    lists_are_paged_while_projects_come,
);

async fn made_listed_and_changed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = app.admin_key(None, "owner").await;
    let made = app.admin_post(&owner, "/projects", json!({"slug": "shop"})).await.created();
    let issuer = format!("{}/projects/shop", app.base);
    let expected = json!({"id": made["id"], "slug": "shop", "name": "shop", "kind": "live", "issuer": issuer,
        "status": "active", "version": START, "settings": {"max_families": 100}, "created_at": "2027-01-15T08:00:00Z",
        "updated_at": "2027-01-15T08:00:00Z"});
    assert_eq!(made, with_settings_of(&made, expected));
    let sandbox =
        json!({"slug": "try", "name": "Try out", "kind": "sandbox", "settings": {"max_families": 5}});
    let sandbox = app.admin_post(&owner, "/projects", sandbox).await.created();
    assert_eq!((&sandbox["kind"], &sandbox["settings"]["max_families"]), (&json!("sandbox"), &json!(5)));
    let listed = app.admin_get(&owner, "/projects").await.ok();
    assert_eq!(listed["next"], Value::Null);
    let mut slugs: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| &item["slug"]).collect();
    slugs.sort_by_key(|slug| slug.to_string());
    assert_eq!(slugs, ["shop", "try"]);

    app.app.clock.advance(5);
    let change = json!({"name": "The Shop", "settings": {"max_families": 7}});
    let changed = app.admin_patch(&owner, "/projects/shop", change.clone()).await.ok();
    assert_eq!((&changed["name"], &changed["version"]), (&json!("The Shop"), &json!(START + 5_000_000)));
    assert_eq!(changed["updated_at"], "2027-01-15T08:00:05Z");
    // By id as well; what was answered is what stands; the same again is no change.
    let path = format!("/projects/{}", made["id"].as_str().unwrap());
    assert_eq!(app.admin_get(&owner, &path).await.ok(), changed);
    assert_eq!(app.admin_patch(&owner, &path, change).await.ok()["version"], START + 5_000_000);
    let reset = app.admin_patch(&owner, &path, json!({"settings": {"max_families": null}})).await.ok();
    assert_eq!(
        (&reset["settings"]["max_families"], &reset["version"]),
        (&json!(100), &json!(START + 5_000_001))
    );
    let read = app.admin_request(&owner, Method::GET, &path).send().await.unwrap();
    assert_eq!(read.headers()["etag"], format!("\"{}\"", START + 5_000_001));
}

/// Other parts of the program add settings of their own; their defaults are not told here.
fn with_settings_of(made: &Value, mut expected: Value) -> Value {
    assert_eq!(made["settings"]["max_families"], expected["settings"]["max_families"]);
    expected["settings"] = made["settings"].clone();
    expected
}

async fn bad_input_changes_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = app.admin_key(None, "owner").await;
    let post = |body: Value| app.admin_post(&owner, "/projects", body);
    let bound = "slug has 2 to 63 of a-z, 0-9 and -, and begins with a letter";
    post(json!({"slug": "Shop"})).await.refused_for(400, "invalid_request", "slug", bound);
    post(json!({"name": "Shop"})).await.refused_for(400, "invalid_request", "slug", "missing field slug");
    post(json!({"slug": 7})).await.refused_for(400, "invalid_request", "slug", "slug must be a string");
    post(json!({"slug": "shop", "color": 1})).await.refused_for(
        400,
        "invalid_request",
        "color",
        "unknown field color",
    );
    let bound = "kind must be live or sandbox";
    post(json!({"slug": "shop", "kind": "x"})).await.refused_for(400, "invalid_request", "kind", bound);
    let bound = "name has 1 to 128 characters, no control characters and no space at either end";
    post(json!({"slug": "shop", "name": " x"})).await.refused_for(400, "invalid_request", "name", bound);
    let (field, bound) = ("settings.max_families", "settings.max_families must lie between 1 and 1000");
    post(json!({"slug": "shop", "settings": {"max_families": 0}})).await.refused_for(
        400,
        "invalid_request",
        field,
        bound,
    );
    assert_eq!(app.admin_get(&owner, "/projects").await.ok()["items"], json!([]));

    post(json!({"slug": "shop"})).await.created();
    let taken = post(json!({"slug": "shop"})).await;
    taken.refused_for(409, "conflict", "slug", "the slug is taken, or was once");
    let patch = |body: Value| app.admin_patch(&owner, "/projects/shop", body);
    patch(json!({"slug": "other"})).await.refused_for(400, "invalid_request", "slug", "unknown field slug");
    patch(json!({"kind": "sandbox"})).await.refused_for(400, "invalid_request", "kind", "unknown field kind");
    let bound = "status must be active or disabled";
    patch(json!({"status": "deleted"})).await.refused_for(400, "invalid_request", "status", bound);
    let unknown = patch(json!({"name": "New", "settings": {"colour": 1}})).await;
    unknown.refused_for(400, "invalid_request", "settings.colour", "unknown field settings.colour");
    let wrong = patch(json!({"settings": {"max_families": "many"}})).await;
    wrong.refused_for(400, "invalid_request", field, "settings.max_families must be a whole number");
    let bound = "If-Match is one ETag as we gave it, such as \"3\"";
    let bad = app.admin_patch_seen(&owner, "/projects/shop", "3", json!({"name": "New"})).await;
    bad.refused_for(400, "invalid_request", "If-Match", bound);
    let stale = app.admin_patch_seen(&owner, "/projects/shop", "\"9\"", json!({"name": "New"})).await;
    stale.refused(412, "precondition_failed", "it was changed since the version that If-Match names");
    let read = app.admin_get(&owner, "/projects/shop").await.ok();
    assert_eq!((&read["name"], &read["version"]), (&json!("shop"), &json!(START)));
    app.admin_get(&owner, "/projects/nothing").await.refused(404, "not_found", "no such project");
    let limit = app.admin_get(&owner, "/projects?limit=0").await;
    limit.refused_for(400, "invalid_request", "limit", "limit must lie between 1 and 200");
    let unknown = app.admin_get(&owner, "/projects?page=2").await;
    unknown.refused_for(400, "invalid_request", "page", "unknown parameter page");
}

async fn keys_of_other_projects(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "public").await, app.shop("other", "public").await);
    let foreign = app.admin_key(Some(other.project), "owner").await;
    let path = format!("/projects/{}", shop.project);
    for answer in [
        app.admin_get(&foreign, &path).await,
        app.admin_patch(&foreign, &path, json!({"name": "Mine"})).await,
        app.admin_post(&foreign, &format!("{path}/end-all-sessions"), json!({})).await,
        app.admin_delete(&foreign, &path).await,
    ] {
        answer.refused(401, "invalid_token", "the admin key is not valid here");
    }
    // It sees its own project, and makes none.
    let listed = app.admin_get(&foreign, "/projects").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["slug"], "other");
    let made = app.admin_post(&foreign, "/projects", json!({"slug": "third"})).await;
    made.refused(403, "forbidden", "a key for one project may not do this");
    let nobody = app.http.get(format!("{}/admin/projects", app.base)).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
}

/// Of two changes of the same version one wins, on whichever nodes they arrive; the other is told so.
async fn two_changes_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let owner = app.admin_key(None, "owner").await;
    app.admin_post(&owner, "/projects", json!({"slug": "shop"})).await.created();
    for round in START..START + 5 {
        let (seen, name) = (format!("\"{round}\""), |who: &str| json!({"name": format!("{who} {round}")}));
        let (one, two) = tokio::join!(
            app.admin_patch_seen(&owner, "/projects/shop", &seen, name("one")),
            node.admin_patch_seen(&owner, "/projects/shop", &seen, name("two")),
        );
        let winner = if one.status == 200 { &one } else { &two };
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
        let read = node.admin_get(&owner, "/projects/shop").await.ok();
        assert_eq!((&read["name"], &read["version"]), (&winner.body["name"], &json!(round + 1)));
    }
    // Who names no version may lose as well, and is told to look again.
    let answers = futures_util::future::join_all(
        (0..6).map(|n| app.admin_patch(&owner, "/projects/shop", json!({"name": format!("name {n}")}))),
    )
    .await;
    assert!(answers.iter().any(|answer| answer.status == 200));
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)), "{answers:?}");
}

async fn a_disabled_project_lives_on_no_node(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let node = app.second_node().await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    let tokens = app.sign_in(&shop).await;
    let (code, cookie) = app.code(&shop, "").await;
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["active"], true);
    app.admin_patch(&admin, "/projects/shop", json!({"status": "disabled"})).await.ok();
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "project_disabled");
    let ended = "the code has expired or its sign-in has ended";
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", ended);
    let page = node.http.get(node.authorize_url(&shop, "")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(page.status(), 404);

    app.admin_patch(&admin, "/projects/shop", json!({"status": "active"})).await.ok();
    // Switched on again, but what was ended stays ended.
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", ended);
    let again = node.sign_in(&shop).await;
    assert_eq!(app.verify(&shop, again.get("access_token")).await["active"], true);
}

async fn the_emergency_ends_everything_and_changes_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    let tokens = app.sign_in(&shop).await;
    let path = "/projects/shop/end-all-sessions";
    let dry = app.admin_post(&admin, &format!("{path}?dry_run=true"), json!({})).await.ok();
    assert_eq!(dry, json!({"impact": {"families": 1, "browser_sessions": 1}}));
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
    let ended = app.admin_post(&admin, path, json!({"reason": "a stolen laptop"})).await.ok();
    assert_eq!(ended, json!({"effective_at": "2027-01-15T08:00:00Z"}));
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
    // A body is not needed; twice is not wrong.
    app.admin_request(&admin, Method::POST, path).send().await.unwrap().error_for_status().unwrap();
    let long = app.admin_post(&admin, path, json!({"reason": "x".repeat(501)})).await;
    let bound = "reason has at most 500 characters, none of them a control character but line breaks";
    long.refused_for(400, "invalid_request", "reason", bound);
    let again = app.sign_in(&shop).await;
    assert_eq!(app.verify(&shop, again.get("access_token")).await["active"], true);
    let events = app.admin_get(&admin, "/projects/shop/audit?action=project.sessions_ended").await.ok();
    let reasons: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| &event["reason"]).collect();
    assert_eq!(reasons, ["", "a stolen laptop"]);
}

async fn deleted_for_good(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let node = app.second_node().await;
    let owner = app.admin_key(None, "owner").await;
    let own = app.admin_key(Some(shop.project), "owner").await;
    let admin = app.admin_key(None, "admin").await;
    let tokens = app.sign_in(&shop).await;
    node.verify(&shop, tokens.get("access_token")).await;
    let refused = app.admin_delete(&admin, "/projects/shop").await;
    refused.refused(403, "forbidden", "the role admin may not do this");
    let impact = json!({"users": 1, "clients": 1, "families": 1, "browser_sessions": 1, "admin_keys": 1});
    let answer = json!({"id": shop.project, "slug": "shop", "deleted": false, "impact": impact});
    let dry = app.admin_delete(&own, "/projects/shop?dry_run=true").await.ok();
    assert_eq!(dry, answer);
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["active"], true);
    // Nothing is counted for the real one: however much there is, it is deleted.
    let answer = json!({"id": shop.project, "slug": "shop", "deleted": true});
    assert_eq!(app.admin_delete(&own, "/projects/shop").await.ok(), answer);

    let gone = |answer: crate::support::Answer| answer.refused(404, "not_found", "no such project");
    gone(node.call(&shop, "verifyaccesstoken", json!({"access_token": tokens.get("access_token")})).await);
    gone(node.refresh(&shop, tokens.get("refresh_token")).await);
    gone(node.admin_get(&owner, "/projects/shop").await);
    gone(node.admin_get(&owner, &format!("/projects/{}", shop.project)).await);
    gone(node.admin_delete(&owner, "/projects/shop").await);
    // Its keys are dead everywhere, also where no project is named.
    let dead = node.admin_get(&own, "/admin-keys").await;
    dead.refused(401, "invalid_token", "the admin key is not valid here");
    assert_eq!(app.admin_get(&owner, "/projects").await.ok()["items"], json!([]));
    let again = app.admin_post(&owner, "/projects", json!({"slug": "shop"})).await;
    again.refused_for(409, "conflict", "slug", "the slug is taken, or was once");
    let events = app.admin_get(&owner, "/audit?action=project.deleted").await.ok();
    assert_eq!(events["items"][0]["target"], format!("project:{}", shop.project));
    let detail = &events["items"][0]["detail"];
    assert_eq!(
        (&detail["slug"], &detail["admin_keys_revoked"], &detail["method"]),
        (&json!("shop"), &json!(1), &json!("second_person"))
    );
    for chain in [shop.project, ProjectId::INSTANCE] {
        assert!(matches!(verify(&app.app.db, chain).await.unwrap(), Verdict::Whole { .. }));
    }
}

/// Whoever was there when the reading began is seen once, however many come meanwhile.
async fn lists_are_paged_while_projects_come(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = app.admin_key(None, "owner").await;
    let add = async |slug: String| {
        app.app.clock.advance(1);
        app.admin_post(&owner, "/projects", json!({"slug": slug})).await.created();
    };
    for n in 0..5 {
        add(format!("early-{n}")).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/projects?limit=2".to_owned());
    for n in 0.. {
        let page = app.admin_get(&owner, &path).await.ok();
        let slugs = page["items"].as_array().unwrap().iter().map(|item| item["slug"].to_string());
        seen.extend(slugs);
        assert!(seen.len() < 20);
        if n < 2 {
            add(format!("late-{n}")).await;
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/projects?limit=2&after={next}");
    }
    let expected = ["early-0", "early-1", "early-2", "early-3", "early-4", "late-0", "late-1"];
    assert_eq!(seen, expected.map(|slug| format!("\"{slug}\"")));
}
