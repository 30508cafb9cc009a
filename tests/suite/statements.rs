//! Hot paths are held to a number of statements.

use serde_json::json;
use tessera::store::db::StatementCounts;

use crate::support::{Engine, TestApp, both_engines};

both_engines!(
    hot_paths_are_counted,
    a_forged_refresh_token_costs_nothing,
    a_wrong_secret_costs_its_client_nothing
);

/// What one call costs: reads, writes, units.
async fn cost(app: &TestApp, call: impl Future<Output = ()>) -> (u64, u64, u64) {
    let StatementCounts { reads, writes, units } = app.app.db.statements();
    call.await;
    let after = app.app.db.statements();
    (after.reads - reads, after.writes - writes, after.units - units)
}

async fn hot_paths_are_counted(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, _) = app.code(&shop, "&scope=openid+profile").await;
    let exchanged = cost(&app, async {
        app.exchange(&shop, &code).await.ok();
    });
    // The client is met for the first time: itself and its secrets.
    assert_eq!(exchanged.await, (2, 5, 1));
    let (code, _) = app.code(&shop, "&scope=openid+profile").await;
    let mut tokens = json!({});
    let exchanged = cost(&app, async { tokens = app.exchange(&shop, &code).await.ok() });
    assert_eq!(exchanged.await, (0, 5, 1), "one transaction");

    let access = tokens["access_token"].as_str().unwrap();
    let verified = cost(&app, async {
        assert_eq!(app.verify(&shop, access).await["active"], true);
    });
    assert_eq!(verified.await, (1, 0, 0));
    let informed = cost(&app, async {
        app.bearer(&shop, "userinfofromaccesstoken", access, json!({})).await.ok();
    });
    assert_eq!(informed.await, (1, 0, 0));
    let refreshed = cost(&app, async {
        app.refresh(&shop, tokens["refresh_token"].as_str().unwrap()).await.ok();
    });
    assert_eq!(refreshed.await, (1, 1, 0));
    // A token at fault costs no more.
    let faulty = cost(&app, async {
        assert_eq!(app.verify(&shop, "a.b.c").await["reason"], "malformed");
    });
    assert_eq!(faulty.await, (1, 0, 0));
}

async fn a_forged_refresh_token_costs_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let genuine = tokens.get("refresh_token");
    let last = if genuine.ends_with('A') { 'Q' } else { 'A' };
    let forged = format!("{}{last}", &genuine[..genuine.len() - 1]);
    let refused = cost(&app, async {
        app.refresh(&shop, &forged).await.refused(400, "invalid_grant", "the refresh token is not valid");
    });
    assert_eq!(refused.await, (0, 0, 0));
}

/// Anybody may know a client's id; who guesses its secret pays for the guess alone.
async fn a_wrong_secret_costs_its_client_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let access = tokens.get("access_token");
    let guess = async || {
        let request = app.http.post(app.project_url(&shop, "/api/verifyaccesstoken"));
        let request = request.basic_auth(&shop.id, Some("wrong")).json(&json!({"access_token": access}));
        let answer = crate::support::Answer::of(request.send().await.unwrap()).await;
        answer.refused(401, "invalid_client", "client authentication failed");
    };
    app.verify(&shop, access).await;
    for _ in 0..3 {
        // The secret may be newer than what is remembered: the client and its secrets.
        assert_eq!(cost(&app, guess()).await, (2, 0, 0));
        let verified = cost(&app, async {
            assert_eq!(app.verify(&shop, access).await["active"], true);
        });
        assert_eq!(verified.await, (1, 0, 0));
    }
}
