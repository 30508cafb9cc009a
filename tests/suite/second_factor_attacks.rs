//! What somebody with the password, and without the second factor, tries.

use futures_util::future::join_all;
use serde_json::json;
use tessera::store::db::fetch_one;
use tessera::store::recovery_codes;

use crate::support::{
    End, Engine, Middle, PASSWORD, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of,
    parameter, sealed_of,
};

both_engines!(
    a_code_counts_once,
    a_code_counts_once_at_once,
    a_recovery_code_counts_once,
    nobody_gets_around_it,
    // C125
    forms_are_bound_to_their_sign_in,
    what_ends_ends_the_sign_in,
    who_leaves_has_left,
    who_leaves_halfway_has_left,
    guesses_at_codes_are_told,
    wrong_codes_are_limited,
    codes_of_one_user_are_limited,
    // C053
    the_cookie_is_replaced_at_each_proof,
    guesses_at_recovery_codes_are_told,
    unfinished_sign_ins_are_bounded,
);

const WRONG: &str = "That code is not right, or was used before.";
const OUT_OF_DATE: &str = "It was open for too long, or was made for another browser. Nothing has been lost.";
const OVER: &str = "Too many codes were not right. Nothing has been lost: start again.";
const STALE: &str =
    "This sign-in page is no longer valid. Please go back to the application and start again.";

async fn sessions(app: &TestApp) -> i64 {
    let sql = "SELECT count(*) FROM browser_sessions";
    app.app.db.read(|conn| async move { fetch_one!(conn, (i64,), sql) }).await.unwrap().0
}

async fn silent(app: &TestApp, shop: &Shop, cookie: &str) -> Option<String> {
    let url = app.authorize_url(shop, "&prompt=none");
    let answer = app.http.get(url).header("cookie", cookie).send().await.unwrap();
    parameter(&location_of(&answer), "error")
}

/// RFC 6238, 5.2.
async fn a_code_counts_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let code = enrolled.authenticator.code(&app);
    let (first, second) = (app.half_signed_in(&shop, "").await, app.half_signed_in(&shop, "").await);
    assert_eq!(app.show(&shop, &first, "totp", &code).await.status(), 303);
    Seen::of(app.show(&shop, &second, "totp", &code).await).await.asks_again(400, WRONG);
    // Nor an older one that was not shown.
    let older = enrolled.authenticator.code_at(&app, -30);
    Seen::of(app.show(&shop, &second, "totp", &older).await).await.asks_again(400, WRONG);
    // The form that was good once is over.
    Seen::of(app.show(&shop, &first, "totp", &code).await).await.refused(400, OUT_OF_DATE);
    let next = enrolled.authenticator.code_at(&app, 30);
    assert_eq!(app.show(&shop, &second, "totp", &next).await.status(), 303);
}

async fn a_code_counts_once_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    for _ in 0..3 {
        app.app.clock.advance(900);
        let code = enrolled.authenticator.code(&app);
        let mut middles = Vec::new();
        for _ in 0..6 {
            middles.push(app.half_signed_in(&shop, "").await);
        }
        let shown = middles.iter().enumerate().map(|(number, middle)| {
            let at = if number % 2 == 0 { &app } else { &node };
            at.show(&shop, middle, "totp", &code)
        });
        let answers = join_all(shown).await;
        let through: Vec<_> = answers.iter().filter(|answer| answer.status() == 303).collect();
        assert_eq!(through.len(), 1);
        app.exchange(&shop, &code_of(through[0])).await.ok();
        // One sign-in, many at once: one session.
        app.app.clock.advance(60);
        let (middle, code) = (app.half_signed_in(&shop, "").await, enrolled.authenticator.code(&app));
        let before = sessions(&app).await;
        let answers = join_all((0..4).map(|_| app.show(&shop, &middle, "totp", &code))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status() == 303).count(), 1);
        assert_eq!(sessions(&app).await, before + 1);
    }
}

async fn a_recovery_code_counts_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let enrolled = app.enrolled(&shop).await;
    let theirs = app.enrolled(&other).await;
    let middle = app.half_signed_in(&shop, "").await;
    // Another project's, another person's, none at all.
    for wrong in [theirs.codes[0].as_str(), "", "0000-0000-0000", "bcdf-2345-ghjk"] {
        Seen::of(app.show(&shop, &middle, "recovery_code", wrong).await).await.asks_again(400, WRONG);
    }
    let mut middles = Vec::new();
    for _ in 0..6 {
        middles.push(app.half_signed_in(&shop, "").await);
    }
    let shown = middles.iter().enumerate().map(|(number, middle)| {
        let at = if number % 2 == 0 { &app } else { &node };
        at.show(&shop, middle, "recovery_code", &enrolled.codes[0])
    });
    let through = join_all(shown).await.iter().filter(|answer| answer.status() == 303).count();
    assert_eq!(through, 1);
    let again = app.half_signed_in(&shop, "").await;
    Seen::of(app.show(&shop, &again, "recovery_code", &enrolled.codes[0]).await).await.asks_again(400, WRONG);
    // However many have looked before the first: the statement that uses it up finds it once.
    let used = "SELECT code_hash FROM recovery_codes WHERE used_at IS NOT NULL";
    let used = app.app.db.read(|conn| async move { fetch_one!(conn, (Vec<u8>,), used) }).await.unwrap().0;
    let (project, user, now, used) = (shop.project, shop.user, app.app.clock.now(), &used);
    let consume = |conn| async move { recovery_codes::consume(&conn, project, now, user, used).await };
    assert_eq!(app.app.db.write(consume).await.unwrap(), 0);
    assert_eq!(app.show(&shop, &again, "recovery_code", &enrolled.codes[1]).await.status(), 303);
}

/// Codes that could be ones are guesses like any others: five end the sign-in, and the owner is told.
async fn guesses_at_recovery_codes_are_told(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let letters = async || {
        let letters = "SELECT count(*) FROM outbox WHERE kind = 'mail'";
        app.app.db.read(|conn| async move { fetch_one!(conn, (i64,), letters) }).await.unwrap().0
    };
    let middle = app.half_signed_in(&shop, "").await;
    let before = letters().await;
    for n in 2..6 {
        let code = format!("bcdf-ghjk-mnp{n}");
        Seen::of(app.show(&shop, &middle, "recovery_code", &code).await).await.asks_again(400, WRONG);
    }
    assert_eq!(letters().await, before);
    let last = app.show(&shop, &middle, "recovery_code", "bcdf-ghjk-mnp6").await;
    Seen::of(last).await.refused(400, OVER);
    assert_eq!(letters().await, before + 1);
    let right = app.show(&shop, &middle, "recovery_code", &enrolled.codes[0]).await;
    Seen::of(right).await.refused(400, OUT_OF_DATE);
    // None of this has used one up.
    let middle = app.half_signed_in(&shop, "").await;
    assert_eq!(app.show(&shop, &middle, "recovery_code", &enrolled.codes[0]).await.status(), 303);
}

/// Whoever has the password begins as often as they like, and keeps no more than so many waiting.
async fn unfinished_sign_ins_are_bounded(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let other = app.shop("other", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    app.enrolled(&other).await;
    let elsewhere = app.half_signed_in(&other, "").await;
    let first = app.half_signed_in(&shop, "").await;
    app.app.clock.advance(1);
    let second = app.half_signed_in(&shop, "").await;
    app.app.clock.advance(1);
    for _ in 0..49 {
        app.half_signed_in(&shop, "").await;
    }
    let rows = "SELECT count(*) FROM sign_ins_in_progress";
    let rows = app.app.db.read(|conn| async move { fetch_one!(conn, (i64,), rows) }).await.unwrap().0;
    assert_eq!(rows, 51, "fifty here, and one there");
    Seen::of(app.get_page(&shop, "/second-factor", &first.cookie).await).await.refused(400, STALE);
    let code = enrolled.authenticator.code(&app);
    assert_eq!(app.show(&shop, &second, "totp", &code).await.status(), 303);
    assert_eq!(app.get_page(&other, "/second-factor", &elsewhere.cookie).await.status(), 200);
}

/// After the password the browser is not signed in, whichever page it asks for and whatever it posts.
async fn nobody_gets_around_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let before = sessions(&app).await;
    let (first, form) = app.sign_in_page(&shop, "").await;
    let middle = app.asked_for_more(&app.submit(&shop, &first, &form, PASSWORD).await).await;
    for cookie in [&middle.cookie, &first] {
        assert_eq!(silent(&app, &shop, cookie).await.as_deref(), Some("login_required"));
        let page = app.http.get(app.authorize_url(&shop, "")).header("cookie", cookie).send().await.unwrap();
        assert!(Seen::of(page).await.text.contains(r#"name="password""#));
    }
    let sealed = middle.sealed();
    let code = enrolled.authenticator.code(&app);
    for (path, fields) in [
        ("/second-factor", vec![]),
        ("/second-factor", vec![("factor", "none"), ("code", code.as_str())]),
        ("/second-factor", vec![("factor", "password"), ("code", PASSWORD)]),
        ("/second-factor", vec![("factor", "passkey"), ("code", "{}")]),
        ("/second-factor", vec![("factor", "email_code"), ("code", code.as_str())]),
        ("/second-factor", vec![("factor", "TOTP"), ("code", code.as_str())]),
        ("/second-factor", vec![("factor", "totp"), ("factor", "totp"), ("code", code.as_str())]),
        ("/enrol", vec![("code", code.as_str())]),
        ("/consent", vec![("decision", "allow")]),
        ("/select-account", vec![("account", "this")]),
        ("/device/confirm", vec![("decision", "allow")]),
        ("/sign-in", vec![("username", "alice"), ("password", PASSWORD)]),
    ] {
        let fields = [vec![("request", sealed.as_str())], fields].concat();
        let answer = app.post_page(&shop, path, &middle.cookie, &fields).await;
        assert_eq!(Seen::of(answer).await.status, 400, "{path} {fields:?}");
    }
    // Nobody who has a factor makes another one instead.
    let enrol = app.get_page(&shop, "/enrol", &middle.cookie).await;
    assert!(enrol.headers()["location"].to_str().unwrap().ends_with("/second-factor"));
    // A form of the sign-in that is sent again begins anew, and asks again.
    let again = app.submit(&shop, &middle.cookie, &form, PASSWORD).await;
    assert_eq!(Seen::of(again).await.status, 400, "it was made for the cookie of before");
    for (path, cookie) in [("/second-factor", ""), ("/enrol", ""), ("/second-factor", first.as_str())] {
        Seen::of(app.get_page(&shop, path, cookie).await).await.refused(400, STALE);
    }
    // An app that does not count here opens nothing.
    app.policy(&shop, json!({"second_factor": "required", "factors": ["passkey"]})).await;
    let answer = app.show(&shop, &middle, "totp", &code).await;
    assert_eq!(Seen::of(answer).await.status, 400);
    let answer = app.show(&shop, &middle, "recovery_code", &enrolled.codes[0]).await;
    assert_eq!(Seen::of(answer).await.status, 400);
    assert_eq!(sessions(&app).await, before);
    app.policy(&shop, json!({"factors": null})).await;
    assert_eq!(app.show(&shop, &middle, "totp", &code).await.status(), 303, "none of this has spoilt it");
}

async fn forms_are_bound_to_their_sign_in(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (mine, theirs) = (app.enrolled(&shop).await, app.enrolled(&other).await);
    let (one, two) = (app.half_signed_in(&shop, "").await, app.half_signed_in(&shop, "").await);
    let foreign = app.half_signed_in(&other, "").await;
    let code = mine.authenticator.code(&app);
    let crossed = |cookie: &str, page: &str| Middle {
        cookie: cookie.to_owned(),
        page: Seen { status: 200, headers: Default::default(), text: page.to_owned() },
    };
    // Another browser's form, and a browser without the cookie.
    for cookie in [two.cookie.as_str(), ""] {
        let answer = app.show(&shop, &crossed(cookie, &one.page.text), "totp", &code).await;
        Seen::of(answer).await.refused(400, OUT_OF_DATE);
    }
    // Another project's row, cookie and form.
    for (cookie, page) in [(&foreign.cookie, &foreign.page.text), (&one.cookie, &foreign.page.text)] {
        let answer = app.show(&shop, &crossed(cookie, page), "totp", &code).await;
        Seen::of(answer).await.refused(400, STALE);
    }
    let their_code = theirs.authenticator.code(&app);
    Seen::of(app.show(&shop, &one, "totp", &their_code).await).await.asks_again(400, WRONG);
    // A post from another site.
    let (sealed, form_of) = (one.sealed(), |sealed: &str| {
        vec![
            ("request".to_owned(), sealed.to_owned()),
            ("factor".into(), "totp".into()),
            ("code".into(), code.clone()),
        ]
    });
    let elsewhere = app.http.post(app.project_url(&shop, "/second-factor")).header("cookie", &one.cookie);
    let elsewhere =
        elsewhere.header("sec-fetch-site", "cross-site").form(&form_of(&sealed)).send().await.unwrap();
    Seen::of(elsewhere).await.refused(400, STALE);
    // Ten minutes.
    app.app.clock.advance(599);
    Seen::of(app.show(&shop, &one, "totp", "000000").await).await.asks_again(400, WRONG);
    app.app.clock.advance(1);
    let late = app.show(&shop, &one, "totp", &mine.authenticator.code(&app)).await;
    Seen::of(late).await.refused(400, OUT_OF_DATE);
}

/// Design, 6: epochs are read with the first proof, and never again.
async fn what_ends_ends_the_sign_in(engine: Engine) {
    for end in End::ALL {
        let app = TestApp::new(engine).await;
        let node = app.second_node().await;
        let (shop, key) = (app.shop("shop", "confidential").await, app.key(None, "owner").await);
        let enrolled = app.enrolled(&shop).await;
        let middle = app.half_signed_in(&shop, "").await;
        let before = sessions(&app).await;
        end.carry_out(&node, &shop, &key, None, 1).await;
        let code = enrolled.authenticator.code(&app);
        let answer = app.show(&shop, &middle, "totp", &code).await;
        Seen::of(answer).await.refused(400, OUT_OF_DATE);
        assert!(sessions(&app).await <= before, "{end:?}");
        assert!(silent(&app, &shop, &middle.cookie).await.is_some());
        let page = app.get_page(&shop, "/second-factor", &middle.cookie).await;
        Seen::of(page).await.refused(400, STALE);
    }
}

/// A step-up takes the place of a session that is there, and of none that was left.
async fn who_leaves_has_left(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, cookie) = app.code(&shop, "").await;
    let tokens = app.exchange(&shop, &code).await.ok();
    let enrolled = app.enrolled(&shop).await;
    let url = app.authorize_url(&shop, "&acr_values=2");
    let asked = app.http.get(url).header("cookie", &cookie).send().await.unwrap();
    let page = Seen::of(app.follow(&asked, &cookie).await).await;
    let middle = Middle { cookie: cookie.clone(), page };
    let hint = tokens["id_token"].as_str().unwrap();
    let logout = app.project_url(&shop, &format!("/oauth2/logout?id_token_hint={hint}"));
    app.http.get(logout).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(silent(&app, &shop, &cookie).await.as_deref(), Some("login_required"));
    // Neither a code nor a factor of their own is taken from whoever has the cookie still.
    let answer = app.show(&shop, &middle, "totp", &enrolled.authenticator.code(&app)).await;
    Seen::of(answer).await.refused(400, OUT_OF_DATE);
    Seen::of(app.get_page(&shop, "/enrol", &cookie).await).await.refused(400, STALE);
    assert_eq!(silent(&app, &shop, &cookie).await.as_deref(), Some("login_required"));
}

/// Whoever signs in again has another cookie after the password; the session that it is to replace is left with it.
async fn who_leaves_halfway_has_left(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, former) = app.code(&shop, "").await;
    let tokens = app.exchange(&shop, &code).await.ok();
    app.enrolled(&shop).await;
    let page = app
        .http
        .get(app.authorize_url(&shop, "&prompt=login"))
        .header("cookie", &former)
        .send()
        .await
        .unwrap();
    let sealed = sealed_of(&page.text().await.unwrap());
    let middle = app.asked_for_more(&app.submit(&shop, &former, &sealed, PASSWORD).await).await;
    assert_eq!(silent(&app, &shop, &former).await, None, "the former session lives on until it is replaced");
    let hint = tokens["id_token"].as_str().unwrap();
    let logout = app.project_url(&shop, &format!("/oauth2/logout?id_token_hint={hint}"));
    let left = app.http.get(logout).header("cookie", &middle.cookie).send().await.unwrap();
    assert_eq!(left.status(), 200);
    assert_eq!(silent(&app, &shop, &former).await.as_deref(), Some("login_required"));
}

/// It takes the password to get so far, so the owner hears of it; once a day, however many there are.
async fn guesses_at_codes_are_told(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.enrolled(&shop).await;
    let told = async || {
        let letters = "SELECT count(*) FROM outbox WHERE kind = 'mail'";
        app.app.db.read(|conn| async move { fetch_one!(conn, (i64,), letters) }).await.unwrap().0
    };
    let before = told().await;
    for sign_in in 0..3 {
        let middle = app.half_signed_in(&shop, "").await;
        for _ in 0..5 {
            app.show(&shop, &middle, "totp", "000000").await;
        }
        assert_eq!(told().await, before + 1, "{sign_in}");
    }
    let events = app.desk(&shop, "auditor").await.get("/audit?action=user.codes_refused").await.ok();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    app.app.clock.advance(86_400);
    let middle = app.half_signed_in(&shop, "").await;
    for _ in 0..5 {
        app.show(&shop, &middle, "totp", "000000").await;
    }
    assert_eq!(told().await, before + 2);
}

async fn wrong_codes_are_limited(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let middle = app.half_signed_in(&shop, "").await;
    for _ in 0..4 {
        Seen::of(app.show(&shop, &middle, "totp", "000000").await).await.asks_again(400, WRONG);
    }
    let last = Seen::of(app.show(&shop, &middle, "totp", "000000").await).await;
    last.refused(400, OVER);
    assert!(last.text.contains("/oauth2/authorize?"));
    let right = app.show(&shop, &middle, "totp", &enrolled.authenticator.code(&app)).await;
    Seen::of(right).await.refused(400, OUT_OF_DATE);
    // Many at once are no more than five.
    let middle = app.half_signed_in(&shop, "").await;
    let answers = join_all((0..12).map(|_| app.show(&shop, &middle, "totp", "000000"))).await;
    let mut looked_at = 0;
    for answer in answers {
        looked_at += i32::from(Seen::of(answer).await.text.contains(WRONG));
    }
    assert!(looked_at <= 4, "{looked_at}");
}

/// Whoever has the password guesses in vain, and leaves the recovery codes to the person.
async fn codes_of_one_user_are_limited(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let bob = tessera::secret::Secret::new(PASSWORD);
    tessera::projects::create_user(&app.app, shop.project, "bob", None, bob).await.unwrap();
    let enrolled = app.enrolled(&shop).await;
    for _ in 0..5 {
        let middle = app.half_signed_in(&shop, "").await;
        for _ in 0..3 {
            Seen::of(app.show(&shop, &middle, "totp", "000000").await).await.asks_again(400, WRONG);
        }
    }
    let middle = app.half_signed_in(&shop, "").await;
    let code = enrolled.authenticator.code(&app);
    let waiting = "Too many codes were not right. Please wait for a while, or prove yourself in another way.";
    Seen::of(app.show(&shop, &middle, "totp", &code).await).await.asks_again(429, waiting);
    let answer = app.show(&shop, &middle, "recovery_code", &enrolled.codes[0]).await;
    assert_eq!(answer.status(), 303);
    // Nobody else waits, and in a quarter of an hour nobody at all.
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let bob = app.submit_as(&shop, &cookie, &sealed, ("bob", PASSWORD)).await;
    app.exchange(&shop, &code_of(&bob)).await.ok();
    app.app.clock.advance(900);
    app.signed_in_with(&shop, "", &enrolled.authenticator).await;
    // Strangers, who do not know the password, do not get so far.
    for _ in 0..20 {
        let (cookie, sealed) = app.sign_in_page(&shop, "").await;
        assert_eq!(app.submit(&shop, &cookie, &sealed, "wrong").await.status(), 400);
    }
}

/// RFC 9700, 4.7: what was there before a proof is worth nothing after it.
async fn the_cookie_is_replaced_at_each_proof(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let (planted, sealed) = app.sign_in_page(&shop, "").await;
    let middle = app.asked_for_more(&app.submit(&shop, &planted, &sealed, PASSWORD).await).await;
    // Whoever planted the first cookie sees nothing of what follows it.
    Seen::of(app.get_page(&shop, "/second-factor", &planted).await).await.refused(400, STALE);
    let answer = app.show(&shop, &middle, "totp", &enrolled.authenticator.code(&app)).await;
    let last = cookie_of(&answer);
    assert!(last != middle.cookie && middle.cookie != planted);
    for (cookie, signs_in) in [(&planted, false), (&middle.cookie, false), (&last, true)] {
        assert_eq!(silent(&app, &shop, cookie).await.is_none(), signs_in);
    }
    // The store has its hash alone, and what the sign-in was for only whoever has the cookie can read.
    let middle = app.half_signed_in(&shop, "&login_hint=a-hint-of-its-own").await;
    let sql = "SELECT token_hash, sealed_aim FROM sign_ins_in_progress";
    let row = app.app.db.read(|conn| async move { fetch_one!(conn, (Vec<u8>, Vec<u8>), sql) }).await.unwrap();
    let value = middle.cookie.split_once('=').unwrap().1;
    assert_eq!(row.0, tessera::secret::sha256(value.as_bytes()));
    assert!(!String::from_utf8_lossy(&row.1).contains("a-hint-of-its-own"));
    let _ = sealed_of(&middle.page.text);
}
