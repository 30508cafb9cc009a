//! The person hears of a deletion, and may object to it by the link of that letter, until it is done.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::jobs::run_due;
use tessera::mail::files::Kept;

use crate::support::{
    Account, Deleting, Engine, Mailbox, PASSWORD, REASON, Receiver, Seen, Shop, TestApp, both_engines,
    link_of, number, run,
};

both_engines!(
    a_person_objects,
    a_link_is_good_once,
    looking_changes_nothing,
    not_after_the_end,
    of_another_project_or_kind,
    an_objection_at_the_last_second,
    letters_in_the_language_of_the_person,
    names_are_text,
    silence_needs_a_reason,
    nobody_outruns_a_deletion,
    an_admins_change_still_counts,
    an_address_that_nobody_proved_gets_no_link,
    nor_does_one_object_that_is_unproved_again,
);

const GONE: &str = "It was used already, has expired, or your account has changed since it was sent.";

/// Fourteen days from the beginning of every test.
const DATE: &str = "2027-01-29 08:00 UTC";

const DAY: i64 = 86_400;

/// Everybody who is there has proved their mail address.
const PROVED: &str = "UPDATE users SET email_verified = TRUE WHERE email IS NOT NULL";

/// A project with a restore window, in which the deletion of alice has been confirmed; its id, and the letter.
async fn scheduled(app: &TestApp, mailbox: &Mailbox, admin: &Deleting<'_>) -> (String, Kept) {
    admin.settings(json!({"deletion_restore_days": 14})).await;
    run(&app.app.db, PROVED).await;
    let id = admin.asked().await;
    assert_eq!(admin.confirm(&id, "alice").await.ok()["state"], "scheduled");
    (id, mailbox.one(app, "alice@example.com").await)
}

/// The last event of a kind.
async fn last(app: &TestApp, shop: &Shop, action: &str) -> Value {
    let desk = app.desk(shop, "auditor").await;
    desk.get(&format!("/audit?action={action}")).await.ok()["items"][0].clone()
}

async fn a_person_objects(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let admin = Deleting::new(&app, &shop).await;
    let server = Receiver::start().await;
    let hook = json!({"uri": server.url("/events")});
    app.admin_post(&admin.key, "/projects/shop/webhooks", hook).await.created();
    let (id, letter) = scheduled(&app, &mailbox, &admin).await;
    assert_eq!(letter.subject, "Your account at shop will be deleted");
    assert!(letter.text.contains("Hello alice,") && letter.text.contains(DATE), "{}", letter.text);
    let link = link_of(&app, &letter);
    let (cookie, sealed, page) = app.open_form(&link, None).await;
    assert!(page.text.contains("Keep your account?") && page.text.contains(DATE), "{}", page.text);
    let done = Seen::of(app.post_form(&link, (&cookie, &sealed), &[]).await).await;
    let said = "The deletion is called off. Your account is as it was before; you have to sign in again.";
    assert_eq!((done.status, done.message().as_str()), (200, said));

    let shown = admin.show(&id).await.ok();
    assert_eq!((&shown["state"], &shown["finished_at"].is_string()), (&json!("cancelled"), &true));
    let event = last(&app, &shop, "user.deletion_cancelled").await;
    assert_eq!((&event["actor_kind"], &event["actor"]), (&json!("user"), &event["target"]));
    assert_eq!(
        (&event["detail"]["why"], &event["detail"]["former_status"]),
        (&json!("objection"), &json!("active"))
    );
    assert_eq!(event["personal"]["address"], "127.0.0.1");
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
    // Everything is back but the sessions, and the person is told.
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
    assert!(app.signs_in(&shop, ("alice", PASSWORD)).await);
    let told = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(told.subject, "Your account at shop will not be deleted");
    let events = server.received();
    let events: Vec<Value> = events.iter().map(|one| serde_json::from_str(&one.body).unwrap()).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["user.deletion_scheduled", "user.deletion_cancelled"]);
    let data = json!({"project": "shop", "user": shop.user, "deletion_id": id, "why": "objection"});
    assert_eq!(events[1]["data"], data);
    // Nothing happens when the day comes; and whoever has good reasons asks again, and says nothing.
    app.app.clock.advance(15 * DAY);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users WHERE status = 'active'").await, 1);
    let why = "the objection was heard and not followed";
    let again = json!({"user": shop.user, "reason": REASON, "notify": false, "notify_reason": why});
    assert_eq!(admin.post("delete-user", again).await.status, 202);
}

async fn a_link_is_good_once(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let (id, letter) = scheduled(&app, &mailbox, &admin).await;
    let link = link_of(&app, &letter);
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    let (other_cookie, other_sealed, _) = app.open_form(&link, None).await;
    // The form is one browser's.
    let stolen = Seen::of(app.post_form(&link, (&other_cookie, &sealed), &[]).await).await;
    assert_eq!(stolen.status, 400);
    assert_eq!(admin.show(&id).await.ok()["state"], "scheduled");
    let (first, second) = tokio::join!(
        app.post_form(&link, (&cookie, &sealed), &[]),
        app.post_form(&link, (&other_cookie, &other_sealed), &[])
    );
    let (first, second) = (Seen::of(first).await, Seen::of(second).await);
    let (won, lost) = if first.status == 200 { (first, second) } else { (second, first) };
    assert_eq!(won.status, 200);
    lost.refused(400, GONE);
    Seen::of(app.http.get(&link).send().await.unwrap()).await.refused(400, GONE);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM mail_links").await, 0);
    let cancelled = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_cancelled'";
    assert_eq!(number(&app.app.db, cancelled).await, 1);
    // Another deletion is objected to by its own link alone.
    let next = admin.asked().await;
    admin.confirm(&next, "alice").await.ok();
    Seen::of(app.http.get(&link).send().await.unwrap()).await.refused(400, GONE);
    let seen = Seen::of(app.post_form(&link, (&cookie, &sealed), &[]).await).await;
    seen.refused(400, GONE);
    assert_eq!(admin.show(&next).await.ok()["state"], "scheduled");
}

/// Scanners of mail follow each link, by GET and HEAD, and some press what they find by GET.
async fn looking_changes_nothing(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let (id, letter) = scheduled(&app, &mailbox, &admin).await;
    let link = link_of(&app, &letter);
    let events = number(&app.app.db, "SELECT count(*) AS n FROM audit_log").await;
    for method in [Method::GET, Method::HEAD, Method::GET, Method::OPTIONS, Method::DELETE] {
        app.http.request(method, &link).send().await.unwrap();
    }
    let posted = Seen::of(app.http.post(&link).form(&[("token", "x")]).send().await.unwrap()).await;
    assert_eq!(posted.status, 400);
    assert_eq!(admin.show(&id).await.ok()["state"], "scheduled");
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM audit_log").await, events);
    // What ends sessions since is nothing to it.
    let owner = app.desk(&shop, "owner").await;
    owner.post("/end-all-sessions", json!({})).await.ok();
    owner
        .post(&format!("/users/{}/set-password", shop.user), json!({"password": "violet tram at noon"}))
        .await
        .ok();
    assert_eq!(app.follow_link(&link, &[]).await.status, 200);
    assert_eq!(admin.show(&id).await.ok()["state"], "cancelled");
}

async fn not_after_the_end(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    // Called off by an admin.
    let (id, letter) = scheduled(&app, &mailbox, &admin).await;
    let link = link_of(&app, &letter);
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    admin.cancel(&id).await.ok();
    mailbox.one(&app, "alice@example.com").await;
    Seen::of(app.post_form(&link, (&cookie, &sealed), &[]).await).await.refused(400, GONE);
    // Executed.
    let (id, letter) = scheduled(&app, &mailbox, &admin).await;
    let link = link_of(&app, &letter);
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    app.app.clock.advance(14 * DAY);
    run_due(&app.app).await.unwrap();
    assert_eq!(admin.show(&id).await.ok()["state"], "executed");
    let (fresh, _, _) = app.open_form(&app.project_url(&shop, "/forgotten-password"), None).await;
    assert!(!fresh.is_empty() && !cookie.is_empty());
    Seen::of(app.http.get(&link).send().await.unwrap()).await.refused(400, GONE);
    assert_eq!(Seen::of(app.post_form(&link, (&cookie, &sealed), &[]).await).await.status, 400);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users WHERE status = 'deleted'").await, 1);
    let told = mailbox.take(&app).await;
    assert!(told.iter().any(|letter| letter.subject == "Your account at shop has been deleted"));
}

async fn of_another_project_or_kind(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (admin, theirs) = (Deleting::new(&app, &shop).await, Deleting::new(&app, &other).await);
    let (id, letter) = scheduled(&app, &mailbox, &admin).await;
    let (their_id, _) = scheduled(&app, &mailbox, &theirs).await;
    let link = link_of(&app, &letter);
    let elsewhere = link.replace("/projects/shop/", "/projects/other/");
    Seen::of(app.http.get(&elsewhere).send().await.unwrap()).await.refused(400, GONE);
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    let posted = Seen::of(app.post_form(&elsewhere, (&cookie, &sealed), &[]).await).await;
    assert_eq!(posted.status, 400);
    for kind in ["new-password", "verify-address", "change-address", "sign-up", "invitation"] {
        let as_other = link.replace("/link/objection", &format!("/link/{kind}"));
        Seen::of(app.http.get(&as_other).send().await.unwrap()).await.refused(400, GONE);
    }
    for bad in ["tml_", "", "tml_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let forged = format!("{}?token={bad}", link.split('?').next().unwrap());
        Seen::of(app.http.get(&forged).send().await.unwrap()).await.refused(400, GONE);
    }
    assert_eq!(admin.show(&id).await.ok()["state"], "scheduled");
    assert_eq!(theirs.show(&their_id).await.ok()["state"], "scheduled");
    // Nor does an account's link of another kind object.
    run(&app.app.db, "UPDATE mail_links SET kind = 'new-password'").await;
    Seen::of(app.http.get(&link).send().await.unwrap()).await.refused(400, GONE);
}

/// The day has come; the job and the person meet. Whoever is second finds it done, and nothing is done by halves.
async fn an_objection_at_the_last_second(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let node = app.second_node().await;
    let (mut kept, mut gone) = (0, 0);
    for round in 0..6 {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let admin = Deleting::new(&app, &shop).await;
        let (id, letter) = scheduled(&app, &mailbox, &admin).await;
        let link = link_of(&app, &letter);
        app.app.clock.advance(14 * DAY - 5);
        let (cookie, sealed, _) = app.open_form(&link, None).await;
        app.app.clock.advance(5);
        let ctx = node.ctx(&shop).await;
        let execute = tessera::session::delete_user::execute_due(&ctx, id.parse().unwrap());
        let (executed, objected) = tokio::join!(execute, app.post_form(&link, (&cookie, &sealed), &[]));
        let (executed, objected) = (executed.unwrap(), Seen::of(objected).await);
        let state = admin.show(&id).await.ok()["state"].clone();
        let signs_in = app.signs_in(&shop, ("alice", PASSWORD)).await;
        match executed {
            true => {
                assert_eq!((objected.status, &state, signs_in), (400, &json!("executed"), false));
                gone += 1;
            }
            false => {
                assert_eq!((objected.status, &state, signs_in), (200, &json!("cancelled"), true));
                kept += 1;
            }
        }
        assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
        mailbox.take(&app).await;
    }
    assert_eq!(kept + gone, 6);
    let events =
        "SELECT count(*) AS n FROM audit_log WHERE action IN ('user.deleted', 'user.deletion_cancelled')";
    assert_eq!(number(&app.app.db, events).await, 6, "one verdict each");
}

async fn letters_in_the_language_of_the_person(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/users/{}", shop.user), json!({"locale": "de"})).await.ok();
    let admin = Deleting::new(&app, &shop).await;
    let (id, letter) = scheduled(&app, &mailbox, &admin).await;
    assert_eq!(letter.subject, "Ihr Konto bei shop wird gelöscht");
    let page = app.open_form(&link_of(&app, &letter), None).await.2;
    assert!(page.text.contains(r#"lang="de""#) && page.text.contains("Der Löschung widersprechen"));
    admin.cancel(&id).await.ok();
    let told = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(told.subject, "Ihr Konto bei shop wird nicht gelöscht");
    // In words of the project's own, which need the link.
    let path = "/mail-templates/deletion_scheduled/de";
    let without = json!({"subject": "Adieu", "text": "am {date}"});
    desk.send(Method::PUT, path, Some(without), None).await.refused_for(
        400,
        "invalid_request",
        "text",
        "text needs the placeholder {link}",
    );
    let own = json!({"subject": "Adieu", "text": "am {date}:\n\n{link}"});
    desk.send(Method::PUT, path, Some(own), None).await.ok();
    let (_, letter) = scheduled(&app, &mailbox, &admin).await;
    assert_eq!(letter.subject, "Adieu");
    link_of(&app, &letter);
}

async fn names_are_text(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    admin.settings(json!({"deletion_restore_days": 14})).await;
    let name = "<b>{link}</b>";
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/users/{}", shop.user), json!({"username": name})).await.ok();
    run(&app.app.db, PROVED).await;
    let id = admin.asked().await;
    assert_eq!(admin.confirm(&id, name).await.ok()["state"], "scheduled");
    let letter = mailbox.one(&app, "alice@example.com").await;
    let page = app.open_form(&link_of(&app, &letter), None).await.2;
    assert!(!page.text.contains("<b>") && page.text.contains("&#60;b&#62;{link}"), "{}", page.text);
}

async fn silence_needs_a_reason(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    admin.settings(json!({"deletion_restore_days": 14})).await;
    let field = "notify_reason";
    let bound = "notify_reason has 10 to 500 characters, none of them a control character but line breaks";
    let names = "notify_reason must not contain the user's name, mail address, or any other value of the profile or \
                 attributes";
    for (more, why) in [
        (json!({"notify": false}), "notify: false needs a notify_reason"),
        (json!({"notify": false, "notify_reason": "too short"}), bound),
        (json!({"notify": false, "notify_reason": "with a \u{7} in the middle"}), bound),
        (json!({"notify": false, "notify_reason": "ALICE has been told by phone"}), names),
        (
            json!({"notify": true, "notify_reason": "somebody has told them"}),
            "notify_reason is for notify: false",
        ),
        (json!({"notify_reason": "somebody has told them"}), "notify_reason is for notify: false"),
    ] {
        let mut body = json!({"user": shop.user, "reason": REASON});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        admin.post("delete-user", body.clone()).await.refused_for(400, "invalid_request", field, why);
        if body.get("notify_reason").is_some() {
            body["dry_run"] = json!(true);
            admin.post("delete-user", body).await.refused_for(400, "invalid_request", field, why);
        }
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM deletions").await, 0);
    let why = "the mailbox is known to be somebody else's";
    let body = json!({"user": shop.user, "reason": REASON, "notify": false, "notify_reason": why});
    let asked = admin.post("delete-user", body).await;
    assert_eq!((asked.status, &asked.body["notify"]), (202, &json!(false)));
    let id = asked.body["deletion_id"].as_str().unwrap();
    let shown = admin.confirm(id, "alice").await.ok();
    assert_eq!((&shown["state"], &shown["notify_reason"]), (&json!("scheduled"), &json!(why)));
    for action in ["user.deletion_requested", "user.deletion_scheduled"] {
        let detail = &last(&app, &shop, action).await["detail"];
        assert_eq!((&detail["notify"], &detail["notify_reason"]), (&json!(false), &json!(why)), "{action}");
    }
    app.app.clock.advance(14 * DAY);
    run_due(&app.app).await.unwrap();
    assert_eq!(admin.show(id).await.ok()["state"], "executed");
    assert!(mailbox.take(&app).await.is_empty());
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM outbox").await, 0);
}

/// Whoever keeps changing their own record is deleted all the same, also at the very moment of the confirmation.
async fn nobody_outruns_a_deletion(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    for round in 0..4 {
        let shop = app.shop(&format!("shop-{round}"), "confidential").await;
        let desk = app.desk(&shop, "admin").await;
        let mood = json!({"name": "mood", "type": "string", "user_writable": true});
        desk.post("/attribute-definitions", mood).await.created();
        let alice = Account::new(&node, &shop).await;
        let admin = Deleting::new(&app, &shop).await;
        let id = admin.asked().await;
        let changed =
            alice.patch("/profile", json!({"nickname": "Ally", "attributes": {"mood": "gay"}})).await;
        assert_eq!(changed.status, 200, "{}", changed.body);
        let update = json!({"set": {"mood": "sad"}});
        assert_eq!(node.bearer(&shop, "attribute-update", &alice.token, update).await.status, 200);
        let (_, confirmed) =
            tokio::join!(alice.patch("/profile", json!({"nickname": "Al"})), admin.confirm(&id, "alice"));
        assert_eq!(confirmed.ok()["state"], "executed");
    }
}

/// The bond holds for what others change, whatever the person changes after or before.
async fn an_admins_change_still_counts(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (desk, alice) = (app.desk(&shop, "admin").await, Account::new(&app, &shop).await);
    desk.define(&[], &["keeper"], &[]).await;
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    let nickname = |name: &str| json!({"nickname": name});
    assert_eq!(alice.patch("/profile", nickname("Ally")).await.status, 200);
    desk.update(json!({"user": shop.user, "roles": {"add": ["keeper"]}})).await.ok();
    assert_eq!(alice.patch("/profile", nickname("Al")).await.status, 200);
    let why = "the user was changed since the request; ask again";
    admin.confirm(&id, "alice").await.refused(409, "conflict", why);
    assert_eq!(admin.show(&id).await.ok()["state"], "expired");
    assert_eq!(admin.confirm(&admin.asked().await, "alice").await.ok()["state"], "executed");
}

/// It may be a stranger's, who learns no name and cannot keep the account alive.
async fn an_address_that_nobody_proved_gets_no_link(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let admin = Deleting::new(&app, &shop).await;
    admin.settings(json!({"deletion_restore_days": 14})).await;
    for (locale, subject) in [
        ("en", "An account at shop will be deleted"),
        ("de", "Ein Konto bei shop wird gelöscht"),
        ("zh-Hans", "shop 的一个账户将被删除"),
    ] {
        desk.patch(&format!("/users/{}", shop.user), json!({"locale": locale})).await.ok();
        let id = admin.asked().await;
        assert_eq!(admin.confirm(&id, "alice").await.ok()["state"], "scheduled");
        let letter = mailbox.one(&app, "alice@example.com").await;
        assert_eq!(letter.subject, subject);
        assert!(letter.text.contains(DATE), "{}", letter.text);
        for word in ["/link/", "token=", "tml_"] {
            assert!(!letter.text.contains(word), "{word} in {}", letter.text);
        }
        assert!(!letter.text.contains("alice") && !letter.subject.contains("alice"), "{}", letter.text);
        admin.cancel(&id).await.ok();
        mailbox.take(&app).await;
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM mail_links").await, 0);
    // In words of the project's own, which may name nobody either.
    let words = json!({"subject": "Adieu", "text": "Hello {username}, on {date}"});
    let path = "/mail-templates/deletion_scheduled_unverified/en";
    let refused = desk.send(Method::PUT, path, Some(words), None).await;
    assert_eq!((refused.status, &refused.body["field"]), (400, &json!("text")), "{}", refused.body);
}

async fn nor_does_one_object_that_is_unproved_again(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let (id, letter) = scheduled(&app, &mailbox, &admin).await;
    let link = link_of(&app, &letter);
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    run(&app.app.db, "UPDATE users SET email_verified = FALSE").await;
    Seen::of(app.post_form(&link, (&cookie, &sealed), &[]).await).await.refused(400, GONE);
    assert_eq!(admin.show(&id).await.ok()["state"], "scheduled");
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users WHERE status = 'active'").await, 0);
}
