//! `/admin/projects/{project}/audit` and `/admin/audit`: what happened, found again.

use serde_json::{Value, json};

use crate::support::{Engine, Shop, TestApp, both_engines};

both_engines!(
    filters_find,
    both_directions_in_pages,
    bad_input,
    keys_and_roles,
    pages_hold_while_events_come,
    what_is_personal_is_opened
);

async fn actions(app: &TestApp, key: &str, query: &str) -> Vec<String> {
    let read = app.admin_get(key, &format!("/projects/shop/audit?{query}")).await.ok();
    read["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["action"].as_str().unwrap().to_owned())
        .collect()
}

/// Client created, user created, keys made; then, an hour each: two changes, a sign-out, a disabled client.
async fn story(app: &TestApp) -> (Shop, String) {
    let shop = app.shop("shop", "confidential").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    for name in ["One", "Two"] {
        app.app.clock.advance(3600);
        app.admin_patch(&admin, "/projects/shop", json!({"name": name})).await.ok();
    }
    app.app.clock.advance(3600);
    app.bearer(&shop, "GlobalSignOut", &admin, json!({"user": shop.user})).await.ok();
    app.app.clock.advance(3600);
    let path = format!("/projects/shop/clients/{}", shop.id);
    app.admin_patch(&admin, &path, json!({"status": "disabled"})).await.ok();
    (shop, admin)
}

async fn filters_find(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, admin) = story(&app).await;
    let auditor = app.admin_key(None, "auditor").await;
    let of = |query: &str| {
        let query = query.to_owned();
        let (app, auditor) = (&app, &auditor);
        async move { actions(app, auditor, &query).await }
    };
    let all = of("").await;
    let key = "signing_key.created";
    let made = ["admin_key.created", "user.created", "client.created", key, key, "project.created"];
    let since = ["client.disabled", "user.signed_out", "project.changed", "project.changed"];
    assert_eq!(all, [&since[..], &made].concat());
    assert_eq!(of("action=project.changed").await, ["project.changed"; 2]);
    assert_eq!(of("since=2027-01-15T11:00:00Z").await, ["client.disabled", "user.signed_out"]);
    assert_eq!(of("until=2027-01-15T09:00:00Z").await, made);
    assert_eq!(of("since=2027-01-15T09:00:00Z&until=2027-01-15T10:00:00Z").await, ["project.changed"]);
    assert_eq!(of(&format!("target=client:{}", shop.id)).await, ["client.disabled", "client.created"]);
    assert_eq!(of(&format!("user={}", shop.user)).await, ["user.signed_out", "user.created"]);
    assert_eq!(of(&format!("user={}&action=user.created", shop.user)).await, ["user.created"]);
    assert_eq!(of("actor=command_line").await, made);
    assert_eq!(of("actor=nobody").await, [""; 0]);

    let event = app.admin_get(&admin, "/projects/shop/audit?action=project.changed&limit=1").await.ok();
    let event = event["items"][0].clone();
    let keys = app.admin_get(&app.admin_key(None, "owner").await, "/admin-keys?project=shop").await.ok();
    let expected = json!({"seq": event["seq"], "at": "2027-01-15T10:00:00Z", "action": "project.changed",
        "actor": format!("admin_key:{}", keys["items"][0]["id"].as_str().unwrap()), "actor_kind": "admin_key",
        "target": format!("project:{}", shop.project), "reason": "", "request_id": event["request_id"], "personal": null,
        "origin": {"address": "127.0.0.1", "user_agent": ""},
        "detail": {"changed": {"name": {"from": "One", "to": "Two"}}}});
    assert_eq!(event, expected);
    assert!(event["request_id"].as_str().unwrap().len() > 20);
    // People appear by hash only.
    let whole = app.admin_get(&admin, "/projects/shop/audit").await.ok().to_string();
    assert!(!whole.contains(&shop.user.to_string()) && !whole.contains("alice"));
}

async fn read_all(app: &TestApp, key: &str, query: &str) -> Vec<i64> {
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/projects/shop/audit?{query}{after}");
        let page = app.admin_get(key, &path).await.ok();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(items.iter().map(|event| event["seq"].as_i64().unwrap()));
        let Some(next) = page["next"].as_str() else { return seen };
        after = format!("&after={next}");
    }
}

async fn both_directions_in_pages(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (_, admin) = story(&app).await;
    let upwards = read_all(&app, &admin, "limit=3&order=asc").await;
    let downwards: Vec<i64> = upwards.iter().rev().copied().collect();
    assert!(upwards.len() > 6);
    assert_eq!(upwards, (1..=downwards[0]).collect::<Vec<_>>(), "nothing is missing, nothing comes twice");
    assert_eq!(read_all(&app, &admin, "limit=3&order=desc").await, downwards);
    assert_eq!(read_all(&app, &admin, "limit=2").await, downwards);
    let changes = read_all(&app, &admin, "limit=1&order=asc&action=project.changed").await;
    assert_eq!(changes.len(), 2);
    assert_eq!(read_all(&app, &admin, "limit=1&action=project.changed").await, [changes[1], changes[0]]);
    let none = app.admin_get(&admin, "/projects/shop/audit?after=1").await.ok();
    assert_eq!(none, json!({"items": [], "next": Value::Null}));
}

async fn bad_input(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, admin) = story(&app).await;
    let long = "x".repeat(201);
    for (query, field, why) in [
        ("limit=201", "limit", "limit must lie between 1 and 200"),
        ("order=up", "order", "order must be asc or desc"),
        ("since=yesterday", "since", "since must be a time such as 2027-01-15T08:00:00Z"),
        ("until=2027-01-15", "until", "until must be a time such as 2027-01-15T08:00:00Z"),
        ("user=alice", "user", "user must be a user's id"),
        ("page=1", "page", "unknown parameter page"),
        ("limit=1&limit=2", "limit", "duplicate parameter limit"),
    ] {
        let answer = app.admin_get(&admin, &format!("/projects/shop/audit?{query}")).await;
        answer.refused_for(400, "invalid_request", field, why);
    }
    let answer = app.admin_get(&admin, &format!("/projects/shop/audit?actor={long}")).await;
    answer.refused_for(400, "invalid_request", "actor", "actor has at most 200 bytes");
    let both = format!("/projects/shop/audit?user={}&target=x", shop.user);
    let why = "user and target are two names for the same thing: give one";
    app.admin_get(&admin, &both).await.refused_for(400, "invalid_request", "user", why);
    let all = app.admin_key(None, "auditor").await;
    let answer = app.admin_get(&all, &format!("/audit?user={}", shop.user)).await;
    answer.refused_for(400, "invalid_request", "user", "the instance's own events are about no user");
}

async fn keys_and_roles(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "public").await, app.shop("other", "public").await);
    let foreign = app.admin_key(Some(other.project), "owner").await;
    let path = "/projects/shop/audit";
    app.admin_get(&foreign, path).await.refused(401, "invalid_token", "the admin key is not valid here");
    let manager = app.admin_key(Some(shop.project), "user_manager").await;
    app.admin_get(&manager, path).await.refused(403, "forbidden", "the role user_manager may not do this");
    // A project's chain has nothing of another's; the user of one project is nobody in another's.
    let theirs = app.admin_get(&foreign, "/projects/other/audit").await.ok().to_string();
    assert!(!theirs.contains(&shop.id) && theirs.contains(&other.id));
    let nobody = app.admin_get(&foreign, &format!("/projects/other/audit?user={}", shop.user)).await.ok();
    assert_eq!(nobody["items"], json!([]));
    // The instance's chain is for keys of all projects.
    let own = app.admin_key(Some(shop.project), "owner").await;
    app.admin_get(&own, "/audit").await.refused(403, "forbidden", "a key for one project may not do this");
    let all = app.admin_key(None, "auditor").await;
    let events = app.admin_get(&all, "/audit").await.ok();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    assert_eq!(events["items"][0]["action"], "admin_key.created");
}

/// Newest first: what comes while we read lies before the first page and shifts nothing.
async fn pages_hold_while_events_come(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (_, admin) = story(&app).await;
    let first = app.admin_get(&admin, "/projects/shop/audit?limit=4").await.ok();
    app.admin_patch(&admin, "/projects/shop", json!({"name": "Meanwhile"})).await.ok();
    let after = first["next"].as_str().unwrap();
    let rest = app.admin_get(&admin, &format!("/projects/shop/audit?after={after}")).await.ok();
    let seqs = rest["items"].as_array().unwrap().iter().map(|event| event["seq"].as_i64().unwrap());
    let expected: Vec<i64> = (1..after.parse().unwrap()).rev().collect();
    assert_eq!(seqs.collect::<Vec<_>>(), expected);
}

async fn what_is_personal_is_opened(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let auditor = app.admin_key(Some(shop.project), "auditor").await;
    let tokens = app.sign_in(&shop).await;
    let url = app.project_url(&shop, "/api/GlobalSignOut");
    let request =
        app.http.post(url).bearer_auth(tokens.get("access_token")).header("user-agent", "Mosaic/2.6");
    request.send().await.unwrap().error_for_status().unwrap();
    let read = async || {
        let path = format!("/projects/shop/audit?user={}", shop.user);
        let events = app.admin_get(&auditor, &path).await.ok();
        let events = events["items"].as_array().unwrap().clone();
        events
            .into_iter()
            .map(|mut event| (event["action"].take(), event["personal"].take()))
            .collect::<Vec<_>>()
    };
    let personal = json!({"address": "127.0.0.1", "user_agent": "Mosaic/2.6"});
    let kept = [(json!("user.signed_out"), personal), (json!("user.created"), Value::Null)];
    assert_eq!(read().await, kept);
    // An entry that was tampered with hides itself alone.
    let spoil = "UPDATE audit_log SET sealed = hash, origin = hash WHERE sealed IS NOT NULL";
    app.app.db.write(|conn| async move { tessera::execute!(&conn, spoil) }).await.unwrap();
    let kept = kept.map(|(action, _)| (action, Value::Null));
    assert_eq!(read().await, kept);
}
