//! What ends for good and for many is asked for first, and confirmed by the strongest method at hand.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::ids::ProjectId;

use crate::support::{Answer, Engine, REASON, Shop, TestApp, both_engines};

both_engines!(
    a_client_by_typing,
    a_project_by_a_second_person,
    what_the_project_asks_for_holds,
    denials,
    wrong_names_cancel,
    what_was_changed_is_asked_for_again,
    cancelled_and_too_late,
    another_admin_comes_meanwhile,
    others_see_nothing,
    two_confirm_at_once,
    why_a_project_ends_is_said,
);

const SAME_KEY: &str = "another admin's key has to confirm this deletion";

fn client(shop: &Shop) -> String {
    format!("/projects/{}/clients/{}", shop.slug, shop.id)
}

fn at(shop: &Shop, asked: &Value) -> String {
    format!("/projects/{}/confirmations/{}", shop.slug, asked["confirmation_id"].as_str().unwrap())
}

/// Asks for the end of what the path names.
async fn ask(app: &TestApp, key: &str, path: &str) -> Value {
    let asked = app.admin_ask_to_delete(key, path).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    asked.body
}

async fn confirm(app: &TestApp, key: &str, at: &str, name: &str) -> Answer {
    app.admin_post(key, at, json!({"confirmation": name})).await
}

/// The actions in the log about this target, the oldest first.
async fn log(app: &TestApp, key: &str, shop: &Shop, target: &str) -> Vec<(String, Value)> {
    let page = app.admin_get(key, &format!("/projects/{}/audit?order=asc&target={target}", shop.slug)).await;
    let event =
        |event: &Value| (event["action"].as_str().unwrap().to_owned(), event["detail"]["why"].clone());
    page.ok()["items"].as_array().unwrap().iter().map(event).collect()
}

async fn a_client_by_typing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    let asked = ask(&app, &admin, &client(&shop)).await;
    let expected = json!({"confirmation_id": asked["confirmation_id"], "method": "typed",
        "expires_at": "2027-01-15T08:15:00Z", "impact": {"families": 1}});
    assert_eq!(asked, expected);
    // Nothing has ended.
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
    let shown = app.admin_get(&admin, &at(&shop, &asked)).await.ok();
    assert_eq!(
        (&shown["what"], &shown["target"], &shown["state"]),
        (&json!("client"), &json!(shop.id), &json!("pending"))
    );
    let done = confirm(&app, &admin, &at(&shop, &asked), &shop.id).await.ok();
    assert_eq!(done, json!({"client_id": shop.id, "deleted": true}));
    assert_eq!(app.admin_get(&admin, &at(&shop, &asked)).await.ok()["state"], "confirmed");
    let again = confirm(&app, &admin, &at(&shop, &asked), &shop.id).await;
    again.refused(409, "conflict", "this has been confirmed already");
    let events = log(&app, &admin, &shop, &format!("client:{}", shop.id)).await;
    let actions: Vec<&str> = events.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["client.created", "client.deletion_requested", "client.deleted"]);
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn a_project_by_a_second_person(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (first, second) =
        (app.admin_key(None, "owner").await, app.admin_key(Some(shop.project), "owner").await);
    let admin = app.admin_key(None, "admin").await;
    let asked = ask(&app, &first, "/projects/shop").await;
    assert_eq!(asked["method"], "second_person");
    let at = at(&shop, &asked);
    confirm(&app, &first, &at, "shop").await.refused(403, "forbidden", SAME_KEY);
    // Who may delete clients may not delete projects.
    let why = "the role admin may not do this";
    confirm(&app, &admin, &at, "shop").await.refused(403, "forbidden", why);
    app.admin_delete(&admin, &at).await.refused(403, "forbidden", why);
    let wrong = "the typed slug is not the project's";
    confirm(&app, &second, &at, "shops").await.refused(403, "confirmation_failed", wrong);
    let done = app.admin_post(&second, &at, json!({})).await.ok();
    assert_eq!(done, json!({"id": shop.project, "slug": "shop", "deleted": true}));
    app.admin_get(&first, "/projects/shop").await.refused(404, "not_found", "no such project");
    let gone = app.admin_get(&first, "/audit?action=project.deleted").await.ok();
    let detail = &gone["items"][0]["detail"];
    assert_eq!((&detail["method"], &detail["slug"]), (&json!("second_person"), &json!("shop")));
    assert_ne!(detail["requested_by"], gone["items"][0]["actor"]);
    for chain in [shop.project, ProjectId::INSTANCE] {
        assert!(matches!(verify(&app.app.db, chain).await.unwrap(), Verdict::Whole { .. }));
    }
}

/// A project that asks for two people gets them, also where there is one; and keys have no factor.
async fn what_the_project_asks_for_holds(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let owner = app.admin_key(None, "owner").await;
    let set = |method: &str| json!({"settings": {"deletion_confirmation": method}});
    app.admin_patch(&owner, "/projects/shop", set("second_person")).await.ok();
    assert_eq!(ask(&app, &owner, &client(&shop)).await["method"], "second_person");
    app.admin_patch(&owner, "/projects/shop", set("second_factor")).await.ok();
    let refused = app.admin_ask_to_delete(&owner, "/projects/shop").await;
    let expected = json!({
        "error": "forbidden",
        "error_description": "this project confirms deletions with a second factor, which an admin key does not have; \
            methods at hand for keys, once the project's settings name one of them: typed, second_person",
        "methods": ["typed", "second_person"],
    });
    assert_eq!((refused.status, refused.body), (403, expected));
    let events = log(&app, &owner, &shop, &format!("project:{}", shop.project)).await;
    assert_eq!(events.last().unwrap(), &("project.deletion_refused".to_owned(), json!("no_factor")));
}

async fn denials(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    let asked = ask(&app, &admin, &client(&shop)).await;
    let at = at(&shop, &asked);
    let open = app.admin_ask_to_delete(&admin, &client(&shop)).await;
    let expected = json!({"error": "conflict", "confirmation_id": asked["confirmation_id"],
        "error_description": "this waits for a confirmation already; confirm it or cancel it"});
    assert_eq!((open.status, open.body), (409, expected));
    let field = "confirmation";
    let why = "confirmation is the client_id, typed again";
    app.admin_post(&admin, &at, json!({})).await.refused_for(400, "invalid_request", field, why);
    let unknown = app.admin_post(&admin, &at, json!({"typed": "x"})).await;
    unknown.refused_for(400, "invalid_request", "typed", "unknown field typed");
    let nothing = format!("/projects/shop/confirmations/{}", uuid::Uuid::max());
    for answer in [
        app.admin_get(&admin, &nothing).await,
        confirm(&app, &admin, &nothing, "x").await,
        app.admin_delete(&admin, &nothing).await,
    ] {
        answer.refused(404, "not_found", "no such confirmation");
    }
    for role in ["user_manager", "auditor"] {
        let key = app.admin_key(Some(shop.project), role).await;
        let why = format!("the role {role} may not do this");
        app.admin_ask_to_delete(&key, &client(&shop)).await.refused(403, "forbidden", &why);
        confirm(&app, &key, &at, &shop.id).await.refused(403, "forbidden", &why);
        app.admin_delete(&key, &at).await.refused(403, "forbidden", &why);
    }
    // A denial is a trace.
    let events = log(&app, &admin, &shop, &format!("client:{}", shop.id)).await;
    let refused = ("client.deletion_refused".to_owned(), json!("role"));
    assert_eq!(events.iter().filter(|event| **event == refused).count(), 2);
    app.admin_get(&admin, &client(&shop)).await.ok();
}

async fn wrong_names_cancel(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    let at = at(&shop, &ask(&app, &admin, &client(&shop)).await);
    let wrong = "the typed client_id is not the client's";
    for _ in 0..5 {
        confirm(&app, &admin, &at, "shop").await.refused(403, "confirmation_failed", wrong);
    }
    let late = confirm(&app, &admin, &at, &shop.id).await;
    late.refused(409, "conflict", "this has been cancelled");
    let events = log(&app, &admin, &shop, &format!("client:{}", shop.id)).await;
    let failed = ("client.deletion_confirmation_failed".to_owned(), json!("wrong_text"));
    assert_eq!(events.iter().filter(|event| **event == failed).count(), 5);
    let cancelled = ("client.deletion_cancelled".to_owned(), json!("too_many_wrong_confirmations"));
    assert_eq!(events.last().unwrap(), &cancelled);
    // It can be asked for again.
    app.admin_delete(&admin, &client(&shop)).await.ok();
}

async fn what_was_changed_is_asked_for_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let owner = app.admin_key(None, "owner").await;
    let changed = "it was changed since the request; ask again";
    for (path, name) in [(client(&shop), &*shop.id), ("/projects/shop".to_owned(), "shop")] {
        let at = at(&shop, &ask(&app, &owner, &path).await);
        let member = if name == "shop" { "name" } else { "client_name" };
        app.admin_patch(&owner, &path, json!({member: "Another"})).await.ok();
        confirm(&app, &owner, &at, name).await.refused(409, "conflict", changed);
        assert_eq!(app.admin_get(&owner, &at).await.ok()["state"], "expired");
        // If-Match is judged when it is asked for.
        let stale = app.admin_request(&owner, reqwest::Method::DELETE, &path).header("if-match", "\"0\"");
        let stale = stale.json(&json!({"reason": REASON}));
        let stale = Answer::of(stale.send().await.unwrap()).await;
        stale.refused(412, "precondition_failed", "it was changed since the version that If-Match names");
    }
    // A request that nobody can confirm any more stands in nobody's way.
    let old = ask(&app, &owner, &client(&shop)).await;
    app.admin_patch(&owner, &client(&shop), json!({"client_name": "A third"})).await.ok();
    let new = ask(&app, &owner, &client(&shop)).await;
    assert_ne!(old["confirmation_id"], new["confirmation_id"]);
    confirm(&app, &owner, &at(&shop, &new), &shop.id).await.ok();
}

async fn cancelled_and_too_late(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    let first = at(&shop, &ask(&app, &admin, &client(&shop)).await);
    assert_eq!(app.admin_delete(&admin, &first).await.ok()["state"], "cancelled");
    app.admin_delete(&admin, &first).await.refused(409, "conflict", "this has been cancelled");
    confirm(&app, &admin, &first, &shop.id).await.refused(409, "conflict", "this has been cancelled");
    let second = at(&shop, &ask(&app, &admin, &client(&shop)).await);
    app.app.clock.advance(900);
    let late = "this has expired; ask again";
    confirm(&app, &admin, &second, &shop.id).await.refused(409, "conflict", late);
    app.admin_delete(&admin, &second).await.refused(409, "conflict", late);
    app.admin_delete(&admin, &client(&shop)).await.ok();
}

/// What one alone could confirm, one alone can no longer confirm once there are two.
async fn another_admin_comes_meanwhile(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    // These could not confirm, so they are nobody to ask.
    app.admin_key(Some(shop.project), "user_manager").await;
    app.admin_key(Some(app.shop("other", "public").await.project), "owner").await;
    let asked = ask(&app, &admin, &client(&shop)).await;
    assert_eq!(asked["method"], "typed");
    let second = app.admin_key(Some(shop.project), "admin").await;
    let typed = at(&shop, &asked);
    confirm(&app, &second, &typed, &shop.id).await.refused(
        409,
        "conflict",
        "more is asked for to confirm this by now; ask again",
    );
    let asked = ask(&app, &admin, &client(&shop)).await;
    assert_eq!(asked["method"], "second_person");
    confirm(&app, &admin, &at(&shop, &asked), &shop.id).await.refused(403, "forbidden", SAME_KEY);
    confirm(&app, &second, &at(&shop, &asked), &shop.id).await.ok();
}

async fn others_see_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let admin = app.admin_key(Some(shop.project), "admin").await;
    let theirs = app.admin_key(Some(other.project), "admin").await;
    let asked = ask(&app, &admin, &client(&shop)).await;
    let (own, foreign) = (at(&shop, &asked), at(&other, &asked));
    for answer in [
        app.admin_get(&theirs, &own).await,
        confirm(&app, &theirs, &own, &shop.id).await,
        app.admin_delete(&theirs, &own).await,
    ] {
        answer.refused(401, "invalid_token", "the admin key is not valid here");
    }
    for answer in [
        app.admin_get(&theirs, &foreign).await,
        confirm(&app, &theirs, &foreign, &shop.id).await,
        app.admin_delete(&theirs, &foreign).await,
    ] {
        answer.refused(404, "not_found", "no such confirmation");
    }
    // A typed one is for whoever asked, and one deletion's confirmation for no other.
    let everywhere = app.admin_key(None, "owner").await;
    let refused = confirm(&app, &everywhere, &own, &shop.id).await;
    refused.refused(409, "conflict", "more is asked for to confirm this by now; ask again");
    let second = ask(&app, &everywhere, &client(&other)).await;
    confirm(&app, &theirs, &at(&other, &second), &shop.id).await.refused(
        403,
        "confirmation_failed",
        "the typed client_id is not the client's",
    );
    assert_eq!(app.admin_get(&everywhere, &client(&shop)).await.status, 200);
}

async fn two_confirm_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..4 {
        let shop = app.shop(&format!("shop{round}"), "confidential").await;
        let key = app.admin_key(Some(shop.project), "admin").await;
        let at = at(&shop, &ask(&app, &key, &client(&shop)).await);
        let nodes = [&app, &node, &app, &node];
        let answers = join_all(nodes.map(|node| confirm(node, &key, &at, &shop.id))).await;
        let (done, late): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(done.len(), 1, "{done:?} {late:?}");
        for answer in late {
            answer.refused(409, "conflict", "this has been confirmed already");
        }
        let events = log(&app, &key, &shop, &format!("client:{}", shop.id)).await;
        assert_eq!(events.iter().filter(|(action, _)| action == "client.deleted").count(), 1);
    }
}

/// Everybody in it goes, and its log ends with that: the reason and what ended stand in the instance's.
async fn why_a_project_ends_is_said(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.sign_in(&shop).await;
    let owner = app.admin_key(None, "owner").await;
    let ask = async |path: &str, body: Value| app.admin(&owner, reqwest::Method::DELETE, path, body).await;
    let missing = ask("/projects/shop", json!({})).await;
    missing.refused_for(400, "invalid_request", "reason", "missing field reason");
    let bound = "reason has 10 to 500 characters, none of them a control character but line breaks, or is one of the \
                 project's";
    for reason in ["closed", "", "a reason\u{7} with a bell", &"x".repeat(501)] {
        for path in ["/projects/shop", &client(&shop)] {
            let refused = ask(path, json!({"reason": reason})).await;
            refused.refused_for(400, "invalid_request", "reason", bound);
        }
    }
    let unknown = ask("/projects/shop", json!({"reason": REASON, "force": true})).await;
    unknown.refused_for(400, "invalid_request", "force", "unknown field force");
    // Of a client it may be said.
    let asked = ask(&client(&shop), json!({"reason": "nobody uses it any more"})).await;
    confirm(&app, &owner, &at(&shop, &asked.body), &shop.id).await.ok();
    let events = app.admin_get(&owner, "/projects/shop/audit?action=client.deleted").await.ok();
    assert_eq!(events["items"][0]["reason"], "nobody uses it any more");
    let asked = ask("/projects/shop", json!({"reason": REASON})).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    confirm(&app, &owner, &at(&shop, &asked.body), "shop").await.ok();
    let event = app.admin_get(&owner, "/audit?action=project.deleted").await.ok()["items"][0].clone();
    assert_eq!((&event["reason"], &event["detail"]["method"]), (&json!(REASON), &json!("typed")));
    assert_eq!(event["detail"]["impact"], asked.body["impact"]);
    assert_eq!(event["detail"]["impact"]["users"], 1);
}
