//! The device flow (RFC 8628) as the device sees it.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::ids::ClientId;
use tessera::jobs::run_due;
use tessera::model::client::GrantType;
use tessera::store::{clients, users};

use crate::support::{
    Answer, DEVICE_GRANT, Device, Engine, Held, ProofKey, Shop, TestApp, both_engines, number, run,
};

both_engines!(
    // C104
    a_device_is_signed_in,
    // C104
    a_hasty_device_is_slowed_down,
    // C104
    the_person_may_say_no,
    // C104
    codes_expire,
    // C104
    codes_are_bound_to_their_client,
    clients_are_checked,
    an_approval_ends_with_its_sign_in,
    // C104
    an_approval_is_used_once,
    a_change_of_the_client_beside_it_is_seen,
    tokens_may_be_bound_to_a_key,
);

const PENDING: (&str, &str) = ("authorization_pending", "nobody has decided yet");
const SLOW: (&str, &str) =
    ("slow_down", "the device asks too often: wait for five seconds longer from now on");

fn refused(answer: Answer, (code, description): (&str, &str)) {
    answer.refused(400, code, description);
}

async fn a_device_is_signed_in(engine: Engine) {
    let app = TestApp::new(engine).await;
    for kind in ["public", "confidential"] {
        let shop = app.device_shop(kind, kind).await;
        let device = app.device(&shop, "openid profile offline_access").await;
        let page = app.project_url(&shop, "/device");
        assert_eq!((&device.0["expires_in"], &device.0["interval"]), (&json!(600), &json!(5)));
        assert_eq!(device.get("verification_uri"), page);
        let complete = format!("{page}?user_code={}", device.get("user_code"));
        assert_eq!(device.get("verification_uri_complete"), complete);
        // Eight consonants, a dash in the middle; and 256 bits for the device.
        let (first, second) = device.get("user_code").split_once('-').unwrap();
        let consonants =
            |half: &str| half.len() == 4 && half.chars().all(|c| "BCDFGHJKLMNPQRSTVWXZ".contains(c));
        assert!(consonants(first) && consonants(second), "{}", device.get("user_code"));
        assert!(device.get("device_code").starts_with("tdc_") && device.get("device_code").len() == 47);

        refused(app.poll(&shop, &device).await, PENDING);
        app.allow(&shop, &device).await;
        let tokens = app.poll(&shop, &device).await.ok();
        assert_eq!(tokens["scope"], "openid profile offline_access");
        assert!(tokens["id_token"].is_string() && tokens["token_type"] == "Bearer");
        let access = tokens["access_token"].as_str().unwrap();
        let verdict = app.verify(&shop, access).await;
        assert_eq!((&verdict["active"], &verdict["claims"]["sub"]), (&json!(true), &json!(shop.user)));
        let refreshed = app.refresh(&shop, tokens["refresh_token"].as_str().unwrap()).await.ok();
        // The session is the device's, not the browser's.
        let desk = app.desk(&shop, "user_manager").await;
        let sessions = desk.get(&format!("/users/{}/sessions", shop.user)).await.ok();
        for session in sessions["items"].as_array().unwrap() {
            if session["kind"] == "browser_session" {
                let path = format!("/users/{}/sessions/{}", shop.user, session["id"].as_str().unwrap());
                desk.delete(&path).await.ok();
            }
        }
        assert_eq!(app.verify(&shop, access).await["active"], true);
        app.bearer(&shop, "GlobalSignOut", refreshed["access_token"].as_str().unwrap(), json!({})).await.ok();
        assert_eq!(app.verify(&shop, access).await["reason"], "signed_out");

        let found = app.http.get(app.project_url(&shop, "/.well-known/openid-configuration")).send().await;
        let found: Value = found.unwrap().json().await.unwrap();
        let endpoint = app.project_url(&shop, "/oauth2/device_authorization");
        assert_eq!(found["device_authorization_endpoint"], json!(endpoint));
        assert!(found["grant_types_supported"].as_array().unwrap().contains(&json!(DEVICE_GRANT)));
    }
}

async fn a_hasty_device_is_slowed_down(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    let (device, other) = (app.device(&shop, "openid").await, app.device(&shop, "openid").await);
    let node = app.second_node().await;
    refused(app.poll(&shop, &device).await, PENDING);
    app.app.clock.advance(3);
    // The bound is the store's, so another node knows it as well.
    let request = node.http.post(format!("{}/projects/shop/oauth2/token", node.base));
    let form =
        [("grant_type", DEVICE_GRANT), ("device_code", device.get("device_code")), ("client_id", &shop.id)];
    refused(Answer::of(request.form(&form).send().await.unwrap()).await, SLOW);
    // Ten seconds from now on, and another device is its own.
    refused(app.poll(&shop, &other).await, PENDING);
    app.app.clock.advance(6);
    refused(app.poll(&shop, &device).await, SLOW);
    app.app.clock.advance(15);
    refused(app.poll(&shop, &device).await, PENDING);
    app.app.clock.advance(5);
    refused(app.poll(&shop, &other).await, PENDING);
    // Of many at once one is in time.
    app.app.clock.advance(60);
    let all = futures_util::future::join_all((0..6).map(|_| app.poll(&shop, &device))).await;
    let in_time = all.iter().filter(|answer| answer.body["error"] == PENDING.0).count();
    let hasty = all.iter().filter(|answer| answer.body["error"] == SLOW.0).count();
    assert_eq!((in_time, hasty), (1, 5));
    // It never has to wait for longer than a minute; and haste is no reason to refuse who was allowed.
    for _ in 0..12 {
        refused(app.poll(&shop, &device).await, SLOW);
    }
    app.app.clock.advance(60);
    refused(app.poll(&shop, &device).await, PENDING);
    app.allow(&shop, &device).await;
    app.poll(&shop, &device).await.ok();
}

async fn the_person_may_say_no(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "confidential").await;
    let device = app.device(&shop, "openid").await;
    let (cookie, sealed, _) = app.named_device(&shop, &device).await;
    assert_eq!(app.decide(&shop, &cookie, &sealed, "deny").await.status, 200);
    for _ in 0..2 {
        refused(app.poll(&shop, &device).await, ("access_denied", "the person said no"));
    }
    // It stays at that.
    assert_eq!(app.decide(&shop, &cookie, &sealed, "allow").await.status, 400);
    refused(app.poll(&shop, &device).await, ("access_denied", "the person said no"));
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM token_families").await, 0);
}

async fn codes_expire(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    let (pending, approved) = (app.device(&shop, "openid").await, app.device(&shop, "openid").await);
    let (denied, late) = (app.device(&shop, "openid").await, app.device(&shop, "openid").await);
    app.allow(&shop, &approved).await;
    let (cookie, sealed, _) = app.named_device(&shop, &denied).await;
    app.decide(&shop, &cookie, &sealed, "deny").await;
    let (cookie, sealed, _) = app.named_device(&shop, &late).await;
    app.app.clock.advance(599);
    refused(app.poll(&shop, &pending).await, PENDING);
    app.app.clock.advance(1);
    let expired = ("expired_token", "the device code has expired");
    for device in [&pending, &approved, &denied, &late] {
        refused(app.poll(&shop, device).await, expired);
    }
    // Nor does a decision come in time.
    let over = app.decide(&shop, &cookie, &sealed, "allow").await;
    assert!(over.status == 400 && over.message().starts_with("It has expired, or was used already."));
    refused(app.poll(&shop, &late).await, expired);
    app.app.clock.advance(3600);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM device_grants").await, 0);
    refused(app.poll(&shop, &pending).await, ("invalid_grant", "the device code is unknown"));
}

async fn codes_are_bound_to_their_client(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    let other = app.device_shop("other", "public").await;
    let settings = tessera::model::client::ClientSettings {
        redirect_uris: vec![crate::support::REDIRECT.into()],
        grant_types: vec![
            tessera::model::client::GrantType::DeviceCode,
            tessera::model::client::GrantType::RefreshToken,
        ],
        ..Default::default()
    };
    let second = app.second_client(&shop, settings).await;
    let device = app.device(&shop, "openid").await;
    app.allow(&shop, &device).await;
    let unknown = ("invalid_grant", "the device code is unknown");
    for stranger in [&second, &other] {
        refused(app.poll(stranger, &device).await, unknown);
    }
    for wrong in ["x", device.get("user_code"), &format!("{}x", device.get("device_code"))] {
        refused(app.poll(&shop, &Device(json!({"device_code": wrong}))).await, unknown);
    }
    let missing = app.post_as(&shop, "/oauth2/token", &[("grant_type", DEVICE_GRANT)]).send().await.unwrap();
    let missing = Answer::of(missing).await;
    missing.refused_for(400, "invalid_request", "device_code", "device_code is missing");
    // None of them used it up; nor can the code of the one project be entered at the other.
    let page = app.device_page(&other, None).await;
    let entered = app.enter_code(&other, &page, device.get("user_code")).await;
    assert_eq!(entered.status(), 400);
    app.poll(&shop, &device).await.ok();
}

async fn clients_are_checked(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, plain) = (app.device_shop("shop", "confidential").await, app.shop("plain", "public").await);
    let path = "/oauth2/device_authorization";
    let ask = async |shop: &Shop, form: &[(&str, &str)]| {
        Answer::of(app.post_as(shop, path, form).send().await.unwrap()).await
    };
    let why = "the client is not registered for this grant type";
    ask(&plain, &[]).await.refused(400, "unauthorized_client", why);
    let form = [("grant_type", DEVICE_GRANT), ("device_code", "x")];
    let answer = app.post_as(&plain, "/oauth2/token", &form).send().await.unwrap();
    Answer::of(answer).await.refused(400, "unauthorized_client", why);
    let wrong = app.http.post(app.project_url(&shop, path)).basic_auth(&shop.id, Some("wrong"));
    let wrong = Answer::of(wrong.form(&[("scope", "openid")]).send().await.unwrap()).await;
    wrong.refused(401, "invalid_client", "client authentication failed");
    let nameless = app.http.post(app.project_url(&shop, path)).form(&[("scope", "openid")]);
    let nameless = Answer::of(nameless.send().await.unwrap()).await;
    nameless.refused(401, "invalid_client", "the request names no client");
    // What was not granted is not in the tokens, as at the authorization endpoint.
    let device = app.device(&shop, "openid nothing").await;
    app.allow(&shop, &device).await;
    assert_eq!(app.poll(&shop, &device).await.ok()["scope"], "openid");
    run(&app.app.db, "UPDATE clients SET status = 'disabled', version = version + 1").await;
    ask(&shop, &[]).await.refused(401, "invalid_client", "client authentication failed");
}

/// Epochs are read with the approval: what ends the sign-in before the device asks leaves nothing of it.
async fn an_approval_ends_with_its_sign_in(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "confidential").await;
    let owner = app.admin_key(None, "owner").await;
    let user = format!("/projects/shop/users/{}", shop.user);
    let ended = ("invalid_grant", "the sign-in that approved the device has ended");
    let post = |path: String, body: Value| (Method::POST, path, body);
    for (what, act) in [
        ("sign-out", None),
        ("reset", Some(post(format!("{user}/set-password"), json!({"password": crate::support::PASSWORD})))),
        ("project", Some(post("/projects/shop/end-all-sessions".into(), json!({"reason": "a test"})))),
    ] {
        let device = app.device(&shop, "openid").await;
        // One more that stands at the page when it happens.
        let waiting = app.device(&shop, "openid").await;
        let (cookie, sealed, _) = app.named_device(&shop, &waiting).await;
        app.allow(&shop, &device).await;
        match act {
            Some((method, path, body)) => {
                let answer = app.admin(&owner, method, &path, body).await;
                assert!(answer.status < 300, "{what}: {}", answer.body);
            }
            None => {
                let body = json!({"user": shop.user.to_string()});
                app.bearer(&shop, "GlobalSignOut", &owner, body).await.ok();
            }
        }
        refused(app.poll(&shop, &device).await, ended);
        let seen = app.decide(&shop, &cookie, &sealed, "allow").await;
        // GlobalSignOut leaves the browser signed in; whatever else happened asks for the password.
        assert_eq!(seen.text.contains(r#"name="password""#), what != "sign-out", "{what}: {}", seen.text);
        if what != "sign-out" {
            refused(app.poll(&shop, &waiting).await, PENDING);
        }
    }
    let device = app.device(&shop, "openid").await;
    app.allow(&shop, &device).await;
    app.admin(&owner, Method::PATCH, &user, json!({"status": "disabled"})).await.ok();
    refused(app.poll(&shop, &device).await, ended);
    app.admin(&owner, Method::PATCH, &user, json!({"status": "active"})).await.ok();
    refused(app.poll(&shop, &device).await, ended);
}

async fn an_approval_is_used_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    let node = app.second_node().await;
    for round in 1..=5 {
        let device = app.device(&shop, "openid").await;
        app.allow(&shop, &device).await;
        let (one, two) = tokio::join!(app.poll(&shop, &device), node.poll(&shop, &device));
        let (granted, other) = if one.status == 200 { (one, two) } else { (two, one) };
        granted.ok();
        refused(other, ("invalid_grant", "the device code has been used already"));
        refused(app.poll(&shop, &device).await, ("invalid_grant", "the device code has been used already"));
        assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM token_families").await, round);
    }
}

/// What an admin changes while a device asks holds for its answer, and is no failure.
async fn a_change_of_the_client_beside_it_is_seen(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "confidential").await;
    let (project, id, user) = (shop.project, shop.id.parse::<ClientId>().unwrap(), shop.user);
    let now = app.app.clock.now();
    for (allowed, seconds) in [(true, 900), (false, 1200)] {
        let device = app.device(&shop, "openid").await;
        refused(app.poll(&shop, &device).await, PENDING);
        app.allow(&shop, &device).await;
        let held = Held::new(&app, move |conn| async move {
            users::lock(&conn, project, user).await?;
            let mut client = clients::find(&conn, project, id).await?.unwrap();
            client.settings.validity.access_token = seconds;
            if !allowed {
                client.settings.grant_types.retain(|grant| *grant != GrantType::DeviceCode);
            }
            clients::update(&conn, project, now, &client, false).await.map(drop)
        });
        let held = held.await;
        let (answer, ()) = tokio::join!(app.poll(&shop, &device), held.commit_when_awaited(&app, 1));
        match allowed {
            true => assert_eq!(answer.ok()["expires_in"], seconds),
            false => {
                let why = "the client is not registered for this grant type";
                answer.refused(400, "unauthorized_client", why);
            }
        }
    }
}

async fn tokens_may_be_bound_to_a_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    let (device, key) = (app.device(&shop, "openid offline_access").await, ProofKey::new().await);
    app.allow(&shop, &device).await;
    let proof = key.proof(&app, "POST", &app.project_url(&shop, "/oauth2/token"));
    let answer = app.poll_request(&shop, &device).header("dpop", &proof).send().await.unwrap();
    let tokens = Answer::of(answer).await.ok();
    assert_eq!(tokens["token_type"], "DPoP");
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(app.verify(&shop, access).await["reason"], "missing_proof");
    let why = "the refresh token is bound to a key that did not prove itself";
    let refresh = tokens["refresh_token"].as_str().unwrap();
    app.refresh(&shop, refresh).await.refused(400, "invalid_grant", why);
}
