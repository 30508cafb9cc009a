//! What a deletion says when it is done: the event of the log as a whole, and the letter in the words of project and person.

use reqwest::Method;
use serde_json::json;
use tessera::audit::user_name;
use tessera::jobs::run_due;

use crate::support::{Deleting, Engine, REASON, TestApp, both_engines};

both_engines!(the_event_as_a_whole, a_letter_in_german, a_letter_in_words_of_the_project);

const DAY: i64 = 86_400;

async fn the_event_as_a_whole(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.sign_in(&shop).await;
    let (key_id, key) =
        tessera::projects::create_admin_key(&app.app, Some(shop.project), "test", "admin").await.unwrap();
    let (by, target) = (format!("admin_key:{key_id}"), user_name(&app.ctx(&shop).await, shop.user));
    let admin = Deleting { app: &app, shop: &shop, key: key.expose().to_owned() };
    let id = admin.asked().await;
    app.app.clock.advance(60);
    let url = app.project_url(&shop, "/api/delete-user/confirm");
    let body = json!({"deletion_id": id, "confirmation": "alice"});
    let done = app.http.post(url).bearer_auth(&admin.key).json(&body).send().await.unwrap();
    assert_eq!(done.status(), 200);
    let request_id = done.headers()["x-request-id"].to_str().unwrap().to_owned();
    let log = app.desk(&shop, "auditor").await.get("/audit?action=user.deleted").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
    let event = log["items"][0].clone();
    let expected = json!({
        "seq": event["seq"], "at": "2027-01-15T08:01:00Z", "action": "user.deleted", "actor": by,
        "actor_kind": "admin_key", "target": target, "reason": REASON, "request_id": request_id, "personal": null,
        "origin": {"address": "127.0.0.1", "user_agent": ""},
        "detail": {"deletion_id": id, "method": "typed", "notify": true, "requested_by": by, "confirmed_by": by,
            "told": true, "impact": {"families": 1, "browser_sessions": 1, "factors": 1, "groups": 0,
                "audit_events_kept": 2}},
    });
    assert_eq!(event, expected);
}

/// Executed at once, and on its day.
async fn a_letter_in_german(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    for (slug, days) in [("shop", 0), ("other", 14)] {
        let shop = app.shop(slug, "confidential").await;
        let desk = app.desk(&shop, "admin").await;
        desk.patch(&format!("/users/{}", shop.user), json!({"locale": "de-AT"})).await.ok();
        let admin = Deleting::new(&app, &shop).await;
        admin.settings(json!({"deletion_restore_days": days})).await;
        let id = admin.asked().await;
        admin.confirm(&id, "alice").await.ok();
        if days > 0 {
            mailbox.one(&app, "alice@example.com").await;
            app.app.clock.advance(days * DAY);
            run_due(&app.app).await.unwrap();
        }
        assert_eq!(admin.show(&id).await.ok()["state"], "executed");
        let letter = mailbox.one(&app, "alice@example.com").await;
        assert_eq!(letter.subject, format!("Ihr Konto bei {slug} wurde gelöscht"));
        let said = format!("Ihr Konto bei {slug} wurde gelöscht, und Sie wurden überall abgemeldet.");
        assert!(letter.text.starts_with("Guten Tag,\n") && letter.text.contains(&said), "{}", letter.text);
    }
}

async fn a_letter_in_words_of_the_project(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    for (slug, days) in [("shop", 0), ("other", 14)] {
        let shop = app.shop(slug, "confidential").await;
        let desk = app.desk(&shop, "admin").await;
        let words = json!({"subject": "Lebewohl von {project}", "text": "Es ist getan.\n\nIhr {project}"});
        desk.send(Method::PUT, "/mail-templates/account_deleted/de", Some(words), None).await.ok();
        desk.patch(&format!("/users/{}", shop.user), json!({"locale": "de"})).await.ok();
        let admin = Deleting::new(&app, &shop).await;
        admin.settings(json!({"deletion_restore_days": days})).await;
        let id = admin.asked().await;
        let confirmed = admin.confirm(&id, "alice").await.ok();
        if confirmed["state"] == "scheduled" {
            mailbox.one(&app, "alice@example.com").await;
            app.app.clock.advance(days * DAY);
            run_due(&app.app).await.unwrap();
        }
        let letter = mailbox.one(&app, "alice@example.com").await;
        assert_eq!(letter.subject, format!("Lebewohl von {slug}"));
        assert_eq!(letter.text.trim_end(), format!("Es ist getan.\n\nIhr {slug}"));
    }
}
