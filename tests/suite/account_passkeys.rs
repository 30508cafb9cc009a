//! Passkeys on the account page: made, named and removed; and every wrong way to do it, which does nothing.

use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use tessera::projects;
use tessera::secret::Secret;

use crate::support::{
    Account, Engine, Mailbox, PASSWORD, Seen, Shop, SoftPasskey, TestApp, Visit, Way, between, both_engines,
    code_of, number, question_of, sealed_of,
};

both_engines!(
    made_named_and_removed,
    recovery_codes_come_with_the_first,
    what_is_wrong_makes_none,
    names_are_bounded_and_stay_text,
    a_question_is_for_one_session_and_once,
    somebody_elses_is_not_there,
    other_sites_post_nothing,
    a_fresh_sign_in_is_asked_for,
    who_has_left_makes_none,
    ten_at_most,
    where_there_are_none,
);

const PAGE: &str = "/factors/passkey";
const NOT_MADE: &str = "No passkey was created. Please try again.";
const BAD_NAME: &str = "A name has 1 to 128 characters.";
const STALE: &str = "It was open for too long, or was made for another browser. Nothing has been lost.";

/// Alice of a project in which a password is as good as it gets, at her account page.
async fn alice<'a>(app: &'a TestApp, slug: &str) -> (&'a Shop, Visit<'a>) {
    let shop: &Shop = Box::leak(Box::new(app.shop(slug, "confidential").await));
    app.desk(shop, "owner").await.count_no_factor().await;
    (shop, Visit::new(app, shop).await)
}

/// Posts the form of a page that was opened.
async fn post(visit: &Visit<'_>, path: &str, form: &[(&str, String)]) -> Response {
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let url = visit.app.project_url(visit.shop, &format!("/account{path}"));
    visit.app.http.post(url).header("cookie", &visit.cookie).form(&form).send().await.unwrap()
}

/// Makes a passkey of this name: the answer.
async fn add(visit: &Visit<'_>, name: &str, way: &Way) -> (SoftPasskey, Response) {
    let page = visit.open(PAGE).await.text;
    let (passkey, mut form) = visit.app.make_passkey(&page, way);
    form.push(("name", name.to_owned()));
    (passkey, post(visit, PAGE, &form).await)
}

/// The passkeys that the page lists: id and name.
async fn listed(visit: &Visit<'_>) -> Vec<(String, String)> {
    let page = visit.open("/factors").await.text;
    let names = page.split(r#"<p class="row-title"><bdi>"#).skip(1);
    let names = names.map(|row| row.split("</bdi>").next().unwrap().to_owned());
    let ids = page.split(r#"name="remove" value=""#).skip(1);
    ids.map(|row| row.split('"').next().unwrap().to_owned()).zip(names).collect()
}

async fn count(app: &TestApp) -> i64 {
    number(&app.app.db, "SELECT count(*) AS n FROM passkeys").await
}

async fn events(app: &TestApp, shop: &Shop, action: &str) -> Vec<Value> {
    let log = app.desk(shop, "auditor").await.get(&format!("/audit?action={action}")).await.ok();
    log["items"].as_array().unwrap().clone()
}

async fn made_named_and_removed(engine: Engine) {
    let (app, mailbox) = named_with_mailbox(engine).await;
    let (shop, visit) = alice(&app, "shop").await;
    let page = visit.open("/factors").await.text;
    assert!(
        page.contains(r#"href="/projects/shop/account/factors/passkey""#) && page.contains("Add a passkey")
    );
    let page = visit.open(PAGE).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("; script-src http://localhost:"), "{policy}");
    assert!(!policy.contains("inline"), "{policy}");
    // Without script the form is not there, and the page says why.
    assert!(page.text.contains(r#"data-passkey="create""#) && page.text.contains(" hidden>"));
    assert!(page.text.contains("Passkeys need JavaScript and a browser that supports them."));
    let options = &question_of(&page.text)["options"];
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");

    let (_, first) = add(&visit, "Laptop", &Way::default()).await;
    assert_eq!(first.status(), 200, "the codes are shown");
    let told = mailbox.one(&app, "alice@example.com").await;
    assert!(told.text.contains("in addition: a passkey."), "{}", told.text);
    let seen = visit.follow(add(&visit, "Phone", &Way::default()).await.1).await;
    assert!(seen.text.contains("The passkey is added."), "{}", seen.text);
    mailbox.one(&app, "alice@example.com").await;
    let [(laptop, _), (_, phone)] = &listed(&visit).await[..] else { panic!("not two") };
    assert_eq!(phone, "Phone");

    // Another name.
    let path = format!("{PAGE}/{laptop}");
    assert!(visit.open("/factors").await.text.contains(&format!(r#"href="/projects/shop/account{path}""#)));
    let page = visit.open(&path).await;
    assert!(page.text.contains(r#"value="Laptop""#), "{}", page.text);
    let seen = visit.follow(visit.submit(&path, &[("name", " Old laptop ")]).await).await;
    assert!(seen.text.contains("The passkey has its new name."), "{}", seen.text);
    assert_eq!(listed(&visit).await[0].1, "Old laptop");

    // And away.
    let removed = visit.follow(visit.submit("/factors", &[("remove", laptop)]).await).await;
    assert!(removed.text.contains("It is removed, and no longer asked for."));
    let told = mailbox.one(&app, "alice@example.com").await;
    assert!(told.text.contains("no longer has this: a passkey."), "{}", told.text);
    assert_eq!(listed(&visit).await.len(), 1);
    // What is gone is not renamed or removed: what is there is shown.
    let gone = Seen::of(visit.get(&path).await).await;
    assert!(gone.status == 200 && gone.text.contains(r#"name="codes""#));
    let added = events(&app, shop, "factor.added").await;
    assert_eq!(added.len(), 2);
    assert_eq!((&added[0]["detail"]["kind"], &added[0]["actor_kind"]), (&json!("passkey"), &json!("user")));
    assert_eq!(events(&app, shop, "factor.removed").await.len(), 1);
}

async fn named_with_mailbox(engine: Engine) -> (TestApp, Mailbox) {
    let named = |app: &mut tessera::app::App| app.base_url = app.base_url.replace("127.0.0.1", "localhost");
    TestApp::with_mailbox_changed(engine, named).await
}

/// Whoever is asked for the passkey from now on has codes for the day that it is lost.
async fn recovery_codes_come_with_the_first(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let visit = Visit::new(&app, &shop).await;
    let (mut passkey, answer) = add(&visit, "Laptop", &Way::default()).await;
    let page = Seen::of(answer).await;
    assert_eq!(page.status, 200);
    let codes = between(&page.text, r#"<ol class="codes" dir="ltr">"#, "</ol>");
    assert_eq!(codes.matches("<li>").count(), 10);
    let code = between(codes, "<li>", "</li>").to_owned();
    // The password alone is less than the best from now on.
    assert!(visit.open(PAGE).await.text.contains(r#"name="password""#));
    let middle = app.half_signed_in(&shop, "").await;
    let question = question_of(&middle.page.text);
    let credential = passkey.answer(&question["options"], &Way::default()).to_string();
    let (sealed, challenge) = (middle.sealed(), question["challenge"].as_str().unwrap());
    let form = [
        ("request", sealed.as_str()),
        ("factor", "passkey"),
        ("challenge", challenge),
        ("credential", &credential),
    ];
    code_of(&app.post_page(&shop, "/second-factor", &middle.cookie, &form).await);
    let middle = app.half_signed_in(&shop, "").await;
    assert_eq!(app.show(&shop, &middle, "recovery_code", &code).await.status(), 303);
    // Where a passkey is no second factor, there is nothing that they would stand in for.
    app.policy(&shop, json!({"factors": ["totp"], "second_factor": "off"})).await;
    projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    let bob = Visit { app: &app, shop: &shop, cookie: bobs_cookie(&app, &shop).await };
    let seen = bob.follow(add(&bob, "Laptop", &Way::default()).await.1).await;
    assert!(seen.text.contains("The passkey is added."));
}

async fn bobs_cookie(app: &TestApp, shop: &Shop) -> String {
    let (cookie, sealed) = app.sign_in_page(shop, "").await;
    crate::support::cookie_of(&app.submit_as(shop, &cookie, &sealed, ("bob", PASSWORD)).await)
}

async fn what_is_wrong_makes_none(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (_, visit) = alice(&app, "shop").await;
    let page = visit.open(PAGE).await.text;
    let normal = Way::default();
    for way in [
        Way { origin: Some("https://evil.example"), ..normal.clone() },
        Way { cross_origin: true, ..normal.clone() },
        Way { rp_id: Some("evil.example"), ..normal.clone() },
        Way { kind: Some("webauthn.get"), ..normal.clone() },
        Way { unverified: true, ..normal.clone() },
        Way { absent: true, ..normal.clone() },
        Way { challenge: Some("AAAA".into()), ..normal.clone() },
        Way { id: Some(vec![1; 15]), ..normal.clone() },
    ] {
        let (_, mut form) = app.make_passkey(&page, &way);
        form.push(("name", "Laptop".into()));
        let seen = Seen::of(post(&visit, PAGE, &form).await).await;
        seen.asks_again(400, NOT_MADE);
        assert!(seen.text.contains(r#"value="Laptop""#) && sealed_of(&seen.text) != sealed_of(&page));
    }
    let (_, form) = app.make_passkey(&page, &normal);
    for (field, value) in [("challenge", ""), ("challenge", "AAAA"), ("credential", ""), ("credential", "{}")]
    {
        let mut form = form.clone();
        form.iter_mut().find(|(name, _)| *name == field).unwrap().1 = value.into();
        form.push(("name", "Laptop".into()));
        Seen::of(post(&visit, PAGE, &form).await).await.asks_again(400, NOT_MADE);
    }
    let bare = [("request", sealed_of(&page)), ("name", "Laptop".to_owned())];
    Seen::of(post(&visit, PAGE, &bare).await).await.asks_again(400, NOT_MADE);
    assert_eq!(count(&app).await, 0);
}

async fn names_are_bounded_and_stay_text(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (_, visit) = alice(&app, "shop").await;
    let long = "n".repeat(10_000);
    for name in ["", "   ", "a\u{7}b", "\u{200b}", &"a".repeat(129), &long] {
        let seen = Seen::of(add(&visit, name, &Way::default()).await.1).await;
        seen.asks_again(400, BAD_NAME);
        assert!(!seen.text.contains("aaaaaaaa") && !seen.text.contains("nnnnnnnn"));
    }
    assert_eq!(count(&app).await, 0);
    let hostile = r#""><script>alert(1)</script>{{7*7}}"#;
    assert_eq!(add(&visit, hostile, &Way::default()).await.1.status(), 200);
    let (id, _) = listed(&visit).await[0].clone();
    let path = format!("{PAGE}/{id}");
    for page in [visit.open("/factors").await, visit.open(&path).await] {
        assert!(page.text.contains("&#60;script&#62;alert(1)&#60;/script&#62;{{7*7}}"), "{}", page.text);
    }
    for name in ["", " ", "a\nb", &long] {
        let seen = Seen::of(visit.submit(&path, &[("name", name)]).await).await;
        seen.asks_again(400, BAD_NAME);
    }
    assert_eq!(visit.submit(&path, &[]).await.status(), 400);
    assert_eq!(visit.submit(&path, &[("name", &"é".repeat(128))]).await.status(), 303);
    assert_eq!(listed(&visit).await[0].1, "é".repeat(128));
}

/// A question is answered by the session that asked, for making a passkey, and once.
async fn a_question_is_for_one_session_and_once(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, visit) = alice(&app, "shop").await;
    let other = Visit::new(&app, shop).await;
    let page = visit.open(PAGE).await.text;
    let (_, form) = app.make_passkey(&page, &Way::default());
    let with = |request: String, form: &[(&'static str, String)]| {
        let mut form = form.to_vec();
        form[0].1 = request;
        form.push(("name", "Laptop".to_owned()));
        form
    };
    // Another session of the same person, with its own form and with the other's.
    let own_form = with(sealed_of(&other.open(PAGE).await.text), &form);
    Seen::of(post(&other, PAGE, &own_form).await).await.asks_again(400, NOT_MADE);
    let good = with(form[0].1.clone(), &form);
    Seen::of(post(&other, PAGE, &good).await).await.refused(400, STALE);
    // An answer to what the API asked, to what the sign-in page asked, and the other way round.
    let alices = Account::new(&app, shop).await;
    let begun = app.begin_passkey(shop, &alices.token).await;
    let (_, made) = SoftPasskey::create(&app.app.base_url, &begun["options"], &Way::default());
    let api = begun["challenge"].as_str().unwrap();
    let crossed = vec![
        ("request", form[0].1.clone()),
        ("challenge", api.to_owned()),
        ("credential", made.to_string()),
        ("name", "Laptop".to_owned()),
    ];
    Seen::of(post(&visit, PAGE, &crossed).await).await.asks_again(400, NOT_MADE);
    let credential: Value = serde_json::from_str(&form[2].1).unwrap();
    let refused =
        app.finish_passkey(shop, &alices.token, &json!({"challenge": form[1].1}), &credential).await;
    assert_eq!((refused.status, &refused.body["field"]), (400, &json!("challenge")));
    // At the sign-in page it signs nobody in.
    let sign_in = app.http.get(app.authorize_url(shop, "&prompt=login")).header("cookie", &visit.cookie);
    let sealed = sealed_of(&Seen::of(sign_in.send().await.unwrap()).await.text);
    let as_answer = [("request", sealed.as_str()), ("challenge", &form[1].1), ("credential", &form[2].1)];
    let refused = Seen::of(app.post_page(shop, "/sign-in/passkey", &visit.cookie, &as_answer).await).await;
    refused.asks_again(400, "That passkey does not sign you in here.");
    assert_eq!(count(&app).await, 0);
    // Two at once for one question: one is made.
    let (_, second) = app.make_passkey(&page, &Way::default());
    let second = with(second[0].1.clone(), &second);
    let both = join_all([post(&visit, PAGE, &good), post(&visit, PAGE, &second)]).await;
    let mut statuses: Vec<_> = both.iter().map(|answer| answer.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    Seen::of(post(&visit, PAGE, &good).await).await.asks_again(400, NOT_MADE);
    assert_eq!(count(&app).await, 1);
}

async fn somebody_elses_is_not_there(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, visit) = alice(&app, "shop").await;
    let (_, theirs) = alice(&app, "other").await;
    projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    let bob = Visit { app: &app, shop, cookie: bobs_cookie(&app, shop).await };
    let (passkey, _) = add(&visit, "Laptop", &Way::default()).await;
    let (id, _) = listed(&visit).await[0].clone();
    let path = format!("{PAGE}/{id}");
    for stranger in [&bob, &theirs] {
        let own = add(stranger, "Own", &Way::default()).await.1;
        assert_eq!(own.status(), 200);
        let (own, _) = listed(stranger).await[0].clone();
        let sealed = stranger.sealed(&format!("{PAGE}/{own}")).await;
        let renamed = Seen::of(stranger.post(&path, &sealed, &[("name", "Mine")]).await).await;
        assert!(renamed.status == 200 && !renamed.text.contains("Laptop") && renamed.text.contains("Own"));
        let seen = Seen::of(stranger.get(&path).await).await;
        assert!(seen.status == 200 && !seen.text.contains("Laptop") && !seen.text.contains(r#"name="name""#));
        Seen::of(stranger.submit("/factors", &[("remove", &id)]).await).await;
    }
    assert_eq!(listed(&visit).await, [(id, "Laptop".to_owned())]);
    // The same credential is nobody's twice in a project.
    let same = Way { id: Some(passkey.id), ..Way::default() };
    let taken = Seen::of(add(&bob, "Stolen", &same).await.1).await;
    assert_eq!(
        (taken.status, taken.alert()),
        (409, "That is not possible now. Please look at what is there, and try again.")
    );
    assert_eq!(add(&theirs, "Shared", &same).await.1.status(), 303);
    for nonsense in ["x", "00000000-0000-7000-8000-000000000000", "..%2f..", "%00"] {
        let seen = Seen::of(visit.get(&format!("{PAGE}/{nonsense}")).await).await;
        assert!(seen.status == 200 && seen.text.contains("Laptop"), "{nonsense}: {}", seen.text);
    }
}

async fn other_sites_post_nothing(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, visit) = alice(&app, "shop").await;
    let attacker = Visit::new(&app, shop).await;
    add(&visit, "Laptop", &Way::default()).await;
    let (id, _) = listed(&visit).await[0].clone();
    let rename = format!("{PAGE}/{id}");
    for (path, fields) in [
        (PAGE, vec![("name", "Mallory"), ("challenge", "AAAA"), ("credential", "{}")]),
        (&rename, vec![("name", "Mallory")]),
    ] {
        let url = app.project_url(shop, &format!("/account{path}"));
        let (sealed, theirs) = (visit.sealed(path).await, attacker.sealed(path).await);
        let elsewhere = visit.sealed("/profile").await;
        let of_list = visit.sealed("/factors").await;
        for (how, requests, site) in [
            ("without what it carries", vec![], None),
            ("made up", vec!["AAAA"], None),
            ("another browser's", vec![theirs.as_str()], None),
            ("another page's", vec![elsewhere.as_str()], None),
            ("of the list", vec![of_list.as_str()], None),
            ("given twice", vec![sealed.as_str(), sealed.as_str()], None),
            ("of another site", vec![sealed.as_str()], Some("cross-site")),
            ("of a sibling", vec![sealed.as_str()], Some("same-site")),
        ] {
            let form: Vec<_> = requests.iter().map(|text| ("request", *text)).chain(fields.clone()).collect();
            let mut request = app.http.post(&url).header("cookie", &visit.cookie).form(&form);
            if let Some(site) = site {
                request = request.header("sec-fetch-site", site);
            }
            let answer = Seen::of(request.send().await.unwrap()).await;
            assert!(answer.status == 400 && !answer.text.contains("Laptop"), "{path} {how}");
        }
        let form = [&[("request", sealed.as_str())][..], &fields].concat();
        assert_eq!(app.http.post(&url).form(&form).send().await.unwrap().status(), 400, "{path}");
        assert_eq!(app.http.put(&url).header("cookie", &visit.cookie).send().await.unwrap().status(), 405);
        // A HEAD says nothing, and sets no cookie.
        let head = app.http.head(&url).header("cookie", &visit.cookie).send().await.unwrap();
        assert!(!head.headers().contains_key("set-cookie"));
    }
    assert_eq!(listed(&visit).await, [(id, "Laptop".to_owned())]);
}

async fn a_fresh_sign_in_is_asked_for(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (_, visit) = alice(&app, "shop").await;
    add(&visit, "Laptop", &Way::default()).await;
    let (id, _) = listed(&visit).await[0].clone();
    let rename = format!("{PAGE}/{id}");
    let page = visit.open(PAGE).await.text;
    let (_, mut form) = app.make_passkey(&page, &Way::default());
    form.push(("name", "Late".into()));
    let sealed = visit.sealed(&rename).await;
    app.app.clock.advance(300);
    for path in [PAGE, &rename, "/factors"] {
        let asked = visit.open(path).await.text;
        assert!(asked.contains(r#"name="password""#) && !asked.contains("Laptop"), "{path}");
    }
    let posted = [post(&visit, PAGE, &form).await, visit.post(&rename, &sealed, &[("name", "Late")]).await];
    for answer in posted {
        let seen = Seen::of(answer).await;
        assert!(seen.status == 200 && seen.text.contains(r#"name="password""#), "{}", seen.text);
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM passkeys WHERE name = 'Laptop'").await, 1);
    assert_eq!(count(&app).await, 1);
}

async fn who_has_left_makes_none(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, visit) = alice(&app, "shop").await;
    let page = visit.open(PAGE).await.text;
    let (_, mut form) = app.make_passkey(&page, &Way::default());
    form.push(("name", "Late".into()));
    let alices = Account::new(&app, shop).await;
    let everywhere = json!({"end_browser_sessions": true});
    app.bearer(shop, "GlobalSignOut", &alices.token, everywhere).await.ok();
    let seen = Seen::of(post(&visit, PAGE, &form).await).await;
    assert!(seen.status == 200 && seen.text.contains(r#"name="password""#), "{}", seen.text);
    assert_eq!(count(&app).await, 0);
}

async fn ten_at_most(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (_, visit) = alice(&app, "shop").await;
    for number in 0..9 {
        add(&visit, &format!("Key {number}"), &Way::default()).await;
    }
    let pages = [visit.open(PAGE).await.text, visit.open(PAGE).await.text];
    let forms = pages.each_ref().map(|page| {
        let (_, mut form) = app.make_passkey(page, &Way::default());
        form.push(("name", "Last".into()));
        form
    });
    let both = join_all(forms.iter().map(|form| post(&visit, PAGE, form))).await;
    let mut statuses: Vec<_> = both.iter().map(|answer| answer.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 409]);
    let full = Seen::of(visit.get(PAGE).await).await;
    assert_eq!(
        (full.status, full.alert()),
        (409, "That is not possible now. Please look at what is there, and try again.")
    );
    assert_eq!(count(&app).await, 10);
}

/// At an address there can be none, and a project may want none: nothing is offered, and nothing is taken.
async fn where_there_are_none(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (_, visit) = alice(&app, "shop").await;
    let refused = async |visit: &Visit<'_>| {
        assert!(!visit.open("/factors").await.text.contains("Add a passkey"));
        let seen = Seen::of(visit.get(PAGE).await).await;
        assert_eq!(
            (seen.status, seen.alert()),
            (409, "That is not possible now. Please look at what is there, and try again.")
        );
    };
    refused(&visit).await;
    let app = TestApp::named(engine).await;
    let (shop, visit) = alice(&app, "shop").await;
    let page = visit.open(PAGE).await.text;
    let (_, mut form) = app.make_passkey(&page, &Way::default());
    form.push(("name", "Laptop".into()));
    app.policy(shop, json!({"passkey_sign_in": false, "factors": ["totp"]})).await;
    refused(&visit).await;
    assert_eq!(post(&visit, PAGE, &form).await.status(), 409);
    app.policy(shop, json!({"passkey_sign_in": true})).await;
    assert!(visit.open("/factors").await.text.contains("Add a passkey"));
    assert_eq!(count(&app).await, 0);
}
