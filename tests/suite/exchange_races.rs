//! A code and what it hangs on: its browser session, its one use, and how long the family lasts that it becomes.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::jobs::run_due;

use crate::support::{Answer, Desk, Engine, REDIRECT, Shop, TestApp, both_engines, code_of, number, run};

both_engines!(
    a_code_ends_with_its_session,
    a_code_of_the_last_second_works,
    a_refused_code_is_no_sign_in,
    // C067
    of_two_at_once_both_come_to_nothing,
    the_scope_decides_what_outlives_the_browser,
    a_browser_session_that_expires_ends_what_it_gave,
);

const ENDED: &str = "the code has expired or its sign-in has ended";

async fn silent_code(app: &TestApp, shop: &Shop, cookie: &str, more: &str) -> String {
    let url = app.authorize_url(shop, &format!("&prompt=none{more}"));
    code_of(&app.http.get(url).header("cookie", cookie).send().await.unwrap())
}

/// Ends the browser sessions of alice, one by one, as an admin does.
async fn end_browser_sessions(desk: &Desk<'_>, shop: &Shop) -> Value {
    let path = format!("/users/{}/sessions", shop.user);
    let mut ended = Value::Null;
    for session in desk.get(&path).await.ok()["items"].as_array().unwrap() {
        if session["kind"] == "browser_session" {
            ended = desk.delete(&format!("{path}/{}", session["id"].as_str().unwrap())).await.ok();
        }
    }
    ended
}

/// Whatever the clean-up does with the session, right away or much later.
async fn a_code_ends_with_its_session(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    let (code, _) = app.code(&shop, "").await;
    end_browser_sessions(&desk, &shop).await;
    run_due(&app.app).await.unwrap();
    app.exchange(&shop, &code).await.refused(400, "invalid_grant", ENDED);
    // Nor does a code live whose session is not there at all.
    let (code, _) = app.code(&shop, "").await;
    run(&app.app.db, "DELETE FROM browser_sessions").await;
    app.exchange(&shop, &code).await.refused(400, "invalid_grant", ENDED);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM token_families").await, 0);
}

async fn a_code_of_the_last_second_works(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    app.app.clock.advance(3599);
    let code = silent_code(&app, &shop, &cookie, "").await;
    app.app.clock.advance(59);
    run_due(&app.app).await.unwrap();
    app.exchange(&shop, &code).await.ok();
}

async fn a_refused_code_is_no_sign_in(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    let last = async || desk.get(&format!("/users/{}", shop.user)).await.ok()["last_sign_in_at"].clone();
    let (used, _) = app.code(&shop, "").await;
    app.exchange(&shop, &used).await.ok();
    let (code, _) = app.code(&shop, "").await;
    let before = last().await;
    assert_eq!(before, "2027-01-15T08:00:00Z");
    app.app.clock.advance(60);
    app.exchange(&shop, &code).await.refused(400, "invalid_grant", ENDED);
    let (code, _) = app.code(&shop, "").await;
    end_browser_sessions(&desk, &shop).await;
    app.exchange(&shop, &code).await.refused(400, "invalid_grant", ENDED);
    app.exchange(&shop, &used).await.refused(400, "invalid_grant", "the code has been used already");
    assert_eq!(last().await, before);
}

/// RFC 6749, 4.1.2, also when the second use does not wait for the end of the first.
async fn of_two_at_once_both_come_to_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let node = app.second_node().await;
    for round in 1..=20 {
        let (code, _) = app.code(&shop, "").await;
        let (one, two) = tokio::join!(app.exchange(&shop, &code), node.exchange(&shop, &code));
        let (granted, refused) = if one.status == 200 { (one, two) } else { (two, one) };
        let tokens = granted.ok();
        refused.refused(400, "invalid_grant", "the code has been used already");
        let access = tokens["access_token"].as_str().unwrap();
        assert_eq!(app.verify(&shop, access).await["reason"], "session_revoked");
        let events = "SELECT count(*) AS n FROM audit_log WHERE action = 'authorization_code.replayed'";
        assert_eq!(number(&app.app.db, events).await, round);
    }
}

async fn at_token_endpoint(app: &TestApp, shop: &Shop, code: &str) -> Value {
    let request = app.http.request(Method::POST, app.project_url(shop, "/oauth2/token"));
    let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
    let answer = request.basic_auth(&shop.id, shop.secret.as_ref()).form(&form).send().await.unwrap();
    Answer::of(answer).await.ok()
}

/// OpenID Connect Core, 11, at the token endpoint; the session API grants `offline_access` unasked.
async fn the_scope_decides_what_outlives_the_browser(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    let (code, cookie) = app.code(&shop, "").await;
    let of_session_api = app.exchange(&shop, &code).await.ok();
    let bound = at_token_endpoint(&app, &shop, &silent_code(&app, &shop, &cookie, "").await).await;
    let offline = silent_code(&app, &shop, &cookie, "&scope=openid+offline_access").await;
    let offline = at_token_endpoint(&app, &shop, &offline).await;
    assert_eq!(offline["scope"], "openid offline_access");
    let refreshed = app.refresh(&shop, bound["refresh_token"].as_str().unwrap()).await.ok();

    let ended = end_browser_sessions(&desk, &shop).await;
    assert_eq!((&ended["families_ended"], &ended["browser_sessions_ended"]), (&json!(1), &json!(1)));
    let dead = "the session has ended: session_revoked";
    let token = refreshed["refresh_token"].as_str().unwrap();
    app.refresh(&shop, token).await.refused(400, "invalid_grant", dead);
    for (tokens, active) in [(&of_session_api, true), (&bound, false), (&offline, true)] {
        assert_eq!(app.verify(&shop, tokens["access_token"].as_str().unwrap()).await["active"], active);
    }
}

/// Nobody has to end it: an hour after the sign-in it is over, whoever uses the browser then.
async fn a_browser_session_that_expires_ends_what_it_gave(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, cookie) = app.code(&shop, "").await;
    let of_session_api = app.exchange(&shop, &code).await.ok();
    app.app.clock.advance(600);
    let bound = at_token_endpoint(&app, &shop, &silent_code(&app, &shop, &cookie, "").await).await;
    assert_eq!(bound["refresh_expires_in"], 3000);
    assert!(bound["expires_in"].as_i64().unwrap() <= 3000);
    let offline = silent_code(&app, &shop, &cookie, "&scope=openid+offline_access").await;
    let offline = at_token_endpoint(&app, &shop, &offline).await;
    assert!(offline["refresh_expires_in"].as_i64().unwrap() > 3000);
    app.app.clock.advance(2990);
    let refreshed = app.refresh(&shop, bound["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!((&refreshed["refresh_expires_in"], &refreshed["expires_in"]), (&json!(10), &json!(10)));
    // A code of the last seconds does not bring it back.
    let late = silent_code(&app, &shop, &cookie, "").await;
    app.app.clock.advance(10);
    let form = [("grant_type", "authorization_code"), ("code", late.as_str()), ("redirect_uri", REDIRECT)];
    let request = app.http.post(app.project_url(&shop, "/oauth2/token")).form(&form);
    let request = request.basic_auth(&shop.id, shop.secret.as_ref());
    Answer::of(request.send().await.unwrap()).await.refused(400, "invalid_grant", ENDED);
    let over = app.refresh(&shop, refreshed["refresh_token"].as_str().unwrap()).await;
    assert_eq!((over.status, &over.body["error"]), (400, &json!("invalid_grant")));
    assert_eq!(app.verify(&shop, refreshed["access_token"].as_str().unwrap()).await["active"], false);
    for outlives in [&of_session_api, &offline] {
        app.refresh(&shop, outlives["refresh_token"].as_str().unwrap()).await.ok();
    }
}
