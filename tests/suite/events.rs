//! `/admin/projects/{project}/events`: sign-ins, refreshes and failures, written beside the requests that they tell of.

use serde_json::{Value, json};
use tessera::events::flush;
use tessera::store::db::Conn;

use crate::support::{Deleting, Engine, PASSWORD, Shop, TestApp, both_engines, number, run};

both_engines!(
    what_happened_is_found,
    what_failed_is_found,
    filters_and_pages,
    bad_input_and_other_keys,
    nothing_is_written_by_the_request,
    what_cannot_be_written_waits,
    they_go_with_the_user,
    a_project_may_keep_none,
);

async fn events(app: &TestApp, key: &str, query: &str) -> Vec<Value> {
    flush(&app.app).await.unwrap();
    let page = app.admin_get(key, &format!("/projects/shop/events?{query}")).await.ok();
    page["items"].as_array().unwrap().clone()
}

/// `kind outcome` of each.
fn told(events: &[Value]) -> Vec<String> {
    let word = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    events.iter().map(|event| format!("{} {}", word(event, "kind"), word(event, "outcome"))).collect()
}

async fn try_password(app: &TestApp, shop: &Shop, who: (&str, &str)) {
    let (cookie, sealed) = app.sign_in_page(shop, "").await;
    assert_eq!(app.submit_as(shop, &cookie, &sealed, who).await.status(), 400);
}

async fn what_happened_is_found(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let auditor = app.admin_key(Some(shop.project), "auditor").await;
    let later = async || app.app.clock.advance(1);
    try_password(&app, &shop, ("alice", "wrong horse battery")).await;
    later().await;
    try_password(&app, &shop, ("mallory", PASSWORD)).await;
    later().await;
    let (code, _) = app.code(&shop, "&scope=openid").await;
    later().await;
    let tokens = app.exchange(&shop, &code).await.ok();
    later().await;
    let refreshed = app.refresh(&shop, tokens["refresh_token"].as_str().unwrap()).await.ok();
    later().await;
    app.bearer(&shop, "GlobalSignOut", refreshed["access_token"].as_str().unwrap(), json!({})).await.ok();
    assert_eq!(app.refresh(&shop, refreshed["refresh_token"].as_str().unwrap()).await.status, 400);
    later().await;
    assert_eq!(app.exchange(&shop, &code).await.status, 400);
    // What anybody may make up is not noted.
    assert_eq!(app.exchange(&shop, "tco_nothing").await.status, 400);
    assert_eq!(app.refresh(&shop, "tsr_nothing").await.status, 400);

    let all = events(&app, &auditor, "").await;
    let expected = [
        "exchange refused",
        "refresh signed_out",
        "refresh ok",
        "exchange ok",
        "sign_in ok",
        "sign_in unknown_user",
        "sign_in wrong_password",
    ];
    assert_eq!(told(&all), expected);
    // As the audit log names alice.
    let named = app.admin_get(&auditor, &format!("/projects/shop/audit?user={}", shop.user)).await.ok();
    let hash = &named["items"][0]["target"];
    let expected = json!({"id": all[2]["id"], "at": "2027-01-15T08:00:04Z", "kind": "refresh", "outcome": "ok",
        "client_id": shop.id, "user": hash, "personal": {"address": "127.0.0.1", "user_agent": ""}});
    assert_eq!(all[2], expected);
    let users: Vec<bool> = all.iter().map(|event| event["user"] == *hash).collect();
    assert_eq!(users, [false, true, true, true, true, false, true]);
    let of_client: Vec<bool> = all.iter().map(|event| event["client_id"] == shop.id).collect();
    assert_eq!(of_client, [true, true, true, true, true, false, false]);
    // Nothing of it is in the audit chain, and what is personal lies sealed.
    assert_eq!(
        number(&app.app.db, "SELECT count(*) AS n FROM audit_log WHERE action LIKE '%refresh%'").await,
        0
    );
}

/// A code that is wrong, and somebody who is no client; whoever provokes more of that does not fill the store.
async fn what_failed_is_found(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let other = app.shop("other", "confidential").await;
    let auditor = app.admin_key(Some(shop.project), "auditor").await;
    app.enrolled(&shop).await;
    flush(&app.app).await.unwrap();
    run(&app.app.db, "DELETE FROM events").await;
    let middle = app.half_signed_in(&shop, "").await;
    let form = [("request", middle.sealed()), ("factor", "totp".into()), ("code", "000000".into())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(app.post_page(&shop, "/second-factor", &middle.cookie, &form).await.status(), 400);
    let ask = async |id: &str| {
        let url = app.project_url(&shop, "/oauth2/token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", "tsr_nothing")];
        let asked = app.http.post(url).basic_auth(id, Some("tcs_wrong")).form(&form).send().await.unwrap();
        assert_eq!(asked.status(), 401);
    };
    app.app.clock.advance(1);
    ask(&shop.id.to_string()).await;
    ask(&uuid::Uuid::max().to_string()).await;
    ask(&other.id.to_string()).await;
    let all = events(&app, &auditor, "").await;
    assert_eq!(told(&all), ["client_authentication refused", "sign_in wrong_code"]);
    assert_eq!((&all[0]["client_id"], &all[0]["user"]), (&json!(shop.id), &Value::Null));
    assert!(all[1]["user"].is_string());
    for _ in 0..110 {
        ask(&shop.id.to_string()).await;
    }
    flush(&app.app).await.unwrap();
    let refused = "SELECT count(*) AS n FROM events WHERE kind = 'client_authentication'";
    assert_eq!(number(&app.app.db, refused).await, 100);
    app.app.clock.advance(60);
    ask(&shop.id.to_string()).await;
    flush(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, refused).await, 101);
}

async fn filters_and_pages(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let auditor = app.admin_key(Some(shop.project), "auditor").await;
    for _ in 0..3 {
        app.sign_in(&shop).await;
        try_password(&app, &shop, ("alice", "wrong horse battery")).await;
        app.app.clock.advance(3600);
    }
    let of = async |query: &str| told(&events(&app, &auditor, query).await);
    assert_eq!(of("kind=exchange").await, ["exchange ok"; 3]);
    assert_eq!(of("outcome=wrong_password").await, ["sign_in wrong_password"; 3]);
    assert_eq!(of("kind=sign_in&outcome=ok").await, ["sign_in ok"; 3]);
    assert_eq!(of("since=2027-01-15T10:00:00Z").await.len(), 3);
    assert_eq!(of("until=2027-01-15T10:00:00Z").await.len(), 6);
    assert_eq!(of("since=2027-01-15T09:00:00Z&until=2027-01-15T10:00:00Z&kind=exchange").await.len(), 1);
    assert_eq!(of(&format!("user={}", shop.user)).await.len(), 9);
    assert_eq!(of(&format!("user={}", uuid::Uuid::max())).await, [""; 0]);
    assert_eq!(of(&format!("client_id={}", shop.id)).await.len(), 6);
    let all = events(&app, &auditor, "").await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.admin_get(&auditor, &format!("/projects/shop/events?limit=2{after}")).await.ok();
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, all);
}

async fn bad_input_and_other_keys(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    app.sign_in(&shop).await;
    let auditor = app.admin_key(Some(other.project), "auditor").await;
    flush(&app.app).await.unwrap();
    let theirs = app.admin_get(&auditor, "/projects/other/events").await.ok();
    assert_eq!(theirs, json!({"items": [], "next": null}));
    let refused = app.admin_get(&auditor, "/projects/shop/events").await;
    refused.refused(401, "invalid_token", "the admin key is not valid here");
    let manager = app.admin_key(Some(other.project), "user_manager").await;
    let refused = app.admin_get(&manager, "/projects/other/events").await;
    refused.refused(403, "forbidden", "the role user_manager may not do this");
    for (query, field, why) in [
        (
            "kind=dance".to_owned(),
            "kind",
            "kind is sign_in, exchange, refresh, client_authentication or deletion",
        ),
        (format!("outcome={}", "x".repeat(65)), "outcome", "outcome has 1 to 64 of a-z, 0-9 and _"),
        ("outcome=".into(), "outcome", "outcome has 1 to 64 of a-z, 0-9 and _"),
        ("outcome=Wrong".into(), "outcome", "outcome has 1 to 64 of a-z, 0-9 and _"),
        ("outcome=a%00b".into(), "outcome", "outcome has no control characters"),
        ("since=today".into(), "since", "since must be a time such as 2027-01-15T08:00:00Z"),
        ("limit=0".into(), "limit", "limit must lie between 1 and 200"),
        ("page=1".into(), "page", "unknown parameter page"),
    ] {
        let answer = app.admin_get(&auditor, &format!("/projects/other/events?{query}")).await;
        answer.refused_for(400, "invalid_request", field, why);
    }
}

async fn nothing_is_written_by_the_request(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    for _ in 0..120 {
        let (cookie, sealed) = app.sign_in_page(&shop, "").await;
        app.submit_as(&shop, &cookie, &sealed, ("alice", "wrong horse battery")).await;
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM events").await, 0);
    let before = app.app.db.statements().writes;
    flush(&app.app).await.unwrap();
    assert_eq!(app.app.db.statements().writes - before, 2, "a hundred with one statement");
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM events").await, 120);
    assert_eq!(app.app.events.dropped(), 0);
    flush(&app.app).await.unwrap();
    assert_eq!(app.app.db.statements().writes - before, 2, "nothing is left");
}

async fn what_cannot_be_written_waits(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.sign_in(&shop).await;
    run(&app.app.db, "ALTER TABLE events RENAME TO mislaid").await;
    assert!(flush(&app.app).await.is_err());
    app.sign_in(&shop).await;
    run(&app.app.db, "ALTER TABLE mislaid RENAME TO events").await;
    flush(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM events").await, 4);
}

async fn they_go_with_the_user(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    app.sign_in(&shop).await;
    app.sign_in(&other).await;
    flush(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM events WHERE sealed IS NULL").await, 0);
    Deleting::new(&app, &shop).await.delete().await;
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM events").await, 2, "the other project's");
    // One that was written a moment later goes when the job looks again.
    app.sign_in(&other).await;
    flush(&app.app).await.unwrap();
    let user = shop.user;
    let forge = |conn: Conn| async move {
        tessera::execute!(
            &conn,
            "UPDATE events SET project_id = (SELECT project_id FROM deletions), user_id = $1
             WHERE id IN (SELECT id FROM events ORDER BY id DESC LIMIT 1)",
            user
        )
    };
    assert_eq!(app.app.db.write(forge).await.unwrap(), 1);
    app.app.clock.advance(120);
    crate::jobs::run_well(&app.app).await;
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM events").await, 3);
}

async fn a_project_may_keep_none(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    let settings = json!({"settings": {"retention": {"sign_in_events_days": 0}}});
    app.admin_patch(&admin, "/projects/shop", settings).await.ok();
    app.sign_in(&shop).await;
    assert_eq!(events(&app, &admin, "").await, [Value::Null; 0]);
}
