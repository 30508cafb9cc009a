//! The account page: each of its pages does what it says, for whoever is signed in, and says what was done.

use serde_json::{Value, json};
use tessera::model::client::ClientSettings;

use crate::support::{
    Account, Engine, PASSWORD, REDIRECT, Seen, Shop, TestApp, Visit, both_engines, cookie_of, location_of,
    parameter, sealed_of, silent_code,
};

both_engines!(
    whoever_is_not_signed_in_comes_back,
    every_page_leads_to_the_others,
    the_profile_is_changed,
    the_password_is_changed,
    the_address_is_changed_by_letter,
    sessions_are_ended,
    signing_out_everywhere_leaves,
    consents_are_withdrawn,
    data_is_taken_along,
    the_account_is_deleted,
    a_deletion_may_wait,
    in_three_languages
);

const PAGES: [&str; 8] =
    ["", "/profile", "/email", "/password", "/factors", "/sessions", "/consents", "/data"];
const NEW: &str = "another long password";

/// Signs alice in with the form of a page.
async fn sign_in(app: &TestApp, shop: &Shop, page: reqwest::Response) -> reqwest::Response {
    assert_eq!(page.status(), 200);
    let (cookie, sealed) = (cookie_of(&page), sealed_of(&page.text().await.unwrap()));
    app.submit(shop, &cookie, &sealed, PASSWORD).await
}

async fn whoever_is_not_signed_in_comes_back(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    for path in PAGES {
        let url = app.project_url(&shop, &format!("/account{path}"));
        let answer = sign_in(&app, &shop, app.http.get(&url).send().await.unwrap()).await;
        assert_eq!(answer.status(), 303, "{path}");
        assert!(answer.headers()["location"].to_str().unwrap().ends_with(&format!("/shop/account{path}")));
        let visit = Visit { app: &app, shop: &shop, cookie: cookie_of(&answer) };
        assert!(visit.open(path).await.text.contains("aria-current=\"page\""), "{path}");
    }
    // A password manager knows the way.
    let known = app.http.get(app.project_url(&shop, "/.well-known/change-password")).send().await.unwrap();
    assert_eq!(known.status(), 303);
    assert!(known.headers()["location"].to_str().unwrap().ends_with("/shop/account/password"));
    // HEAD tells nobody anything.
    let visit = Visit::new(&app, &shop).await;
    let head = app.http.head(app.project_url(&shop, "/account")).header("cookie", &visit.cookie);
    let head = head.send().await.unwrap();
    assert!(head.status() == 200 && !head.headers().contains_key("set-cookie"));
    let nobody = app.http.get(format!("{}/projects/nobody/account", app.base)).send().await.unwrap();
    assert_eq!(nobody.status(), 404);
}

async fn every_page_leads_to_the_others(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let visit = Visit::new(&app, &shop).await;
    for path in PAGES {
        let seen = visit.open(path).await;
        for other in PAGES {
            assert!(
                seen.text.contains(&format!("href=\"/projects/shop/account{other}\"")),
                "{path} to {other}"
            );
        }
        assert!(seen.keeps_cookie(&visit.cookie), "{path}");
    }
    let overview = visit.open("").await.text;
    assert!(overview.contains("alice@example.com") && overview.contains("not verified"));
    // What the project does not offer is not there.
    assert_eq!(visit.get("/delete").await.status(), 404);
    assert!(!visit.open("/data").await.text.contains("/account/delete"));
}

async fn the_profile_is_changed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    for (name, kind, writable) in [
        ("colour", "string", true),
        ("shoe", "number", true),
        ("news", "boolean", true),
        ("pets", "string_list", true),
        ("salary", "number", false),
    ] {
        let body = json!({"name": name, "type": kind, "user_writable": writable, "max_bytes": 40});
        desk.post("/attribute-definitions", body).await.created();
    }
    let user = format!("/users/{}", shop.user);
    desk.patch(&user, json!({"gender": "none of yours", "nickname": "Al"})).await.ok();
    let visit = Visit::new(&app, &shop).await;
    let page = visit.open("/profile").await.text;
    assert!(page.contains("value=\"Al\"") && page.contains("attribute.pets") && !page.contains("salary"));

    let fields = [
        ("claim.name", "Alice <b>"),
        ("claim.nickname", ""),
        ("claim.phone_number", "+351912345678"),
        ("attribute.colour", "blue"),
        ("attribute.shoe", "38.5"),
        ("attribute.news", "false"),
        ("attribute.pets", "Rex\r\nMia\r\n"),
        // Neither is for alice to write.
        ("attribute.salary", "1000000"),
        ("claim.email", "eve@example.com"),
    ];
    let saved = visit.follow(visit.submit("/profile", &fields).await).await;
    assert!(saved.text.contains("Your profile is saved.") && saved.text.contains("Alice &#60;b&#62;"));
    let stored = desk.get(&user).await.ok();
    assert_eq!((&stored["name"], &stored["nickname"]), (&json!("Alice <b>"), &Value::Null));
    assert_eq!((&stored["gender"], &stored["email"]), (&json!("none of yours"), &json!("alice@example.com")));
    let attributes = json!({"colour": "blue", "shoe": 38.5, "news": false, "pets": ["Rex", "Mia"]});
    assert_eq!(stored["attributes"], attributes);
    // The notice is for this browser, and not for the next page.
    assert!(!visit.open("/profile").await.text.contains("is saved"));

    for (field, value, text) in [
        ("claim.birthdate", "yesterday", "A date of birth looks like"),
        ("claim.phone_number", "0123", "A phone number is +"),
        ("claim.website", "javascript:alert(1)", "A website is an address"),
        ("claim.zoneinfo", "here!", "A time zone looks like"),
        ("attribute.shoe", "large", "This has to be a number."),
        (
            "attribute.colour",
            "a colour that is much too long to be stored here",
            "it is too long (at most 40 bytes)",
        ),
    ] {
        let answer = Seen::of(visit.submit("/profile", &[("claim.name", "Al"), (field, value)]).await).await;
        assert_eq!(answer.status, 400, "{field}");
        assert!(answer.alert().contains(text), "{field}: {}", answer.alert());
        // What was typed is there to be mended.
        assert!(answer.text.contains("value=\"Al\""), "{field}");
    }
    assert_eq!(desk.get(&user).await.ok()["version"], stored["version"], "nothing was changed");
    // Somebody else was faster.
    let sealed = visit.sealed("/profile").await;
    desk.patch(&user, json!({"nickname": "Ally"})).await.ok();
    let late = Seen::of(visit.post("/profile", &sealed, &[("claim.nickname", "Al")]).await).await;
    assert_eq!(late.status, 409);
    assert!(late.alert().contains("changed somewhere else") && late.text.contains("value=\"Ally\""));
}

async fn the_password_is_changed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (visit, elsewhere) = (Visit::new(&app, &shop).await, Visit::new(&app, &shop).await);
    // An application that was signed in by this browser, and one that was signed in by another.
    let code = silent_code(&app, &shop, &visit.cookie).await.unwrap();
    let here = Account::with(&app, &shop, &crate::support::Tokens(app.exchange(&shop, &code).await.ok()));
    let there = Account::new(&app, &shop).await;
    let change = |current, new, again| {
        [("current_password", current), ("new_password", new), ("new_password_again", again)]
    };
    for (fields, text) in [
        (change("a wrong one", NEW, NEW), "The current password is not right."),
        (change("", NEW, NEW), "The current password is not right."),
        (change(PASSWORD, "short", "short"), "A password has 8 to 1024 bytes."),
        (change(PASSWORD, NEW, "another"), "The two passwords are not the same."),
        (change(PASSWORD, PASSWORD, PASSWORD), "That is your password already. Please choose another one."),
    ] {
        let seen = Seen::of(visit.submit("/password", &fields).await).await;
        assert_eq!((seen.status, seen.alert()), (400, text));
        assert!(!seen.text.contains(NEW) && !seen.text.contains(PASSWORD), "no password comes back");
    }
    assert!(elsewhere.is_signed_in().await);
    let changed = visit.follow(visit.submit("/password", &change(PASSWORD, NEW, NEW)).await).await;
    assert!(changed.text.contains("Your password is changed. You are signed out everywhere else."));
    assert!(visit.is_signed_in().await && !elsewhere.is_signed_in().await);
    assert_eq!((here.reason(&app).await, there.reason(&app).await.as_deref()), (None, Some("signed_out")));
    assert!(silent_code(&app, &shop, &visit.cookie).await.is_some(), "this browser goes on");
    assert_eq!(app.try_password(&shop, PASSWORD).await, None);
    assert!(app.try_password(&shop, NEW).await.is_some());
}

async fn the_address_is_changed_by_letter(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let visit = Visit::new(&app, &shop).await;
    let letters = async || {
        let sql = "SELECT count(*) AS n FROM outbox WHERE kind <> 'logout_token'";
        crate::support::number(&app.app.db, sql).await
    };
    for wrong in ["", "alice", "a@b@c d"] {
        let fields = [("letter", "change"), ("email", wrong)];
        let seen = Seen::of(visit.submit("/email", &fields).await).await;
        assert_eq!((seen.status, seen.alert()), (400, "This is not a mail address."), "{wrong}");
    }
    assert_eq!(visit.submit("/email", &[("letter", "other")]).await.status(), 400);
    assert_eq!(letters().await, 0);
    let asked = visit.follow(visit.submit("/email", &[("letter", "verify")]).await).await;
    assert!(asked.text.contains("A letter with a link is on its way to your address."));
    assert_eq!(letters().await, 1);
    let fields = [("letter", "change"), ("email", "new@example.com")];
    let asked = visit.follow(visit.submit("/email", &fields).await).await;
    assert!(
        asked.text.contains("Nothing changes until you follow its link.")
            && !asked.text.contains("new@example.com")
    );
    assert_eq!(letters().await, 3, "one to each address");
    let user = app.desk(&shop, "auditor").await.get(&format!("/users/{}", shop.user)).await.ok();
    assert_eq!((&user["email"], &user["email_verified"]), (&json!("alice@example.com"), &json!(false)));
}

async fn sessions_are_ended(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0";
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let form = [("request", sealed.as_str()), ("username", "alice"), ("password", PASSWORD)];
    let post = app.http.post(app.project_url(&shop, "/sign-in")).header("cookie", &cookie);
    let answer = post.header("user-agent", agent).form(&form).send().await.unwrap();
    let elsewhere = Visit { app: &app, shop: &shop, cookie: cookie_of(&answer) };
    let there = Account::with(
        &app,
        &shop,
        &crate::support::Tokens(app.exchange(&shop, &crate::support::code_of(&answer)).await.ok()),
    );
    app.app.clock.advance(60);
    let visit = Visit::new(&app, &shop).await;
    let page = visit.open("/sessions").await.text;
    assert_eq!(page.matches("class=\"badge\"").count(), 1, "this browser is marked");
    assert!(
        page.contains("Firefox on Windows") && page.contains("Unknown device") && page.contains("127.0.0.1")
    );
    let moment = "2027\u{2060}-\u{2060}01\u{2060}-\u{2060}15 08:00\u{a0}UTC";
    assert!(page.contains(&format!("Signed in {moment}, last used {moment}")), "{page}");
    let id = |session: &Value| session["id"].as_str().unwrap().to_owned();
    let family =
        there.sessions().await.iter().find(|session| session["kind"] == "token_family").map(id).unwrap();
    let ended = visit.follow(visit.submit("/sessions", &[("end", &family)]).await).await;
    assert!(ended.text.contains("The session has ended.") && !ended.text.contains(&family));
    assert_eq!(there.reason(&app).await.as_deref(), Some("session_revoked"));
    // Again: it is not there, which is what the page shows.
    assert!(visit.submit("/sessions", &[("end", &family)]).await.status() != 500);

    assert!(elsewhere.is_signed_in().await);
    let (code, _) = app.code(&shop, "").await;
    let ended = visit.follow(visit.submit("/sessions", &[("end", "others")]).await).await;
    assert!(ended.text.contains("All other sessions have ended."));
    assert!(visit.is_signed_in().await && !elsewhere.is_signed_in().await);
    assert_eq!(app.exchange(&shop, &code).await.status, 400, "a code that was under way");
    // This one itself.
    let page = visit.open("/sessions").await.text;
    let own = crate::support::between(&page, "name=\"end\" value=\"", "\"").to_owned();
    let left = Seen::of(visit.submit("/sessions", &[("end", &own)]).await).await;
    assert!(
        left.text.contains("You are signed out")
            && left.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0")
    );
    assert!(!visit.is_signed_in().await);
}

async fn signing_out_everywhere_leaves(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (visit, elsewhere) = (Visit::new(&app, &shop).await, Visit::new(&app, &shop).await);
    let there = Account::new(&app, &shop).await;
    let left = Seen::of(visit.submit("/sessions", &[("end", "everywhere")]).await).await;
    assert_eq!(left.status, 200);
    assert!(
        left.text.contains("You are signed out")
            && left.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0")
    );
    assert!(!visit.is_signed_in().await && !elsewhere.is_signed_in().await);
    assert_eq!(there.reason(&app).await.as_deref(), Some("signed_out"));
    let events = app.desk(&shop, "auditor").await.get("/audit?action=user.signed_out").await.ok();
    assert_eq!(events["items"][0]["personal"]["address"], "127.0.0.1");
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
    let visit = Visit::new(&app, &shop).await;
    assert!(
        visit.open("/consents").await.text.contains("You have allowed no application of others anything.")
    );
    let url = app.authorize_url(&third, "&scope=openid+profile");
    let asked = app.http.get(url).header("cookie", &visit.cookie).send().await.unwrap();
    let sealed = sealed_of(&asked.text().await.unwrap());
    let form = [("request", sealed.as_str()), ("decision", "allow")];
    let allow =
        app.http.post(app.project_url(&third, "/consent")).header("cookie", &visit.cookie).form(&form);
    let code = parameter(&location_of(&allow.send().await.unwrap()), "code").unwrap();
    let tokens = app.oauth_exchange(&third, &code).await;

    let page = visit.open("/consents").await.text;
    assert!(
        page.contains("Second")
            && page.contains("know that it is you")
            && page.replace('\u{2060}', "").contains("Allowed on 2027-01-15")
    );
    let done = visit.follow(visit.submit("/consents", &[("withdraw", &third.id)]).await).await;
    assert!(done.text.contains("The application has no access any more.") && !done.text.contains(&third.id));
    assert_eq!(app.verify(&third, tokens.get("access_token")).await["reason"], "session_revoked");
    // The next request asks again.
    let url = app.authorize_url(&third, "&scope=openid+profile&prompt=none");
    let asked = app.http.get(url).header("cookie", &visit.cookie).send().await.unwrap();
    assert_eq!(parameter(&location_of(&asked), "error").as_deref(), Some("consent_required"));
}

async fn data_is_taken_along(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let visit = Visit::new(&app, &shop).await;
    let file = visit.submit("/data", &[]).await;
    assert_eq!(file.status(), 200);
    let header = |name: &str| file.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-disposition"), "attachment; filename=\"shop-account.json\"");
    assert_eq!(
        (header("content-type"), header("cache-control")),
        ("application/json".into(), "no-store".into())
    );
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-security-policy").contains("sandbox"));
    let data: Value = file.json().await.unwrap();
    assert_eq!(
        (&data["user"]["username"], &data["issuer"]),
        (&json!("alice"), &json!(app.project_url(&shop, "")))
    );
    assert_eq!(data["events"].as_array().unwrap().last().unwrap()["action"], "user.data_downloaded");
}

async fn allow_deletion(app: &TestApp, shop: &Shop, days: i64) {
    let settings = json!({"settings": {"self_deletion": true, "deletion_restore_days": days}});
    app.desk(shop, "owner").await.patch("", settings).await.ok();
}

async fn the_account_is_deleted(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    allow_deletion(&app, &shop, 0).await;
    let (visit, there) = (Visit::new(&app, &shop).await, Account::new(&app, &shop).await);
    assert!(visit.open("/data").await.text.contains("href=\"/projects/shop/account/delete\""));
    assert!(visit.open("/delete").await.text.contains("It cannot be undone."));
    for typed in ["alicia", "", "ALICE"] {
        let seen = Seen::of(visit.submit("/delete", &[("confirmation", typed)]).await).await;
        assert_eq!((seen.status, seen.alert()), (403, "That is not your user name. Nothing was deleted."));
    }
    assert!(visit.is_signed_in().await);
    let gone = Seen::of(visit.submit("/delete", &[("confirmation", "alice")]).await).await;
    assert_eq!(gone.status, 200);
    assert!(gone.text.contains("Your account is deleted"));
    assert!(gone.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert!(!visit.is_signed_in().await);
    assert_eq!(there.reason(&app).await.as_deref(), Some("user_deleted"));
}

async fn a_deletion_may_wait(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    allow_deletion(&app, &shop, 7).await;
    let visit = Visit::new(&app, &shop).await;
    assert!(visit.open("/delete").await.text.contains("deletes it after 7 days"));
    let gone = Seen::of(visit.submit("/delete", &[("confirmation", "alice")]).await).await;
    assert!(
        gone.text.replace("\u{2060}", "").contains("will be deleted on 2027-01-22 08:00\u{a0}UTC"),
        "{}",
        gone.text
    );
    assert!(!visit.is_signed_in().await);
}

async fn in_three_languages(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let visit = Visit::new(&app, &shop).await;
    for (language, title) in [("de", "Sitzungen"), ("zh-Hans", "会话"), ("fr", "Sessions")] {
        let seen = visit.open(&format!("/sessions?ui_locales={language}")).await;
        assert!(seen.text.contains(&format!("aria-current=\"page\">{title}</a>")), "{language}");
    }
    // What was asked for goes on.
    let german = visit.open("/password?ui_locales=de").await;
    assert!(german.text.contains("/account/sessions?ui_locales=de"));
    let fields =
        [("ui_locales", "de"), ("current_password", "x"), ("new_password", NEW), ("new_password_again", NEW)];
    let seen = Seen::of(visit.post("/password", &sealed_of(&german.text), &fields).await).await;
    assert_eq!(seen.alert(), "Das bisherige Passwort stimmt nicht.");
}
