//! `/admin/projects/{project}/webhooks`: what is sent there, how it is signed, and what becomes of it when nobody listens.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tessera::jobs::run_due;

use crate::support::{Deleting, Engine, Received, Receiver, TestApp, both_engines, status};

both_engines!(
    deletions_are_told_and_signed,
    scheduled_and_called_off,
    nothing_is_told_that_did_not_happen,
    the_dead_are_sent_again,
    a_deleted_webhook_gets_nothing,
    registered_within_bounds,
    another_project_has_its_own,
);

/// Registers a webhook; gives its id and its secret.
async fn hook(admin: &Deleting<'_>, uri: &str) -> (String, String) {
    let path = format!("/projects/{}/webhooks", admin.shop.slug);
    let made = admin.app.admin_post(&admin.key, &path, json!({"uri": uri})).await.created();
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

/// The event, if its signature is right.
fn verified(received: &Received, secret: &str) -> Value {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let header = |name: &str| received.header(name).unwrap().to_owned();
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), received.body);
    let signature = header("webhook-signature");
    let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes(), &tag).unwrap();
    assert_eq!(received.header("content-type"), Some("application/json"));
    serde_json::from_str(&received.body).unwrap()
}

async fn deletions_are_told_and_signed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let server = Receiver::start().await;
    let (_, secret) = hook(&admin, &server.url("/events")).await;
    let id = admin.delete().await;
    run_due(&app.app).await.unwrap();
    let received = server.received();
    assert_eq!((received.len(), received[0].line.as_str()), (1, "POST /events"));
    let event = verified(&received[0], &secret);
    let data = json!({"project": "shop", "user": shop.user, "deletion_id": id});
    assert_eq!(event, json!({"type": "user.deleted", "timestamp": "2027-01-15T08:00:00Z", "data": data}));
    // Once.
    app.app.clock.advance(3600);
    run_due(&app.app).await.unwrap();
    assert_eq!(server.received().len(), 1);
}

async fn scheduled_and_called_off(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    admin.settings(json!({"deletion_restore_days": 7})).await;
    let server = Receiver::start().await;
    let (_, secret) = hook(&admin, &server.url("/")).await;
    let id = admin.asked().await;
    admin.confirm(&id, "alice").await.ok();
    run_due(&app.app).await.unwrap();
    app.app.clock.advance(10);
    admin.cancel(&id).await.ok();
    run_due(&app.app).await.unwrap();
    let events: Vec<Value> = server.received().iter().map(|one| verified(one, &secret)).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["user.deletion_scheduled", "user.deletion_cancelled"]);
    assert_eq!(events[0]["data"]["execute_at"], "2027-01-22T08:00:00Z");
}

async fn nothing_is_told_that_did_not_happen(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let server = Receiver::start().await;
    hook(&admin, &server.url("/")).await;
    let id = admin.asked().await;
    assert_eq!(admin.confirm(&id, "bob").await.status, 403);
    admin.cancel(&id).await.ok();
    run_due(&app.app).await.unwrap();
    assert_eq!(server.received().len(), 0);
}

async fn the_dead_are_sent_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let server = Receiver::start().await;
    let (_, secret) = hook(&admin, &server.url("/")).await;
    server.react(status(500));
    admin.delete().await;
    run_due(&app.app).await.unwrap();
    // Beside it stands the letter to the user.
    let event = async |state: &str| {
        let listed = app.admin_get(&admin.key, &format!("/projects/shop/outbox?state={state}")).await.ok();
        let items = listed["items"].as_array().unwrap();
        items.iter().find(|item| item["kind"] == "webhook").unwrap().clone()
    };
    assert_eq!(event("waiting").await["last_error"], "http 500");
    app.app.clock.advance(8 * 86_400);
    run_due(&app.app).await.unwrap();
    let dead = event("dead").await;
    let id = dead["id"].as_str().unwrap();
    server.react(status(204));
    let before = server.received().len();
    app.admin_post(&admin.key, &format!("/projects/shop/outbox/{id}/retry"), json!({})).await.ok();
    app.app.clock.advance(3600);
    run_due(&app.app).await.unwrap();
    let received = server.received();
    assert_eq!(received.len(), before + 1);
    let last = received.last().unwrap();
    assert_eq!(last.header("webhook-id"), Some(id));
    assert_eq!(verified(last, &secret)["type"], "user.deleted");
}

async fn a_deleted_webhook_gets_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let server = Receiver::start().await;
    let (id, _) = hook(&admin, &server.url("/")).await;
    admin.delete().await;
    app.admin_delete(&admin.key, &format!("/projects/shop/webhooks/{id}")).await.ok();
    run_due(&app.app).await.unwrap();
    assert_eq!(server.received().len(), 0);
    let dead = app.admin_get(&admin.key, "/projects/shop/outbox?state=dead").await.ok();
    assert_eq!(
        (&dead["items"][0]["kind"], &dead["items"][0]["last_error"]),
        (&json!("webhook"), &json!("the webhook is gone"))
    );
    let again = app.admin_delete(&admin.key, &format!("/projects/shop/webhooks/{id}")).await;
    again.refused(404, "not_found", "no such webhook");
}

async fn registered_within_bounds(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let bound = "uri is https or http on a loopback address, of at most 2048 characters that RFC 3986 knows, without fragment or user information";
    for uri in
        ["http://example.com/", "https://u:p@example.com/", "ftp://example.com", "https://example.com/#a", ""]
    {
        desk.post("/webhooks", json!({"uri": uri})).await.refused_for(400, "invalid_request", "uri", bound);
    }
    for n in 0..5 {
        desk.post("/webhooks", json!({"uri": format!("https://example.com/{n}")})).await.created();
    }
    let sixth = desk.post("/webhooks", json!({"uri": "https://example.com/"})).await;
    sixth.refused(409, "conflict", "a project has at most 5 webhooks");
    let listed = desk.get("/webhooks").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 5);
    // The secret is told once.
    assert!(!listed.to_string().contains("secret"));
    let audit = desk.get("/audit?action=webhook.created").await.ok();
    assert!(!audit.to_string().contains("whsec_"));
}

async fn another_project_has_its_own(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (mine, theirs) = (Deleting::new(&app, &shop).await, Deleting::new(&app, &other).await);
    let server = Receiver::start().await;
    let (id, _) = hook(&mine, &server.url("/")).await;
    theirs.delete().await;
    run_due(&app.app).await.unwrap();
    assert_eq!(server.received().len(), 0);
    assert_eq!(app.admin_get(&theirs.key, "/projects/other/webhooks").await.ok()["items"], json!([]));
    let foreign = app.admin_delete(&theirs.key, &format!("/projects/other/webhooks/{id}")).await;
    foreign.refused(404, "not_found", "no such webhook");
    let key = app.admin_delete(&theirs.key, &format!("/projects/shop/webhooks/{id}")).await;
    key.refused(401, "invalid_token", "the admin key is not valid here");
}
