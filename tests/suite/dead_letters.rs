//! Letters that were given up: seen, and sent again while whom they are for is there; nothing of anybody stays for longer than it
//! has to.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::ids::OutboxId;
use tessera::jobs::run_due;
use tessera::mail::Mailer;
use tessera::mail::files;

use crate::jobs::{count, run_well};
use crate::support::{
    Deleting, Desk, Engine, Manner, PASSWORD, Shop, SmtpServer, TestApp, both_engines, link_of, run,
};

both_engines!(
    a_scheduled_letter_is_sent_again_and_objected_to,
    it_goes_with_its_user,
    of_somebody_erased_it_stays_for_a_week,
    a_letter_that_a_unit_beside_the_deletion_left_is_none,
);

const DAY: i64 = 86_400;

const NOTHING_LEFT: &str = "nothing is left of this message; what caused it has to be done again";

/// A node whose mail server knows nobody.
async fn refusing(engine: Engine) -> (TestApp, SmtpServer) {
    let manner = Manner { recipient: "550 5.1.1 no such user", ..Manner::default() };
    let server = SmtpServer::with(manner).await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    (app, server)
}

/// A day of attempts, after which what was refused is given up.
async fn give_up(app: &TestApp) {
    for _ in 0..5 {
        app.app.clock.advance(5);
        run_well(&app.app).await;
        app.app.clock.advance(DAY / 4);
    }
}

async fn retry(desk: &Desk<'_>, letter: &str) -> crate::support::Answer {
    desk.send(Method::POST, &format!("/outbox/{letter}/retry"), None, None).await
}

/// The one dead message.
async fn dead(desk: &Desk<'_>) -> Value {
    let page = desk.get("/outbox?state=dead").await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    page["items"][0].clone()
}

async fn scheduled(app: &TestApp, shop: &Shop) -> String {
    let admin = Deleting::new(app, shop).await;
    admin.settings(json!({"deletion_restore_days": 14})).await;
    run(&app.app.db, "UPDATE users SET email_verified = TRUE WHERE email IS NOT NULL").await;
    let id = admin.asked().await;
    assert_eq!(admin.confirm(&id, "alice").await.ok()["state"], "scheduled");
    id
}

async fn a_scheduled_letter_is_sent_again_and_objected_to(engine: Engine) {
    let (app, server) = refusing(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let id = scheduled(&app, &shop).await;
    give_up(&app).await;
    let desk = app.desk(&shop, "admin").await;
    let dead = dead(&desk).await;
    let letter = dead["id"].as_str().unwrap();
    let expected = json!({"id": letter, "kind": "mail", "state": "dead", "client_id": null, "attempts": 5,
        "last_error": "smtp 550", "next_attempt_at": null, "created_at": "2027-01-15T08:00:00Z",
        "finished_at": dead["finished_at"], "retryable": true});
    assert_eq!(dead, expected);
    // It stays while alice does, and nobody else reaches it.
    app.app.clock.advance(7 * DAY);
    run_well(&app.app).await;
    let foreign = app.desk(&other, "admin").await;
    assert_eq!(foreign.get("/outbox?state=dead").await.ok()["items"], json!([]));
    retry(&foreign, letter).await.refused(404, "not_found", "no such message");

    let mails = tempfile::tempdir().unwrap();
    let mended = app.second_node_changed(|app| app.mailer = Mailer::Files(mails.path().to_owned())).await;
    let revived = retry(&desk, letter).await.ok();
    assert_eq!((&revived["state"], &revived["attempts"]), (&json!("waiting"), &json!(0)));
    app.app.clock.advance(5);
    run_well(&mended.app).await;
    let letters = files::list(mails.path()).await.unwrap();
    assert_eq!((letters.len(), letters[0].to.as_str()), (1, "alice@example.com"));
    assert_eq!(letters[0].subject, "Your account at shop will be deleted");
    assert_eq!(app.follow_link(&link_of(&app, &letters[0]), &[]).await.status, 200);
    assert_eq!(Deleting::new(&app, &shop).await.show(&id).await.ok()["state"], "cancelled");
    assert!(app.signs_in(&shop, ("alice", PASSWORD)).await);
    assert!(server.received().is_empty());
    assert_eq!(
        count(&app.app, shop.project, "outbox", "state = 'delivered' AND sealed_body IS NULL").await,
        1
    );
}

async fn it_goes_with_its_user(engine: Engine) {
    let (app, _server) = refusing(engine).await;
    let shop = app.shop("shop", "confidential").await;
    scheduled(&app, &shop).await;
    give_up(&app).await;
    let letters = "kind = 'mail' AND state = 'dead' AND sealed_body IS NOT NULL AND user_id IS NOT NULL";
    assert_eq!(count(&app.app, shop.project, "outbox", letters).await, 1);
    let desk = app.desk(&shop, "admin").await;
    let letter = dead(&desk).await["id"].as_str().unwrap().to_owned();
    app.app.clock.advance(14 * DAY);
    run_due(&app.app).await.unwrap();
    assert_eq!(count(&app.app, shop.project, "outbox", "user_id IS NOT NULL").await, 0);
    retry(&desk, &letter).await.refused(404, "not_found", "no such message");
}

/// The notice that it is done bears nobody's id.
async fn of_somebody_erased_it_stays_for_a_week(engine: Engine) {
    let (app, server) = refusing(engine).await;
    let shop = app.shop("shop", "confidential").await;
    Deleting::new(&app, &shop).await.delete().await;
    give_up(&app).await;
    let desk = app.desk(&shop, "admin").await;
    let found = dead(&desk).await;
    let letter = found["id"].as_str().unwrap();
    assert_eq!((&found["retryable"], &found["kind"]), (&json!(true), &json!("mail")));
    // Sent again, and in vain: it begins no life beyond its own.
    app.app.clock.advance(5 * DAY);
    assert_eq!(retry(&desk, letter).await.ok()["state"], "waiting");
    run_well(&app.app).await;
    app.app.clock.advance(DAY);
    run_well(&app.app).await;
    let found = dead(&desk).await;
    assert_eq!((&found["last_error"], &found["retryable"]), (&json!("older than 7 days"), &json!(false)));
    assert_eq!(count(&app.app, shop.project, "outbox", "sealed_body IS NOT NULL").await, 0);
    retry(&desk, letter).await.refused(409, "conflict", NOTHING_LEFT);

    // One that is left alone is erased by the clean-up; one that is sent again in time arrives.
    let other = app.shop("other", "confidential").await;
    let third = app.shop("third", "confidential").await;
    for shop in [&other, &third] {
        Deleting::new(&app, shop).await.delete().await;
    }
    give_up(&app).await;
    let (desk, left) = (app.desk(&other, "admin").await, app.desk(&third, "admin").await);
    let letter: OutboxId = dead(&desk).await["id"].as_str().unwrap().parse().unwrap();
    server.behave(Manner::default());
    retry(&desk, &letter.to_string()).await.ok();
    run_well(&app.app).await;
    assert_eq!(
        (server.received().len(), &server.received()[0].to[..]),
        (1, &["alice@example.com".into()][..])
    );
    assert_eq!(dead(&left).await["retryable"], true);
    app.app.clock.advance(6 * DAY);
    run_well(&app.app).await;
    assert_eq!(dead(&left).await["retryable"], false);
    assert_eq!(count(&app.app, third.project, "outbox", "sealed_body IS NOT NULL").await, 0);
}

async fn a_letter_that_a_unit_beside_the_deletion_left_is_none(engine: Engine) {
    let (app, _server) = refusing(engine).await;
    let shop = app.shop("shop", "confidential").await;
    Deleting::new(&app, &shop).await.delete().await;
    // As if it had been written by somebody who had read the user before.
    let late = "UPDATE outbox SET user_id = (SELECT id FROM users WHERE status = 'deleted')";
    run(&app.app.db, late).await;
    give_up(&app).await;
    let anything = "sealed_body IS NOT NULL OR user_id IS NOT NULL";
    assert_eq!(count(&app.app, shop.project, "outbox", anything).await, 0);
    let desk = app.desk(&shop, "admin").await;
    // The look that follows a deletion takes it along, before or after.
    let page = desk.get("/outbox?state=dead").await.ok();
    for left in page["items"].as_array().unwrap() {
        assert_eq!(left["retryable"], false);
        retry(&desk, left["id"].as_str().unwrap()).await.refused(409, "conflict", NOTHING_LEFT);
    }
}
