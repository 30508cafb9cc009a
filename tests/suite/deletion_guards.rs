//! Legal holds and protections: nobody deletes past them, whenever they are placed; and reasons that say enough.

use futures_util::future::join;
use reqwest::Method;
use serde_json::{Value, json};
use tessera::jobs::run_due;

use crate::support::{Answer, Deleting, Engine, REASON, Shop, TestApp, both_engines, number};

both_engines!(
    a_hold_keeps_a_user_from_everybody,
    a_protection_is_lifted_by_whoever_may_delete,
    a_scheduled_deletion_waits_for_the_hold,
    a_hold_beside_a_confirmation,
    a_protected_project_stays,
    a_project_with_somebody_under_a_hold_stays,
    reasons_say_enough,
    a_window_of_ninety_days,
    others_see_nothing,
);

const HELD: &str = "the user is under a legal hold, which an owner has to lift first";
const PROTECTED: &str = "the user is protected from deletion; lift that first";

fn path(shop: &Shop, guard: &str) -> String {
    format!("/projects/{}/users/{}/{guard}", shop.slug, shop.user)
}

async fn place(app: &TestApp, key: &str, shop: &Shop, guard: &str) -> Answer {
    let body = json!({"reason": "subject of a lawsuit"});
    app.admin(key, Method::PUT, &path(shop, guard), body).await
}

async fn lift(app: &TestApp, key: &str, shop: &Shop, guard: &str) -> Answer {
    app.admin(key, Method::DELETE, &path(shop, guard), json!({"reason": "the lawsuit is over"})).await
}

fn refused(answer: Answer, code: &str, description: &str) {
    let expected = json!({"error": code, "error_description": description, "guard": code});
    assert_eq!((answer.status, answer.body), (409, expected));
}

async fn log_of(app: &TestApp, key: &str, shop: &Shop) -> Vec<(String, Value, Value)> {
    let log =
        app.admin_get(key, &format!("/projects/{}/audit?user={}&order=asc", shop.slug, shop.user)).await.ok();
    let event = |event: &Value| {
        (
            event["action"].as_str().unwrap().to_owned(),
            event["reason"].clone(),
            event["detail"]["why"].clone(),
        )
    };
    log["items"].as_array().unwrap().iter().skip(1).map(event).collect()
}

async fn a_hold_keeps_a_user_from_everybody(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (owner, admin) = (app.admin_key(Some(shop.project), "owner").await, Deleting::new(&app, &shop).await);
    let pending = admin.asked().await;
    let placed = place(&app, &admin.key, &shop, "legal-hold").await.created();
    assert_eq!((&placed["reason"], &placed["user"]), (&json!("subject of a lawsuit"), &json!(shop.user)));
    assert_eq!(app.admin_get(&admin.key, &path(&shop, "legal-hold")).await.ok(), placed);
    place(&app, &admin.key, &shop, "legal-hold").await.refused(409, "conflict", "there is one already");
    // One that was asked for before, one that is asked for now, and by the owner.
    refused(admin.confirm(&pending, "alice").await, "legal_hold", HELD);
    admin.cancel(&pending).await.ok();
    refused(admin.ask().await, "legal_hold", HELD);
    refused(admin.by(&app, &owner).ask().await, "legal_hold", HELD);
    let why = "the role admin may not do this";
    lift(&app, &admin.key, &shop, "legal-hold").await.refused(403, "forbidden", why);
    assert_eq!(lift(&app, &owner, &shop, "legal-hold").await.ok(), json!({"lifted": true}));
    lift(&app, &owner, &shop, "legal-hold").await.refused(404, "not_found", "there is none");
    let no = Value::Null;
    let told = |action: &str, reason: &str, why: Value| (action.to_owned(), json!(reason), why);
    let hold = json!("legal_hold");
    let expected = [
        told("user.deletion_requested", REASON, no.clone()),
        told("user.legal_hold_placed", "subject of a lawsuit", no.clone()),
        told("user.deletion_refused", REASON, hold.clone()),
        told("user.deletion_cancelled", REASON, no.clone()),
        told("user.deletion_refused", "", hold.clone()),
        told("user.deletion_refused", "", hold),
        told("user.legal_hold_lifted", "the lawsuit is over", no),
    ];
    assert_eq!(log_of(&app, &owner, &shop).await, expected);
    admin.delete().await;
    let gone = place(&app, &owner, &shop, "legal-hold").await;
    gone.refused(404, "not_found", "no such user");
}

async fn a_protection_is_lifted_by_whoever_may_delete(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let manager = app.admin_key(Some(shop.project), "user_manager").await;
    place(&app, &manager, &shop, "deletion-protection").await.created();
    place(&app, &admin.key, &shop, "legal-hold").await.created();
    refused(admin.ask().await, "legal_hold", HELD);
    let owner = app.admin_key(Some(shop.project), "owner").await;
    lift(&app, &owner, &shop, "legal-hold").await.ok();
    refused(admin.ask().await, "deletion_protection", PROTECTED);
    let why = "the role user_manager may not do this";
    lift(&app, &manager, &shop, "deletion-protection").await.refused(403, "forbidden", why);
    lift(&app, &admin.key, &shop, "deletion-protection").await.ok();
    admin.delete().await;
}

async fn a_scheduled_deletion_waits_for_the_hold(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    admin.settings(json!({"deletion_restore_days": 1})).await;
    let id = admin.asked().await;
    assert_eq!(admin.confirm(&id, "alice").await.ok()["state"], "scheduled");
    place(&app, &admin.key, &shop, "legal-hold").await.created();
    for _ in 0..3 {
        app.app.clock.advance(86_400);
        run_due(&app.app).await.unwrap();
        assert_eq!(admin.show(&id).await.ok()["state"], "scheduled");
    }
    let owner = app.admin_key(None, "owner").await;
    lift(&app, &owner, &shop, "legal-hold").await.ok();
    app.app.clock.advance(60);
    run_due(&app.app).await.unwrap();
    assert_eq!(admin.show(&id).await.ok()["state"], "executed");
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM deletion_guards").await, 0);
}

/// Either the hold is there and the user is, or the user is gone and the hold has come too late.
async fn a_hold_beside_a_confirmation(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..8 {
        let shop = app.shop(&format!("shop{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        let id = admin.asked().await;
        let (placed, confirmed) =
            join(place(&node, &admin.key, &shop, "legal-hold"), admin.confirm(&id, "alice")).await;
        match (placed.status, confirmed.status) {
            (201, 409) => refused(confirmed, "legal_hold", HELD),
            (404, 200) => placed.refused(404, "not_found", "no such user"),
            other => panic!("{other:?}: {} {}", placed.body, confirmed.body),
        }
    }
}

async fn a_protected_project_stays(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let owner = app.admin_key(None, "owner").await;
    let set = |on: bool| json!({"settings": {"deletion_protection": on}});
    app.admin_patch(&owner, "/projects/shop", set(true)).await.ok();
    let admin = app.admin_key(Some(shop.project), "admin").await;
    let why = "only the role owner may weaken settings.deletion_protection: it binds those who delete users";
    let weaker = app.admin_patch(&admin, "/projects/shop", set(false)).await;
    weaker.refused_for(403, "forbidden", "settings.deletion_protection", why);
    let kept = app.admin_delete(&owner, "/projects/shop").await;
    kept.refused(
        409,
        "deletion_protection",
        "the project is protected from deletion: settings.deletion_protection",
    );
    let log = app.admin_get(&owner, "/projects/shop/audit?limit=1").await.ok();
    assert_eq!(log["items"][0]["action"], "project.deletion_refused");
    app.admin_patch(&owner, "/projects/shop", set(false)).await.ok();
    app.admin_delete(&owner, "/projects/shop").await.ok();
}

async fn a_project_with_somebody_under_a_hold_stays(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let owner = app.admin_key(None, "owner").await;
    let hold = path(&shop, "legal-hold");
    let asked = app.admin_ask_to_delete(&owner, "/projects/shop").await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let body = json!({"reason": "a lawsuit, 12 O 34/27"});
    app.admin(&owner, Method::PUT, &hold, body).await.created();
    // Placed before the confirmation, and before the request.
    let why = "somebody in the project is under a legal hold, which an owner has to lift first";
    app.confirmed(&owner, "/projects/shop", asked).await.refused(409, "legal_hold", why);
    app.admin_delete(&owner, "/projects/shop").await.refused(409, "legal_hold", why);
    let log = app.admin_get(&owner, "/projects/shop/audit?limit=1").await.ok();
    assert_eq!(
        (&log["items"][0]["action"], &log["items"][0]["detail"]["why"]),
        (&json!("project.deletion_refused"), &json!("legal_hold"))
    );
    app.admin_delete(&owner, &format!("/projects/{}", other.slug)).await.ok();
    let lifted = json!({"reason": "the lawsuit is over"});
    app.admin(&owner, Method::DELETE, &hold, lifted).await.ok();
    // What was asked for before has lapsed.
    app.app.clock.advance(901);
    app.admin_delete(&owner, "/projects/shop").await.ok();
}

async fn reasons_say_enough(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let ask =
        async |reason: &str| admin.post("delete-user", json!({"user": shop.user, "reason": reason})).await;
    let bound = "reason has 10 to 500 characters, none of them a control character but line breaks, or is one of the project's";
    for reason in ["", "cleanup", "   123456789   "] {
        ask(reason).await.refused_for(400, "invalid_request", "reason", bound);
    }
    let reasons = json!({"settings": {"deletion_reasons": ["cleanup", "GDPR 17"]}});
    app.admin_patch(&admin.key, "/projects/shop", reasons).await.ok();
    assert_eq!(ask("GDPR 17").await.status, 202);
    ask("GDPR 18").await.refused_for(400, "invalid_request", "reason", bound);
    let bounds = "settings.deletion_reasons are at most 50, each of 1 to 100 characters";
    for reasons in [json!([""]), json!(["x".repeat(101)]), json!(vec!["x"; 51]), json!(["a\nb"])] {
        let body = json!({"settings": {"deletion_reasons": reasons}});
        let answer = app.admin_patch(&admin.key, "/projects/shop", body).await;
        answer.refused_for(400, "invalid_request", "settings.deletion_reasons", bounds);
    }
    // Those of a hold as well.
    let hold = path(&shop, "legal-hold");
    let short = app.admin(&admin.key, Method::PUT, &hold, json!({"reason": "court"})).await;
    short.refused_for(400, "invalid_request", "reason", bound);
    let named = app.admin(&admin.key, Method::PUT, &hold, json!({"reason": "a lawsuit of alice"})).await;
    assert_eq!((named.status, &named.body["field"]), (400, &json!("reason")));
    let missing = app.admin(&admin.key, Method::PUT, &hold, json!({})).await;
    missing.refused_for(400, "invalid_request", "reason", "missing field reason");
}

async fn a_window_of_ninety_days(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let set = async |days: i64| {
        let body = json!({"settings": {"deletion_restore_days": days}});
        app.admin_patch(&admin.key, "/projects/shop", body).await
    };
    let bound = "settings.deletion_restore_days must lie between 0 and 90";
    set(91).await.refused_for(400, "invalid_request", "settings.deletion_restore_days", bound);
    set(90).await.ok();
    let id = admin.asked().await;
    assert_eq!(admin.confirm(&id, "alice").await.ok()["execute_at"], "2027-04-15T08:00:00Z");
    app.app.clock.advance(90 * 86_400);
    run_due(&app.app).await.unwrap();
    assert_eq!(admin.show(&id).await.ok()["state"], "executed");
}

async fn others_see_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let admin = app.admin_key(Some(shop.project), "admin").await;
    place(&app, &admin, &shop, "legal-hold").await.created();
    let theirs = app.admin_key(Some(other.project), "owner").await;
    let refused = app.admin_get(&theirs, &path(&shop, "legal-hold")).await;
    refused.refused(401, "invalid_token", "the admin key is not valid here");
    // The same user's id, under another project.
    let foreign = format!("/projects/other/users/{}/legal-hold", shop.user);
    app.admin_get(&theirs, &foreign).await.refused(404, "not_found", "there is none");
    let body = json!({"reason": "subject of a lawsuit"});
    let refused = app.admin(&theirs, Method::PUT, &foreign, body.clone()).await;
    refused.refused(404, "not_found", "no such user");
    let refused = app.admin(&theirs, Method::DELETE, &foreign, body).await;
    refused.refused(404, "not_found", "no such user");
    Deleting::new(&app, &other).await.delete().await;
}
