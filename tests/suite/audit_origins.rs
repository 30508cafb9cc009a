//! From where an act came: kept with its entry, for whoever may read it, and gone with the person whose act it was.

use serde_json::{Value, json};
use tessera::audit::{self, Verdict, verify};
use tessera::ids::ProjectId;
use tessera::model::proxies::{ForwardedHeader, TrustedProxies};
use tessera::session::delete_user::execute_due;

use crate::support::registration::text;
use crate::support::scan::{Needle, found, found_in};
use crate::support::{
    Account, Answer, Deleting, Engine, Hall, REASON, REDIRECT, TestApp, both_engines, number, run,
};

both_engines!(
    of_an_admin_key,
    of_an_admin_who_is_a_person,
    of_people_on_their_own_account,
    of_whoever_is_no_person,
    of_an_act_whose_record_cannot_be_sealed,
    of_a_request_that_brings_too_much,
    of_a_deleted_project,
);

/// A node behind a proxy.
async fn node(engine: Engine) -> TestApp {
    TestApp::changed(engine, |app| {
        app.proxies = TrustedProxies::parse(["127.0.0.1"], ForwardedHeader::XForwardedFor).unwrap();
    })
    .await
}

fn origin(address: &str, user_agent: &str) -> Value {
    json!({"address": address, "user_agent": user_agent})
}

/// Actions and origins of a chain, the newest first.
async fn origins(app: &TestApp, key: &str, path: &str) -> Vec<(String, Value)> {
    let read = app.admin_get(key, path).await.ok();
    let items = read["items"].as_array().unwrap().iter();
    items.map(|event| (text(event, "action").to_owned(), event["origin"].clone())).collect()
}

fn named(expected: &[(&str, Value)]) -> Vec<(String, Value)> {
    expected.iter().map(|(action, origin)| ((*action).to_owned(), origin.clone())).collect()
}

async fn assert_whole(app: &TestApp, chains: &[ProjectId]) {
    for chain in chains {
        let verdict = verify(&app.app.db, *chain).await.unwrap();
        assert!(matches!(verdict, Verdict::Whole { .. }), "{verdict:?}");
    }
}

/// Whether a value is in the store, opened with all keys that there are.
async fn is_anywhere(app: &TestApp, value: &str) -> bool {
    let needles = [Needle::text(value)];
    let places = [found(&app.tables().await, &needles), found_in(&app.unsealed().await, &needles)].concat();
    !places.is_empty()
}

async fn of_an_admin_key(engine: Engine) {
    let app = node(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "public").await);
    // The word of the caller's own proxy counts for nothing.
    let office = app.called_from("192.0.2.99, 198.51.100.7", "Desk/1.0");
    let admin = app.admin_key(Some(shop.project), "admin").await;
    office.admin_patch(&admin, "/projects/shop", json!({"name": "One"})).await.ok();
    let deleting = Deleting::new(&app, &shop).await.by(&office, &admin);
    let id = deleting.asked().await;
    assert_eq!(deleting.confirm(&id, "bob").await.status, 403);
    deleting.cancel(&id).await.ok();
    let manager = app.admin_key(Some(shop.project), "user_manager").await;
    assert_eq!(deleting.by(&office, &manager).ask().await.status, 403);
    deleting.delete().await;

    let here = origin("198.51.100.7", "Desk/1.0");
    let auditor = app.admin_key(Some(shop.project), "auditor").await;
    let read = origins(&app, &auditor, "/projects/shop/audit").await;
    let expected = [
        "user.deleted",
        "user.deletion_requested",
        "user.deletion_refused",
        "user.deletion_cancelled",
        "user.deletion_confirmation_failed",
        "user.deletion_requested",
        "project.changed",
    ];
    let acts: Vec<_> = read.iter().filter(|(_, origin)| !origin.is_null()).cloned().collect();
    assert_eq!(acts, named(&expected.map(|action| (action, here.clone()))));
    // What the command line did came from no request.
    assert!(read.iter().any(|(action, origin)| action == "client.created" && origin.is_null()));
    // Who reads the log reads this; nobody from elsewhere does.
    let path = "/projects/shop/audit";
    let theirs = app.admin_key(Some(other.project), "owner").await;
    app.admin_get(&theirs, path).await.refused(401, "invalid_token", "the admin key is not valid here");
    app.admin_get(&manager, path).await.refused(403, "forbidden", "the role user_manager may not do this");
    let elsewhere = app.admin_get(&theirs, "/projects/other/audit").await.ok();
    assert!(!elsewhere.to_string().contains("198.51.100.7"));
    // In the store it is sealed, and an export has the commitment alone.
    let needles = [Needle::text("198.51.100.7"), Needle::text("Desk/1.0")];
    assert_eq!(found(&app.tables().await, &needles), [""; 0]);
    let opened = found_in(&app.unsealed().await, &needles);
    assert_eq!(opened, ["audit_log.origin 198.51.100.7", "audit_log.origin Desk/1.0"]);
    let exported = audit::export(&app.app.db, shop.project, 0, 500).await.unwrap().text;
    assert!(needles.iter().all(|needle| !needle.is_in(exported.as_bytes())));
    let commitments = exported.lines().filter(|line| line.contains("\"origin_commitment\":\""));
    assert_eq!(commitments.count(), acts.len());
    assert_whole(&app, &[shop.project]).await;
}

async fn of_an_admin_who_is_a_person(engine: Engine) {
    let app = node(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    let (ben, token) = hall.admin("ben", "owner", None).await;
    let office = app.called_from("198.51.100.8", "Console/2.0");
    office.admin_patch(&token, "/projects/shop", json!({"name": "Two"})).await.ok();
    office.admin_post(&token, "/admin-keys", json!({"name": "spare", "role": "auditor"})).await.created();
    app.called_from("198.51.100.9", "Desk/1.0")
        .admin_patch(&hall.owner, "/projects/shop", json!({"name": "Three"}))
        .await
        .ok();
    let auditor = app.admin_key(Some(shop.project), "auditor").await;
    let (bens, keys) = (origin("198.51.100.8", "Console/2.0"), origin("198.51.100.9", "Desk/1.0"));
    let in_shop = async || origins(&app, &auditor, "/projects/shop/audit?action=project.changed").await;
    let above = async || {
        origins(&app, &hall.owner, "/audit?action=admin_key.created")
            .await
            .into_iter()
            .map(|(_, origin)| origin)
    };
    let both = [("project.changed", keys.clone()), ("project.changed", bens.clone())];
    assert_eq!(in_shop().await, named(&both));
    assert_eq!(above().await.filter(|origin| *origin == bens).count(), 1);
    assert!(is_anywhere(&app, "198.51.100.8").await);
    // Ben is told of all that is held, whichever project it lies in.
    let path = format!("/projects/admin/users/{ben}/export");
    let mut acts = app.admin_get(&hall.owner, &path).await.ok()["admin_acts"].take();
    let acts = acts.as_array_mut().unwrap();
    for act in acts.iter_mut() {
        assert!(act["seq"].take().is_i64() && act["at"].take().is_string());
    }
    let act = |project: Value, action: &str| json!({"project": project, "action": action, "origin": bens, "seq": null, "at": null});
    assert_eq!(*acts, [act(Value::Null, "admin_key.created"), act(json!(shop.project), "project.changed")]);
    // Under a key of Ben's own: without it nobody reads it.
    let kept = "SELECT count(*) AS n FROM audit_log WHERE origin_user IS NOT NULL";
    assert_eq!(number(&app.app.db, kept).await, 2);

    let asked = json!({"user": ben, "reason": "left the company"});
    let asked = app.bearer(&hall.console, "delete-user", &hall.owner, asked).await;
    let confirm = json!({"deletion_id": asked.body["deletion_id"], "confirmation": "ben"});
    app.bearer(&hall.console, "delete-user/confirm", &hall.owner, confirm).await.ok();
    let left = [("project.changed", keys), ("project.changed", Value::Null)];
    assert_eq!(in_shop().await, named(&left), "whoever is no person stays");
    assert_eq!(above().await.filter(|origin| *origin == bens).count(), 0);
    assert_eq!(number(&app.app.db, kept).await, 0);
    assert!(!is_anywhere(&app, "198.51.100.8").await && !is_anywhere(&app, "Console/2.0").await);
    assert!(is_anywhere(&app, "198.51.100.9").await);
    assert_whole(&app, &[shop.project, hall.console.project, ProjectId::INSTANCE]).await;
}

async fn of_people_on_their_own_account(engine: Engine) {
    let app = node(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let settings = json!({"settings": {"self_deletion": true, "deletion_restore_days": 7}});
    let owner = app.admin_key(None, "owner").await;
    app.admin_patch(&owner, "/projects/shop", settings).await.ok();
    let home = app.called_from("203.0.113.5", "Mosaic/2.6");
    for shop in [&shop, &other] {
        let tokens = home.sign_in(shop).await;
        home.bearer(shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    }
    let alice = Account::new(&home, &shop).await;
    let done = alice.post("/delete", json!({"confirmation": "alice"})).await;
    assert_eq!((done.status, &done.body["state"]), (202, &json!("scheduled")));
    let own = async |slug: &str| {
        let user = if slug == "shop" { shop.user } else { other.user };
        let all = origins(&app, &owner, &format!("/projects/{slug}/audit?user={user}")).await;
        all.into_iter().filter(|(action, _)| action != "user.created").collect::<Vec<_>>()
    };
    let here = origin("203.0.113.5", "Mosaic/2.6");
    let acts = ["user.deletion_scheduled", "user.deletion_requested", "user.signed_out"];
    assert_eq!(own("shop").await, named(&acts.map(|action| (action, here.clone()))));
    // The person is told what is held: from where they acted, and not from where admins did.
    let held = app.admin_get(&owner, &format!("/projects/shop/users/{}/export", shop.user)).await.ok();
    let events = held["events"].as_array().unwrap();
    let told =
        |action: &str| events.iter().find(|event| event["action"] == action).unwrap()["origin"].clone();
    assert_eq!((told("user.signed_out"), told("user.data_exported")), (here.clone(), Value::Null));

    app.app.clock.advance(7 * 86_400);
    let id = text(&done.body, "deletion_id").parse().unwrap();
    assert!(execute_due(&app.ctx(&shop).await, id).await.unwrap());
    let mut gone = named(&acts.map(|action| (action, Value::Null)));
    // By the job, which no request made.
    gone.insert(0, ("user.deleted".into(), Value::Null));
    let mut left = own("shop").await;
    left.retain(|(action, _)| action != "user.data_exported");
    assert_eq!(left, gone);
    assert_eq!(own("other").await, named(&[("user.signed_out", here)]), "another project's alice stays");
    let by_whom =
        "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deleted' AND actor = 'system:deletions'
        AND origin_commitment IS NULL";
    assert_eq!(number(&app.app.db, by_whom).await, 1);
    assert_whole(&app, &[shop.project, other.project]).await;
}

async fn of_whoever_is_no_person(engine: Engine) {
    let app = node(engine).await;
    let (shop, owner) = (app.shop("shop", "confidential").await, app.admin_key(None, "owner").await);
    let token = app.open_registration(&shop, &owner, 1).await;
    // An application that registers and manages itself.
    let partner = app.called_from("192.0.2.40", "Partner/1.0");
    let metadata = json!({"client_name": "Bureau", "redirect_uris": [REDIRECT]});
    let made = partner.register(&shop, &token, &metadata).await.created();
    let mut changed = metadata.clone();
    (changed["client_id"], changed["client_name"]) = (made["client_id"].clone(), json!("Bureaux"));
    partner.replace_own(&shop, &made, &changed).await.ok();
    let (client, own) = (text(&made, "client_id"), text(&made, "registration_access_token"));
    let gone = partner.own_request(&shop, reqwest::Method::DELETE, client, own).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    let path = format!("/projects/shop/audit?target=client:{client}");
    let here = origin("192.0.2.40", "Partner/1.0");
    let acts = ["client.deleted", "client.changed", "client.created"].map(|action| (action, here.clone()));
    assert_eq!(origins(&app, &owner, &path).await, named(&acts));

    // What an application does to a session may come out of the person's browser: it goes with the person.
    let page = app.called_from("203.0.113.6", "Mosaic/2.6");
    let revoked = page.sign_in(&shop).await;
    let form = [("token", revoked.get("refresh_token"))];
    assert_eq!(page.post_as(&shop, "/oauth2/revoke", &form).send().await.unwrap().status(), 200);
    let (code, _) = page.code(&shop, "").await;
    page.exchange(&shop, &code).await.ok();
    assert_eq!(page.exchange(&shop, &code).await.status, 400);
    let acts = async || {
        let all = origins(&app, &owner, "/projects/shop/audit").await.into_iter();
        all.filter(|(action, _)| action.starts_with("token_family.") || action.contains("replayed"))
            .collect::<Vec<_>>()
    };
    let there = origin("203.0.113.6", "Mosaic/2.6");
    let actions = ["authorization_code.replayed", "token_family.revoked"];
    assert_eq!(acts().await, named(&actions.map(|action| (action, there.clone()))));
    Deleting::new(&app, &shop).await.delete().await;
    assert_eq!(acts().await, named(&actions.map(|action| (action, Value::Null))));
    let needles = [Needle::text("203.0.113.6"), Needle::text("192.0.2.40")];
    let mut left = found_in(&app.unsealed().await, &needles);
    left.retain(|place| place.starts_with("audit_log"));
    assert_eq!(left, ["audit_log.origin 192.0.2.40"]);
    assert_whole(&app, &[shop.project]).await;
}

/// An act does not wait for the record of it to be mended.
async fn of_an_act_whose_record_cannot_be_sealed(engine: Engine) {
    let app = node(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let home = app.called_from("203.0.113.5", "Mosaic/2.6");
    let act = async || {
        let tokens = home.sign_in(&shop).await;
        home.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    };
    act().await;
    run(&app.app.db, "UPDATE user_keys SET sealed_key = substr(sealed_key, 1, 20)").await;
    act().await;
    let owner = app.admin_key(None, "owner").await;
    let read = origins(&app, &owner, "/projects/shop/audit?action=user.signed_out").await;
    assert_eq!(read, named(&[("user.signed_out", Value::Null), ("user.signed_out", Value::Null)]));
    let commitments = "SELECT count(*) AS n FROM audit_log WHERE origin_commitment IS NOT NULL";
    assert_eq!(number(&app.app.db, commitments).await, 1, "of before");
    assert_whole(&app, &[shop.project]).await;
}

async fn of_a_request_that_brings_too_much(engine: Engine) {
    let app = node(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = app.admin_key(Some(shop.project), "admin").await;
    // An address is an address, and no text of the caller's.
    let office = app.called_from(&"x".repeat(300), &"y".repeat(300));
    office.admin_patch(&admin, "/projects/shop", json!({"name": "One"})).await.ok();
    let read = origins(&app, &admin, "/projects/shop/audit?limit=1").await;
    assert_eq!(read, named(&[("project.changed", origin("127.0.0.1", &"y".repeat(256)))]));
    // It belongs to its request: moved to another's entry it does not open, and is found.
    office.admin_patch(&admin, "/projects/shop", json!({"name": "Two"})).await.ok();
    let mv = "UPDATE audit_log SET origin = (SELECT a.origin FROM audit_log a WHERE a.project_id = audit_log.project_id
        AND a.action = 'project.changed' ORDER BY a.seq LIMIT 1) WHERE action = 'project.changed'";
    assert_eq!(run(&app.app.db, mv).await, 2);
    let read = origins(&app, &admin, "/projects/shop/audit?limit=2").await;
    assert_eq!(read[0], ("project.changed".into(), Value::Null));
    assert_eq!(read[1].1["address"], "127.0.0.1");
    let verdict = verify(&app.app.db, shop.project).await.unwrap();
    assert!(matches!(verdict, Verdict::Broken { .. }), "{verdict:?}");
}

/// With a project go the addresses of its people; those of admins stay with what they did.
async fn of_a_deleted_project(engine: Engine) {
    let app = node(engine).await;
    let (shop, owner) = (app.shop("shop", "confidential").await, app.admin_key(None, "owner").await);
    let home = app.called_from("203.0.113.5", "Mosaic/2.6");
    let tokens = home.sign_in(&shop).await;
    home.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    let office = app.called_from("198.51.100.7", "Desk/1.0");
    let ask = json!({"user": shop.user, "reason": REASON});
    let asked: Answer = office.bearer(&shop, "delete-user", &owner, ask).await;
    assert_eq!(asked.status, 202);
    app.admin_delete(&owner, "/projects/shop").await.ok();
    assert!(is_anywhere(&app, "203.0.113.5").await);
    app.app.clock.advance(3600);
    tessera::jobs::run_due(&app.app).await.unwrap();
    assert!(!is_anywhere(&app, "203.0.113.5").await && is_anywhere(&app, "198.51.100.7").await);
    assert_whole(&app, &[shop.project, ProjectId::INSTANCE]).await;
}
