//! Back-channel logout: whom a logout token reaches, what it says, and that none is lost.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::ids::UserId;
use tessera::jobs::Job;
use tessera::keys::verify::verify_jws;
use tessera::model::client::{ClientSettings, SubjectType};
use tessera::projects;
use tessera::secret::Secret;

use crate::jobs::{count, row, run_sql, run_well};
use crate::jobs_outbox::enqueue;
use crate::support::process::Server;
use crate::support::{
    Deleting, Engine, PASSWORD, REDIRECT, Reaction, Received, Receiver, Shop, SmtpServer, TestApp, Tokens,
    both_engines, deletion_notice, status,
};

both_engines!(
    a_logout_token_says_what_it_has_to,
    a_global_sign_out_ends_and_tells_every_client,
    nobody_else_is_told,
    a_pairwise_client_is_told_by_its_own_subject,
    whatever_ends_a_session_tells_of_it,
    a_browser_session_that_an_admin_ends_tells_of_its_families,
    replays_are_told_once,
    a_client_that_fails_is_asked_again,
    a_dead_letter_is_seen_and_sent_again,
    a_silent_client_does_not_hold_up_the_others,
    a_slow_client_is_as_good_as_silent,
    a_letter_does_not_wait_behind_receivers,
    every_client_has_its_turn,
    a_status_is_an_answer_whatever_its_body,
    of_a_deleted_person_nothing_is_kept,
    an_address_within_our_network_is_refused,
    what_was_queued_outlives_the_node,
    a_kill_in_the_middle_loses_nothing,
    what_a_client_registers_is_checked
);

const DAY: i64 = 86_400;

pub fn told_at(uri: &str) -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        refresh_rotation: Some(true),
        backchannel_logout_uri: Some(uri.into()),
        backchannel_logout_session_required: true,
        ..ClientSettings::default()
    }
}

/// A project whose client is told of logouts by a server of its own.
pub async fn told(app: &TestApp, slug: &str) -> (Shop, Receiver) {
    let server = Receiver::start().await;
    let shop = app.shop_with(slug, "confidential", told_at(&server.url("/logout?of=us"))).await;
    (shop, server)
}

/// The part of a token that is JSON.
pub fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&tessera::secret::decode_base64url(part).unwrap()).unwrap()
}

pub fn claims(received: &Received) -> Value {
    part(&received.parameter("logout_token").unwrap(), 1)
}

pub fn sid(tokens: &Tokens) -> Value {
    part(tokens.get("id_token"), 1)["sid"].clone()
}

pub fn sids(received: &[Received]) -> Vec<Value> {
    let mut sids: Vec<Value> = received.iter().map(|one| claims(one)["sid"].clone()).collect();
    sids.sort_by_key(|sid| sid.as_str().map(str::to_owned));
    sids
}

/// Lets the job look again.
pub async fn deliver(app: &TestApp) {
    app.app.clock.advance(5);
    run_well(&app.app).await;
}

async fn sign_out(app: &TestApp, shop: &Shop, tokens: &Tokens) {
    app.bearer(shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
}

// C122
async fn a_logout_token_says_what_it_has_to(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let tokens = app.sign_in(&shop).await;
    sign_out(&app, &shop, &tokens).await;
    assert!(server.received().is_empty(), "a unit sends nothing");
    // Made when it is sent.
    app.app.clock.advance(60);
    deliver(&app).await;
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].line, "POST /logout?of=us");
    assert_eq!(received[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(received[0].body.starts_with("logout_token=") && !received[0].body.contains('&'));
    let token = received[0].parameter("logout_token").unwrap();
    let entry = app.app.cache.project(&app.app, "shop").await.unwrap();
    let (header, claims) = verify_jws::<Value>(&token, |kid| entry.verifier(kid)).unwrap();
    assert_eq!(header.typ.as_deref(), Some("logout+jwt"));
    let now = app.app.clock.now().unix();
    let expected = json!({
        "iss": format!("{}/projects/shop", app.base),
        "aud": shop.id,
        "iat": now,
        "exp": now + 120,
        "jti": claims["jti"],
        "sub": shop.user,
        "sid": sid(&tokens),
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    assert_eq!(claims, expected, "and no nonce");
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    // It passes for no other token.
    assert_eq!(app.verify(&shop, &token).await["reason"], "wrong_token_use");
    app.app.clock.advance(DAY);
    deliver(&app).await;
    assert_eq!(server.received().len(), 1, "once");
    assert_eq!(count(&app.app, shop.project, "outbox", "state = 'delivered' AND user_id IS NULL").await, 1);
}

// C124
async fn a_global_sign_out_ends_and_tells_every_client(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let till = app.second_client(&shop, told_at(&server.url("/till"))).await;
    let mut all = Vec::new();
    for client in [&shop, &till, &shop] {
        app.app.clock.advance(1);
        let (code, _) = app.code(client, "&scope=openid+offline_access").await;
        all.push((client, Tokens(app.exchange(client, &code).await.ok())));
    }
    let (_, cookie) = app.code(&shop, "").await;
    sign_out(&app, &shop, &all[0].1).await;
    for (client, tokens) in &all {
        let refused = app.refresh(client, tokens.get("refresh_token")).await;
        refused.refused(400, "invalid_grant", "the session has ended: signed_out");
    }
    // The browser session only when it is asked for.
    assert!(crate::support::silent_code(&app, &shop, &cookie).await.is_some());
    deliver(&app).await;
    let mut expected: Vec<Value> = all.iter().map(|(_, tokens)| sid(tokens)).collect();
    expected.sort_by_key(|sid| sid.as_str().map(str::to_owned));
    assert_eq!(sids(&server.received()), expected);
    for one in server.received() {
        let to = if one.line == "POST /till" { &till.id } else { &shop.id };
        assert_eq!(claims(&one)["aud"], json!(to));
    }
    // Nothing lives, so nothing is told.
    let manager = app.desk(&shop, "user_manager").await.key;
    app.bearer(&shop, "GlobalSignOut", &manager, json!({"user": shop.user})).await.ok();
    deliver(&app).await;
    assert_eq!(server.received().len(), 3);
}

async fn nobody_else_is_told(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let (other, elsewhere) = told(&app, "other").await;
    let silent = ClientSettings { backchannel_logout_uri: None, ..told_at("") };
    let quiet = app.second_client(&shop, silent).await;
    let (mine, theirs, unheard) =
        (app.sign_in(&shop).await, app.sign_in(&other).await, app.sign_in(&quiet).await);
    let bob: UserId =
        projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    let bobs = app.sign_in_as(&shop, "bob").await;
    sign_out(&app, &quiet, &unheard).await;
    deliver(&app).await;
    assert_eq!(sids(&server.received()), [sid(&mine)]);
    assert!(elsewhere.received().is_empty());
    assert_eq!(count(&app.app, shop.project, "outbox", "TRUE").await, 1);
    for (shop, tokens) in [(&other, &theirs), (&shop, &bobs)] {
        assert_eq!(app.verify(shop, tokens.get("access_token")).await["active"], true);
    }
    sign_out(&app, &shop, &bobs).await;
    deliver(&app).await;
    assert_eq!(claims(&server.received()[1])["sub"], json!(bob));
}

async fn a_pairwise_client_is_told_by_its_own_subject(engine: Engine) {
    let app = TestApp::new(engine).await;
    let server = Receiver::start().await;
    let settings = ClientSettings { subject_type: SubjectType::Pairwise, ..told_at(&server.url("/")) };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let tokens = app.sign_in(&shop).await;
    sign_out(&app, &shop, &tokens).await;
    deliver(&app).await;
    let (known_as, told_of) = (part(tokens.get("id_token"), 1), claims(&server.received()[0]));
    assert_ne!(known_as["sub"], json!(shop.user));
    assert_eq!((&told_of["sub"], &told_of["sid"]), (&known_as["sub"], &known_as["sid"]));
    // As the session knows them, whatever is registered when it ends.
    app.app.clock.advance(1);
    let earlier = app.sign_in(&shop).await;
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", shop.id), json!({"subject_type": "public"})).await.ok();
    app.app.clock.advance(1);
    let later = app.sign_in(&shop).await;
    sign_out(&app, &shop, &later).await;
    deliver(&app).await;
    let received = server.received();
    assert_eq!(received.len(), 3);
    for (tokens, sub) in [(&earlier, &known_as["sub"]), (&later, &json!(shop.user))] {
        let told = received.iter().map(claims).find(|told| told["sid"] == sid(tokens)).unwrap();
        assert_eq!(&told["sub"], sub);
    }
    assert_eq!(count(&app.app, shop.project, "outbox", "subject IS NOT NULL").await, 0);
}

async fn whatever_ends_a_session_tells_of_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let owner = app.key(None, "owner").await;
    let user = format!("/projects/shop/users/{}", shop.user);
    let mut told = Vec::new();
    // By an admin: a family, the browsers, a reset, a disable.
    for way in ["session", "sign out", "password", "disable"] {
        app.app.clock.advance(1);
        let tokens = app.sign_in(&shop).await;
        told.push(sid(&tokens));
        match way {
            "session" => {
                let path = format!("{user}/sessions/{}", sid(&tokens).as_str().unwrap());
                app.admin_delete(&owner, &path).await.ok();
            }
            "sign out" => {
                let body = json!({"user": shop.user, "end_browser_sessions": true});
                app.bearer(&shop, "GlobalSignOut", &owner, body).await.ok();
            }
            "password" => {
                let body = json!({"password": PASSWORD});
                app.admin_post(&owner, &format!("{user}/set-password"), body).await.ok();
            }
            _ => {
                app.admin_patch(&owner, &user, json!({"status": "disabled"})).await.ok();
                app.admin_patch(&owner, &user, json!({"status": "active"})).await.ok();
            }
        }
        deliver(&app).await;
        assert_eq!(server.received().len(), told.len(), "{way}");
        assert_eq!(claims(server.received().last().unwrap())["sid"], *told.last().unwrap(), "{way}");
    }
    // Deleted at once: what is left for the token is ids.
    app.app.clock.advance(1);
    let tokens = app.sign_in(&shop).await;
    Deleting::new(&app, &shop).await.delete().await;
    assert_eq!(count(&app.app, shop.project, "token_families", "TRUE").await, 0);
    deliver(&app).await;
    assert_eq!(claims(server.received().last().unwrap())["sid"], sid(&tokens));
    assert_eq!(server.received().len(), told.len() + 1);
    assert_eq!(count(&app.app, shop.project, "outbox", "user_id IS NOT NULL").await, 0);
}

async fn a_browser_session_that_an_admin_ends_tells_of_its_families(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let desk = app.desk(&shop, "user_manager").await;
    let (code, cookie) = app.code(&shop, "&scope=openid").await;
    let bound = app.oauth_exchange(&shop, &code).await;
    // By the session API a family outlives the browser session.
    let code = crate::support::silent_code(&app, &shop, &cookie).await.unwrap();
    let offline = Tokens(app.exchange(&shop, &code).await.ok());
    let listed = desk.get(&format!("/users/{}/sessions", shop.user)).await.ok();
    let browser = listed["items"].as_array().unwrap().iter().find(|one| one["kind"] == "browser_session");
    let path = format!("/users/{}/sessions/{}", shop.user, browser.unwrap()["id"].as_str().unwrap());
    assert_eq!(desk.delete(&path).await.ok()["families_ended"], 1);
    deliver(&app).await;
    // It goes on, and its client is told of the logout (2.7).
    let mut expected = vec![sid(&bound), sid(&offline)];
    expected.sort_by_key(|sid| sid.as_str().map(str::to_owned));
    assert_eq!(sids(&server.received()), expected);
    assert_eq!(app.verify(&shop, offline.get("access_token")).await["active"], true);
    // Again it ends nothing, and tells of nothing.
    desk.delete(&path).await.ok();
    deliver(&app).await;
    assert_eq!(server.received().len(), 2);
    // Its own end is told of as well.
    let path = format!("/users/{}/sessions/{}", shop.user, sid(&offline).as_str().unwrap());
    desk.delete(&path).await.ok();
    deliver(&app).await;
    assert_eq!(claims(server.received().last().unwrap())["sid"], sid(&offline));
    // Somebody else signs in in the same browser.
    let (code, cookie) = app.code(&shop, "&scope=openid").await;
    let alices = app.oauth_exchange(&shop, &code).await;
    projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    let url = app.authorize_url(&shop, "&prompt=login");
    let page = app.http.get(url).header("cookie", &cookie).send().await.unwrap();
    let sealed = crate::support::sealed_of(&page.text().await.unwrap());
    app.submit_as(&shop, &cookie, &sealed, ("bob", PASSWORD)).await;
    deliver(&app).await;
    assert_eq!(server.received().len(), 4);
    assert_eq!(claims(&server.received()[3])["sid"], sid(&alices));
}

async fn replays_are_told_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let tokens = app.sign_in(&shop).await;
    app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    app.app.clock.advance(3600);
    for _ in 0..2 {
        assert_eq!(app.refresh(&shop, tokens.get("refresh_token")).await.status, 400);
    }
    let (code, _) = app.code(&shop, "").await;
    let second = Tokens(app.exchange(&shop, &code).await.ok());
    for _ in 0..2 {
        assert_eq!(app.exchange(&shop, &code).await.status, 400);
    }
    deliver(&app).await;
    let mut expected = vec![sid(&tokens), sid(&second)];
    expected.sort_by_key(|sid| sid.as_str().map(str::to_owned));
    assert_eq!(sids(&server.received()), expected);
}

async fn a_client_that_fails_is_asked_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let tokens = app.sign_in(&shop).await;
    sign_out(&app, &shop, &tokens).await;
    server.react(status(500));
    deliver(&app).await;
    assert_eq!(count(&app.app, shop.project, "outbox", "state = 'waiting' AND attempts = 1").await, 1);
    app.app.clock.advance(20);
    deliver(&app).await;
    assert_eq!(server.received().len(), 1, "not before its time");
    server.react(status(204));
    deliver(&app).await;
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(sids(&received), [sid(&tokens), sid(&tokens)]);
    assert_ne!(claims(&received[0])["jti"], claims(&received[1])["jti"], "a token of its own each time");
    let outcome = row(&app.app, Job::Outbox).await.outcome.unwrap();
    assert_eq!(outcome, "ok: 1 delivered, 0 to be tried again, 0 given up");
}

async fn a_dead_letter_is_seen_and_sent_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let (other, _) = told(&app, "other").await;
    let tokens = app.sign_in(&shop).await;
    server.react(status(400));
    sign_out(&app, &shop, &tokens).await;
    for _ in 0..5 {
        deliver(&app).await;
        app.app.clock.advance(DAY / 4);
    }
    let (auditor, admin) = (app.desk(&shop, "auditor").await, app.desk(&shop, "admin").await);
    let page = auditor.get("/outbox?state=dead").await.ok();
    let dead = &page["items"][0];
    let expected = json!({"id": sid(&tokens), "kind": "logout_token", "state": "dead", "client_id": shop.id,
        "attempts": 5, "last_error": "http 400", "next_attempt_at": null, "created_at": "2027-01-15T08:00:00Z",
        "finished_at": dead["finished_at"], "retryable": true});
    assert_eq!((dead, &page["next"]), (&expected, &Value::Null));
    assert_eq!(auditor.get("/outbox?state=waiting").await.ok()["items"], json!([]));
    let bound = "state is waiting, delivered or dead";
    auditor.get("/outbox?state=lost").await.refused_for(400, "invalid_request", "state", bound);
    // Who may not, and who sees nothing.
    let path = format!("/outbox/{}/retry", sid(&tokens).as_str().unwrap());
    let refused = auditor.send(Method::POST, &path, None, None).await;
    refused.refused(403, "forbidden", "the role auditor may not do this");
    let foreign = app.desk(&other, "admin").await;
    assert_eq!(foreign.get("/outbox").await.ok()["items"], json!([]));
    foreign.send(Method::POST, &path, None, None).await.refused(404, "not_found", "no such message");

    server.react(status(200));
    // However long ago it was written.
    app.app.clock.advance(8 * DAY);
    let revived = admin.send(Method::POST, &path, None, None).await.ok();
    assert_eq!((&revived["state"], &revived["attempts"]), (&json!("waiting"), &json!(0)));
    let again = admin.send(Method::POST, &path, None, None).await;
    again.refused(409, "conflict", "only a dead message is sent again");
    deliver(&app).await;
    assert_eq!(claims(server.received().last().unwrap())["sid"], sid(&tokens));
    assert_eq!(admin.get("/outbox?state=delivered").await.ok()["items"][0]["id"], sid(&tokens));
    let audit = admin.get("/audit?action=outbox.retried").await.ok();
    assert_eq!(audit["items"][0]["detail"], json!({"kind": "logout_token"}));
    // Of a letter to nobody with an account nothing is left after a week.
    let letter = enqueue(&app, shop.project, &deletion_notice("Shop", "alice@example.com")).await;
    app.app.clock.advance(8 * DAY);
    deliver(&app).await;
    let refused = admin.send(Method::POST, &format!("/outbox/{letter}/retry"), None, None).await;
    let why = "nothing is left of this message; what caused it has to be done again";
    refused.refused(409, "conflict", why);
}

async fn a_silent_client_does_not_hold_up_the_others(engine: Engine) {
    use tessera::callout::{CalloutSettings, Callouts, Reach};
    let app = TestApp::changed(engine, |app| {
        let time = std::time::Duration::from_millis(300);
        let settings = CalloutSettings { reach: Reach::Loopback, time, ..CalloutSettings::default() };
        app.callouts = Callouts::new(settings).unwrap();
    })
    .await;
    let (shop, slow) = told(&app, "shop").await;
    let (other, quick) = told(&app, "other").await;
    slow.react(Reaction::Silent(std::time::Duration::from_secs(60)));
    for _ in 0..30 {
        app.sign_in(&shop).await;
    }
    let (mine, theirs) = (app.sign_in(&shop).await, app.sign_in(&other).await);
    sign_out(&app, &shop, &mine).await;
    sign_out(&app, &other, &theirs).await;
    deliver(&app).await;
    assert_eq!(quick.received().len(), 1);
    assert!(slow.received().len() <= 8, "those that were under way at once");
    let unasked =
        "state = 'waiting' AND attempts = 0 AND last_error = 'its client did not answer a moment ago'";
    assert!(count(&app.app, shop.project, "outbox", unasked).await >= 23);
    slow.react(status(200));
    app.app.clock.advance(300);
    deliver(&app).await;
    assert_eq!(count(&app.app, shop.project, "outbox", "state = 'delivered'").await, 31);
}

async fn a_slow_client_is_as_good_as_silent(engine: Engine) {
    use tessera::callout::{CalloutSettings, Callouts, Reach};
    let app = TestApp::changed(engine, |app| {
        let time = std::time::Duration::from_secs(4);
        let settings = CalloutSettings { reach: Reach::Loopback, time, ..CalloutSettings::default() };
        app.callouts = Callouts::new(settings).unwrap();
    })
    .await;
    let (shop, slow) = told(&app, "shop").await;
    for _ in 0..11 {
        app.sign_in(&shop).await;
    }
    let tokens = app.sign_in(&shop).await;
    // It answers 200, and takes more than half of the time that it has.
    slow.react(Reaction::Late(std::time::Duration::from_millis(2100)));
    sign_out(&app, &shop, &tokens).await;
    deliver(&app).await;
    let asked = i64::try_from(slow.received().len()).unwrap();
    assert!(asked <= 8, "those that were under way at once");
    let aside =
        "state = 'waiting' AND attempts = 0 AND last_error = 'its client did not answer a moment ago'";
    assert_eq!(count(&app.app, shop.project, "outbox", aside).await, 12 - asked);
    assert_eq!(count(&app.app, shop.project, "outbox", "state = 'delivered'").await, asked);
    // Being set aside makes nobody live longer.
    app.app.clock.advance(7 * DAY);
    deliver(&app).await;
    let dead = "state = 'dead' AND last_error = 'older than 7 days'";
    assert_eq!(count(&app.app, shop.project, "outbox", dead).await, 12 - asked);
    assert_eq!(i64::try_from(slow.received().len()).unwrap(), asked);
}

async fn a_letter_does_not_wait_behind_receivers(engine: Engine) {
    let mail = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = mail.mailer()).await;
    let (shop, slow) = told(&app, "shop").await;
    slow.react(Reaction::Silent(std::time::Duration::from_secs(60)));
    for _ in 0..9 {
        app.sign_in(&shop).await;
    }
    let tokens = app.sign_in(&shop).await;
    sign_out(&app, &shop, &tokens).await;
    app.app.clock.advance(5);
    enqueue(&app, shop.project, &deletion_notice("Shop", "alice@example.com")).await;
    let running = tokio::spawn({
        let app = app.app.clone();
        async move { run_well(&app).await }
    });
    slow.wait_for(1).await;
    mail.arrived(1).await;
    let ended = "kind = 'logout_token' AND last_error IS NOT NULL";
    assert_eq!(count(&app.app, shop.project, "outbox", ended).await, 0, "they are still being waited for");
    running.await.unwrap();
    assert_eq!(count(&app.app, shop.project, "outbox", ended).await, 10);
    assert_eq!(mail.received().len(), 1);
}

async fn every_client_has_its_turn(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, _server) = told(&app, "shop").await;
    let (other, _elsewhere) = told(&app, "other").await;
    for _ in 0..4 {
        app.sign_in(&shop).await;
    }
    let (mine, theirs) = (app.sign_in(&shop).await, app.sign_in(&other).await);
    sign_out(&app, &shop, &mine).await;
    app.app.clock.advance(1);
    sign_out(&app, &other, &theirs).await;
    let now = app.app.clock.now();
    let list = |conn| async move { tessera::store::outbox::list_due_posts(&conn, now, 2).await };
    let due = app.app.db.read(list).await.unwrap();
    assert_eq!(due.iter().map(|due| due.project_id).collect::<Vec<_>>(), [shop.project, other.project]);
    // One project's are set aside without the other's.
    let span = (now.plus_seconds(-DAY), now.plus_seconds(60));
    let aside = |conn| async move {
        tessera::store::outbox::set_aside(&conn, shop.project, now, None, span, "later").await
    };
    assert_eq!(app.app.db.write(aside).await.unwrap(), 5);
    assert_eq!(count(&app.app, other.project, "outbox", "last_error IS NULL").await, 1);
}

async fn a_status_is_an_answer_whatever_its_body(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    for reaction in [Reaction::Endless, Reaction::Unfinished] {
        let tokens = app.sign_in(&shop).await;
        server.react(reaction);
        sign_out(&app, &shop, &tokens).await;
        deliver(&app).await;
    }
    assert_eq!(count(&app.app, shop.project, "outbox", "state = 'delivered'").await, 2);
    app.app.clock.advance(DAY);
    deliver(&app).await;
    assert_eq!(server.received().len(), 2);
}

async fn of_a_deleted_person_nothing_is_kept(engine: Engine) {
    let app = TestApp::new(engine).await;
    let server = Receiver::start().await;
    let settings = ClientSettings { subject_type: SubjectType::Pairwise, ..told_at(&server.url("/")) };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let admin = app.desk(&shop, "admin").await;
    server.react(status(400));
    let kept = "user_id IS NOT NULL AND subject IS NOT NULL";
    let anything = "user_id IS NOT NULL OR subject IS NOT NULL";
    let give_up = async || {
        for _ in 0..5 {
            deliver(&app).await;
            app.app.clock.advance(DAY / 4);
        }
    };
    let tokens = app.sign_in(&shop).await;
    sign_out(&app, &shop, &tokens).await;
    give_up().await;
    assert_eq!(count(&app.app, shop.project, "outbox", kept).await, 1);
    let first = sid(&tokens);
    let tokens = app.sign_in(&shop).await;
    Deleting::new(&app, &shop).await.delete().await;
    // What was given up is erased; what is owed to the deletion keeps its ids for as long as it is tried.
    assert_eq!(count(&app.app, shop.project, "outbox", kept).await, 1);
    give_up().await;
    assert_eq!(count(&app.app, shop.project, "outbox", "state = 'dead'").await, 2);
    assert_eq!(count(&app.app, shop.project, "outbox", anything).await, 0);
    for id in [first, sid(&tokens)] {
        let path = format!("/outbox/{}/retry", id.as_str().unwrap());
        let refused = admin.send(Method::POST, &path, None, None).await;
        let why = "nothing is left of this message; what caused it has to be done again";
        refused.refused(409, "conflict", why);
    }
    let page = admin.get("/outbox?state=dead").await.ok();
    assert!(page["items"].as_array().unwrap().iter().all(|one| one["retryable"] == false));
    // A row that a unit beside the deletion left is none to send either.
    run_sql(&app.app, "UPDATE outbox SET user_id = (SELECT id FROM users WHERE status = 'deleted')").await;
    let path = format!("/outbox/{}/retry", sid(&tokens).as_str().unwrap());
    assert_eq!(admin.send(Method::POST, &path, None, None).await.status, 409);
}

async fn an_address_within_our_network_is_refused(engine: Engine) {
    use tessera::callout::{CalloutSettings, Callouts};
    let app = TestApp::changed(engine, |app| {
        app.callouts = Callouts::new(CalloutSettings::default()).unwrap();
    })
    .await;
    let (shop, server) = told(&app, "shop").await;
    let tokens = app.sign_in(&shop).await;
    sign_out(&app, &shop, &tokens).await;
    deliver(&app).await;
    assert!(server.received().is_empty());
    let waiting = app.desk(&shop, "auditor").await.get("/outbox?state=waiting").await.ok();
    assert_eq!(waiting["items"][0]["last_error"], "the address is not one on the public internet");
}

async fn what_was_queued_outlives_the_node(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let tokens = app.sign_in(&shop).await;
    sign_out(&app, &shop, &tokens).await;
    let (family, now) = (sid(&tokens).as_str().unwrap().parse().unwrap(), app.app.clock.now());
    // A node took it, and nobody heard of it again; another one reads what the store has.
    let until = now.plus_seconds(300);
    let project = shop.project;
    let take =
        |conn| async move { tessera::store::outbox::lease(&conn, project, now, family, "dead", until).await };
    assert!(app.app.db.write(take).await.unwrap().is_some());
    let node = app.second_node().await;
    run_well(&node.app).await;
    assert!(server.received().is_empty());
    app.app.clock.advance(301);
    run_well(&node.app).await;
    assert_eq!(sids(&server.received()), [sid(&tokens)]);
}

/// SIGKILL while the client has not answered yet.
async fn a_kill_in_the_middle_loses_nothing(engine: Engine) {
    let mut app = TestApp::new(engine).await;
    let (shop, client) = told(&app, "shop").await;
    client.react(Reaction::Silent(std::time::Duration::from_secs(60)));
    let settings = [("TESSERA__CALLOUTS__ALLOW_PRIVATE_ADDRESSES", "true")];
    let node = Server::serve(&mut app, &settings);
    let tokens = app.sign_in(&shop).await;
    sign_out(&app, &shop, &tokens).await;
    client.wait_for(1).await;
    node.kill();
    // Its leases would lapse by themselves in five minutes.
    run_sql(&app.app, "UPDATE outbox SET next_attempt_at = created_at").await;
    run_sql(&app.app, "UPDATE jobs SET lease_until = next_run_at").await;
    client.react(status(200));
    let _next = Server::serve(&mut app, &settings);
    let received = client.wait_for(2).await;
    assert_eq!(sids(&received), [sid(&tokens), sid(&tokens)]);
}

async fn what_a_client_registers_is_checked(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, _server) = told(&app, "shop").await;
    let desk = app.desk(&shop, "admin").await;
    let path = format!("/clients/{}", shop.id);
    for bad in
        ["http://app.example/logout", "https://u@app.example/", "https://app.example/#f", "/logout", ""]
    {
        let answer = desk.patch(&path, json!({"backchannel_logout_uri": bad})).await;
        let bound = "backchannel_logout_uri is https or http on a loopback address, of at most 2048 characters that RFC 3986 knows, without fragment or user information";
        answer.refused_for(400, "invalid_request", "backchannel_logout_uri", bound);
    }
    let answer = desk.patch(&path, json!({"post_logout_redirect_uris": ["http://app.example/"]})).await;
    assert_eq!((answer.status, &answer.body["field"]), (400, &json!("post_logout_redirect_uris")));
    let tokens = app.sign_in(&shop).await;
    // One that is told no more, from now on.
    desk.patch(&path, json!({"backchannel_logout_uri": null})).await.ok();
    sign_out(&app, &shop, &tokens).await;
    assert_eq!(count(&app.app, shop.project, "outbox", "TRUE").await, 0);
}
