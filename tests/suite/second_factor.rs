//! A second factor: made while signing in, shown at the next sign-in, and what tokens say of it.

use serde_json::{Value, json};
use tessera::store::db::fetch_one;

use crate::support::oauth::claims_of;
use crate::support::{
    Engine, PASSWORD, Seen, Shop, TestApp, between, both_engines, code_of, cookie_of, location_of, parameter,
    sealed_of,
};

both_engines!(
    whoever_has_none_makes_one,
    // C058
    tokens_say_what_was_proven,
    a_code_is_good_for_a_minute_and_a_half,
    recovery_codes_stand_in,
    // C021
    more_is_asked_for_and_nothing_twice,
    what_is_essential_is_asked_for,
    // C048 C050
    an_old_session_shows_again_who_it_is,
    a_device_is_remembered,
    devices_do_not_pile_up,
    admins_see_and_reset,
);

const WRONG: &str = "That code is not right, or was used before.";

async fn tokens(app: &TestApp, shop: &Shop, answer: &reqwest::Response) -> Value {
    app.exchange(shop, &code_of(answer)).await.ok()
}

fn said(tokens: &Value) -> (Value, Value) {
    let (id, access) =
        ["id_token", "access_token"].map(|name| claims_of(tokens[name].as_str().unwrap())).into();
    assert_eq!(
        (&id["amr"], &id["acr"], &id["auth_time"]),
        (&access["amr"], &access["acr"], &access["auth_time"])
    );
    (id["amr"].clone(), id["acr"].clone())
}

fn two() -> (Value, Value) {
    (json!(["pwd", "otp", "mfa"]), json!("2"))
}

fn one() -> (Value, Value) {
    (json!(["pwd"]), json!("1"))
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    app.app.db.read(|conn| async move { fetch_one!(conn, (i64,), sql) }).await.unwrap().0
}

async fn whoever_has_none_makes_one(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.policy(&shop, json!({"second_factor": "required"})).await;
    let (before, sealed) = app.sign_in_page(&shop, "").await;
    let answer = app.submit(&shop, &before, &sealed, PASSWORD).await;
    assert!(answer.headers()["location"].to_str().unwrap().ends_with("/projects/shop/enrol"));
    let middle = app.asked_for_more(&answer).await;
    assert_ne!(middle.cookie, before);
    // The picture is drawn in the page, and nothing is loaded.
    assert!(middle.page.text.contains("<svg xmlns=") && !middle.page.text.contains("<?xml"));
    let key = between(&middle.page.text, r#"<pre id="key" dir="ltr">"#, "</pre>");
    let uri = between(&middle.page.text, r#"<a href="otpauth://totp/"#, "\"").replace("&#38;", "&");
    assert_eq!(uri, format!("shop:alice?secret={}&issuer=shop", key.replace(' ', "")));
    assert_eq!(key.replace(' ', "").len(), 32, "160 bits");
    // A wrong code keeps the picture.
    let wrong = [("request", middle.sealed()), ("code", "000000".into())];
    let wrong = wrong.each_ref().map(|(name, value)| (*name, value.as_str()));
    let again = Seen::of(app.post_page(&shop, "/enrol", &middle.cookie, &wrong).await).await;
    again.asks_again(400, WRONG);
    assert_eq!(between(&again.text, r#"<pre id="key" dir="ltr">"#, "</pre>"), key);
    assert_eq!(count(&app, "SELECT count(*) FROM totp_factors").await, 0);

    let (enrolled, last) = app.enrol(&shop, &middle).await;
    assert_ne!(last.cookie, middle.cookie);
    let mut codes = enrolled.codes.clone();
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| code.len() == 14));
    assert_eq!(count(&app, "SELECT count(*) FROM recovery_codes").await, 10);
    assert_eq!(
        count(&app, "SELECT count(*) FROM browser_sessions").await,
        0,
        "not before the codes are kept"
    );
    let form = [("request", last.sealed())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    let done = app.post_page(&shop, "/second-factor", &last.cookie, &form).await;
    assert_eq!(said(&tokens(&app, &shop, &done).await), two());
    assert_eq!(count(&app, "SELECT count(*) FROM sign_ins_in_progress").await, 0);
    // The codes are shown once: the same form again is a page that is over.
    let over = app.post_page(&shop, "/second-factor", &last.cookie, &form).await;
    assert_eq!(Seen::of(over).await.status, 400);
    let desk = app.desk(&shop, "admin").await;
    let events = desk.get("/audit?action=factor.added").await.ok();
    let detail = &events["items"][0]["detail"];
    assert_eq!((&detail["kind"], &detail["recovery_codes"]), (&json!("totp"), &json!(true)));
    assert_eq!(count(&app, "SELECT count(*) FROM outbox WHERE kind = 'mail'").await, 1, "the owner is told");
}

async fn tokens_say_what_was_proven(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, _) = app.code(&shop, "").await;
    assert_eq!(said(&app.exchange(&shop, &code).await.ok()), one());
    let enrolled = app.enrolled(&shop).await;
    let middle = app.half_signed_in(&shop, "").await;
    app.app.clock.advance(7);
    let begun = app.app.clock.now().unix();
    let answer = app.show(&shop, &middle, "totp", &enrolled.authenticator.code(&app)).await;
    let cookie = cookie_of(&answer);
    assert_ne!(cookie, middle.cookie);
    let got = tokens(&app, &shop, &answer).await;
    assert_eq!(said(&got), two());
    assert_eq!(claims_of(got["id_token"].as_str().unwrap())["auth_time"], begun);
    let refreshed = app.refresh(&shop, got["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!(said(&refreshed), two());
    // A silent sign-in says the same.
    let silent = app.http.get(app.authorize_url(&shop, "&prompt=none")).header("cookie", &cookie).send();
    assert_eq!(said(&tokens(&app, &shop, &silent.await.unwrap()).await), two());
    let document: Value =
        app.get_page(&shop, "/.well-known/openid-configuration", "").await.json().await.unwrap();
    assert_eq!(document["acr_values_supported"], json!(["1", "2"]));
    app.policy(&shop, json!({"second_factor": "off"})).await;
    app.app.clock.advance(10);
    let document: Value =
        app.get_page(&shop, "/.well-known/openid-configuration", "").await.json().await.unwrap();
    assert_eq!(document["acr_values_supported"], json!(["1"]));
    // Nobody is asked, and what tokens say is what happened.
    let (code, _) = app.code(&shop, "").await;
    assert_eq!(said(&app.exchange(&shop, &code).await.ok()), one());
}

/// RFC 6238, 5.2: one time step of drift either way.
async fn a_code_is_good_for_a_minute_and_a_half(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let app_of_alice = app.enrolled(&shop).await.authenticator;
    for (seconds, fits) in [(-60, false), (60, false), (-30, true), (0, true), (30, true)] {
        app.app.clock.advance(90);
        let middle = app.half_signed_in(&shop, "").await;
        let answer = app.show(&shop, &middle, "totp", &app_of_alice.code_at(&app, seconds)).await;
        match fits {
            true => app.exchange(&shop, &code_of(&answer)).await.ok().as_object().map(drop).unwrap(),
            false => Seen::of(answer).await.asks_again(400, WRONG),
        }
    }
    // Blanks that somebody types in between are no part of it.
    app.app.clock.advance(90);
    let middle = app.half_signed_in(&shop, "").await;
    let code = app_of_alice.code(&app);
    let answer = app.show(&shop, &middle, "totp", &format!(" {} {} ", &code[..3], &code[3..])).await;
    assert_eq!(answer.status(), 303);
}

async fn recovery_codes_stand_in(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let middle = app.half_signed_in(&shop, "").await;
    assert!(middle.page.text.contains("?with=recovery_code"));
    let page = app.get_page(&shop, "/second-factor?with=recovery_code", &middle.cookie).await;
    assert!(Seen::of(page).await.text.contains(r#"name="factor" value="recovery_code""#));
    let typed = enrolled.codes[3].replace('-', " ").to_uppercase();
    let answer = app.show(&shop, &middle, "recovery_code", &typed).await;
    assert_eq!(said(&tokens(&app, &shop, &answer).await), two());
    let desk = app.desk(&shop, "admin").await;
    let events = desk.get("/audit?action=recovery_code.used").await.ok();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    let listed = desk.get(&format!("/users/{}/factors", shop.user)).await.ok();
    assert_eq!(listed["recovery_codes_left"], 9);
    // Its hash has a key that is sealed: nothing of it lies in the store.
    let all = app.app.db.read(|conn| async move {
        tessera::store::db::fetch_all!(conn, (Vec<u8>,), "SELECT code_hash FROM recovery_codes")
    });
    let plain = enrolled.codes[3].replace('-', "");
    assert!(all.await.unwrap().iter().all(|(hash,)| *hash != tessera::secret::sha256(plain.as_bytes())));
}

async fn step_up_to(app: &TestApp, shop: &Shop, cookie: &str, more: &str) -> reqwest::Response {
    app.http.get(app.authorize_url(shop, more)).header("cookie", cookie).send().await.unwrap()
}

fn essential(values: &[&str]) -> String {
    let document = json!({"id_token": {"acr": {"essential": true, "values": values}}}).to_string();
    format!("&claims={}", url::form_urlencoded::byte_serialize(document.as_bytes()).collect::<String>())
}

async fn more_is_asked_for_and_nothing_twice(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    // A session from before there was a second factor.
    let (code, cookie) = app.code(&shop, "").await;
    let family = app.exchange(&shop, &code).await.ok();
    // Nobody has what is wished for, so nothing is asked.
    let plain = step_up_to(&app, &shop, &cookie, "&acr_values=2").await;
    assert_eq!(said(&tokens(&app, &shop, &plain).await), one());
    let enrolled = app.enrolled(&shop).await;
    for unknown in ["&acr_values=urn:mfa", "&acr_values=", "&acr_values=1", ""] {
        let silent = step_up_to(&app, &shop, &cookie, unknown).await;
        assert_eq!(said(&tokens(&app, &shop, &silent).await), one(), "{unknown}");
    }
    // What is only wished for is passed over where nothing may be shown.
    let silent = step_up_to(&app, &shop, &cookie, "&acr_values=2&prompt=none").await;
    assert_eq!(said(&tokens(&app, &shop, &silent).await), one());

    let asked = step_up_to(&app, &shop, &cookie, "&acr_values=phr+2").await;
    assert_eq!(asked.status(), 303);
    assert!(!asked.headers().contains_key("set-cookie"), "nothing is proven yet");
    let page = Seen::of(app.follow(&asked, &cookie).await).await;
    // Neither a user name nor a password.
    assert!(!page.text.contains("password") && page.text.contains("one-time-code"));
    // Who gives up stays signed in.
    let plain = step_up_to(&app, &shop, &cookie, "").await;
    assert_eq!(said(&tokens(&app, &shop, &plain).await), one());
    let sealed = sealed_of(&page.text);
    let code = enrolled.authenticator.code(&app);
    let form = [("request", sealed.as_str()), ("factor", "totp"), ("code", code.as_str())];
    let answer = app.post_page(&shop, "/second-factor", &cookie, &form).await;
    let after = cookie_of(&answer);
    assert_ne!(after, cookie);
    assert_eq!(said(&tokens(&app, &shop, &answer).await), two());
    // The session is another one under another cookie; what the former gave goes on with it, and says what it said.
    let former = step_up_to(&app, &shop, &cookie, "&prompt=none").await;
    assert_eq!(parameter(&location_of(&former), "error").as_deref(), Some("login_required"));
    let silent = step_up_to(&app, &shop, &after, "&prompt=none").await;
    assert_eq!(said(&tokens(&app, &shop, &silent).await), two());
    let renewed = app.refresh(&shop, family["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!(said(&renewed), one());
    let held = "SELECT count(*) FROM token_families f JOIN browser_sessions b ON b.project_id = f.project_id
        AND b.id = f.browser_session_id WHERE b.ended_at IS NULL AND f.created_at IS NOT NULL";
    assert!(count(&app, held).await >= 6);
}

async fn what_is_essential_is_asked_for(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    let error = async |cookie: &str, more: &str| {
        let answer = step_up_to(&app, &shop, cookie, more).await;
        parameter(&location_of(&answer), "error")
    };
    let none = |values: &[&str]| format!("{}&prompt=none", essential(values));
    assert_eq!(error(&cookie, &none(&["1", "2"])).await, None);
    assert_eq!(error(&cookie, &none(&["2"])).await.as_deref(), Some("interaction_required"));
    let unmet = Some("unmet_authentication_requirements");
    assert_eq!(error(&cookie, &none(&["phr"])).await.as_deref(), unmet);
    assert_eq!(error("x=y", &none(&["2"])).await.as_deref(), Some("login_required"));
    // Whoever has no second factor makes one: at once while the password is fresh, and after it once more later.
    let fresh = step_up_to(&app, &shop, &cookie, &essential(&["2"])).await;
    assert!(fresh.headers()["location"].to_str().unwrap().ends_with("/enrol"));
    app.app.clock.advance(300);
    let page = step_up_to(&app, &shop, &cookie, &essential(&["2"])).await;
    let page = Seen::of(page).await;
    assert_eq!((page.status, page.username()), (200, "alice"));
    let answer = app.submit_as(&shop, &cookie, &sealed_of(&page.text), ("somebody", PASSWORD)).await;
    let middle = app.asked_for_more(&answer).await;
    let (enrolled, last) = app.enrol(&shop, &middle).await;
    let done = app.post_page(&shop, "/second-factor", &last.cookie, &[("request", &last.sealed())]).await;
    assert_eq!(said(&tokens(&app, &shop, &done).await), two());
    // A sign-in that is worth more says what was asked for.
    let cookie = cookie_of(&done);
    let weaker = step_up_to(&app, &shop, &cookie, &none(&["1"])).await;
    assert_eq!(said(&tokens(&app, &shop, &weaker).await), (two().0, json!("1")));
    app.app.clock.advance(30);
    // From the start, without a session.
    let answer = app.signed_in_with(&shop, &essential(&["2"]), &enrolled.authenticator).await;
    assert_eq!(said(&tokens(&app, &shop, &answer).await), two());
    app.policy(&shop, json!({"second_factor": "off"})).await;
    assert_eq!(error(&cookie_of(&answer), &none(&["2"])).await, None, "it was proven before");
    let (cookie, sealed) = app.sign_in_page(&shop, &essential(&["2"])).await;
    let to = location_of(&app.submit(&shop, &cookie, &sealed, PASSWORD).await);
    assert_eq!(parameter(&to, "error").as_deref(), unmet);
}

async fn an_old_session_shows_again_who_it_is(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let bob = tessera::secret::Secret::new("violet stapler 34");
    tessera::projects::create_user(&app.app, shop.project, "bob", None, bob).await.unwrap();
    let enrolled = app.enrolled(&shop).await;
    let signed_in = app.signed_in_with(&shop, "", &enrolled.authenticator).await;
    let cookie = cookie_of(&signed_in);
    app.app.clock.advance(60);
    let none = step_up_to(&app, &shop, &cookie, "&max_age=30&prompt=none").await;
    assert_eq!(parameter(&location_of(&none), "error").as_deref(), Some("login_required"));
    let page = Seen::of(step_up_to(&app, &shop, &cookie, "&max_age=30").await).await;
    assert_eq!(page.username(), "alice");
    assert!(page.text.contains("readonly") && page.keeps_cookie(&cookie));
    // Nobody else will do, whatever the field says.
    let other = app.submit_as(&shop, &cookie, &sealed_of(&page.text), ("bob", "violet stapler 34")).await;
    let again = Seen::of(other).await;
    again.asks_again(400, "That user name and password do not match.");
    assert_eq!(again.username(), "alice");
    let answer = app.submit(&shop, &cookie, &sealed_of(&again.text), PASSWORD).await;
    let middle = app.asked_for_more(&answer).await;
    let code = enrolled.authenticator.code(&app);
    let done = app.show(&shop, &middle, "totp", &code).await;
    let got = tokens(&app, &shop, &done).await;
    assert_eq!(said(&got), two());
    assert_eq!(claims_of(got["id_token"].as_str().unwrap())["auth_time"], app.app.clock.now().unix());
}

/// The cookie of a browser that is remembered, as it is set.
fn device_of(answer: &reqwest::Response) -> Option<String> {
    let mut lines = answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    lines.find(|line| line.contains("-device=")).map(str::to_owned)
}

/// Each browser has one row, and each person so many.
async fn devices_do_not_pile_up(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    app.policy(&shop, json!({"remember_device_days": 30})).await;
    let rows = async || count(&app, "SELECT count(*) FROM remembered_devices").await;
    // The password, a code and the tick, in a browser with this cookie.
    let remembered = async |device: &str| {
        app.app.clock.advance(30);
        let middle = app.half_signed_in(&shop, "&acr_values=2").await;
        let (sealed, code) = (middle.sealed(), enrolled.authenticator.code(&app));
        let form = [("request", sealed.as_str()), ("factor", "totp"), ("code", &code), ("remember", "yes")];
        let cookie = format!("{}; {device}", middle.cookie);
        let answer = app.post_page(&shop, "/second-factor", &cookie, &form).await;
        device_of(&answer).unwrap().split(';').next().unwrap().to_owned()
    };
    let asked = async |device: &str| {
        let (cookie, sealed) = app.sign_in_page(&shop, "").await;
        let answer = app.submit(&shop, &format!("{cookie}; {device}"), &sealed, PASSWORD).await;
        answer.headers()["location"].to_str().unwrap().ends_with("/second-factor")
    };
    let first = remembered("").await;
    assert_eq!(rows().await, 1);
    let second = remembered(&first).await;
    assert_eq!(rows().await, 1, "the browser has the second one now");
    assert!(asked(&first).await && !asked(&second).await);
    for _ in 0..52 {
        remembered("").await;
    }
    assert_eq!(rows().await, 50);
    assert!(asked(&second).await, "the oldest is forgotten");
}

async fn a_device_is_remembered(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let tick = async |middle: &crate::support::Middle| {
        let (sealed, code) = (middle.sealed(), enrolled.authenticator.code(&app));
        let form = [("request", sealed.as_str()), ("factor", "totp"), ("code", &code), ("remember", "yes")];
        app.post_page(&shop, "/second-factor", &middle.cookie, &form).await
    };
    // A project that remembers none offers it to nobody, and nobody gets it.
    let middle = app.half_signed_in(&shop, "").await;
    assert!(!middle.page.text.contains("remember"));
    assert_eq!(device_of(&tick(&middle).await), None);
    app.policy(&shop, json!({"remember_device_days": 30})).await;
    app.app.clock.advance(30);
    let middle = app.half_signed_in(&shop, "").await;
    assert!(middle.page.text.contains("for 30 days"));
    let answer = tick(&middle).await;
    let device = device_of(&answer).unwrap();
    assert!(device.ends_with("; HttpOnly; SameSite=Lax; Max-Age=2592000"), "{device}");
    let device = device.split(';').next().unwrap().to_owned();
    assert!(device.split('=').next().unwrap().ends_with("-device"));
    let sign_in = async |more: &str, device: &str| {
        let (cookie, sealed) = app.sign_in_page(&shop, more).await;
        app.submit(&shop, &format!("{cookie}; {device}"), &sealed, PASSWORD).await
    };
    // What is said is what was proven, and no more.
    app.app.clock.advance(3600);
    assert_eq!(said(&tokens(&app, &shop, &sign_in("", &device).await).await), one());
    let asked = async |more: &str, device: &str| {
        let answer = sign_in(more, device).await;
        answer.headers()["location"].to_str().unwrap().ends_with("/second-factor")
    };
    assert!(!asked("", &device).await);
    assert!(asked(&essential(&["2"]), &device).await && asked("&acr_values=2", &device).await);
    // Neither the name alone nor another value.
    let (name, value) = device.split_once('=').unwrap();
    assert!(asked("", &format!("{name}={}", value.chars().rev().collect::<String>())).await);
    // Whoever else has the password of somebody else is not on this device.
    let other = app.shop("other", "confidential").await;
    app.enrolled(&other).await;
    app.policy(&other, json!({"remember_device_days": 30})).await;
    let (cookie, sealed) = app.sign_in_page(&other, "").await;
    let answer = app.submit(&other, &format!("{cookie}; {device}"), &sealed, PASSWORD).await;
    assert!(answer.headers()["location"].to_str().unwrap().ends_with("/second-factor"));
    // A project that asks for it everywhere knows it too, until its days are over, and fewer days are fewer.
    app.policy(&shop, json!({"second_factor": "required"})).await;
    assert!(!asked("", &device).await);
    app.app.clock.advance(2 * 86_400);
    app.policy(&shop, json!({"remember_device_days": 2})).await;
    assert!(asked("", &device).await);
    app.policy(&shop, json!({"remember_device_days": 30})).await;
    assert!(!asked("", &device).await);
    // A new password forgets it.
    let desk = app.desk(&shop, "admin").await;
    let reset = format!("/users/{}/set-password", shop.user);
    desk.post(&reset, json!({"password": PASSWORD})).await.ok();
    assert!(asked("", &device).await);
}

async fn admins_see_and_reset(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let enrolled = app.enrolled(&shop).await;
    let (desk, path) = (app.desk(&shop, "user_manager").await, format!("/users/{}/factors", shop.user));
    let listed = desk.get(&path).await.ok();
    let item = &listed["items"][0];
    assert_eq!((&item["kind"], &item["name"]), (&json!("totp"), &json!("Authenticator app")));
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["recovery_codes_left"]), (1, &json!(10)));
    assert!(!listed.to_string().contains("seed"));
    let signed_in = app.signed_in_with(&shop, "", &enrolled.authenticator).await;
    let got = tokens(&app, &shop, &signed_in).await;
    // Another project sees nothing.
    let theirs = app.desk(&other, "user_manager").await;
    let single = format!("{path}/{}", item["id"].as_str().unwrap());
    theirs.get(&path).await.refused(404, "not_found", "no such user");
    theirs.delete(&path).await.refused(404, "not_found", "no such user");
    theirs.delete(&single).await.refused(404, "not_found", "no such user");
    let nobody = format!("{path}/{}", uuid::Uuid::nil());
    desk.delete(&nobody).await.refused(404, "not_found", "no such factor");
    let auditor = app.desk(&shop, "auditor").await;
    auditor.delete(&path).await.refused(403, "forbidden", "the role auditor may not do this");
    let verdict = app.verify(&shop, got["access_token"].as_str().unwrap()).await;
    assert_eq!(verdict["active"], true, "nothing has happened");

    let reset = desk.delete(&path).await.ok();
    assert_eq!((&reset["factors_removed"], &reset["families_ended"]), (&json!(1), &json!(1)));
    let verdict = app.verify(&shop, got["access_token"].as_str().unwrap()).await;
    assert_eq!(verdict["reason"], "signed_out");
    let listed = desk.get(&path).await.ok();
    assert_eq!(listed, json!({"items": [], "recovery_codes_left": 0}));
    // From now on a password is enough again.
    let (code, _) = app.code(&shop, "").await;
    assert_eq!(said(&app.exchange(&shop, &code).await.ok()), one());
    let events = app.desk(&shop, "admin").await.get("/audit?action=user.factors_reset").await.ok();
    assert_eq!(events["items"][0]["detail"]["factors_removed"], 1);
    // One by one: with the last the recovery codes go.
    app.enrolled(&shop).await;
    let id = desk.get(&path).await.ok()["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.delete(&format!("{path}/{id}")).await.ok()["factors_removed"], 1);
    assert_eq!(desk.get(&path).await.ok(), json!({"items": [], "recovery_codes_left": 0}));
}
