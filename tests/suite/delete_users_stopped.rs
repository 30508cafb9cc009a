//! What stops a deletion of many, whom it takes, and whom it never does.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::clock::Clock;
use tessera::jobs::run_due;
use tessera::projects;

use crate::support::process::{run as run_command, settings_of};
use crate::support::{
    Account, Answer, Desk, Engine, Hall, Many, PASSWORD, REASON, Shop, TestApp, both_engines, number,
};

both_engines!(
    a_revoked_key_deletes_nobody_any_more,
    nor_does_somebody_who_lost_the_role,
    whose_key_it_was_not_goes_on,
    exactly_those_of_the_preview,
    two_projects_go_on_side_by_side,
    nobody_deletes_themselves_among_others,
    a_hold_beside_the_job_is_whole,
    a_hold_beside_a_sign_out_is_whole,
    cancelled_from_the_command_line,
);

const GONE: &str = "SELECT count(*) AS n FROM users WHERE status = 'deleted'";
const CANCELLED: &str = "SELECT count(*) AS n FROM audit_log WHERE action = 'users.deletion_cancelled'";

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("user-{n}")).collect()
}

async fn crowd(many: &Many<'_>, count: usize) -> Vec<String> {
    let names = names(count);
    many.people(&names.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// A deletion of many that a second key has confirmed; the id of that key.
async fn confirmed_by_another(app: &TestApp, many: &Many<'_>, users: &[String]) -> (Value, String) {
    let (id, key) =
        projects::create_admin_key(&app.app, Some(many.shop.project), "second", "admin").await.unwrap();
    let asked = many.ask(users).await.body;
    assert_eq!(asked["confirmation"]["method"], "second_person");
    let at = asked["confirmation"]["confirmation_id"].as_str().unwrap();
    let at = format!("/projects/{}/confirmations/{at}", many.shop.slug);
    assert_eq!(app.admin_post(key.expose(), &at, json!({})).await.ok()["state"], "running");
    (asked, id.to_string())
}

async fn stopped(app: &TestApp, shop: &Shop, shown: &Value) {
    assert_eq!(
        (&shown["state"], &shown["cancelled_because"]),
        (&json!("cancelled"), &json!("confirmer_gone"))
    );
    assert!(shown["finished_at"].is_string(), "{shown}");
    let owner = app.admin_key(None, "auditor").await;
    let path = format!("/projects/{}/audit?action=users.deletion_cancelled", shop.slug);
    let log = app.admin_get(&owner, &path).await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "said once");
    let event = &log["items"][0];
    assert_eq!((&event["actor_kind"], &event["actor"]), (&json!("system"), &json!("system:bulk_deletions")));
    let detail = &event["detail"];
    assert_eq!((&detail["why"], &detail["confirmed_by"]), (&json!("confirmer_gone"), &shown["confirmed_by"]));
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn a_revoked_key_deletes_nobody_any_more(engine: Engine) {
    let app = TestApp::changed(engine, |app| app.deletions_per_second = 20).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let owner = app.admin_key(None, "owner").await;
    let users = crowd(&many, 30).await;
    let (asked, key) = confirmed_by_another(&app, &many, &users).await;
    let working = app.app.clone();
    let work = tokio::spawn(async move { run_due(&working).await.unwrap() });
    while number(&app.app.db, GONE).await < 2 {
        tokio::task::yield_now().await;
    }
    app.admin_delete(&owner, &format!("/admin-keys/{key}")).await.ok();
    // After the answer nobody else is deleted.
    let gone = number(&app.app.db, GONE).await;
    work.await.unwrap();
    app.app.clock.advance(60);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, GONE).await, gone);
    assert!(gone < 30, "{gone}");
    let shown = many.get(&asked, "").await.ok();
    assert_eq!((&shown["waiting"], &shown["outcomes"]), (&json!(30 - gone), &json!({"executed": gone})));
    stopped(&app, &shop, &shown).await;
    many.cancel(&asked).await.refused(409, "conflict", "this has been cancelled");
}

async fn nor_does_somebody_who_lost_the_role(engine: Engine) {
    let app = TestApp::new(engine).await;
    let hall = Hall::new(&app).await;
    let phone = app.enrolled(&hall.console).await.authenticator;
    let user = hall.console.user;
    for (number_of, way) in ["role", "weaker", "disabled", "kept"].into_iter().enumerate() {
        let shop = app.shop(&format!("shop-{number_of}"), "confidential").await;
        let role = hall.give(user, "admin", Some(shop.project)).await;
        app.app.clock.advance(31);
        let token = hall.proven("", &phone).await;
        let asked =
            app.bearer(&shop, "delete-users", &token, json!({"users": [shop.user], "reason": REASON})).await;
        let at = asked.body["confirmation"]["confirmation_id"].as_str().unwrap().to_owned();
        let at = format!("/projects/{}/confirmations/{at}", shop.slug);
        assert_eq!(app.admin_post(&token, &at, json!({})).await.ok()["state"], "running");
        let gone = number(&app.app.db, GONE).await;
        let person = format!("/projects/admin/users/{user}");
        match way {
            "role" => drop(app.admin_delete(&hall.owner, &format!("/admins/{role}")).await.ok()),
            "weaker" => {
                app.admin_delete(&hall.owner, &format!("/admins/{role}")).await.ok();
                hall.give(user, "auditor", Some(shop.project)).await;
            }
            "disabled" => {
                drop(app.admin_patch(&hall.owner, &person, json!({"status": "disabled"})).await.ok())
            }
            // A sign-out takes no role away.
            _ => drop(hall.out(user).await.ok()),
        }
        run_due(&app.app).await.unwrap();
        let many = Many { app: &app, shop: &shop, desk: app.desk(&shop, "admin").await };
        let shown = many.get(&asked.body, "").await.ok();
        if way == "kept" {
            assert_eq!((&shown["state"], number(&app.app.db, GONE).await), (&json!("done"), gone + 1));
        } else {
            assert_eq!(number(&app.app.db, GONE).await, gone, "{way}");
            stopped(&app, &shop, &shown).await;
        }
        app.admin_patch(&hall.owner, &person, json!({"status": "active"})).await.ok();
        app.app.clock.advance(60);
    }
}

/// Neither the key of whoever asked nor that of another project stops anything.
async fn whose_key_it_was_not_goes_on(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let owner = app.admin_key(None, "owner").await;
    let (id, key) = projects::create_admin_key(&app.app, Some(shop.project), "asks", "admin").await.unwrap();
    let mut desk = app.desk(&shop, "auditor").await;
    desk.key = key.expose().to_owned();
    let many = Many { app: &app, shop: &shop, desk };
    let users = crowd(&many, 3).await;
    let (asked, _) = confirmed_by_another(&app, &many, &users).await;
    let theirs = Many::new(&app, &other).await;
    let their_users = crowd(&theirs, 3).await;
    let (their_asked, their_key) = confirmed_by_another(&app, &theirs, &their_users).await;
    app.admin_delete(&owner, &format!("/admin-keys/{id}")).await.ok();
    app.admin_delete(&owner, &format!("/admin-keys/{their_key}")).await.ok();
    run_due(&app.app).await.unwrap();
    let reader = Many { app: &app, shop: &shop, desk: app.desk(&shop, "auditor").await };
    let shown = reader.get(&asked, "").await.ok();
    assert_eq!((&shown["state"], &shown["outcomes"]), (&json!("done"), &json!({"executed": 3})));
    assert_eq!(shown["cancelled_because"], Value::Null);
    stopped(&app, &other, &theirs.get(&their_asked, "").await.ok()).await;
    assert_eq!(number(&app.app.db, GONE).await, 3);
}

/// What the job, its users and their sign-ins change takes nobody out of what was shown, and nobody in.
async fn exactly_those_of_the_preview(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    many.desk.patch("", json!({"settings": {"deletion_restore_days": 3}})).await.ok();
    many.desk.define(&[], &[], &["trial"]).await;
    let mut users = many.people(&["ann", "bea", "cid", "dan"]).await;
    let outsider = users.pop().unwrap();
    users.push(shop.user.to_string());
    let join = |user: &str| json!({"user": user, "groups": {"add": ["trial"]}});
    for user in &users {
        many.desk.update(join(user)).await.ok();
    }
    let alice = Account::new(&app, &shop).await;
    let filter = json!({"group": "trial", "status": "active"});
    let asked = many.asked(json!({"filter": filter, "reason": REASON})).await;
    assert_eq!(asked["impact"]["users"], 4);
    let mut shown: Vec<String> =
        asked["first"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    // Somebody matches by now, somebody has changed their own record, and signs in.
    many.desk.update(join(&outsider)).await.ok();
    assert_eq!(alice.patch("/profile", json!({"nickname": "Ally"})).await.status, 200);
    many.confirmed(&asked).await;
    assert_eq!(alice.patch("/profile", json!({"nickname": "Al"})).await.status, 200);
    assert!(app.signs_in(&shop, ("alice", PASSWORD)).await);
    // Each is disabled for the window, which raises versions and ends the match: in two runs, on two nodes.
    let node = app.second_node().await;
    run_due(&node.app).await.unwrap();
    app.app.clock.advance(5);
    run_due(&app.app).await.unwrap();
    let done = many.get(&asked, "").await.ok();
    assert_eq!((&done["state"], &done["outcomes"]), (&json!("done"), &json!({"scheduled": 4})));
    app.app.clock.advance(3 * 86_400 + 61);
    run_due(&app.app).await.unwrap();
    let mut gone = Vec::new();
    let listed = many.desk.get("/users?limit=100").await.ok();
    let left: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap()).collect();
    for user in users.iter().chain([&outsider]) {
        if !left.contains(&user.as_str()) {
            gone.push(user.clone());
        }
    }
    gone.sort();
    shown.sort();
    assert_eq!(gone, shown);
    assert_eq!(left, [outsider.as_str()]);
    assert_eq!(number(&app.app.db, GONE).await, 4);
}

async fn two_projects_go_on_side_by_side(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (one, two) = (Many::new(&app, &shop).await, Many::new(&app, &other).await);
    let (of_one, of_two) =
        (one.ask(&crowd(&one, 40).await).await.body, two.ask(&crowd(&two, 40).await).await.body);
    one.confirmed(&of_one).await;
    two.confirmed(&of_two).await;
    run_due(&app.app).await.unwrap();
    // By turns: when half of all is done, half of each is.
    for project in [shop.project, other.project] {
        let half = format!("SELECT count(*) AS n FROM erasures WHERE seq <= 40 AND line LIKE '%{project}%'");
        assert_eq!(number(&app.app.db, half.leak()).await, 20);
    }
    for (many, asked) in [(&one, &of_one), (&two, &of_two)] {
        assert_eq!(many.get(asked, "").await.ok()["outcomes"], json!({"executed": 40}));
    }
}

async fn nobody_deletes_themselves_among_others(engine: Engine) {
    let app = TestApp::new(engine).await;
    let hall = Hall::new(&app).await;
    let alice = hall.console.user;
    hall.give(alice, "owner", None).await;
    let ben = hall.person("ben").await;
    let phone = app.enrolled(&hall.console).await.authenticator;
    let token = hall.proven("", &phone).await;
    let own = "nobody changes their own account as an admin: the account page is for that";
    let asked = async |key: &str, body: Value| app.bearer(&hall.console, "delete-users", key, body).await;
    let listed = json!({"users": [ben, alice], "reason": REASON});
    asked(&token, listed.clone()).await.refused(403, "forbidden", own);
    asked(&token, json!({"filter": {"status": "active"}, "reason": REASON})).await.refused(
        403,
        "forbidden",
        own,
    );
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM bulk_deletion_users").await, 0);
    // What somebody else asks for is not theirs to confirm either.
    app.admin_patch(
        &hall.owner,
        "/projects/admin",
        json!({"settings": {"deletion_confirmation": "second_person"}}),
    )
    .await
    .ok();
    let waiting = asked(&hall.owner, listed).await;
    assert_eq!(waiting.status, 202, "{}", waiting.body);
    let id = waiting.body["confirmation"]["confirmation_id"].as_str().unwrap();
    let at = format!("/projects/admin/confirmations/{id}");
    app.admin_post(&token, &at, json!({})).await.refused(403, "forbidden", own);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, GONE).await, 0);
    // Nor does a list without themselves go on for anybody but those on it.
    app.admin_delete(&hall.owner, &at).await.ok();
    let others = asked(&hall.owner, json!({"users": [ben], "reason": REASON})).await;
    let id = others.body["confirmation"]["confirmation_id"].as_str().unwrap();
    let at = format!("/projects/admin/confirmations/{id}");
    assert_eq!(app.admin_post(&token, &at, json!({})).await.ok()["state"], "running");
    app.app.clock.advance(60);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, GONE).await, 1);
    assert_eq!(app.admin_get(&token, "/projects/admin").await.status, 200);
}

async fn hold(desk: &Desk<'_>, user: &str) -> Answer {
    let reason = json!({"reason": "case 4711 of the court"});
    desk.send(Method::PUT, &format!("/users/{user}/legal-hold"), Some(reason), None).await
}

/// Whoever is held in time stays as they were; whoever is not is gone before there is a hold.
async fn a_hold_beside_the_job_is_whole(engine: Engine) {
    let app = TestApp::changed(engine, |app| app.deletions_per_second = 200).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let owner = app.desk(&shop, "owner").await;
    let users = crowd(&many, 24).await;
    let (asked, _) = confirmed_by_another(&app, &many, &users).await;
    let working = app.app.clone();
    let work = tokio::spawn(async move { run_due(&working).await.unwrap() });
    let mut placed = Vec::new();
    // From the end, towards the job.
    for user in users.iter().rev() {
        placed.push((user, hold(&owner, user).await));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    work.await.unwrap();
    app.app.clock.advance(5);
    run_due(&app.app).await.unwrap();
    let (mut kept, mut gone) = (0, 0);
    for (user, answer) in placed {
        let outcome = many.outcome(&asked, user).await;
        let shown = many.desk.get(&format!("/users/{user}")).await;
        if answer.status == 201 {
            assert_eq!((outcome, shown.ok()["status"].clone()), (json!("legal_hold"), json!("active")));
            kept += 1;
        } else {
            assert_eq!((answer.status, outcome, shown.status), (404, json!("executed"), 404));
            gone += 1;
        }
    }
    assert_eq!(kept + gone, 24);
    assert_eq!(number(&app.app.db, GONE).await, gone);
    let guards = "SELECT count(*) AS n FROM deletion_guards";
    assert_eq!(number(&app.app.db, guards).await, kept);
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

/// A hold keeps the record, not the sessions: both acts are done, in whatever order.
async fn a_hold_beside_a_sign_out_is_whole(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..4 {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let tokens = app.sign_in(&shop).await;
        let (owner, there) = (app.desk(&shop, "owner").await, app.desk(&shop, "admin").await);
        let user = shop.user.to_string();
        let out = node.bearer(&shop, "GlobalSignOut", &there.key, json!({"user": user}));
        let (held, out) = tokio::join!(hold(&owner, &user), out);
        assert_eq!((held.status, out.status), (201, 200), "{} {}", held.body, out.body);
        assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
        let refused =
            app.bearer(&shop, "delete-user", &there.key, json!({"user": user, "reason": REASON})).await;
        assert_eq!((refused.status, &refused.body["error"]), (409, &json!("legal_hold")));
        assert!(app.signs_in(&shop, ("alice", PASSWORD)).await);
    }
}

async fn cancelled_from_the_command_line(engine: Engine) {
    let app = TestApp::changed(engine, |app| app.clock = Clock::System).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let users = crowd(&many, 3).await;
    let settings = settings_of(&app);
    let cancel = |id: &str| {
        run_command(&["delete-users", "--project", "shop", "--cancel", id, "--json"], &settings, "")
    };
    // One that waits, and one that runs.
    let asked = many.ask(&users).await.body;
    let id = asked["deletion_id"].as_str().unwrap().to_owned();
    let said = cancel(&id);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let shown: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&shown["state"], &shown["waiting"]), (&json!("cancelled"), &json!(3)));
    let asked = many.ask(&users).await.body;
    many.confirmed(&asked).await;
    let running = asked["deletion_id"].as_str().unwrap().to_owned();
    assert_eq!(cancel(&running).code, Some(0));
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, GONE).await, 0);
    assert_eq!(number(&app.app.db, CANCELLED).await, 2);
    let event = many.desk.get("/audit?action=users.deletion_cancelled").await.ok();
    assert_eq!(event["items"][0]["actor"], "command_line");
    // Once; and only what there is, in the project that is named.
    let said = cancel(&running);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("this has been cancelled"), "{}", said.err);
    app.shop("other", "confidential").await;
    let said = run_command(&["delete-users", "--project", "other", "--cancel", &id], &settings, "");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("no such deletion"), "{}", said.err);
}
