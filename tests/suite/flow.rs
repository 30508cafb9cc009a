//! The whole flow: link, page, code, tokens, refresh, verify, userinfo, sign-out.

use serde_json::{Value, json};

use crate::support::{Engine, REDIRECT, TestApp, both_engines};

both_engines!(
    whole_flow,
    // C065 C066 C069
    codes_are_single_use,
    // C041 C042 C068
    code_bindings,
    // C067
    ten_exchanges_at_once,
    bodies_are_typed,
);

async fn whole_flow(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    assert_eq!(tokens.0["token_type"], "Bearer");
    assert_eq!(tokens.0["expires_in"], 3600);
    assert_eq!(tokens.0["refresh_expires_in"], 2_592_000);

    let verified = app.verify(&shop, tokens.get("access_token")).await;
    assert_eq!((&verified["active"], &verified["claims_stale"]), (&json!(true), &json!(false)));
    assert_eq!(verified["claims"]["sub"], shop.user.to_string());
    assert_eq!(verified["claims"]["aud"], shop.id);

    let info = app.bearer(&shop, "userinfofromaccesstoken", tokens.get("access_token"), json!({})).await.ok();
    assert_eq!((&info["preferred_username"], &info["email"]), (&json!("alice"), &json!("alice@example.com")));

    let renewed = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    assert_ne!(renewed["refresh_token"], tokens.0["refresh_token"]);

    let ended = app.bearer(&shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    assert_eq!((&ended["families_ended"], &ended["browser_sessions_ended"]), (&json!(1), &json!(0)));
    let dead = app.verify(&shop, renewed["access_token"].as_str().unwrap()).await;
    assert_eq!(dead, json!({"active": false, "reason": "signed_out", "detail": "the session has ended"}));
    app.refresh(&shop, renewed["refresh_token"].as_str().unwrap()).await.refused(
        400,
        "invalid_grant",
        "the session has ended: signed_out",
    );
}

async fn codes_are_single_use(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, _) = app.code(&shop, "").await;
    let tokens = app.exchange(&shop, &code).await.ok();
    app.exchange(&shop, &code).await.refused(400, "invalid_grant", "the code has been used already");
    // RFC 6749, 4.1.2: what the first use got is revoked.
    let dead = app.verify(&shop, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(dead["reason"], "session_revoked");

    let (late, _) = app.code(&shop, "").await;
    app.app.clock.advance(60);
    let expired = "the code has expired or its sign-in has ended";
    app.exchange(&shop, &late).await.refused(400, "invalid_grant", expired);
}

async fn code_bindings(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    // The challenge of RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let pkce = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let (code, _) = app.code(&shop, pkce).await;
    let ask = |redirect: &str, verifier: Option<&str>| {
        let mut body = json!({"code": code, "redirect_uri": redirect});
        if let Some(verifier) = verifier {
            body["code_verifier"] = json!(verifier);
        }
        app.call(&shop, "GetTokenFromCode", body)
    };
    let wrong_uri = "redirect_uri is not the one of the authorization request";
    ask("http://localhost:9/other", Some(verifier)).await.refused(400, "invalid_grant", wrong_uri);
    ask(REDIRECT, None).await.refused(400, "invalid_grant", "code_verifier is missing");
    ask(REDIRECT, Some("wrong")).await.refused(400, "invalid_grant", "code_verifier does not match");
    // None of these has burnt the code.
    ask(REDIRECT, Some(verifier)).await.ok();
    // A verifier for a code without a challenge is a downgrade.
    let (code, _) = app.code(&shop, "").await;
    let body = json!({"code": code, "redirect_uri": REDIRECT, "code_verifier": verifier});
    let downgrade = "the authorization request had no code_challenge";
    app.call(&shop, "GetTokenFromCode", body).await.refused(400, "invalid_grant", downgrade);
    app.exchange(&shop, "tco_nothing").await.refused(400, "invalid_grant", "the code is unknown");
}

async fn ten_exchanges_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, _) = app.code(&shop, "").await;
    let answers = futures_util::future::join_all((0..10).map(|_| app.exchange(&shop, &code))).await;
    assert!(answers.iter().filter(|answer| answer.status == 200).count() <= 1);
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 400)), "{answers:?}");
}

async fn bodies_are_typed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let answer = app.call(&shop, "refresh", json!({"refresh_token": "x", "refreshtoken": "y"})).await;
    let expected = json!({"error": "invalid_request", "error_description": "unknown field refreshtoken",
        "field": "refreshtoken"});
    assert_eq!((answer.status, answer.body), (400, expected));
    let missing = app.call(&shop, "refresh", json!({})).await;
    assert_eq!((missing.status, &missing.body["field"]), (400, &json!("refresh_token")));

    let url = app.project_url(&shop, "/api/refresh");
    let text = app.http.post(&url).body("refresh_token=x").send().await.unwrap();
    assert_eq!(text.status(), 415);
    let huge = app.http.post(&url).json(&json!({"refresh_token": "x".repeat(70_000)})).send().await.unwrap();
    assert_eq!(huge.status(), 413);

    let wrong =
        app.http.post(&url).basic_auth(&shop.id, Some("tcs_wrong")).json(&json!({"refresh_token": "x"}));
    let wrong = crate::support::Answer::of(wrong.send().await.unwrap()).await;
    wrong.refused(401, "invalid_client", "client authentication failed");
    let unknown: Value =
        json!({"refresh_token": "x", "client_id": shop.project.to_string(), "client_secret": "y"});
    let unknown = crate::support::Answer::of(app.http.post(&url).json(&unknown).send().await.unwrap()).await;
    unknown.refused(401, "invalid_client", "client authentication failed");
}
