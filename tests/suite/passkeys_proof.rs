//! What a passkey proves, and to whom: every wrong answer to a question is none.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tessera::app::{Ctx, Visit};
use tessera::error::Code;
use tessera::identity::passkeys::{Answered, Asked, Proven, Purpose, Question, ask, list, prove};
use tessera::projects;
use tessera::secret::{Secret, encode_base64url};

use crate::support::{Engine, PASSWORD, Shop, SoftPasskey, TestApp, Way, both_engines, random};

both_engines!(
    a_passkey_proves_its_owner,
    a_wrong_answer_proves_nothing,
    a_challenge_is_for_one_thing,
    a_challenge_is_answered_once,
    others_have_other_passkeys,
    a_copy_is_noticed,
    the_handle_is_the_owners,
    what_has_ended_proves_nothing,
    another_host_has_other_passkeys,
);

/// As a request of now sees the project.
async fn ctx(app: &TestApp, shop: &Shop) -> Ctx {
    Visit::of_nobody(&app.app, &shop.slug, app.app.clock.now()).current().await.unwrap()
}

async fn token(app: &TestApp, shop: &Shop) -> String {
    app.sign_in(shop).await.get("access_token").to_owned()
}

fn browser() -> Secret {
    Secret::new("the value of a cookie")
}

/// Of nobody yet, as the sign-in page does.
fn of_anybody() -> Asked {
    Asked::of_browser(Purpose::SignIn, &browser(), None)
}

fn of_alice(shop: &Shop) -> Asked {
    Asked::of_browser(Purpose::SecondFactor, &browser(), Some(shop.user))
}

async fn question(ctx: &Ctx, asked: &Asked) -> Question {
    ask(ctx, asked).await.unwrap().unwrap()
}

async fn judged(ctx: &Ctx, asked: &Asked, challenge: &str, credential: &Value) -> Option<Proven> {
    let answered = Answered { challenge, credential: &credential.to_string() };
    prove(ctx, asked, &answered).await.unwrap()
}

async fn a_passkey_proves_its_owner(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.desk(&shop, "owner").await.count_no_factor().await;
    let token = token(&app, &shop).await;
    let mut bound = app.new_passkey(&shop, &token, &Way::default()).await;
    let mut synced = app.new_passkey(&shop, &token, &Way { synced: true, ..Way::default() }).await;
    for asked in [of_anybody(), of_alice(&shop)] {
        for (passkey, is_synced) in [(&mut bound, false), (&mut synced, true)] {
            let ctx = ctx(&app, &shop).await;
            let question = question(&ctx, &asked).await;
            assert_eq!(
                (&question.options["rpId"], &question.options["userVerification"]),
                (&json!("localhost"), &json!("required"))
            );
            let allowed = question.options["allowCredentials"].as_array().unwrap().len();
            assert_eq!(allowed, if asked.user.is_some() { 2 } else { 0 });
            let credential = passkey.answer(&question.options, &Way::default());
            let proven = judged(&ctx, &asked, &question.challenge, &credential).await.unwrap();
            assert_eq!((proven.user, proven.passkey.synced), (shop.user, is_synced));
            assert!(proven.passkey.verified);
            assert_eq!(proven.project_epoch, ctx.project.token_epoch);
        }
    }
    app.app.clock.advance(60);
    let ctx = ctx(&app, &shop).await;
    let question = question(&ctx, &of_anybody()).await;
    let credential = bound.answer(&question.options, &Way::default());
    let proven = judged(&ctx, &of_anybody(), &question.challenge, &credential).await.unwrap();
    let shown = list(&ctx, shop.user).await.unwrap();
    let used = shown.iter().find(|shown| shown.id == proven.id).unwrap();
    assert_eq!(used.last_used_at, Some(ctx.now));
    // Who has none is not asked for one.
    let nobody = Asked::of_browser(Purpose::SecondFactor, &browser(), Some(shop.project.0.into()));
    assert!(ask(&ctx, &nobody).await.unwrap().is_none());
}

async fn a_wrong_answer_proves_nothing(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let token = token(&app, &shop).await;
    let mut passkey = app.new_passkey(&shop, &token, &Way::default()).await;
    let ctx = ctx(&app, &shop).await;
    for asked in [of_anybody(), of_alice(&shop)] {
        let question = question(&ctx, &asked).await;
        let right = Way::default();
        for way in [
            Way { origin: Some("https://evil.example"), ..right.clone() },
            Way { origin: Some("http://localhost"), ..right.clone() },
            Way { origin: Some("http://a.localhost"), ..right.clone() },
            Way { rp_id: Some("evil.example"), ..right.clone() },
            Way { rp_id: Some(""), ..right.clone() },
            Way { kind: Some("webauthn.create"), ..right.clone() },
            Way { kind: Some("payment.get"), ..right.clone() },
            Way { challenge: Some(encode_base64url(&[7; 32])), ..right.clone() },
            Way { challenge: Some(String::new()), ..right.clone() },
            Way { unverified: true, ..right.clone() },
            Way { absent: true, ..right.clone() },
            Way { tampered: true, ..right.clone() },
            Way { id: Some(random::<32>()), ..right.clone() },
            Way { handle: Some(Some(shop.user.0.as_bytes().to_vec())), ..right.clone() },
            Way { handle: Some(Some(Vec::new())), ..right.clone() },
        ] {
            let credential = passkey.answer(&question.options, &way);
            assert!(judged(&ctx, &asked, &question.challenge, &credential).await.is_none());
        }
        let good = passkey.answer(&question.options, &right);
        for broken in [json!(null), json!([]), json!({}), json!({"id": good["id"]})] {
            assert!(judged(&ctx, &asked, &question.challenge, &broken).await.is_none());
        }
        let mut unsigned = good.clone();
        unsigned["response"]["signature"] = json!(encode_base64url(b"0"));
        assert!(judged(&ctx, &asked, &question.challenge, &unsigned).await.is_none());
        for challenge in ["", "AAAA", &question.challenge[1..], &format!("{}A", question.challenge)] {
            assert!(judged(&ctx, &asked, challenge, &good).await.is_none());
        }
        // None of it has used up anything.
        assert!(judged(&ctx, &asked, &question.challenge, &good).await.is_some());
    }
}

async fn a_challenge_is_for_one_thing(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    app.desk(&shop, "owner").await.count_no_factor().await;
    let token = token(&app, &shop).await;
    let mut passkey = app.new_passkey(&shop, &token, &Way::default()).await;
    let (here, there) = (ctx(&app, &shop).await, ctx(&app, &other).await);
    let of = |purpose, cookie: &str, user| Asked::of_browser(purpose, &Secret::new(cookie), user);
    let alice = Some(shop.user);
    let ways = [
        (Purpose::SignIn, "one", None),
        (Purpose::SignIn, "two", None),
        (Purpose::SecondFactor, "one", alice),
        (Purpose::SecondFactor, "two", alice),
        (Purpose::StepUp, "one", alice),
        (Purpose::Enrolment, "one", alice),
        (Purpose::SecondFactor, "one", Some(other.user)),
    ];
    for (i, (purpose, cookie, user)) in ways[..6].iter().enumerate() {
        let asked = of(*purpose, cookie, *user);
        let question = question(&here, &asked).await;
        let credential = passkey.answer(&question.options, &Way::default());
        for (_, (purpose, cookie, user)) in ways.iter().enumerate().filter(|(other, _)| *other != i) {
            let other = of(*purpose, cookie, *user);
            assert!(judged(&here, &other, &question.challenge, &credential).await.is_none());
        }
        assert!(judged(&there, &asked, &question.challenge, &credential).await.is_none());
        assert!(judged(&here, &asked, &question.challenge, &credential).await.is_some());
    }
    // And of an application's session.
    let begun = app.begin_passkey(&shop, &token).await;
    let credential = passkey.answer(&begun["options"], &Way { rp_id: Some("localhost"), ..Way::default() });
    let made_for_enrolment = begun["challenge"].as_str().unwrap();
    for asked in [of_anybody(), of_alice(&shop)] {
        assert!(judged(&here, &asked, made_for_enrolment, &credential).await.is_none());
    }
    // A sign-in page may be open for an hour, a second factor is at hand.
    for (asked, seconds) in [(of_anybody(), 3600), (of_alice(&shop), 600)] {
        let begin = ctx(&app, &shop).await;
        let question = question(&begin, &asked).await;
        let credential = passkey.answer(&question.options, &Way::default());
        app.app.clock.advance(seconds);
        assert!(judged(&ctx(&app, &shop).await, &asked, &question.challenge, &credential).await.is_none());
        assert!(judged(&begin, &asked, &question.challenge, &credential).await.is_some());
    }
}

async fn a_challenge_is_answered_once(engine: Engine) {
    let app = TestApp::named(engine).await;
    let node = app.second_node_changed(|node| node.base_url.clone_from(&app.app.base_url)).await;
    let shop = app.shop("shop", "confidential").await;
    let token = token(&app, &shop).await;
    // Synced passkeys count nothing: only the challenge keeps an answer from being used again.
    let way = Way { synced: true, counter: Some(0), ..Way::default() };
    let mut passkey = app.new_passkey(&shop, &token, &way).await;
    for asked in [of_anybody(), of_alice(&shop)] {
        let (here, there) = (ctx(&app, &shop).await, ctx(&node, &shop).await);
        let question = question(&here, &asked).await;
        let credential = passkey.answer(&question.options, &way);
        let at_once = (0..4).map(|i| {
            judged(if i % 2 == 0 { &here } else { &there }, &asked, &question.challenge, &credential)
        });
        let proven = join_all(at_once).await.into_iter().flatten().count();
        assert_eq!(proven, 1);
        assert!(judged(&there, &asked, &question.challenge, &credential).await.is_none());
        let another = passkey.answer(&question.options, &way);
        assert!(judged(&here, &asked, &question.challenge, &another).await.is_none());
    }
}

/// All of these have one RP ID, so a browser offers each of them anywhere.
async fn others_have_other_passkeys(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    let bobs = app.sign_in_as(&shop, "bob").await.get("access_token").to_owned();
    let own = token(&app, &shop).await;
    app.new_passkey(&shop, &own, &Way::default()).await;
    let mut of_bob = app.new_passkey(&shop, &bobs, &Way::default()).await;
    let elsewhere = token(&app, &other).await;
    let mut of_other = app.new_passkey(&other, &elsewhere, &Way::default()).await;
    let ctx = ctx(&app, &shop).await;
    // The other project's is nobody's here.
    for asked in [of_anybody(), of_alice(&shop)] {
        let question = question(&ctx, &asked).await;
        let credential = of_other.answer(&question.options, &Way::default());
        assert!(judged(&ctx, &asked, &question.challenge, &credential).await.is_none());
    }
    // Bob's is no factor of Alice's, and signs in Bob.
    let asked = of_alice(&shop);
    let second = question(&ctx, &asked).await;
    assert_eq!(second.options["allowCredentials"].as_array().unwrap().len(), 1);
    for handle in [None, Some(None)] {
        let credential = of_bob.answer(&second.options, &Way { handle, ..Way::default() });
        assert!(judged(&ctx, &asked, &second.challenge, &credential).await.is_none());
    }
    let first = question(&ctx, &of_anybody()).await;
    let credential = of_bob.answer(&first.options, &Way::default());
    let proven = judged(&ctx, &of_anybody(), &first.challenge, &credential).await.unwrap();
    assert_ne!(proven.user, shop.user);
}

async fn a_copy_is_noticed(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let token = token(&app, &shop).await;
    let mut passkey = app.new_passkey(&shop, &token, &Way { counter: Some(5), ..Way::default() }).await;
    let mut copy = passkey.clone();
    let ctx = ctx(&app, &shop).await;
    let asked = of_anybody();
    let first = question(&ctx, &asked).await;
    let credential = passkey.answer(&first.options, &Way { counter: Some(9), ..Way::default() });
    assert!(judged(&ctx, &asked, &first.challenge, &credential).await.is_some());
    for counter in [9, 8, 0] {
        let question = question(&ctx, &asked).await;
        let credential = copy.answer(&question.options, &Way { counter: Some(counter), ..Way::default() });
        for _ in 0..2 {
            assert!(judged(&ctx, &asked, &question.challenge, &credential).await.is_none());
        }
    }
    let owner = app.admin_key(None, "owner").await;
    let log = app.admin_get(&owner, "/projects/shop/audit?action=passkey.counter_regressed").await.ok();
    let events = log["items"].as_array().unwrap();
    assert_eq!(events.len(), 3, "one for each challenge: {log}");
    assert!(events.iter().all(|event| event["detail"]["counter"] == 9));
    // The owner's goes on.
    let last = question(&ctx, &asked).await;
    let credential = passkey.answer(&last.options, &Way::default());
    assert!(judged(&ctx, &asked, &last.challenge, &credential).await.is_some());
}

async fn the_handle_is_the_owners(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let token = token(&app, &shop).await;
    let mut passkey = app.new_passkey(&shop, &token, &Way::default()).await;
    let ctx = ctx(&app, &shop).await;
    for (asked, without) in [(of_anybody(), false), (of_alice(&shop), true)] {
        let question = question(&ctx, &asked).await;
        let other = Way { handle: Some(Some(random::<16>())), ..Way::default() };
        let credential = passkey.answer(&question.options, &other);
        assert!(judged(&ctx, &asked, &question.challenge, &credential).await.is_none());
        let credential = passkey.answer(&question.options, &Way { handle: Some(None), ..Way::default() });
        assert_eq!(judged(&ctx, &asked, &question.challenge, &credential).await.is_some(), without);
    }
}

async fn what_has_ended_proves_nothing(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let token = token(&app, &shop).await;
    let mut passkey = app.new_passkey(&shop, &token, &Way::default()).await;
    app.policy(&shop, json!({"second_factor": "off"})).await;
    let desk = app.desk(&shop, "admin").await;
    let user = format!("/users/{}", shop.user);
    let (here, asked) = (ctx(&app, &shop).await, of_anybody());
    let asking = question(&here, &asked).await;
    desk.patch(&user, json!({"status": "disabled"})).await.ok();
    let credential = passkey.answer(&asking.options, &Way::default());
    assert!(judged(&here, &asked, &asking.challenge, &credential).await.is_none());
    desk.patch(&user, json!({"status": "active"})).await.ok();
    let before = judged(&here, &asked, &asking.challenge, &credential).await.unwrap();
    // The epochs are those of the moment: after a sign-out they are others.
    app.bearer(&shop, "GlobalSignOut", &desk.key, json!({"user": shop.user, "end_browser_sessions": true}))
        .await
        .ok();
    let asking = question(&here, &asked).await;
    let credential = passkey.answer(&asking.options, &Way::default());
    let after = judged(&here, &asked, &asking.challenge, &credential).await.unwrap();
    assert!(before.user_epoch < after.user_epoch && before.browser_epoch < after.browser_epoch);
    // A passkey that was removed is none.
    let token = app.sign_in(&shop).await.get("access_token").to_owned();
    let path = format!("/{}", after.id);
    app.passkeys(&shop, &token, reqwest::Method::DELETE, &path, None).await.ok();
    let asking = question(&here, &asked).await;
    let credential = passkey.answer(&asking.options, &Way::default());
    assert!(judged(&here, &asked, &asking.challenge, &credential).await.is_none());
}

/// The server moves: passkeys stay with the host that they were made for.
async fn another_host_has_other_passkeys(engine: Engine) {
    let app = TestApp::named(engine).await;
    let moved = app.second_node_changed(|app| app.base_url = "https://id.example.com".into()).await;
    let shop = app.shop("shop", "confidential").await;
    let token = token(&app, &shop).await;
    let mut passkey: SoftPasskey = app.new_passkey(&shop, &token, &Way::default()).await;
    let there = ctx(&moved, &shop).await;
    assert!(!list(&there, shop.user).await.unwrap()[0].usable);
    assert!(ask(&there, &of_alice(&shop)).await.unwrap().is_none());
    let question = question(&there, &of_anybody()).await;
    assert_eq!(question.options["rpId"], "id.example.com");
    for way in [
        Way { origin: Some("https://id.example.com"), ..Way::default() },
        Way { origin: Some("https://id.example.com"), rp_id: Some("id.example.com"), ..Way::default() },
    ] {
        let credential = passkey.answer(&question.options, &way);
        assert!(judged(&there, &of_anybody(), &question.challenge, &credential).await.is_none());
    }
    // At an address there is nothing to ask.
    let nameless = app.second_node().await;
    let refused = ask(&ctx(&nameless, &shop).await, &of_anybody()).await;
    assert_eq!(refused.err().map(|error| error.code()), Some(Code::Conflict));
}
