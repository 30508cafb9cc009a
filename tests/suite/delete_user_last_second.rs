//! Who confirms, who cancels and what executes meet at one moment, on several nodes: one verdict, and everything fits it.

use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::session::delete_user::execute_due;

use crate::support::{Deleting, Engine, PASSWORD, TestApp, both_engines, number};

both_engines!(
    two_admins_confirm_and_cancel,
    two_admins_schedule_and_cancel,
    two_nodes_execute,
    a_restore_at_the_last_second,
    a_hold_at_the_last_second,
);

const ROUNDS: usize = 8;

const DAY: i64 = 86_400;

/// What the store says of alice, who is whole or gone.
async fn is_gone(app: &TestApp, admin: &Deleting<'_>) -> bool {
    let user = format!("/users/{}", admin.shop.user);
    let gone = app.desk(admin.shop, "auditor").await.get(&user).await.status == 404;
    assert_eq!(app.signs_in(admin.shop, ("alice", PASSWORD)).await, !gone);
    assert!(matches!(verify(&app.app.db, admin.shop.project).await.unwrap(), Verdict::Whole { .. }));
    gone
}

/// How often an action stands in the log of a project.
async fn events(app: &TestApp, admin: &Deleting<'_>, action: &str) -> usize {
    let desk = app.desk(admin.shop, "auditor").await;
    desk.get(&format!("/audit?action={action}")).await.ok()["items"].as_array().unwrap().len()
}

async fn two_admins_confirm_and_cancel(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..ROUNDS {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        let other = admin.by(&node, &app.admin_key(Some(shop.project), "admin").await);
        let id = admin.asked().await;
        let (confirmed, cancelled) = tokio::join!(admin.confirm(&id, "alice"), other.cancel(&id));
        let state = admin.show(&id).await.ok()["state"].clone();
        let gone = is_gone(&app, &admin).await;
        match confirmed.status {
            200 => {
                assert_eq!((&state, gone), (&json!("executed"), true));
                cancelled.refused(409, "conflict", "this deletion has been executed");
            }
            _ => {
                confirmed.refused(409, "conflict", "this deletion has been cancelled");
                assert_eq!(
                    (&cancelled.ok()["state"], &state, gone),
                    (&json!("cancelled"), &json!("cancelled"), false)
                );
            }
        }
        let told = events(&app, &admin, "user.deleted").await
            + events(&app, &admin, "user.deletion_cancelled").await;
        assert_eq!(told, 1);
    }
}

/// Both may come through, in this order: then it was scheduled, and is called off.
async fn two_admins_schedule_and_cancel(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..ROUNDS {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        admin.settings(json!({"deletion_restore_days": 7})).await;
        let other = admin.by(&node, &app.admin_key(Some(shop.project), "admin").await);
        let id = admin.asked().await;
        let (confirmed, cancelled) = tokio::join!(admin.confirm(&id, "alice"), other.cancel(&id));
        assert_eq!(cancelled.ok()["state"], "cancelled");
        let scheduled = usize::from(confirmed.status == 200);
        if scheduled == 0 {
            confirmed.refused(409, "conflict", "this deletion has been cancelled");
        }
        assert_eq!(events(&app, &admin, "user.deletion_scheduled").await, scheduled);
        assert!(!is_gone(&app, &admin).await);
        assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM mail_links").await, 0);
    }
}

async fn two_nodes_execute(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..ROUNDS {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        admin.settings(json!({"deletion_restore_days": 7})).await;
        let id = admin.asked().await;
        admin.confirm(&id, "alice").await.ok();
        app.app.clock.advance(7 * DAY);
        let (here, there) = (app.ctx(&shop).await, node.ctx(&shop).await);
        let deletion = id.parse().unwrap();
        let (first, second) = tokio::join!(execute_due(&here, deletion), execute_due(&there, deletion));
        assert_eq!(usize::from(first.unwrap()) + usize::from(second.unwrap()), 1);
        assert!(is_gone(&app, &admin).await);
        assert_eq!(events(&app, &admin, "user.deleted").await, 1);
    }
    let rounds = i64::try_from(ROUNDS).unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM erasures").await, rounds);
    // One letter for each: those that told of the day went with the user.
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM outbox WHERE kind = 'mail'").await, rounds);
}

async fn a_restore_at_the_last_second(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..ROUNDS {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        admin.settings(json!({"deletion_restore_days": 7})).await;
        let id = admin.asked().await;
        admin.confirm(&id, "alice").await.ok();
        app.app.clock.advance(7 * DAY);
        let there = node.ctx(&shop).await;
        let (executed, cancelled) = tokio::join!(execute_due(&there, id.parse().unwrap()), admin.cancel(&id));
        let state: Value = admin.show(&id).await.ok()["state"].clone();
        let gone = is_gone(&app, &admin).await;
        match executed.unwrap() {
            true => {
                cancelled.refused(409, "conflict", "this deletion has been executed");
                assert_eq!((state, gone), (json!("executed"), true));
            }
            false => {
                cancelled.ok();
                assert_eq!((state, gone), (json!("cancelled"), false));
            }
        }
        let told = events(&app, &admin, "user.deleted").await
            + events(&app, &admin, "user.deletion_cancelled").await;
        assert_eq!(told, 1);
    }
}

async fn a_hold_at_the_last_second(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..ROUNDS {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        admin.settings(json!({"deletion_restore_days": 7})).await;
        let id = admin.asked().await;
        admin.confirm(&id, "alice").await.ok();
        app.app.clock.advance(7 * DAY);
        let (desk, there) = (app.desk(&shop, "admin").await, node.ctx(&shop).await);
        let path = format!("/users/{}/legal-hold", shop.user);
        let hold =
            desk.send(reqwest::Method::PUT, &path, Some(json!({"reason": "case 4711 of the court"})), None);
        let (executed, held) = tokio::join!(execute_due(&there, id.parse().unwrap()), hold);
        let state = admin.show(&id).await.ok()["state"].clone();
        match executed.unwrap() {
            true => {
                held.refused(404, "not_found", "no such user");
                assert_eq!(state, "executed");
            }
            false => {
                assert_eq!((held.status, state), (201, json!("scheduled")));
                assert_eq!(events(&app, &admin, "user.deleted").await, 0);
            }
        }
    }
}
