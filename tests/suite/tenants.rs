//! A second project sees nothing, and one kind of token is never taken for another.

use serde_json::json;

use crate::support::{Engine, TestApp, both_engines};

both_engines!(
    // C131
    nothing_crosses,
    // C102
    token_kinds,
);

async fn nothing_crosses(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let tokens = app.sign_in(&shop).await;
    let (code, cookie) = app.code(&shop, "").await;

    app.exchange(&other, &code).await.refused(400, "invalid_grant", "the code is unknown");
    app.refresh(&other, tokens.get("refresh_token")).await.refused(
        400,
        "invalid_grant",
        "the refresh token is not valid",
    );
    assert_eq!(app.verify(&other, tokens.get("access_token")).await["reason"], "unknown_key");
    let info = app.bearer(&other, "userinfofromaccesstoken", tokens.get("access_token"), json!({})).await;
    assert_eq!((info.status, &info.body["reason"]), (401, &json!("unknown_key")));
    let crossed =
        app.http.post(app.project_url(&other, "/api/refresh")).basic_auth(&shop.id, shop.secret.as_ref());
    let crossed = crossed.json(&json!({"refresh_token": "x"})).send().await.unwrap();
    assert_eq!(crossed.status(), 401);
    let silent = app
        .http
        .get(app.authorize_url(&other, "&prompt=none"))
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    assert!(silent.headers()["location"].to_str().unwrap().contains("error=login_required"));
    // Nothing of this has harmed the first project.
    app.exchange(&shop, &code).await.ok();
    app.refresh(&shop, tokens.get("refresh_token")).await.ok();
}

async fn token_kinds(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    assert_eq!(app.verify(&shop, tokens.get("id_token")).await["reason"], "wrong_token_use");
    assert_eq!(app.verify(&shop, tokens.get("refresh_token")).await["reason"], "malformed");
    for name in ["access_token", "id_token"] {
        let refused = app.refresh(&shop, tokens.get(name)).await;
        refused.refused(400, "invalid_grant", "the refresh token is not valid");
    }
    let demand = json!({"access_token": tokens.get("access_token"), "audience": "somebody-else"});
    let answer = app.call(&shop, "verifyaccesstoken", demand).await.ok();
    assert_eq!(answer["reason"], "wrong_audience");
    for (demand, reason) in [
        (json!({"required_scopes": ["admin"], "required_roles": ["x"]}), "missing_scope"),
        (json!({"required_roles": ["x"], "required_groups": ["y"]}), "missing_role"),
        (json!({"required_groups": ["y"], "required_attributes": {"a": 1}}), "missing_group"),
        (json!({"required_attributes": {"a": 1}}), "attribute_mismatch"),
    ] {
        let mut body = demand;
        body["access_token"] = json!(tokens.get("access_token"));
        assert_eq!(app.call(&shop, "verifyaccesstoken", body).await.ok()["reason"], reason);
    }
}
