//! Lossless rotation: a lost response is no sign-out, a replay is.

use serde_json::json;

use crate::support::{Engine, TestApp, both_engines};

both_engines!(
    // C082
    lost_response,
    // C083 C084
    replay_ends_the_family,
    // C085
    twenty_at_once,
    expiry,
    // C086
    scope_shrinks,
);

async fn lost_response(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let first = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    app.app.clock.advance(30);
    let again = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    assert_eq!(first["refresh_token"], again["refresh_token"]);
    app.refresh(&shop, again["refresh_token"].as_str().unwrap()).await.ok();
}

async fn replay_ends_the_family(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (tokens, other) = (app.sign_in(&shop).await, app.sign_in(&shop).await);
    let newest = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    app.app.clock.advance(31);
    let replayed = "the refresh token was used already; the session has been ended";
    app.refresh(&shop, tokens.get("refresh_token")).await.refused(400, "invalid_grant", replayed);
    let dead = app.verify(&shop, newest["access_token"].as_str().unwrap()).await;
    assert_eq!(dead["reason"], "session_revoked");
    let ended = "the session has ended: session_revoked";
    app.refresh(&shop, newest["refresh_token"].as_str().unwrap()).await.refused(400, "invalid_grant", ended);
    // Other sessions live on.
    app.refresh(&shop, other.get("refresh_token")).await.ok();
}

async fn twenty_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let calls = (0..20).map(|_| app.refresh(&shop, tokens.get("refresh_token")));
    let answers: Vec<_> = futures_util::future::join_all(calls).await.into_iter().map(|a| a.ok()).collect();
    assert!(answers.iter().all(|answer| answer["refresh_token"] == answers[0]["refresh_token"]));
}

async fn expiry(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    app.app.clock.advance(3600);
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "expired");
    app.app.clock.advance(30 * 86_400 - 3600);
    let expired = "the session has ended: session_expired";
    app.refresh(&shop, tokens.get("refresh_token")).await.refused(400, "invalid_grant", expired);
}

async fn scope_shrinks(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let ask = |scope: &str| json!({"refresh_token": tokens.get("refresh_token"), "scope": scope});
    let wider = app.call(&shop, "refresh", ask("openid admin")).await;
    wider.refused(400, "invalid_scope", "scope asks for more than was granted");
    let narrow = app.call(&shop, "refresh", ask("openid openid offline_access")).await.ok();
    assert_eq!(narrow["scope"], "openid");
    let next = app.refresh(&shop, narrow["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!(next["scope"], "openid profile email");
}
