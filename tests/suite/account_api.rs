//! What an application of the project does with the account of whoever is signed in.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;

use crate::support::{
    Account, Answer, Engine, ProofKey, REDIRECT, Shop, TestApp, Tokens, both_engines, parameter,
};

both_engines!(
    the_own_profile,
    sessions_are_seen_and_ended,
    consents_are_withdrawn,
    all_that_is_held,
    only_for_the_projects_own_applications,
    nobody_fills_the_log,
    a_fresh_sign_in_is_asked_for,
    for_tokens_that_are_bound_to_a_key,
    // C012
    pages_of_registered_origins_may_call
);

async fn define(app: &TestApp, shop: &Shop) {
    let desk = app.desk(shop, "admin").await;
    for (name, writable) in [("nickname_color", true), ("salary", false)] {
        let body = json!({"name": name, "type": "string", "user_writable": writable, "max_bytes": 10});
        desk.post("/attribute-definitions", body).await.created();
    }
}

async fn the_own_profile(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    define(&app, &shop).await;
    let alice = Account::new(&app, &shop).await;
    let profile = alice.get("/profile").await;
    assert_eq!(profile.etag.as_deref(), Some("\"1\""));
    let profile = profile.ok();
    assert_eq!((&profile["id"], &profile["username"]), (&json!(shop.user), &json!("alice")));

    let change =
        json!({"name": "Alice", "phone_number": "+35198765432", "attributes": {"nickname_color": "blue"}});
    let changed = alice.patch("/profile", change).await.ok();
    assert_eq!(
        (&changed["name"], &changed["attributes"]),
        (&json!("Alice"), &json!({"nickname_color": "blue"}))
    );
    // Null takes away; everything or nothing.
    let bound = "attributes.nickname_color has at most 10 bytes";
    let long = json!({"name": null, "attributes": {"nickname_color": "a very long colour"}});
    alice.patch("/profile", long).await.refused_for(
        400,
        "invalid_request",
        "attributes.nickname_color",
        bound,
    );
    for (body, status, code, field, why) in [
        (
            json!({"attributes": {"salary": "1"}}),
            403,
            "forbidden",
            "attributes.salary",
            "salary is not for users to write",
        ),
        (
            json!({"attributes": {"salary": null}}),
            403,
            "forbidden",
            "attributes.salary",
            "salary is not for users to write",
        ),
        (
            json!({"attributes": {"shoe": "1"}}),
            400,
            "invalid_request",
            "attributes.shoe",
            "there is no attribute shoe",
        ),
        (
            json!({"phone_number_verified": true}),
            403,
            "forbidden",
            "phone_number_verified",
            "phone_number_verified is not for users to write",
        ),
        (json!({"email": "eve@example.com"}), 400, "invalid_request", "email", "unknown field email"),
        (json!({"username": "eve"}), 400, "invalid_request", "username", "unknown field username"),
        (json!({"status": "disabled"}), 400, "invalid_request", "status", "unknown field status"),
        (json!({"roles": ["admin"]}), 400, "invalid_request", "roles", "unknown field roles"),
        (json!({"attributes": 5}), 400, "invalid_request", "attributes", "attributes must be an object"),
        (
            json!({"birthdate": "today"}),
            400,
            "invalid_request",
            "birthdate",
            "birthdate is YYYY-MM-DD, 0000-MM-DD or YYYY",
        ),
    ] {
        alice.patch("/profile", body).await.refused_for(status, code, field, why);
    }
    let kept = alice.get("/profile").await.ok();
    assert_eq!((&kept["name"], &kept["version"]), (&json!("Alice"), &changed["version"]));
    let taken =
        alice.patch("/profile", json!({"name": null, "attributes": {"nickname_color": null}})).await.ok();
    assert_eq!((&taken["name"], &taken["attributes"]), (&Value::Null, &json!({})));

    let url = app.project_url(&shop, "/api/account/profile");
    let stale = app.http.patch(url).bearer_auth(&alice.token).header("if-match", "\"1\"");
    let stale = Answer::of(stale.json(&json!({"name": "Al"})).send().await.unwrap()).await;
    stale.refused(412, "precondition_failed", "it was changed since the version that If-Match names");
}

async fn sessions_are_seen_and_ended(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let theirs = Account::new(&app, &other).await;
    let first = Account::new(&app, &shop).await;
    app.app.clock.advance(1);
    let second = Account::new(&app, &shop).await;
    let node = app.second_node().await;
    let seen = second.sessions().await;
    let of = |kind: &str| seen.iter().filter(|session| session["kind"] == kind).count();
    assert_eq!((of("token_family"), of("browser_session")), (2, 2));
    let current: Vec<_> = seen.iter().filter(|session| session["current"] == true).collect();
    assert_eq!((current.len(), &current[0]["client_name"]), (1, &json!("Shop")));
    assert_eq!((&current[0]["device"], &current[0]["address"]), (&Value::Null, &json!("127.0.0.1")));
    // In pages.
    let page = second.get("/sessions?limit=3").await.ok();
    let rest = second.get(&format!("/sessions?after={}", page["next"].as_str().unwrap())).await.ok();
    assert_eq!((page["items"].as_array().unwrap().len(), rest["items"].as_array().unwrap().len()), (3, 1));
    second.get("/sessions?limit=0").await.refused_for(
        400,
        "invalid_request",
        "limit",
        "limit must lie between 1 and 200",
    );

    // Another project's, and another user's, are not there.
    let id = seen.iter().rev().find(|session| session["kind"] == "token_family").unwrap()["id"].clone();
    let path = format!("/sessions/{}", id.as_str().unwrap());
    theirs.delete(&path).await.refused(404, "not_found", "no such session");
    let desk = app.desk(&shop, "user_manager").await;
    desk.post("/users", json!({"username": "bo", "password": crate::support::PASSWORD})).await.created();
    let bo = Account::with(&app, &shop, &app.sign_in_as(&shop, "bo").await);
    bo.delete(&path).await.refused(404, "not_found", "no such session");
    assert_eq!(first.reason(&node).await, None);
    assert_eq!(second.delete(&path).await.ok()["families_ended"], 1);
    assert_eq!(first.reason(&node).await.as_deref(), Some("session_revoked"));
    assert_eq!(second.delete(&path).await.ok()["families_ended"], 0, "again is no error");

    // All others: with their codes and cookies, and not bo's.
    let (code, cookie) = app.code(&shop, "").await;
    let ended = second.post("/sessions/end-others", json!({})).await.ok();
    assert_eq!((&ended["families_ended"], &ended["browser_sessions_ended"]), (&json!(0), &json!(3)));
    assert_eq!((second.reason(&node).await, bo.reason(&node).await), (None, None));
    let gone = "the code has expired or its sign-in has ended";
    node.exchange(&shop, &code).await.refused(400, "invalid_grant", gone);
    assert_eq!(crate::support::silent_code(&node, &shop, &cookie).await, None);
    assert_eq!(second.sessions().await.len(), 1);
    let own = second.sessions().await[0]["id"].as_str().unwrap().to_owned();
    second.delete(&format!("/sessions/{own}")).await.ok();
    assert_eq!(second.get("/sessions").await.body["reason"], "session_revoked");
}

async fn consents_are_withdrawn(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        first_party: false,
        ..ClientSettings::default()
    };
    let third = app.second_client(&shop, settings).await;
    let alice = Account::new(&app, &shop).await;
    let (cookie, sealed) = app.sign_in_page(&third, "&scope=openid+profile").await;
    let asked = app.submit(&third, &cookie, &sealed, crate::support::PASSWORD).await;
    let (cookie, page) = (crate::support::cookie_of(&asked), asked.text().await.unwrap());
    let form = [("request", crate::support::sealed_of(&page)), ("decision", "allow".into())];
    let allow = app.http.post(app.project_url(&third, "/consent")).header("cookie", &cookie).form(&form);
    let code = parameter(&crate::support::location_of(&allow.send().await.unwrap()), "code").unwrap();
    let tokens = app.oauth_exchange(&third, &code).await;

    let given = alice.get("/consents").await.ok();
    assert_eq!(
        (&given["items"][0]["client_id"], &given["items"][0]["client_name"]),
        (&json!(third.id), &json!("Second"))
    );
    // An application of others has no say.
    let theirs = Account::with(&app, &shop, &tokens);
    let path = format!("/consents/{}", third.id);
    let why = "only first-party clients act on the account";
    theirs.delete(&path).await.refused(403, "insufficient_scope", why);
    assert_eq!(alice.delete(&path).await.ok()["families_ended"], 1);
    assert_eq!(app.verify(&third, tokens.get("access_token")).await["reason"], "session_revoked");
    alice.delete(&path).await.refused(404, "not_found", "no such consent");
    assert_eq!(alice.get("/consents").await.ok()["items"], json!([]));
    let events = app.desk(&shop, "auditor").await.get("/audit?action=consent.withdrawn").await.ok();
    assert_eq!(events["items"][0]["actor_kind"], "user");
}

async fn all_that_is_held(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    define(&app, &shop).await;
    let alice = Account::new(&app, &shop).await;
    alice.patch("/profile", json!({"name": "Alice", "attributes": {"nickname_color": "blue"}})).await.ok();
    let data = alice.get("/data").await.ok();
    assert_eq!((&data["user"]["username"], &data["user"]["name"]), (&json!("alice"), &json!("Alice")));
    assert_eq!(data["sessions"].as_array().unwrap().len(), 2);
    let actions: Vec<_> =
        data["events"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["user.created", "user.updated", "user.attributes_changed", "user.data_downloaded"]);
    let changed = &data["events"][2];
    assert_eq!(
        (&changed["by"], &changed["personal"]["set"]),
        (&json!("user"), &json!({"nickname_color": "blue"}))
    );
    let text = data.to_string();
    for secret in ["$argon2", "secret", "hash", "tsr_"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    // Of this project's person, and of nobody else.
    app.desk(&shop, "user_manager").await.post("/users", json!({"username": "bo"})).await.created();
    assert!(!alice.get("/data").await.ok().to_string().contains("\"bo\""));
}

async fn only_for_the_projects_own_applications(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let pairwise = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        subject_type: tessera::model::client::SubjectType::Pairwise,
        ..ClientSettings::default()
    };
    let pairwise = app.second_client(&shop, pairwise).await;
    let stranger = Account::with(&app, &shop, &app.sign_in(&pairwise).await);
    let other = app.shop("other", "confidential").await;
    let theirs = Account { shop: &shop, ..Account::new(&app, &other).await };
    let nobody = Account { app: &app, shop: &shop, token: "a.b.c".into() };
    for (method, path, body) in [
        (Method::GET, "/profile", None),
        (Method::PATCH, "/profile", Some(json!({"name": "Eve"}))),
        (Method::GET, "/sessions", None),
        (Method::POST, "/sessions/end-others", Some(json!({}))),
        (Method::DELETE, "/sessions/00000000-0000-7000-8000-000000000000", None),
        (Method::GET, "/consents", None),
        (Method::DELETE, "/consents/00000000-0000-7000-8000-000000000000", None),
        (Method::POST, "/password", Some(json!({"current_password": "x", "new_password": "long enough"}))),
        (Method::GET, "/data", None),
        (Method::POST, "/delete", Some(json!({"confirmation": "alice"}))),
    ] {
        let answer = async |account: &Account<'_>| {
            Answer::of(account.send(method.clone(), path, body.clone()).await).await
        };
        let why = "a client with pairwise subjects does not see the account";
        answer(&stranger).await.refused(403, "forbidden", why);
        let (theirs, nobody) = (answer(&theirs).await, answer(&nobody).await);
        assert_eq!((theirs.status, &theirs.body["reason"]), (401, &json!("unknown_key")), "{path}");
        assert_eq!((nobody.status, &nobody.body["reason"]), (401, &json!("malformed")), "{path}");
    }
    // An admin key is nobody's account.
    let key = app.key(Some(shop.project), "owner").await;
    let admin = Account { app: &app, shop: &shop, token: key };
    assert_eq!(admin.get("/profile").await.status, 401);
}

/// Each act is an event of the audit log, so there is an end to them; ending sessions has none.
async fn nobody_fills_the_log(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let alice = Account::new(&app, &shop).await;
    let why = "the account was changed too often; try again later";
    for n in 0..60 {
        alice.patch("/profile", json!({"nickname": format!("Al {n}")})).await.ok();
    }
    alice.patch("/profile", json!({"nickname": "Al"})).await.refused(503, "temporarily_unavailable", why);
    for _ in 0..10 {
        alice.get("/data").await.ok();
    }
    alice.get("/data").await.refused(503, "temporarily_unavailable", why);
    alice.post("/sessions/end-others", json!({})).await.ok();
    // Nobody else has to wait.
    let other = app.shop("other", "confidential").await;
    Account::new(&app, &other).await.patch("/profile", json!({"nickname": "Al"})).await.ok();
    app.app.clock.advance(600);
    alice.patch("/profile", json!({"nickname": "Al"})).await.ok();
}

// RFC 9470
async fn a_fresh_sign_in_is_asked_for(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let alice = Account::new(&app, &shop).await;
    app.app.clock.advance(299);
    alice.get("/data").await.ok();
    app.app.clock.advance(1);
    for (method, path, body) in [
        (Method::POST, "/password", Some(json!({"current_password": "x", "new_password": "long enough"}))),
        (Method::GET, "/data", None),
        (Method::POST, "/delete", Some(json!({"confirmation": "alice"}))),
    ] {
        let answer = alice.send(method, path, body).await;
        let challenges: Vec<_> = answer
            .headers()
            .get_all("www-authenticate")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert_eq!(
            challenges[0],
            r#"Bearer error="insufficient_user_authentication", error_description="a more recent sign-in is needed", max_age="300""#
        );
        let answer = Answer::of(answer).await;
        let expected = json!({"error": "insufficient_user_authentication", "max_age": 300,
            "error_description": "a more recent sign-in is needed"});
        assert_eq!((answer.status, answer.body), (401, expected));
    }
    // Reading goes on, and a sign-in with this max_age is good enough.
    alice.get("/profile").await.ok();
    let (code, _) = app.code(&shop, "&max_age=300").await;
    Account::with(&app, &shop, &Tokens(app.exchange(&shop, &code).await.ok())).get("/data").await.ok();
}

/// The proof is for the whole address, with the session's id in it.
async fn for_tokens_that_are_bound_to_a_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let victim = Account::new(&app, &shop).await;
    let id = victim.sessions().await[0]["id"].as_str().unwrap().to_owned();
    let key = ProofKey::new().await;
    let (code, _) = app.code(&shop, "").await;
    let url = app.project_url(&shop, "/api/GetTokenFromCode");
    let exchange = app.http.post(&url).basic_auth(&shop.id, shop.secret.as_ref());
    let exchange = exchange.header("dpop", key.proof(&app, "POST", &url));
    let exchange = exchange.json(&json!({"code": code, "redirect_uri": REDIRECT}));
    let tokens = Answer::of(exchange.send().await.unwrap()).await.ok();
    let token = tokens["access_token"].as_str().unwrap();

    let of = |path: &str| app.project_url(&shop, &format!("/api/account/sessions{path}"));
    let url = of(&format!("/{id}"));
    let call = async |proof: String| {
        let call = app.http.delete(&url).header("authorization", format!("DPoP {token}"));
        Answer::of(call.header("dpop", proof).send().await.unwrap()).await
    };
    for other in [of(""), of("/{sid}"), of(&format!("/{}", shop.user))] {
        let refused = call(key.proof_with(&app, "DELETE", &other, token)).await;
        assert_eq!((refused.status, &refused.body["error"]), (401, &json!("invalid_dpop_proof")), "{other}");
    }
    let bearer = Account { app: &app, shop: &shop, token: token.to_owned() };
    assert_eq!(bearer.get("/sessions").await.body["reason"], "missing_proof");
    assert_eq!(victim.reason(&app).await, None);
    assert_eq!(call(key.proof_with(&app, "DELETE", &url, token)).await.status, 200);
}

async fn pages_of_registered_origins_may_call(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        allowed_origins: vec!["https://app.example".into()],
        ..ClientSettings::default()
    };
    app.shop_with("shop", "confidential", settings).await;
    for (path, methods) in [
        ("/profile", "GET, PATCH"),
        ("/sessions", "GET"),
        ("/sessions/00000000-0000-7000-8000-000000000000", "DELETE"),
        ("/sessions/end-others", "POST"),
        ("/consents", "GET"),
        ("/consents/00000000-0000-7000-8000-000000000000", "DELETE"),
        ("/password", "POST"),
        ("/data", "GET"),
        ("/delete", "POST"),
    ] {
        let url = format!("{}/projects/shop/api/account{path}", app.base);
        for (origin, allowed) in [("https://app.example", true), ("https://evil.example", false)] {
            let asked = app.http.request(Method::OPTIONS, &url).header("origin", origin);
            let asked = asked.header("access-control-request-method", methods).send().await.unwrap();
            let header =
                |name: &str| asked.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(header("access-control-allow-origin").as_deref(), allowed.then_some(origin), "{path}");
            let expected = allowed.then_some(methods);
            assert_eq!(header("access-control-allow-methods").as_deref(), expected, "{path}");
            assert_eq!(header("access-control-allow-credentials"), None);
        }
    }
}
