//! Many users at once: shown before anything happens, confirmed once, deleted one by one.

use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::jobs::run_due;

use crate::support::{Engine, Many, REASON, TestApp, both_engines, number};

both_engines!(
    a_list_goes,
    a_filter_says_who,
    what_keeps_a_user_keeps_that_one,
    denials,
    reasons_name_none_of_them,
    wrong_words_cancel,
    nobody_alone_where_there_are_two,
    a_window_is_for_many_as_well,
    cancelled_before_and_in_the_middle,
    user_managers_delete_one_by_one,
    others_see_nothing,
    what_is_over_is_cleaned_up,
);

const GONE: &str = "SELECT count(*) AS n FROM users WHERE status = 'deleted'";
const DELETED: &str = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deleted'";

async fn a_list_goes(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let tokens = app.sign_in(&shop).await;
    let mut users = many.people(&["ann", "bea", "cid"]).await;
    let nobody = "00000000-0000-7000-8000-000000000000".to_owned();
    users.extend([shop.user.to_string(), users[0].clone(), nobody.clone()]);
    let asked = many.ask(&users).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let asked = asked.body;
    let impact = json!({"users": 4, "legal_hold": 0, "deletion_protection": 0, "open": 0, "not_found": 1,
        "families": 1, "browser_sessions": 1});
    let confirmation = json!({"confirmation_id": asked["confirmation"]["confirmation_id"], "method": "typed",
        "expires_at": "2027-01-15T08:15:00Z", "words": "delete 4 users"});
    assert_eq!((&asked["impact"], &asked["confirmation"]), (&impact, &confirmation));
    assert_eq!(asked["first"].as_array().unwrap().len(), 4);
    // Nothing is deleted before it is confirmed.
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, GONE).await, 0);
    let shown = many.confirmed(&asked).await;
    assert_eq!((&shown["waiting"], &shown["outcomes"]), (&json!(4), &json!({"not_found": 1})));
    app.app.clock.advance(5);
    run_due(&app.app).await.unwrap();
    let done = many.get(&asked, "").await.ok();
    assert_eq!((&done["state"], &done["waiting"]), (&json!("done"), &json!(0)));
    assert_eq!(done["outcomes"], json!({"executed": 4, "not_found": 1}));
    assert_eq!(many.outcome(&asked, &nobody).await, "not_found");
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "user_deleted");
    // Each has what a deletion of one has: an event, a line, a letter, and a deletion of its own to read.
    let mail = "SELECT count(*) AS n FROM outbox WHERE kind = 'mail'";
    for (sql, n) in [(GONE, 4), (DELETED, 4), ("SELECT count(*) AS n FROM erasures", 4), (mail, 4)] {
        assert_eq!(number(&app.app.db, sql).await, n, "{sql}");
    }
    let page = many.get(&asked, "/results?limit=2&outcome=executed").await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let next = page["next"].as_str().unwrap();
    let rest = many.get(&asked, &format!("/results?outcome=executed&after={next}")).await.ok();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (2, &Value::Null));
    let one = page["items"][0]["deletion_id"].as_str().unwrap();
    let url = app.project_url(&shop, &format!("/api/delete-user/{one}"));
    let own: Value =
        app.http.get(url).bearer_auth(&many.desk.key).send().await.unwrap().json().await.unwrap();
    assert_eq!((&own["state"], &own["reason"]), (&json!("executed"), &json!(REASON)));
    assert_eq!(own["confirmed_by"], done["confirmed_by"]);
    let log = many.desk.get("/audit?order=asc&limit=200").await.ok();
    let of_many = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["target"].as_str().unwrap().starts_with("users:"));
    let of_many: Vec<(&str, &str)> =
        of_many.map(|event| (event["action"].as_str().unwrap(), event["reason"].as_str().unwrap())).collect();
    assert_eq!(
        of_many,
        [
            ("users.deletion_requested", REASON),
            ("users.deletion_confirmed", REASON),
            ("users.deletion_finished", REASON)
        ]
    );
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
    many.cancel(&asked).await.refused(409, "conflict", "this deletion is done");
}

async fn a_filter_says_who(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    many.desk.define(&[], &["tester"], &["trial"]).await;
    let old = many.people(&["Test-ann", "test-bea", "other"]).await;
    app.app.clock.advance(3600);
    app.sign_in(&shop).await;
    let young = many.people(&["test-cid"]).await;
    many.desk.update(json!({"user": old[1], "groups": {"add": ["trial"]}})).await.ok();
    many.desk.update(json!({"user": old[2], "roles": {"add": ["tester"]}})).await.ok();
    many.desk.patch(&format!("/users/{}", old[0]), json!({"status": "disabled"})).await.ok();
    let now = "2027-01-15T09:00:00Z";
    for (filter, mut expected) in [
        (json!({"username_prefix": "TEST-"}), vec![&old[0], &old[1], &young[0]]),
        (json!({"username_prefix": "test-", "created_before": now}), vec![&old[0], &old[1]]),
        (json!({"inactive_since": now}), vec![&old[0], &old[1], &old[2]]),
        (json!({"group": "trial"}), vec![&old[1]]),
        (json!({"role": "tester"}), vec![&old[2]]),
        (json!({"status": "disabled"}), vec![&old[0]]),
    ] {
        let asked = many.asked(json!({"filter": filter, "reason": REASON})).await;
        expected.sort();
        assert_eq!(asked["first"], json!(expected), "{filter}");
        many.cancel(&asked).await.ok();
    }
    let asked = many
        .asked(json!({"filter": {"group": "trial"}, "reason": REASON, "notify": false,
        "notify_reason": "their school tells them"}))
        .await;
    assert_eq!(asked["notify"], false);
    many.confirmed(&asked).await;
    // Who comes to fit later was not shown, and stays.
    many.desk.update(json!({"user": young[0], "groups": {"add": ["trial"]}})).await.ok();
    run_due(&app.app).await.unwrap();
    assert_eq!(many.get(&asked, "").await.ok()["outcomes"], json!({"executed": 1}));
    assert_eq!(number(&app.app.db, GONE).await, 1);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM outbox WHERE kind = 'mail'").await, 0);
}

async fn what_keeps_a_user_keeps_that_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let users =
        many.people(&["user-held", "user-kept", "user-new", "user-open", "user-gone", "user-late"]).await;
    let [held, kept, new, open, gone, late] = &users[..] else { panic!() };
    let guard = |user: &str, kind: &str| format!("/users/{user}/{kind}");
    let why = json!({"reason": "subject of a lawsuit"});
    let place = async |user: &str, kind: &str| {
        let body = Some(why.clone());
        many.desk.send(reqwest::Method::PUT, &guard(user, kind), body, None).await.created();
    };
    place(held, "legal-hold").await;
    place(kept, "deletion-protection").await;
    let asked = many.asked(json!({"filter": {"username_prefix": "user-"}, "reason": REASON})).await;
    let impact = &asked["impact"];
    assert_eq!((&impact["users"], &impact["legal_hold"]), (&json!(6), &json!(1)));
    assert_eq!(impact["deletion_protection"], 1);
    many.confirmed(&asked).await;
    // What changes after the request was not confirmed; what is placed in time counts.
    many.desk.patch(&format!("/users/{new}"), json!({"nickname": "Newt"})).await.ok();
    place(late, "legal-hold").await;
    let own = many.post("delete-user", json!({"user": open, "reason": REASON})).await;
    assert_eq!(own.status, 202);
    app.app.clock.advance(5);
    run_due(&app.app).await.unwrap();
    for (user, outcome) in [
        (held, "legal_hold"),
        (kept, "deletion_protection"),
        (new, "changed"),
        (open, "open"),
        (gone, "executed"),
        (late, "legal_hold"),
    ] {
        assert_eq!(many.outcome(&asked, user).await, outcome);
    }
    assert_eq!(number(&app.app.db, GONE).await, 1);
    let refused = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_refused'";
    assert_eq!(number(&app.app.db, refused).await, 3);
    assert_eq!(many.get(&asked, "").await.ok()["state"], "done");
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn denials(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let user = many.person("ann").await;
    let too_many = vec![user.clone(); 1001];
    let filter = "filter names status, username_prefix, created_before, inactive_since, group or role";
    let which = "who is meant is said by users or by filter";
    let length = "reason has 10 to 500 characters, none of them a control character but line breaks, or is one of the project's";
    let nobody = "nobody would be deleted: there is no such user";
    let time = "filter.created_before must be a time such as 2027-01-15T08:00:00Z";
    let prefix = "filter.username_prefix has 1 to 254 bytes and no control characters";
    for (body, field, description) in [
        (json!({"reason": REASON}), "users", which),
        (json!({"users": [user], "filter": {"group": "x"}, "reason": REASON}), "users", which),
        (json!({"users": [], "reason": REASON}), "users", "users has 1 to 1000 ids"),
        (json!({"users": too_many, "reason": REASON}), "users", "users has 1 to 1000 ids"),
        (json!({"filter": {}, "reason": REASON}), "filter", filter),
        (json!({"filter": {"name": "x"}, "reason": REASON}), "filter.name", "unknown field filter.name"),
        (
            json!({"filter": {"status": "deleted"}, "reason": REASON}),
            "filter.status",
            "status is active or disabled",
        ),
        (json!({"filter": {"created_before": "1.1."}, "reason": REASON}), "filter.created_before", time),
        (json!({"filter": {"username_prefix": ""}, "reason": REASON}), "filter.username_prefix", prefix),
        (json!({"users": [user]}), "reason", "missing field reason"),
        (json!({"users": [user], "reason": "short"}), "reason", length),
        (
            json!({"users": [user], "reason": REASON, "notify": false}),
            "notify_reason",
            "notify: false needs a notify_reason",
        ),
        (json!({"users": [uuid::Uuid::max()], "reason": REASON}), "users", nobody),
        (json!({"filter": {"group": "none"}, "reason": REASON}), "users", nobody),
        (json!({"users": [user], "reason": REASON, "dry_run": true}), "dry_run", "unknown field dry_run"),
    ] {
        many.post("delete-users", body).await.refused_for(400, "invalid_request", field, description);
    }
    let rows =
        "SELECT (SELECT count(*) FROM bulk_deletions) + (SELECT count(*) FROM bulk_deletion_users) AS n";
    assert_eq!(number(&app.app.db, rows).await, 0, "a refusal leaves nothing");
    let asked = many.ask(std::slice::from_ref(&user)).await.body;
    let second = many.ask(&[user]).await;
    let expected = json!({"error": "conflict", "deletion_id": asked["deletion_id"],
        "error_description": "another deletion of many waits for its confirmation; confirm it or cancel it"});
    assert_eq!((second.status, second.body), (409, expected));
    let id = asked["confirmation"]["confirmation_id"].as_str().unwrap();
    let empty = many.desk.post(&format!("/confirmations/{id}"), json!({})).await;
    empty.refused_for(400, "invalid_request", "confirmation", "confirmation is: delete 1 users");
    let nothing = json!({"deletion_id": uuid::Uuid::max()});
    many.get(&nothing, "").await.refused(404, "not_found", "no such deletion");
    many.get(&nothing, "/results").await.refused(404, "not_found", "no such deletion");
    many.cancel(&nothing).await.refused(404, "not_found", "no such deletion");
    let words = "executed, scheduled, legal_hold, deletion_protection, changed, open, not_found, failed";
    let outcome = many.get(&asked, "/results?outcome=x").await;
    outcome.refused_for(400, "invalid_request", "outcome", &format!("outcome is one of {words}"));
    // In its time, or not at all.
    app.app.clock.advance(900);
    let late = "this has expired; ask again";
    many.confirm(&asked, "delete 1 users").await.refused(409, "conflict", late);
    many.cancel(&asked).await.refused(409, "conflict", late);
    assert_eq!(many.get(&asked, "").await.ok()["state"], "expired");
    many.confirmed(&many.ask(&[shop.user.to_string()]).await.body).await;
}

async fn reasons_name_none_of_them(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let users = many.people(&["annabel", "bertrand"]).await;
    let why = "reason must not contain the user's name, mail address, or any other value of the profile or attributes";
    for reason in ["they and Bertrand have left", "bertrand@example.com and friends"] {
        let refused = many.post("delete-users", json!({"users": users, "reason": reason})).await;
        refused.refused_for(400, "invalid_request", "reason", why);
    }
    many.desk.patch("", json!({"settings": {"deletion_reasons": ["bertrand"]}})).await.ok();
    many.asked(json!({"users": users, "reason": "bertrand"})).await;
}

async fn wrong_words_cancel(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let asked = many.ask(&many.people(&["ann", "bea"]).await).await.body;
    let wrong = "the typed words are not those that confirm this deletion";
    for _ in 0..5 {
        many.confirm(&asked, "delete 3 users").await.refused(403, "confirmation_failed", wrong);
    }
    assert_eq!(many.get(&asked, "").await.ok()["state"], "cancelled");
    let cancelled = "this has been cancelled";
    many.confirm(&asked, "delete 2 users").await.refused(409, "conflict", cancelled);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, GONE).await, 0);
}

async fn nobody_alone_where_there_are_two(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let second = Many { desk: app.desk(&shop, "admin").await, ..Many::new(&app, &shop).await };
    let asked = many.ask(&many.people(&["ann", "bea"]).await).await.body;
    assert_eq!(asked["confirmation"]["method"], "second_person");
    let own = "another admin's key has to confirm this deletion";
    many.confirm(&asked, "delete 2 users").await.refused(403, "forbidden", own);
    second.confirmed(&asked).await;
    app.app.clock.advance(5);
    run_due(&app.app).await.unwrap();
    let done = many.get(&asked, "").await.ok();
    assert_eq!(done["outcomes"], json!({"executed": 2}));
    assert_ne!(done["requested_by"], done["confirmed_by"]);
    many.desk.patch("", json!({"settings": {"deletion_confirmation": "second_factor"}})).await.ok();
    let refused = many.ask(&[shop.user.to_string()]).await;
    assert_eq!((refused.status, &refused.body["methods"]), (403, &json!(["typed", "second_person"])));
}

async fn a_window_is_for_many_as_well(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    many.desk.patch("", json!({"settings": {"deletion_restore_days": 3}})).await.ok();
    let users = many.people(&["ann", "bea"]).await;
    let asked = many.ask(&users).await.body;
    many.confirmed(&asked).await;
    run_due(&app.app).await.unwrap();
    assert_eq!(many.get(&asked, "").await.ok()["outcomes"], json!({"scheduled": 2}));
    let page = many.get(&asked, "/results").await.ok();
    let back = json!({"deletion_id": page["items"][0]["deletion_id"]});
    assert_eq!(many.post("delete-user/cancel", back).await.ok()["state"], "cancelled");
    app.app.clock.advance(3 * 86_400 + 61);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, GONE).await, 1);
    assert_eq!(number(&app.app.db, DELETED).await, 1);
}

async fn cancelled_before_and_in_the_middle(engine: Engine) {
    let app = TestApp::changed(engine, |app| app.deletions_per_second = 20).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let names: Vec<String> = (0..30).map(|n| format!("user-{n}")).collect();
    let users = many.people(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let asked = many.ask(&users).await.body;
    assert_eq!(many.cancel(&asked).await.ok()["state"], "cancelled");
    many.cancel(&asked).await.refused(409, "conflict", "this has been cancelled");
    many.confirm(&asked, "delete 30 users").await.refused(409, "conflict", "this has been cancelled");
    let asked = many.ask(&users).await.body;
    many.confirmed(&asked).await;
    let working = app.app.clone();
    let work = tokio::spawn(async move { run_due(&working).await.unwrap() });
    while number(&app.app.db, GONE).await < 2 {
        tokio::task::yield_now().await;
    }
    let cancelled = many.cancel(&asked).await.ok();
    // After the answer nobody else is deleted.
    let gone = number(&app.app.db, GONE).await;
    work.await.unwrap();
    app.app.clock.advance(60);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, GONE).await, gone);
    assert!(gone < 30, "{gone}");
    let shown = many.get(&asked, "").await.ok();
    assert_eq!((&shown["state"], &shown["waiting"]), (&json!("cancelled"), &json!(30 - gone)));
    assert_eq!(cancelled["state"], "cancelled");
}

async fn user_managers_delete_one_by_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let owner = app.desk(&shop, "owner").await;
    owner.patch("", json!({"settings": {"user_managers_may_delete": true}})).await.ok();
    for role in ["user_manager", "auditor"] {
        let many = Many { app: &app, shop: &shop, desk: app.desk(&shop, role).await };
        let why = format!("the role {role} may not do this");
        many.ask(&[shop.user.to_string()]).await.refused(403, "forbidden", &why);
        many.cancel(&json!({"deletion_id": uuid::Uuid::max()})).await.refused(403, "forbidden", &why);
    }
    let refused = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_refused'";
    assert_eq!(number(&app.app.db, refused).await, 4);
}

async fn others_see_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (many, theirs) = (Many::new(&app, &shop).await, Many::new(&app, &other).await);
    let asked = many.ask(&many.people(&["ann"]).await).await.body;
    theirs.get(&asked, "").await.refused(404, "not_found", "no such deletion");
    theirs.get(&asked, "/results").await.refused(404, "not_found", "no such deletion");
    theirs.cancel(&asked).await.refused(404, "not_found", "no such deletion");
    theirs.confirm(&asked, "delete 1 users").await.refused(404, "not_found", "no such confirmation");
    let elsewhere = Many { app: &app, shop: &shop, desk: theirs.desk.on(&shop) };
    let dead = "the admin key is not valid here";
    elsewhere.get(&asked, "").await.refused(401, "invalid_token", dead);
    elsewhere.cancel(&asked).await.refused(401, "invalid_token", dead);
    elsewhere.confirm(&asked, "delete 1 users").await.refused(401, "invalid_token", dead);
    // Another project's people are nobody here.
    let nobody = "nobody would be deleted: there is no such user";
    theirs.ask(&[shop.user.to_string()]).await.refused_for(400, "invalid_request", "users", nobody);
    let own = theirs.ask(&[shop.user.to_string(), other.user.to_string()]).await.body;
    assert_eq!((&own["impact"]["users"], &own["impact"]["not_found"]), (&json!(1), &json!(1)));
    theirs.confirmed(&own).await;
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, GONE).await, 1);
    assert_eq!(many.get(&asked, "").await.ok()["state"], "pending");
}

async fn what_is_over_is_cleaned_up(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let many = Many::new(&app, &shop).await;
    let users = many.people(&["ann", "bea"]).await;
    many.cancel(&many.ask(&users).await.body).await.ok();
    let asked = many.ask(&users).await.body;
    many.confirmed(&asked).await;
    run_due(&app.app).await.unwrap();
    let rows = "SELECT count(*) AS n FROM bulk_deletion_users";
    assert_eq!(number(&app.app.db, rows).await, 4);
    app.app.clock.advance(2 * 3600);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, rows).await, 2, "what was never confirmed goes soon");
    assert_eq!(many.get(&asked, "").await.ok()["state"], "done");
    app.app.clock.advance(32 * 86_400);
    run_due(&app.app).await.unwrap();
    let all = "SELECT (SELECT count(*) FROM bulk_deletions) + (SELECT count(*) FROM bulk_deletion_users)
        + (SELECT count(*) FROM confirmations) AS n";
    assert_eq!(number(&app.app.db, all).await, 0);
}
