//! `/admin/projects/{project}/sandbox`: the clock, what is caught, faults, and the way back to the start.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tessera::ids::ProjectId;
use tessera::jobs::run_due;
use tessera::model::proxies::{ForwardedHeader, TrustedProxies};
use tessera::store::db::Conn;

use crate::support::{
    Deleting, Desk, Engine, NEW_PASSWORD, PASSWORD, Shop, SmtpServer, TestApp, both_engines, number, run,
};

both_engines!(
    thirty_days_pass_in_one_call,
    the_clock_goes_one_way_and_not_too_far,
    the_clock_is_set,
    another_node_goes_by_the_same_clock,
    what_was_scheduled_is_done_by_then,
    nothing_leaves_the_house,
    what_is_asked_for_by_mail_is_caught,
    the_next_requests_fail_as_they_are_told,
    a_lost_response_was_an_act_all_the_same,
    a_proxy_is_told_of_a_lost_response,
    a_deleted_sandbox_is_emptied_by_everybodys_clock,
    what_was_caught_ends,
    faults_are_bounded,
    one_call_leads_back_to_the_start,
    a_seed_outlives_what_the_project_forgot,
    a_seed_knows_which_passwords_came_by_mail,
    live_projects_know_none_of_this,
    another_project_is_not_reached,
);

const DAY: i64 = 86_400;

/// A shop in a sandbox, and the desk of an admin.
async fn sandbox<'a>(app: &'a TestApp, slug: &str) -> (Shop, Desk<'a>) {
    let shop = app.shop(slug, "confidential").await;
    make_sandbox(app, shop.project).await;
    let desk = app.desk(&shop, "admin").await;
    (shop, desk)
}

/// As it would be, had it been one from the beginning: there is no other way.
async fn make_sandbox(app: &TestApp, project: ProjectId) {
    let change = |conn: Conn| async move {
        tessera::execute!(
            &conn,
            "UPDATE projects SET kind = 'sandbox', version = version + 1 WHERE id = $1",
            project
        )
    };
    assert_eq!(app.app.db.write(change).await.unwrap(), 1);
}

async fn advance(desk: &Desk<'_>, seconds: i64) -> Value {
    desk.post("/sandbox/clock", json!({"advance_seconds": seconds})).await.ok()
}

async fn thirty_days_pass_in_one_call(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    assert_eq!(
        desk.get("/sandbox/clock").await.ok(),
        json!({"now": "2027-01-15T08:00:00Z", "offset_seconds": 0})
    );
    let tokens = app.sign_in(&shop).await;
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
    let later = advance(&desk, 30 * DAY).await;
    assert_eq!(
        later,
        json!({"now": "2027-02-14T08:00:00Z", "offset_seconds": 30 * DAY, "deletions_executed": 0})
    );
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "expired");
    let refused = app.refresh(&shop, tokens.get("refresh_token")).await;
    assert_eq!((refused.status, &refused.body["error"]), (400, &json!("invalid_grant")));
    // Life goes on from there, by the clock of the sandbox.
    let tokens = app.sign_in(&shop).await;
    let verified = app.verify(&shop, tokens.get("access_token")).await;
    assert_eq!(
        (&verified["active"], &verified["claims"]["iat"]),
        (&json!(true), &json!(1_800_000_000 + 30 * DAY))
    );
    let audit = desk.get("/audit?action=sandbox.clock_advanced").await.ok();
    assert_eq!(audit["items"][0]["detail"], json!({"seconds": 30 * DAY}));
}

async fn the_clock_goes_one_way_and_not_too_far(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (_, desk) = sandbox(&app, "try").await;
    let bound = "advance_seconds must lie between 1 and 315360000";
    for seconds in [0, -1, 3650 * DAY + 1] {
        let answer = desk.post("/sandbox/clock", json!({"advance_seconds": seconds})).await;
        answer.refused_for(400, "invalid_request", "advance_seconds", bound);
    }
    advance(&desk, 3650 * DAY - 5).await;
    let far = "the clock would be more than ten years ahead; make another sandbox";
    let answer = desk.post("/sandbox/clock", json!({"advance_seconds": 6})).await;
    answer.refused_for(409, "conflict", "advance_seconds", far);
    advance(&desk, 5).await;
    assert_eq!(desk.get("/sandbox/clock").await.ok()["offset_seconds"], 3650 * DAY);
}

async fn the_clock_is_set(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    let tokens = app.sign_in(&shop).await;
    let set = async |now: &str| desk.post("/sandbox/clock", json!({"now": now})).await;
    let shown = set("2027-03-01T00:00:00.5Z").await.ok();
    let ahead = 44 * DAY + 16 * 3600 + 1;
    assert_eq!(
        shown,
        json!({"now": "2027-03-01T00:00:01Z", "offset_seconds": ahead, "deletions_executed": 0})
    );
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "expired");
    let audit = desk.get("/audit?action=sandbox.clock_advanced").await.ok();
    assert_eq!(audit["items"][0]["detail"], json!({"to": "2027-03-01T00:00:00.5Z"}));
    // Where it stands, it need not be set; and it never goes back.
    let past = "the clock shows a later time, and never goes back";
    for now in ["2027-03-01T00:00:01Z", "2027-02-28T23:59:59Z", "1970-01-01T00:00:00Z"] {
        set(now).await.refused_for(409, "conflict", "now", past);
    }
    let far = "the clock would be more than ten years ahead; make another sandbox";
    set("2037-01-13T00:00:00Z").await.refused_for(409, "conflict", "now", far);
    set("9999-12-31T23:59:59Z").await.refused_for(409, "conflict", "now", far);
    let no_time = "now must be a time such as 2027-01-15T08:00:00Z";
    set("tomorrow").await.refused_for(400, "invalid_request", "now", no_time);
    for (body, why) in [
        (json!({}), "advance_seconds or now is missing"),
        (
            json!({"advance_seconds": 1, "now": "2027-03-02T00:00:00Z"}),
            "advance_seconds and now do not go together",
        ),
    ] {
        desk.post("/sandbox/clock", body).await.refused(400, "invalid_request", why);
    }
    assert_eq!(desk.get("/sandbox/clock").await.ok()["offset_seconds"], ahead);
    // Of two at once the later moment stays, and neither is added to the other.
    let (one, other) = tokio::join!(set("2027-05-01T00:00:00Z"), set("2027-06-01T00:00:00Z"));
    assert!(other.status == 200 && [200, 409].contains(&one.status), "{} {}", one.body, other.body);
    assert_eq!(desk.get("/sandbox/clock").await.ok()["now"], "2027-06-01T00:00:00Z");
}

async fn another_node_goes_by_the_same_clock(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let (shop, desk) = sandbox(&app, "try").await;
    let tokens = node.sign_in(&shop).await;
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["active"], true);
    advance(&desk, 30 * DAY).await;
    assert_eq!(node.verify(&shop, tokens.get("access_token")).await["reason"], "expired");
}

async fn what_was_scheduled_is_done_by_then(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    desk.patch("", json!({"settings": {"deletion_restore_days": 14}})).await.ok();
    let deleting = Deleting::new(&app, &shop).await;
    let id = deleting.asked().await;
    assert_eq!(deleting.confirm(&id, "alice").await.ok()["state"], "scheduled");
    assert_eq!(advance(&desk, 14 * DAY - 1).await["deletions_executed"], 0);
    assert_eq!(deleting.show(&id).await.ok()["state"], "scheduled");
    assert_eq!(advance(&desk, 1).await["deletions_executed"], 1);
    assert_eq!(deleting.show(&id).await.ok()["state"], "executed");
    assert_eq!(advance(&desk, DAY).await["deletions_executed"], 0);
}

async fn nothing_leaves_the_house(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let (shop, desk) = sandbox(&app, "try").await;
    Deleting::new(&app, &shop).await.delete().await;
    // A live project beside it sends.
    let live = app.shop("live", "confidential").await;
    Deleting::new(&app, &live).await.delete().await;
    run_due(&app.app).await.unwrap();
    assert_eq!(server.received().len(), 1);
    let caught = desk.get("/sandbox/messages").await.ok();
    let message = &caught["items"][0];
    assert_eq!((&message["kind"], &message["content"]["to"]), (&json!("mail"), &json!("alice@example.com")));
    assert_eq!(message["content"]["subject"], "Your account at try has been deleted");
    assert_eq!((caught["items"].as_array().unwrap().len(), &caught["next"]), (1, &Value::Null));
    // Nor later.
    app.app.clock.advance(3600);
    run_due(&app.app).await.unwrap();
    assert_eq!(server.received().len(), 1);
}

/// A sandbox decides about requests like everybody, whatever its clock says, and keeps the letters.
async fn what_is_asked_for_by_mail_is_caught(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    desk.patch(&format!("/users/{}", shop.user), json!({"email_verified": true})).await.ok();
    advance(&desk, 3 * DAY).await;
    app.forget(&shop, "alice").await;
    assert!(mailbox.take(&app).await.is_empty());
    let caught = desk.get("/sandbox/messages").await.ok();
    assert_eq!(caught["items"].as_array().unwrap().len(), 1, "{caught}");
    let content = &caught["items"][0]["content"];
    assert_eq!(content["subject"], "Choose a new password for try");
    let text = content["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.contains("://")).unwrap();
    let fields = [("password", NEW_PASSWORD), ("again", NEW_PASSWORD)];
    assert_eq!(app.follow_link(link, &fields).await.status, 200);
    assert!(app.signs_in(&shop, ("alice", NEW_PASSWORD)).await);
}

async fn the_next_requests_fail_as_they_are_told(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    let tokens = app.sign_in(&shop).await;
    let fault = json!({"endpoint": "api/refresh", "kind": "unavailable", "times": 2});
    let armed = desk.post("/sandbox/faults", fault).await.created();
    assert_eq!((&armed["endpoint"], &armed["remaining"]), (&json!("api/refresh"), &json!(2)));
    assert_eq!(desk.get("/sandbox/faults").await.ok()["items"], json!([armed]));
    for _ in 0..2 {
        let away = app.refresh(&shop, tokens.get("refresh_token")).await;
        assert_eq!((away.status, &away.body["error"]), (503, &json!("temporarily_unavailable")));
        assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true, "another endpoint");
    }
    app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    assert_eq!(desk.get("/sandbox/faults").await.ok()["items"], json!([]));

    desk.post("/sandbox/faults", json!({"endpoint": "*", "kind": "delay", "delay_ms": 300})).await.created();
    let begun = Instant::now();
    app.verify(&shop, tokens.get("access_token")).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));

    desk.post("/sandbox/faults", json!({"endpoint": "*", "kind": "unavailable", "times": 9})).await.created();
    assert_eq!(desk.send(Method::DELETE, "/sandbox/faults", None, None).await.ok(), json!({"disarmed": 3}));
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
}

/// What clients have to live with: the act is done, and nobody tells them. The retry gets the same successor.
async fn a_lost_response_was_an_act_all_the_same(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    let tokens = app.sign_in(&shop).await;
    desk.post("/sandbox/faults", json!({"endpoint": "api/refresh", "kind": "lose_response"})).await.created();
    let body = json!({"refresh_token": tokens.get("refresh_token")});
    let url = app.project_url(&shop, "/api/refresh");
    let secret = shop.secret.as_deref();
    let lost = app.http.post(url).basic_auth(&shop.id, secret).json(&body).send().await;
    assert!(lost.is_err(), "an answer came");
    let retried = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    assert_ne!(retried["refresh_token"], *tokens.get("refresh_token"));
    let again = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    assert_eq!(again["refresh_token"], retried["refresh_token"]);
}

/// A proxy would take a cut connection for a broken node.
async fn a_proxy_is_told_of_a_lost_response(engine: Engine) {
    let proxies = TrustedProxies::parse(["127.0.0.1"], ForwardedHeader::XForwardedFor).unwrap();
    let app = TestApp::changed(engine, |app| app.proxies = proxies).await;
    let (shop, desk) = sandbox(&app, "try").await;
    let tokens = app.sign_in(&shop).await;
    desk.post("/sandbox/faults", json!({"endpoint": "api/refresh", "kind": "lose_response"})).await.created();
    let body = json!({"refresh_token": tokens.get("refresh_token")});
    let request = app.http.post(app.project_url(&shop, "/api/refresh"));
    let lost = request.basic_auth(&shop.id, shop.secret.as_deref()).json(&body).send().await.unwrap();
    assert_eq!((lost.status().as_u16(), lost.text().await.unwrap().as_str()), (504, ""));
    app.refresh(&shop, tokens.get("refresh_token")).await.ok();
}

async fn a_deleted_sandbox_is_emptied_by_everybodys_clock(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    advance(&desk, 3650 * DAY).await;
    let owner = app.admin_key(None, "owner").await;
    app.admin_delete(&owner, "/projects/try").await.ok();
    app.app.clock.advance(1200);
    run_due(&app.app).await.unwrap();
    #[derive(sqlx::FromRow)]
    struct Id {
        #[expect(dead_code, reason = "its rows are counted")]
        id: tessera::ids::UserId,
    }
    let project = shop.project;
    let left = |conn: Conn| async move {
        tessera::fetch_all!(&conn, Id, "SELECT id FROM users WHERE project_id = $1", project)
    };
    assert_eq!(app.app.db.read(left).await.unwrap().len(), 0);
}

async fn what_was_caught_ends(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    Deleting::new(&app, &shop).await.delete().await;
    let caught = async || desk.get("/sandbox/messages").await.ok()["items"].as_array().unwrap().len();
    app.app.clock.advance(7 * DAY - 1);
    run_due(&app.app).await.unwrap();
    assert_eq!(caught().await, 1);
    app.app.clock.advance(3600);
    run_due(&app.app).await.unwrap();
    assert_eq!(caught().await, 0);
}

async fn faults_are_bounded(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (_, desk) = sandbox(&app, "try").await;
    let route = "endpoint is * or a route under the project, such as api/refresh or oauth2/token";
    let delay = "delay_ms must lie between 1 and 10000";
    for (fault, field, bound) in [
        (json!({"endpoint": "/api/refresh", "kind": "delay", "delay_ms": 5}), "endpoint", route),
        (json!({"endpoint": "", "kind": "unavailable"}), "endpoint", route),
        (json!({"endpoint": "*", "kind": "delay"}), "delay_ms", delay),
        (json!({"endpoint": "*", "kind": "delay", "delay_ms": 10_001}), "delay_ms", delay),
        (
            json!({"endpoint": "*", "kind": "unavailable", "delay_ms": 5}),
            "delay_ms",
            "delay_ms is for the kind delay alone",
        ),
        (
            json!({"endpoint": "*", "kind": "unavailable", "times": 0}),
            "times",
            "times must lie between 1 and 1000",
        ),
    ] {
        desk.post("/sandbox/faults", fault).await.refused_for(400, "invalid_request", field, bound);
    }
    let fault = json!({"endpoint": "api/refresh", "kind": "unavailable"});
    for _ in 0..20 {
        desk.post("/sandbox/faults", fault.clone()).await.created();
    }
    let most = "a sandbox has at most 20 faults at a time";
    desk.post("/sandbox/faults", fault).await.refused(409, "conflict", most);
}

async fn one_call_leads_back_to_the_start(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    let none = "the sandbox has no seed: plant one first";
    desk.post("/sandbox/reset", json!({})).await.refused(404, "not_found", none);
    desk.define(&["tier"], &["cook"], &["kitchen"]).await;
    let user = json!(shop.user);
    desk.update(json!({"user": user, "set": {"tier": "gold"}, "roles": {"add": ["cook"]}, "groups": {"add": ["kitchen"]}}))
        .await
        .ok();
    let before = desk.get(&format!("/users/{}", shop.user)).await.ok();
    assert_eq!(desk.post("/sandbox/seed", json!({})).await.ok(), json!({"users": 1}));

    let tokens = app.sign_in(&shop).await;
    desk.post("/users", json!({"username": "bob", "password": PASSWORD})).await.created();
    desk.post("/sandbox/faults", json!({"endpoint": "api/nothing", "kind": "unavailable"})).await.created();
    advance(&desk, 30 * DAY).await;
    Deleting::new(&app, &shop).await.delete().await;
    assert_eq!(desk.post("/sandbox/reset", json!({})).await.ok(), json!({"users": 1}));

    let after = desk.get("/users").await.ok();
    let (after, mut expected) = (&after["items"], before);
    expected["created_at"] = after[0]["created_at"].clone();
    expected["updated_at"] = after[0]["updated_at"].clone();
    expected["version"] = after[0]["version"].clone();
    expected["last_sign_in_at"] = Value::Null;
    assert_eq!(after, &json!([expected]));
    // Time does not go back, or what had expired would live again.
    assert_eq!(desk.get("/sandbox/clock").await.ok()["offset_seconds"], 30 * DAY);
    assert_eq!(desk.get("/sandbox/faults").await.ok()["items"], json!([]));
    assert_eq!(desk.get("/sandbox/messages").await.ok()["items"], json!([]));
    // What was before does not come back, and the person signs in as ever.
    let verified = app.verify(&shop, tokens.get("access_token")).await;
    assert_eq!(verified["active"], false, "{verified}");
    let tokens = app.sign_in(&shop).await;
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["claims"]["roles"], json!(["cook"]));
    // The log tells it all.
    let audit = desk.get("/audit?action=sandbox.reset").await.ok();
    assert_eq!(audit["items"][0]["detail"], json!({"users": 1}));
    assert_eq!(desk.post("/sandbox/reset", json!({})).await.ok(), json!({"users": 1}));
}

async fn a_seed_outlives_what_the_project_forgot(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    desk.define(&[], &["cook", "waiter"], &[]).await;
    desk.update(json!({"user": shop.user, "roles": {"add": ["cook", "waiter"]}})).await.ok();
    desk.post("/sandbox/seed", json!({})).await.ok();
    for path in ["/sandbox/seed", "/sandbox/reset"] {
        let refused = desk.post(path, json!({"users": [shop.user]})).await;
        refused.refused_for(400, "invalid_request", "users", "unknown field users");
    }
    desk.delete("/roles/cook").await.ok();
    desk.post("/sandbox/reset", json!({})).await.ok();
    assert_eq!(desk.get(&format!("/users/{}", shop.user)).await.ok()["roles"], json!(["waiter"]));
}

async fn a_seed_knows_which_passwords_came_by_mail(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    desk.post("/users", json!({"username": "bob", "password": PASSWORD})).await.created();
    let by_mail = "UPDATE credentials SET by_mail = TRUE WHERE user_id IN
        (SELECT id FROM users WHERE username_key = 'alice')";
    run(&app.app.db, by_mail).await;
    desk.post("/sandbox/seed", json!({})).await.ok();
    let set = json!({"password": "violet stapler harbour"});
    desk.post(&format!("/users/{}/set-password", shop.user), set).await.ok();
    desk.post("/sandbox/reset", json!({})).await.ok();
    let all = "SELECT count(*) AS n FROM credentials WHERE by_mail";
    let alices = "SELECT count(*) AS n FROM credentials c
        JOIN users u ON u.project_id = c.project_id AND u.id = c.user_id
        WHERE c.by_mail AND u.username_key = 'alice'";
    assert_eq!((number(&app.app.db, all).await, number(&app.app.db, alices).await), (1, 1));
}

const CALLS: [(&str, &str); 8] = [
    ("GET", "/sandbox/clock"),
    ("POST", "/sandbox/clock"),
    ("GET", "/sandbox/messages"),
    ("GET", "/sandbox/faults"),
    ("POST", "/sandbox/faults"),
    ("DELETE", "/sandbox/faults"),
    ("POST", "/sandbox/seed"),
    ("POST", "/sandbox/reset"),
];

fn body_of(method: &str, path: &str) -> Option<Value> {
    match (method, path) {
        ("POST", "/sandbox/clock") => Some(json!({"advance_seconds": 5})),
        ("POST", "/sandbox/faults") => Some(json!({"endpoint": "*", "kind": "unavailable"})),
        ("POST", _) => Some(json!({})),
        _ => None,
    }
}

async fn live_projects_know_none_of_this(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "owner").await;
    let tokens = app.sign_in(&shop).await;
    for (method, path) in CALLS {
        let answer = desk.send(method.parse().unwrap(), path, body_of(method, path), None).await;
        answer.refused(409, "conflict", "the project is live: this is for projects of the kind sandbox");
    }
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
}

async fn another_project_is_not_reached(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, desk) = sandbox(&app, "try").await;
    let (other, _) = sandbox(&app, "other").await;
    let theirs = desk.on(&other);
    for (method, path) in CALLS {
        let answer = theirs.send(method.parse().unwrap(), path, body_of(method, path), None).await;
        answer.refused(401, "invalid_token", "the admin key is not valid here");
    }
    let tokens = app.sign_in(&other).await;
    desk.post("/sandbox/faults", json!({"endpoint": "*", "kind": "unavailable"})).await.created();
    advance(&desk, 30 * DAY).await;
    desk.post("/sandbox/seed", json!({})).await.ok();
    desk.post("/sandbox/reset", json!({})).await.ok();
    assert_eq!(app.verify(&other, tokens.get("access_token")).await["active"], true);
    app.sign_in(&shop).await;
}
