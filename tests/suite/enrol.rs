//! Whoever has to have a second factor and has none makes one on the way in: an app or a passkey, whatever counts; and
//! nobody gets around it, or makes one where another proof would be asked for.

use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::oauth::claims_of;
use crate::support::{
    Engine, Middle, PASSWORD, Seen, Shop, SoftPasskey, TestApp, Way, between, both_engines, code_of,
    cookie_of, number, parameter, question_of, sealed_of,
};

both_engines!(
    a_passkey_is_made_on_the_way_in,
    what_counts_is_offered,
    what_is_wrong_makes_none,
    an_answer_is_for_its_own_question,
    nobody_gets_around_it,
    of_two_at_once_one_is_made,
    a_mailed_code_comes_first,
    nor_by_the_account_page,
    who_is_signed_in_makes_one_while_it_is_fresh,
    where_there_are_no_passkeys,
);

const NOT_MADE: &str = "No passkey was created. Please try again.";
const OUT_OF_DATE: &str = "It was open for too long, or was made for another browser. Nothing has been lost.";
const FORM_STALE: &str =
    "This sign-in page is no longer valid. Please go back to the application and start again.";

/// A project that asks everybody for two.
async fn shop(app: &TestApp, slug: &str) -> Shop {
    let shop = app.shop(slug, "confidential").await;
    app.policy(&shop, json!({"second_factor": "required"})).await;
    shop
}

/// After the password: the page of a new passkey.
async fn begun(app: &TestApp, shop: &Shop, more: &str) -> Middle {
    let middle = app.half_signed_in(shop, more).await;
    let page = app.get_page(shop, "/enrol?with=passkey", &middle.cookie).await;
    Middle { page: Seen::of(page).await, ..middle }
}

type Form = Vec<(&'static str, String)>;

async fn post(app: &TestApp, shop: &Shop, path: &str, cookie: &str, form: &Form) -> Response {
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    app.post_page(shop, path, cookie, &form).await
}

/// The codes are shown, and the form below them leads on.
async fn keep(app: &TestApp, shop: &Shop, made: Response) -> (Vec<String>, Response) {
    let cookie = cookie_of(&made);
    let page = Seen::of(made).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let list = between(&page.text, r#"<ul class="codes" dir="ltr">"#, "</ul>");
    let codes = list.split("<li>").skip(1).map(|item| item.split('<').next().unwrap().to_owned()).collect();
    let done = app.post_page(shop, "/second-factor", &cookie, &[("request", &sealed_of(&page.text))]).await;
    (codes, done)
}

async fn factors(app: &TestApp) -> (i64, i64) {
    let passkeys = number(&app.app.db, "SELECT count(*) AS n FROM passkeys").await;
    (passkeys, number(&app.app.db, "SELECT count(*) AS n FROM totp_factors").await)
}

async fn sessions(app: &TestApp) -> i64 {
    number(&app.app.db, "SELECT count(*) AS n FROM browser_sessions").await
}

async fn said(app: &TestApp, shop: &Shop, done: &Response) -> Value {
    let tokens = app.exchange(shop, &code_of(done)).await.ok();
    let claims = claims_of(tokens["id_token"].as_str().unwrap());
    json!([claims["amr"], claims["acr"]])
}

async fn a_passkey_is_made_on_the_way_in(engine: Engine) {
    let named = |app: &mut tessera::app::App| app.base_url = app.base_url.replace("127.0.0.1", "localhost");
    let (app, mailbox) = TestApp::with_mailbox_changed(engine, named).await;
    for (slug, synced, key) in [("bound", false, "hwk"), ("synced", true, "swk")] {
        let shop = shop(&app, slug).await;
        let way = Way { synced, ..Way::default() };
        let middle = begun(&app, &shop, "&scope=openid").await;
        let policy = middle.page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("; script-src http://localhost:") && !policy.contains("inline"), "{policy}");
        assert!(middle.page.text.contains("Passkeys need JavaScript and a browser that supports them."));
        let (mut passkey, form) = app.make_passkey(&middle.page.text, &way);
        let made = post(&app, &shop, "/enrol", &middle.cookie, &form).await;
        assert_ne!(cookie_of(&made), middle.cookie, "the cookie is another one after a proof");
        let (codes, done) = keep(&app, &shop, made).await;
        assert_eq!(codes.len(), 10);
        assert_eq!(said(&app, &shop, &done).await, json!([["pwd", key, "user", "mfa"], "phr"]));
        let told = mailbox.one(&app, "alice@example.com").await;
        assert!(told.text.contains("in addition: a passkey."), "{}", told.text);
        let log = app.desk(&shop, "auditor").await.get("/audit?action=factor.added").await.ok();
        assert_eq!(log["items"].as_array().unwrap().len(), 1);
        assert_eq!(log["items"][0]["detail"]["kind"], "passkey");

        // It is asked for from now on, and a code stands in for it.
        let middle = app.half_signed_in(&shop, "&scope=openid").await;
        let question = question_of(&middle.page.text);
        let credential = passkey.answer(&question["options"], &Way::default()).to_string();
        let challenge = question["challenge"].as_str().unwrap().to_owned();
        let form = vec![
            ("request", middle.sealed()),
            ("factor", "passkey".to_owned()),
            ("challenge", challenge),
            ("credential", credential),
        ];
        let done = post(&app, &shop, "/second-factor", &middle.cookie, &form).await;
        assert_eq!(said(&app, &shop, &done).await, json!([["pwd", key, "user", "mfa"], "phr"]));
        let middle = app.half_signed_in(&shop, "&scope=openid").await;
        let done = app.show(&shop, &middle, "recovery_code", &codes[3]).await;
        assert_eq!(said(&app, &shop, &done).await, json!([["pwd", "otp", "mfa"], "2"]));
        mailbox.one(&app, "alice@example.com").await;
    }
}

async fn what_counts_is_offered(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = shop(&app, "shop").await;
    let middle = app.half_signed_in(&shop, "").await;
    let page = &middle.page.text;
    assert!(page.contains(r#"href="/projects/shop/enrol?with=passkey""#), "{page}");
    assert!(page.contains(r#"href="/projects/shop/enrol?with=totp""#) && !page.contains("<form"));
    let open = async |path: &str| Seen::of(app.get_page(&shop, path, &middle.cookie).await).await.text;
    let (key, code) = (r#"data-passkey="create""#, r#"<pre id="key""#);
    for (with, shown, other) in [("passkey", key, code), ("totp", code, key)] {
        let page = open(&format!("/enrol?with={with}")).await;
        assert!(page.contains(shown) && !page.contains(other) && page.contains("Choose another way"));
    }
    // What counts alone is asked for at once; what does not count is not there.
    for (counts, shown, with) in [
        (json!(["totp"]), code, "passkey"),
        (json!(["passkey"]), key, "totp"),
        (json!(["passkey", "email_code"]), key, "email_code"),
    ] {
        app.policy(&shop, json!({"factors": counts})).await;
        for path in ["/enrol".to_owned(), format!("/enrol?with={with}")] {
            let page = open(&path).await;
            assert!(page.contains(shown) && !page.contains("Choose another way"), "{path} {page}");
        }
    }
    // An app is made as ever.
    app.policy(&shop, json!({"factors": null})).await;
    let page = Seen::of(app.get_page(&shop, "/enrol?with=totp", &middle.cookie).await).await;
    let (_, last) = app.enrol(&shop, &Middle { page, ..middle }).await;
    let done = app.post_page(&shop, "/second-factor", &last.cookie, &[("request", &last.sealed())]).await;
    assert_eq!(done.status(), 303);
    assert_eq!(factors(&app).await, (0, 1));
}

async fn what_is_wrong_makes_none(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = shop(&app, "shop").await;
    let middle = begun(&app, &shop, "").await;
    let normal = Way::default();
    for way in [
        Way { origin: Some("https://evil.example"), ..normal.clone() },
        Way { rp_id: Some("evil.example"), ..normal.clone() },
        Way { kind: Some("webauthn.get"), ..normal.clone() },
        Way { unverified: true, ..normal.clone() },
        Way { cross_origin: true, ..normal.clone() },
        Way { challenge: Some("AAAA".into()), ..normal.clone() },
    ] {
        let (_, form) = app.make_passkey(&middle.page.text, &way);
        let seen = Seen::of(post(&app, &shop, "/enrol", &middle.cookie, &form).await).await;
        seen.asks_again(400, NOT_MADE);
        assert!(seen.keeps_cookie(&middle.cookie));
    }
    let (_, form) = app.make_passkey(&middle.page.text, &normal);
    let nothing = form[..1].to_vec();
    Seen::of(post(&app, &shop, "/enrol", &middle.cookie, &nothing).await).await.asks_again(400, NOT_MADE);
    assert_eq!((factors(&app).await, sessions(&app).await), ((0, 0), 0));
    // After ten minutes the sign-in is over.
    app.app.clock.advance(600);
    Seen::of(post(&app, &shop, "/enrol", &middle.cookie, &form).await).await.refused(400, OUT_OF_DATE);
    assert_eq!(factors(&app).await, (0, 0));
}

/// A question is of one sign-in, one person and one project, and for making a passkey alone.
async fn an_answer_is_for_its_own_question(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (ours, theirs) = (shop(&app, "shop").await, shop(&app, "other").await);
    let (mine, other) = (begun(&app, &ours, "").await, begun(&app, &ours, "").await);
    let foreign = begun(&app, &theirs, "").await;
    let (_, form) = app.make_passkey(&mine.page.text, &Way::default());
    for (shop, there) in [(&ours, &other), (&theirs, &foreign)] {
        let mut crossed = form.clone();
        crossed[0].1 = there.sealed();
        Seen::of(post(&app, shop, "/enrol", &there.cookie, &crossed).await).await.asks_again(400, NOT_MADE);
    }
    Seen::of(post(&app, &ours, "/enrol", &other.cookie, &form).await).await.refused(400, OUT_OF_DATE);
    Seen::of(post(&app, &theirs, "/enrol", &foreign.cookie, &form).await).await.refused(400, FORM_STALE);
    // The form of an app makes no passkey, and the other way round.
    let app_page = Seen::of(app.get_page(&ours, "/enrol?with=totp", &mine.cookie).await).await;
    let mut as_app = form.clone();
    as_app[0].1 = sealed_of(&app_page.text);
    Seen::of(post(&app, &ours, "/enrol", &mine.cookie, &as_app).await)
        .await
        .asks_again(400, "That code is not right, or was used before.");
    // What the sign-in page asked for makes none, and what is made here signs nobody in.
    let page =
        app.http.get(app.authorize_url(&ours, "")).header("cookie", &mine.cookie).send().await.unwrap();
    let page = Seen::of(page).await;
    let asked = question_of(&page.text);
    let mut crossed = form.clone();
    crossed[1].1 = asked["challenge"].as_str().unwrap().to_owned();
    Seen::of(post(&app, &ours, "/enrol", &mine.cookie, &crossed).await).await.asks_again(400, NOT_MADE);
    let sign_in = vec![("request", sealed_of(&page.text)), form[1].clone(), form[2].clone()];
    let refused = Seen::of(post(&app, &ours, "/sign-in/passkey", &mine.cookie, &sign_in).await).await;
    refused.asks_again(400, "That passkey does not sign you in here.");
    // From another site.
    let url = app.project_url(&ours, "/enrol");
    for site in ["cross-site", "same-site"] {
        let forged = app.http.post(&url).header("cookie", &mine.cookie).header("sec-fetch-site", site);
        Seen::of(forged.form(&form).send().await.unwrap()).await.refused(400, FORM_STALE);
    }
    assert_eq!((factors(&app).await, sessions(&app).await), ((0, 0), 0));
    let made = post(&app, &ours, "/enrol", &mine.cookie, &form).await;
    code_of(&keep(&app, &ours, made).await.1);
    // Once more it is a page that is over.
    Seen::of(post(&app, &ours, "/enrol", &mine.cookie, &form).await).await.refused(400, OUT_OF_DATE);
    assert_eq!(factors(&app).await, (1, 0));
}

/// Neither straight to the application, nor by another form, nor by an edited field.
async fn nobody_gets_around_it(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = shop(&app, "shop").await;
    let middle = begun(&app, &shop, "").await;
    let silent = app.http.get(app.authorize_url(&shop, "&prompt=none")).header("cookie", &middle.cookie);
    let silent = silent.send().await.unwrap();
    let to = crate::support::location_of(&silent);
    assert_eq!(parameter(&to, "error").as_deref(), Some("login_required"));
    let account = app.project_url(&shop, "/account");
    let page = app.http.get(account).header("cookie", &middle.cookie).send().await.unwrap();
    assert!(Seen::of(page).await.text.contains(r#"name="password""#));
    let app_page = Seen::of(app.get_page(&shop, "/enrol?with=totp", &middle.cookie).await).await;
    let key = sealed_of(&middle.page.text);
    let other = sealed_of(&app_page.text);
    for (path, request, more) in [
        ("/second-factor", &key, vec![]),
        ("/second-factor", &key, vec![("factor", "passkey"), ("challenge", ""), ("credential", "")]),
        ("/second-factor", &other, vec![("factor", "totp"), ("code", "000000")]),
        ("/enrol", &key, vec![("code", "000000"), ("new", "App")]),
        ("/enrol", &other, vec![("code", ""), ("with", "passkey")]),
        ("/enrol", &other, vec![("code", "000000"), ("code", "000000")]),
        ("/consent", &key, vec![("decision", "allow")]),
        ("/select-account", &key, vec![("account", "this")]),
        ("/sign-in/passkey", &key, vec![]),
        ("/account/factors/passkey", &key, vec![("name", "x")]),
    ] {
        let form = [vec![("request", request.as_str())], more].concat();
        let seen = Seen::of(app.post_page(&shop, path, &middle.cookie, &form).await).await;
        assert_eq!(seen.status, 400, "{path} {form:?}");
    }
    assert_eq!((factors(&app).await, sessions(&app).await), ((0, 0), 0));
}

async fn of_two_at_once_one_is_made(engine: Engine) {
    let app = TestApp::named(engine).await;
    let one = shop(&app, "one").await;
    // The same form twice.
    let middle = begun(&app, &one, "").await;
    let forms = [1, 2].map(|_| app.make_passkey(&middle.page.text, &Way::default()).1);
    let both = forms.iter().map(|form| post(&app, &one, "/enrol", &middle.cookie, form));
    let mut statuses: Vec<_> = join_all(both).await.iter().map(|answer| answer.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], factors(&app).await), (200, (1, 0)));
    assert_eq!(statuses[1], 400);
    // Two browsers: whoever is second finds that there is one by now, and is asked for it.
    let two = shop(&app, "two").await;
    let (first, second) = (begun(&app, &two, "").await, begun(&app, &two, "").await);
    let forms = [&first, &second].map(|middle| app.make_passkey(&middle.page.text, &Way::default()).1);
    let both = [(&first, &forms[0]), (&second, &forms[1])];
    let both = both.map(|(middle, form)| post(&app, &two, "/enrol", &middle.cookie, form));
    let mut statuses: Vec<_> = join_all(both).await.iter().map(|answer| answer.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!((statuses, factors(&app).await), (vec![200, 400], (2, 0)));
    let third = app.half_signed_in(&two, "").await;
    assert!(third.page.text.contains(r#"data-passkey="get""#));
    let late = app.get_page(&two, "/enrol?with=totp", &third.cookie).await;
    assert!(late.headers()["location"].to_str().unwrap().ends_with("/second-factor"));
}

/// Whoever has a verified address shows a code from it before a passkey is made: a stolen password makes none.
async fn a_mailed_code_comes_first(engine: Engine) {
    let named = |app: &mut tessera::app::App| app.base_url = app.base_url.replace("127.0.0.1", "localhost");
    let (app, mailbox) = TestApp::with_mailbox_changed(engine, named).await;
    let shop = shop(&app, "shop").await;
    app.verify_alice(&shop).await;
    app.policy(&shop, json!({"factors": ["totp", "passkey", "email_code"]})).await;
    let essential = json!({"id_token": {"acr": {"essential": true, "value": "phr"}}}).to_string();
    let claims: String = url::form_urlencoded::byte_serialize(essential.as_bytes()).collect();
    let middle = app.half_signed_in(&shop, &format!("&scope=openid&claims={claims}")).await;
    assert!(middle.page.text.contains("Send the code"), "{}", middle.page.text);
    let enrol = app.get_page(&shop, "/enrol?with=passkey", &middle.cookie).await;
    assert!(enrol.headers()["location"].to_str().unwrap().ends_with("/second-factor"));
    let send = [("request", middle.sealed()), ("factor", "email_code".into()), ("send", "yes".into())];
    post(&app, &shop, "/second-factor", &middle.cookie, &send.to_vec()).await;
    let letter = mailbox.one(&app, "alice@example.com").await;
    let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit());
    let code = letter.text.lines().find(is_code).unwrap();
    let answer = app.show(&shop, &middle, "email_code", code).await;
    assert!(answer.headers()["location"].to_str().unwrap().ends_with("/enrol"));
    let middle = app.asked_for_more(&answer).await;
    let (_, form) = app.make_passkey(&middle.page.text, &Way::default());
    let made = post(&app, &shop, "/enrol", &middle.cookie, &form).await;
    let (_, done) = keep(&app, &shop, made).await;
    assert_eq!(said(&app, &shop, &done).await, json!([["pwd", "otp", "hwk", "user", "mfa"], "phr"]));
}

/// Nor does the account page, where a client alone asks for two: what could cost the account asks for the code.
async fn nor_by_the_account_page(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    app.policy(&shop, json!({"factors": ["totp", "passkey", "email_code"]})).await;
    let visit = crate::support::Visit::new(&app, &shop).await;
    for path in ["/factors", "/factors/passkey", "/factors/app", "/email", "/password"] {
        let page = visit.open(path).await.text;
        assert!(page.contains(r#"name="password""#) && !page.contains("aria-current"), "{path}");
    }
    let (cookie, sealed) = (visit.cookie.clone(), visit.sealed("/factors/passkey").await);
    let answer = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    let middle = app.asked_for_more(&answer).await;
    assert!(middle.page.text.contains("Send the code"), "{}", middle.page.text);
    let token = app.sign_in(&shop).await.get("access_token").to_owned();
    let begun = app.passkeys(&shop, &token, reqwest::Method::POST, "/begin", None).await;
    assert_eq!((begun.status, &begun.body["acr_values"]), (401, &json!("2")));
    assert_eq!(factors(&app).await, (0, 0));
}

/// A step-up of somebody who has nothing yet: only as long as the sign-in is fresh.
async fn who_is_signed_in_makes_one_while_it_is_fresh(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (_, cookie) = app.code(&shop, "").await;
    app.policy(&shop, json!({"second_factor": "required"})).await;
    let url = app.authorize_url(&shop, "&scope=openid");
    let asked = app.http.get(&url).header("cookie", &cookie).send().await.unwrap();
    assert!(asked.headers()["location"].to_str().unwrap().ends_with("/enrol"));
    let page = Seen::of(app.get_page(&shop, "/enrol?with=passkey", &cookie).await).await;
    let (_, form) = app.make_passkey(&page.text, &Way::default());
    app.app.clock.advance(300);
    Seen::of(post(&app, &shop, "/enrol", &cookie, &form).await).await.refused(400, OUT_OF_DATE);
    let asked = app.http.get(&url).header("cookie", &cookie).send().await.unwrap();
    assert!(Seen::of(asked).await.text.contains(r#"name="password""#));
    assert_eq!(factors(&app).await, (0, 0));
    // Begun anew, with the password.
    let middle = begun(&app, &shop, "&scope=openid").await;
    let (_, form) = app.make_passkey(&middle.page.text, &Way::default());
    let (_, done) = keep(&app, &shop, post(&app, &shop, "/enrol", &middle.cookie, &form).await).await;
    assert_eq!(said(&app, &shop, &done).await[1], "phr");
}

/// At an address there can be none: an app is what is left, and where nothing is, nobody gets there.
async fn where_there_are_no_passkeys(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let middle = app.half_signed_in(&shop, "").await;
    assert!(
        middle.page.text.contains(r#"<pre id="key""#) && !middle.page.text.contains("Choose another way")
    );
    app.policy(&shop, json!({"factors": ["passkey"]})).await;
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let unmet = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    let to = crate::support::location_of(&unmet);
    assert_eq!(parameter(&to, "error").as_deref(), Some("unmet_authentication_requirements"));
    let page = Seen::of(app.get_page(&shop, "/enrol", &middle.cookie).await).await;
    assert_eq!(page.status, 400);
    let credential = SoftPasskey::create(
        "http://localhost",
        &json!({"user": {"id": "AAAA"}, "rp": {"id": "localhost"}}),
        &Way::default(),
    )
    .1;
    let form = vec![
        ("request", middle.sealed()),
        ("challenge", String::new()),
        ("credential", credential.to_string()),
    ];
    Seen::of(post(&app, &shop, "/enrol", &middle.cookie, &form).await).await.refused(400, FORM_STALE);
}
