//! Changing one's own password: the old one is proved, this session stays, and nothing else does.

use serde_json::json;
use tessera::identity::passwords::Hasher;
use tessera::store::db::execute;

use crate::support::{
    Account, End, Engine, Held, PASSWORD, TestApp, Tokens, both_engines, code_of, hold_queue, number,
    silent_code, until_somebody_waits,
};

both_engines!(
    ends_everything_else,
    the_old_one_is_proved,
    the_projects_rules_hold,
    guesses_are_counted,
    a_first_one,
    overtaken_in_the_queue,
    overtaken_by_a_sign_out_in_the_same_moment,
    what_had_ended_stays_ended,
    a_sign_in_that_waits_elsewhere,
    of_two_changes_one_comes_through
);

const NEW: &str = "another long password";

async fn ends_everything_else(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let node = app.second_node().await;
    let (elsewhere, theirs) = (Account::new(&app, &shop).await, Account::new(&app, &other).await);
    let (code, cookie) = app.code(&shop, "").await;
    let tokens = app.sign_in(&shop).await;
    let alice = Account::with(&app, &shop, &tokens);
    let ended = alice.change_password(NEW).await.ok();
    assert_eq!((&ended["families_ended"], &ended["browser_sessions_ended"]), (&json!(1), &json!(3)));

    assert_eq!(alice.reason(&node).await, None, "the session that asked stays");
    node.refresh(&shop, tokens.get("refresh_token")).await.ok();
    assert_eq!(elsewhere.reason(&node).await.as_deref(), Some("signed_out"));
    let gone = "the code has expired or its sign-in has ended";
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", gone);
    assert_eq!(silent_code(&node, &shop, &cookie).await, None);
    assert_eq!(app.try_password(&shop, PASSWORD).await, None);
    assert!(app.try_password(&shop, NEW).await.is_some());
    assert_eq!(theirs.reason(&node).await, None, "another project's alice is another person");
    assert!(app.try_password(&other, PASSWORD).await.is_some());

    let events = app.desk(&shop, "auditor").await.get("/audit?action=user.password_changed").await.ok();
    let event = &events["items"][0];
    assert_eq!((&event["actor_kind"], &event["actor"]), (&json!("user"), &event["target"]));
    assert_eq!(event["detail"], json!({"families_ended": 1, "browser_sessions_ended": 3}));
    assert_eq!(event["personal"]["address"], "127.0.0.1");
}

async fn the_old_one_is_proved(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let alice = Account::new(&app, &shop).await;
    let elsewhere = Account::new(&app, &shop).await;
    for (body, status, code, field, why) in [
        (
            json!({"current_password": "a wrong one", "new_password": NEW}),
            403,
            "confirmation_failed",
            "current_password",
            "the current password is not right",
        ),
        (
            json!({"new_password": NEW}),
            400,
            "invalid_request",
            "current_password",
            "current_password is missing",
        ),
        (
            json!({"current_password": PASSWORD, "new_password": "short"}),
            400,
            "invalid_request",
            "new_password",
            "new_password has 8 to 1024 bytes",
        ),
        (
            json!({"current_password": PASSWORD, "new_password": PASSWORD}),
            400,
            "invalid_request",
            "new_password",
            "new_password is the current one",
        ),
        (
            json!({"current_password": PASSWORD}),
            400,
            "invalid_request",
            "new_password",
            "missing field new_password",
        ),
        (json!({"new_password": NEW, "x": 1}), 400, "invalid_request", "x", "unknown field x"),
    ] {
        alice.post("/password", body).await.refused_for(status, code, field, why);
    }
    assert_eq!((alice.reason(&app).await, elsewhere.reason(&app).await), (None, None), "nothing has ended");
    assert!(app.try_password(&shop, PASSWORD).await.is_some());
}

async fn the_projects_rules_hold(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let password = json!({"min_length": 12, "blocklist": ["tessera"], "history": 2});
    let settings = json!({"settings": {"sign_in": {"password": password}}});
    app.desk(&shop, "owner").await.patch("", settings).await.ok();
    let alice = Account::new(&app, &shop).await;
    for (new, rule, why) in [
        ("xK9#mQ2vLp", "min_length", "new_password has at least 12 characters"),
        (
            "my tessera, my castle",
            "blocklist",
            "new_password contains a word that this project does not allow",
        ),
        (
            "alice@example.com",
            "min_strength",
            "new_password is too easy to guess: its strength is 0, and this project asks for 2 of 4",
        ),
    ] {
        let refused = alice.change_password(new).await;
        let expected = json!({"error": "invalid_request", "error_description": why, "field": "new_password", "rule": rule});
        assert_eq!((refused.status, refused.body), (400, expected));
    }
    alice.change_password(NEW).await.ok();
    let back = json!({"current_password": NEW, "new_password": PASSWORD});
    let refused = alice.post("/password", back).await;
    assert_eq!((refused.status, &refused.body["rule"]), (400, &json!("history")));
}

/// A session that was left open is no oracle; the right password is not stopped by those before the bound.
async fn guesses_are_counted(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    let alice = Account::new(&app, &shop).await;
    let there = Account { app: &node, shop: &shop, token: alice.token.clone() };
    let guess = json!({"current_password": "a wrong one", "new_password": NEW});
    let guesses = (0..14).map(|i| {
        if i % 2 == 0 {
            alice.post("/password", guess.clone())
        } else {
            there.post("/password", guess.clone())
        }
    });
    let answers = futures_util::future::join_all(guesses).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(403), of(503)), (10, 4));
    let why = "the password was tried too often; try again later";
    alice.change_password(NEW).await.refused(503, "temporarily_unavailable", why);
    // Nobody is locked out at the door by this.
    assert!(app.try_password(&shop, PASSWORD).await.is_some());
    app.app.clock.advance(600);
    Account::new(&app, &shop).await.change_password(NEW).await.ok();
}

/// Whoever has no password gets a first one without proving another.
async fn a_first_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let alice = Account::new(&app, &shop).await;
    app.app.db.write(|conn| async move { execute!(&conn, "DELETE FROM credentials") }).await.unwrap();
    let (one, two) = tokio::join!(
        alice.post("/password", json!({"new_password": NEW})),
        alice.post("/password", json!({"new_password": "yet another one"})),
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert!(statuses == [200, 400] || statuses == [200, 409], "{statuses:?}");
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM credentials").await, 1);
    assert_eq!(alice.reason(&app).await, None);
}

/// The change waits in the queue of one node, while the other one ends everything: it comes to nothing.
async fn overtaken_in_the_queue(engine: Engine) {
    for end in End::ALL {
        let app = TestApp::new(engine).await;
        let node =
            app.second_node_changed(|app| app.hasher = Hasher::new(&app.entropy, 8, 1, 1, 64).unwrap()).await;
        let (shop, key) = (app.shop("shop", "confidential").await, app.key(None, "owner").await);
        let alice = Account::with(&node, &shop, &app.sign_in(&shop).await);
        let go = hold_queue(&node.app.hasher, 1).await;
        let ending = async {
            until_somebody_waits(&node.app.hasher).await;
            end.carry_out(&app, &shop, &key, None, 1).await;
            drop(go);
        };
        let (answer, ()) = tokio::join!(alice.change_password(NEW), ending);
        assert_eq!((answer.status, &answer.body["reason"]), (401, &json!(end.reason())), "{end:?}");
        if end == End::Disable {
            End::enable(&app, &shop, &key).await;
        }
        assert_eq!(app.try_password(&shop, NEW).await, None, "{end:?}");
        let now = end.password_after(PASSWORD, 1);
        assert_eq!(app.try_password(&shop, &now).await.is_some(), end != End::Delete, "{end:?}");
        let changed = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.password_changed'";
        assert_eq!(number(&app.app.db, changed).await, 0);
    }
}

/// A sign-out everywhere holds the user's row while the change arrives at it: the change finds its session ended.
async fn overtaken_by_a_sign_out_in_the_same_moment(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let alice = Account::new(&app, &shop).await;
    alice.get("/profile").await.ok();
    let (project, user, now) = (shop.project, shop.user, app.app.clock.now());
    let held = Held::new(&app, move |conn| async move {
        tessera::store::users::raise_epochs(&conn, project, now, user, false).await.map(drop)
    });
    let held = held.await;
    let (answer, ()) = tokio::join!(alice.change_password(NEW), held.commit_when_awaited(&app, 2));
    assert_eq!((answer.status, &answer.body["reason"]), (401, &json!("signed_out")));
    assert!(app.try_password(&shop, PASSWORD).await.is_some());
}

/// Only what stood under the epochs just replaced is stamped anew.
async fn what_had_ended_stays_ended(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, cookie) = app.code(&shop, "").await;
    let before = Account::with(&app, &shop, &Tokens(app.exchange(&shop, &code).await.ok()));
    // Ends the tokens, and leaves the browser session.
    let sign_out = app.bearer(&shop, "GlobalSignOut", &before.token, json!({})).await;
    sign_out.ok();
    app.app.clock.advance(1);
    let url = app.authorize_url(&shop, "&prompt=none");
    let silent = app.http.get(url).header("cookie", &cookie).send().await.unwrap();
    let after = Account::with(&app, &shop, &Tokens(app.exchange(&shop, &code_of(&silent)).await.ok()));
    after.change_password(NEW).await.ok();
    assert_eq!(before.reason(&app).await.as_deref(), Some("signed_out"));
    assert_eq!(after.reason(&app).await, None);
}

/// Another browser's sign-in with the old password waits in the queue: it comes to nothing.
async fn a_sign_in_that_waits_elsewhere(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node =
        app.second_node_changed(|app| app.hasher = Hasher::new(&app.entropy, 8, 1, 1, 64).unwrap()).await;
    let shop = app.shop("shop", "confidential").await;
    let alice = Account::new(&app, &shop).await;
    let (cookie, sealed) = node.sign_in_page(&shop, "").await;
    let go = hold_queue(&node.app.hasher, 1).await;
    let changing = async {
        until_somebody_waits(&node.app.hasher).await;
        alice.change_password(NEW).await.ok();
        drop(go);
    };
    let (answer, ()) = tokio::join!(node.submit(&shop, &cookie, &sealed, PASSWORD), changing);
    assert_eq!(answer.status(), 400);
    assert_eq!(alice.sessions().await.len(), 1);
}

async fn of_two_changes_one_comes_through(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    let mut password = PASSWORD.to_owned();
    for round in 0..6 {
        let sign_in = async |node| {
            let (cookie, sealed) = app.sign_in_page(&shop, "").await;
            let code = code_of(&app.submit(&shop, &cookie, &sealed, &password).await);
            Account::with(node, &shop, &Tokens(app.exchange(&shop, &code).await.ok()))
        };
        let (here, there) = (sign_in(&app).await, sign_in(&node).await);
        let new = [format!("here, round {round}"), format!("there, round {round}")];
        let body = |new: &str| json!({"current_password": password, "new_password": new});
        let (one, two) =
            tokio::join!(here.post("/password", body(&new[0])), there.post("/password", body(&new[1])));
        let won = usize::from(one.status != 200);
        let (winner, loser) = if won == 0 { (&here, &there) } else { (&there, &here) };
        let lost = if won == 0 { two } else { one };
        // It came when the other's password was the current one, or its session had ended.
        assert!([401, 403].contains(&lost.status), "{}", lost.body);
        assert_eq!((winner.reason(&app).await, loser.reason(&app).await.is_some()), (None, true));
        password.clone_from(&new[won]);
        assert!(app.try_password(&shop, &password).await.is_some());
        app.app.clock.advance(1);
    }
}
