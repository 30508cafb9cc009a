//! A forgotten password: the letter, its link, and what nobody can do with either.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Engine, Mailbox, NEW_PASSWORD, PASSWORD, Seen, TestApp, both_engines, link_of, number};

both_engines!(
    somebody_who_forgot_chooses_a_new_password,
    a_link_is_followed_once,
    of_many_who_follow_at_once_one_gets_through,
    a_link_is_over_when_its_account_moves_on,
    a_link_is_of_its_project_and_its_kind,
    looking_at_a_link_changes_nothing,
    only_verified_addresses_get_letters,
    all_accounts_of_an_address_are_written_to,
    a_password_that_will_not_do_is_told,
    letters_are_in_the_language_of_the_person,
    choices_with_one_link_are_bounded,
    a_mailbox_is_not_filled,
    letters_count_while_their_links_are_good,
    a_link_ends_after_half_an_hour,
);

const SENT: &str = "If there is an account with this name and a confirmed mail address, a letter is on its way to it. \
    The link in it is good for 30 minutes.";
const GONE: &str = "It was used already, has expired, or your account has changed since it was sent.";

fn passwords(password: &str) -> [(&str, &str); 2] {
    [("password", password), ("again", password)]
}

/// Alice's link.
async fn link(app: &TestApp, mailbox: &Mailbox, shop: &crate::support::Shop) -> String {
    let seen = app.forget(shop, "alice").await;
    assert_eq!((seen.status, seen.message().as_str()), (200, SENT));
    let letter = mailbox.one(app, "alice@example.com").await;
    assert_eq!(letter.subject, "Choose a new password for shop");
    link_of(app, &letter)
}

async fn somebody_who_forgot_chooses_a_new_password(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    let tokens = app.sign_in(&shop).await;
    let (_, session) = app.code(&shop, "").await;

    // From the sign-in, and back to the application that started it.
    let page = app.http.get(app.authorize_url(&shop, "&scope=openid")).send().await.unwrap();
    let browser = crate::support::cookie_of(&page);
    let page = Seen::of(page).await;
    let forgotten = crate::support::between(&page.text, r#"<p class="aside"><a href=""#, "\"");
    let url = format!("{}{}", app.base, forgotten.replace("&#38;", "&"));
    let (cookie, sealed, form) = app.open_form(&url, Some(&browser)).await;
    assert_eq!(cookie, browser);
    assert!(form.text.contains("Back to the sign-in"));
    let sent =
        Seen::of(app.post_form(&url, (&cookie, &sealed), &[("who", " ALICE@example.com ")]).await).await;
    assert_eq!((sent.status, sent.message().as_str()), (200, SENT));
    let letter = mailbox.one(&app, "alice@example.com").await;
    assert!(letter.text.starts_with("Hello alice,\n"), "{}", letter.text);

    let link = link_of(&app, &letter);
    let (cookie, sealed, form) = app.open_form(&link, Some(&browser)).await;
    assert!(form.text.contains("<bdi>alice</bdi>") && form.text.contains(r#"autocomplete="new-password""#));
    let done = app.post_form(&link, (&cookie, &sealed), &passwords(NEW_PASSWORD)).await;
    assert!(!done.headers().contains_key("set-cookie"), "nobody is signed in by it");
    let done = Seen::of(done).await;
    assert_eq!((done.status, done.text.contains("Your password is changed")), (200, true));
    assert!(done.text.contains("/projects/shop/oauth2/authorize?response_type=code"), "{}", done.text);

    // Everything has ended, and the owner is told.
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out");
    let refused = app.refresh(&shop, tokens.get("refresh_token")).await;
    assert_eq!(refused.body["error"], "invalid_grant");
    let silent = app.http.get(app.authorize_url(&shop, "&prompt=none")).header("cookie", &session);
    let silent = crate::support::location_of(&silent.send().await.unwrap());
    assert_eq!(crate::support::parameter(&silent, "error").as_deref(), Some("login_required"));
    let told = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(told.subject, "Your password for shop has been changed");
    assert!(!app.signs_in(&shop, ("alice", PASSWORD)).await);
    assert!(app.signs_in(&shop, ("alice", NEW_PASSWORD)).await);
    let audit = app.desk(&shop, "auditor").await.get("/audit?action=user.password_recovered").await.ok();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
    assert_eq!(audit["items"][0]["actor"], audit["items"][0]["target"]);
    let sealed =
        "SELECT count(*) AS n FROM audit_log WHERE action = 'user.password_recovered' AND sealed IS NOT NULL";
    assert_eq!(number(&app.app.db, sealed).await, 1, "where it was done from is kept sealed");
}

async fn a_link_is_followed_once(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    let link = link(&app, &mailbox, &shop).await;
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    assert_eq!(app.follow_link(&link, &passwords(NEW_PASSWORD)).await.status, 200);
    // Not by a form that was open, nor by the link itself.
    let late = app.post_form(&link, (&cookie, &sealed), &passwords("another harbour pilot")).await;
    let late = Seen::of(late).await;
    assert_eq!((late.status, late.message().as_str()), (400, GONE));
    let again = Seen::of(app.http.get(&link).send().await.unwrap()).await;
    assert_eq!((again.status, again.message().as_str()), (400, GONE));
    assert!(again.text.contains("/projects/shop/forgotten-password"));
    assert!(app.signs_in(&shop, ("alice", NEW_PASSWORD)).await);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM mail_links").await, 0);
}

async fn of_many_who_follow_at_once_one_gets_through(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    let node = app.second_node().await;
    let link = link(&app, &mailbox, &shop).await;
    let mut forms = Vec::new();
    for _ in 0..6 {
        let (cookie, sealed, _) = app.open_form(&link, None).await;
        forms.push((cookie, sealed));
    }
    let choices: Vec<String> = (0..6).map(|n| format!("violet stapler harbour {n}")).collect();
    let posts = forms.iter().zip(&choices).enumerate().map(|(n, ((cookie, sealed), choice))| {
        let at = if n % 2 == 0 { &app } else { &node };
        let link = link.replace(&app.base, &at.base);
        async move { at.post_form(&link, (cookie, sealed), &passwords(choice)).await.status().as_u16() }
    });
    let statuses = futures_util::future::join_all(posts).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 5, "{statuses:?}");
    let winner = statuses.iter().position(|status| *status == 200).unwrap();
    for (n, choice) in choices.iter().enumerate() {
        assert_eq!(app.signs_in(&shop, ("alice", choice)).await, n == winner, "{choice}");
    }
}

/// Each of these raises an epoch, or takes away what the link rests on.
async fn a_link_is_over_when_its_account_moves_on(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    for what in ["sign out", "password", "disable", "address", "unverified", "project", "delete"] {
        let slug = what.replace(' ', "-");
        let shop = app.shop(&slug, "confidential").await;
        let desk = app.verify_alice(&shop).await;
        app.forget(&shop, "alice").await;
        let link = link_of(&app, &mailbox.one(&app, "alice@example.com").await);
        let (cookie, sealed, _) = app.open_form(&link, None).await;
        let user = format!("/users/{}", shop.user);
        let done = match what {
            "sign out" => {
                let body = json!({"user": shop.user.to_string()});
                app.bearer(&shop, "GlobalSignOut", &desk.key, body).await.status
            }
            "password" => {
                desk.post(&format!("{user}/set-password"), json!({"password": PASSWORD})).await.status
            }
            "disable" => {
                desk.patch(&user, json!({"status": "disabled"})).await;
                desk.patch(&user, json!({"status": "active"})).await.status
            }
            "address" => {
                desk.patch(&user, json!({"email": "eve@example.com", "email_verified": true})).await.status
            }
            "unverified" => desk.patch(&user, json!({"email_verified": false})).await.status,
            "project" => desk.post("/end-all-sessions", json!({})).await.status,
            _ => {
                let owner = app.admin_key(None, "owner").await;
                let ask = json!({"user": shop.user.to_string(), "reason": "a test of it"});
                let asked = app.bearer(&shop, "delete-user", &owner, ask).await.body;
                let confirm = json!({"deletion_id": asked["deletion_id"], "confirmation": "alice"});
                app.bearer(&shop, "delete-user/confirm", &owner, confirm).await.status
            }
        };
        assert_eq!(done, 200, "{what}");
        let late = app.post_form(&link, (&cookie, &sealed), &passwords(NEW_PASSWORD)).await;
        let late = Seen::of(late).await;
        assert_eq!((late.status, late.message().as_str()), (400, GONE), "{what}");
        assert!(!app.signs_in(&shop, ("alice", NEW_PASSWORD)).await, "{what}");
        mailbox.take(&app).await;
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM mail_links").await, 4, "used up, or deleted");
}

async fn a_link_is_of_its_project_and_its_kind(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    app.verify_alice(&shop).await;
    app.verify_alice(&other).await;
    let link = link(&app, &mailbox, &shop).await;
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    let there = link.replace("/projects/shop/", "/projects/other/");
    let seen = Seen::of(app.http.get(&there).send().await.unwrap()).await;
    assert_eq!((seen.status, seen.message().as_str()), (400, GONE));
    let posted = app.post_form(&there, (&cookie, &sealed), &passwords(NEW_PASSWORD)).await;
    assert_eq!(posted.status(), StatusCode::BAD_REQUEST);
    for kind in ["verify-address", "change-address", "sign-up", "invitation"] {
        let seen = Seen::of(app.http.get(link.replace("new-password", kind)).send().await.unwrap()).await;
        assert_eq!(seen.status, 400, "{kind}");
    }
    assert_eq!(app.http.get(link.replace("new-password", "nothing")).send().await.unwrap().status(), 404);
    let by_id = link.replace("/projects/shop/", &format!("/projects/{}/", shop.project));
    assert_eq!(app.http.get(by_id).send().await.unwrap().status(), 404);
    for token in ["", "tml_", "tml_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "%00", "x'--"] {
        let url = format!("{}?token={token}", link.split('?').next().unwrap());
        let seen = Seen::of(app.http.get(url).send().await.unwrap()).await;
        assert_eq!((seen.status, seen.message().as_str()), (400, GONE), "{token}");
    }
    // Here it still is what it was.
    assert_eq!(app.follow_link(&link, &passwords(NEW_PASSWORD)).await.status, 200);
    assert!(app.signs_in(&other, ("alice", PASSWORD)).await);
}

/// Mail scanners follow links, and so do browsers that look ahead.
async fn looking_at_a_link_changes_nothing(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    let link = link(&app, &mailbox, &shop).await;
    for _ in 0..3 {
        assert_eq!(app.http.get(&link).send().await.unwrap().status(), 200);
        let head = app.http.head(&link).send().await.unwrap();
        assert_eq!((head.status().as_u16(), head.headers().get("set-cookie")), (200, None));
    }
    // A post without the form, or with another browser's, is nothing.
    let bare = app.http.post(&link).form(&passwords(NEW_PASSWORD)).send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::BAD_REQUEST);
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    let (stranger, _, _) = app.open_form(&link, None).await;
    let stale = app.post_form(&link, (&stranger, &sealed), &passwords(NEW_PASSWORD)).await;
    let stale = Seen::of(stale).await;
    assert_eq!((stale.status, stale.text.contains("Open the link again")), (400, true));
    for site in ["cross-site", "same-site"] {
        let forged = app.http.post(link.split('?').next().unwrap()).header("cookie", &cookie);
        let form = [("request", sealed.as_str()), ("password", NEW_PASSWORD), ("again", NEW_PASSWORD)];
        let forged = forged.header("sec-fetch-site", site).form(&form).send().await.unwrap();
        assert_eq!(forged.status(), StatusCode::BAD_REQUEST);
    }
    assert!(app.signs_in(&shop, ("alice", PASSWORD)).await);
    assert_eq!(app.follow_link(&link, &passwords(NEW_PASSWORD)).await.status, 200);
}

async fn only_verified_addresses_get_letters(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    let gone = json!({"username": "gone", "email": "gone@example.com", "email_verified": true});
    let gone = desk.post("/users", gone).await.created();
    desk.patch(&format!("/users/{}", gone["id"].as_str().unwrap()), json!({"status": "disabled"})).await;
    desk.post("/users", json!({"username": "mute"})).await.created();
    for who in ["alice", "alice@example.com", "gone", "gone@example.com", "mute", "nobody", "no@example.com"]
    {
        let seen = app.forget(&shop, who).await;
        assert_eq!((seen.status, seen.message().as_str()), (200, SENT), "{who}");
    }
    assert!(mailbox.take(&app).await.is_empty());
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM mail_links").await, 0);
    // What was asked for is not kept.
    let kept = "SELECT count(*) AS n FROM outbox WHERE sealed_body IS NOT NULL OR state <> 'delivered'";
    assert_eq!(number(&app.app.db, kept).await, 0);
}

async fn all_accounts_of_an_address_are_written_to(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.verify_alice(&shop).await;
    for (username, email) in [("amy", "alice@example.com"), ("alice@example.com", "other@example.com")] {
        let user =
            json!({"username": username, "email": email, "email_verified": true, "password": PASSWORD});
        desk.post("/users", user).await.created();
    }
    app.forget(&shop, "Alice@Example.com").await;
    let letters = mailbox.take(&app).await;
    let mut to: Vec<_> = letters.iter().map(|letter| letter.to.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["alice@example.com", "alice@example.com", "other@example.com"]);
    let amy = letters.iter().find(|letter| letter.text.starts_with("Hello amy,")).unwrap();
    assert_eq!(app.follow_link(&link_of(&app, amy), &passwords(NEW_PASSWORD)).await.status, 200);
    assert!(
        app.signs_in(&shop, ("amy", NEW_PASSWORD)).await && app.signs_in(&shop, ("alice", PASSWORD)).await
    );
}

async fn a_password_that_will_not_do_is_told(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    let link = link(&app, &mailbox, &shop).await;
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    for (password, again, alert) in [
        ("short", "short", "A password has 8 to 1024 bytes."),
        (NEW_PASSWORD, PASSWORD, "The two passwords are not the same."),
        ("alice@example.com", "alice@example.com", "This password is too easy to guess."),
    ] {
        let fields = [("password", password), ("again", again)];
        let seen = Seen::of(app.post_form(&link, (&cookie, &sealed), &fields).await).await;
        assert_eq!(seen.status, 400);
        assert!(seen.alert().starts_with(alert), "{}", seen.alert());
        assert!(seen.keeps_cookie(&cookie));
    }
    assert_eq!(app.follow_link(&link, &passwords(NEW_PASSWORD)).await.status, 200);
}

/// Each choice is hashed, and once more for every former password.
async fn choices_with_one_link_are_bounded(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    let used = link(&app, &mailbox, &shop).await;
    let (cookie, sealed, _) = app.open_form(&used, None).await;
    let post = async |password: &str| {
        Seen::of(app.post_form(&used, (&cookie, &sealed), &passwords(password)).await).await
    };
    for _ in 0..10 {
        assert!(post("alice@example.com").await.alert().starts_with("This password is too easy to guess."));
    }
    let slow = "This was asked for too often. Please wait for a quarter of an hour.";
    for password in ["alice@example.com", NEW_PASSWORD] {
        post(password).await.asks_again(429, slow);
    }
    assert!(app.signs_in(&shop, ("alice", PASSWORD)).await);
    // Another letter brings another link.
    let other = link(&app, &mailbox, &shop).await;
    assert_eq!(app.follow_link(&other, &passwords(NEW_PASSWORD)).await.status, 200);
}

async fn letters_are_in_the_language_of_the_person(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.verify_alice(&shop).await;
    let url = app.project_url(&shop, "/forgotten-password?ui_locales=de");
    let (cookie, sealed, form) = app.open_form(&url, None).await;
    assert!(form.text.contains("Passwort vergessen?"));
    let fields = [("who", "alice"), ("ui_locales", "de")];
    app.post_form(&url, (&cookie, &sealed), &fields).await;
    let letter = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(letter.subject, "Neues Passwort für shop wählen");
    let page = Seen::of(app.http.get(link_of(&app, &letter)).send().await.unwrap()).await;
    assert!(page.text.contains(r#"<html lang="de""#));
    desk.patch(&format!("/users/{}", shop.user), json!({"locale": "zh-CN"})).await;
    app.post_form(&url, (&cookie, &sealed), &fields).await;
    let letter = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(letter.subject, "为 shop 设置新密码");
}

async fn a_mailbox_is_not_filled(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    let mut letters = 0;
    // By name and by address, as long as a link is good, as often as the page lets one host.
    for _ in 0..2 {
        for _ in 0..9 {
            for who in ["alice", "ALICE@example.com"] {
                let seen = app.forget(&shop, who).await;
                assert_eq!((seen.status, seen.message().as_str()), (200, SENT));
            }
        }
        letters += mailbox.take(&app).await.len();
        app.app.clock.advance(900);
    }
    assert_eq!(letters, 5);
    // A host is told that it asks too often, whoever it asks for; another project counts for itself.
    for n in 0..20 {
        assert_eq!(app.forget(&shop, &format!("nobody{n}")).await.status, 200);
    }
    let (cookie, sealed, _) = app.open_form(&app.project_url(&shop, "/forgotten-password"), None).await;
    for who in ["alice", "nobody"] {
        let url = app.project_url(&shop, "/forgotten-password");
        let refused = app.post_form(&url, (&cookie, &sealed), &[("who", who)]).await;
        assert!(refused.headers().contains_key("retry-after"));
        let refused = Seen::of(refused).await;
        refused.asks_again(429, "This was asked for too often. Please wait for a quarter of an hour.");
    }
    let other = app.shop("other", "confidential").await;
    assert_eq!(app.forget(&other, "alice").await.status, 200);
}

/// Whoever has had five letters and has used one of them is not without a way back for the rest of the half hour.
async fn letters_count_while_their_links_are_good(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.verify_alice(&shop).await;
    // All that somebody gets, whoever asks.
    let fill = async || {
        for who in ["alice", "ALICE@example.com"] {
            for _ in 0..3 {
                app.forget(&shop, who).await;
            }
        }
        mailbox.take(&app).await
    };
    let letters = fill().await;
    assert_eq!(letters.len(), 5);
    app.app.clock.advance(890);
    assert_eq!(app.follow_link(&link_of(&app, &letters[0]), &passwords(NEW_PASSWORD)).await.status, 200);
    mailbox.one(&app, "alice@example.com").await;
    let voided = Seen::of(app.http.get(link_of(&app, &letters[1])).send().await.unwrap()).await;
    assert_eq!(voided.message(), GONE);
    app.app.clock.advance(10);
    // A new count, with the same bound.
    let letters = fill().await;
    assert_eq!(letters.len(), 5);
    app.app.clock.advance(900);
    assert_eq!(fill().await.len(), 0, "their links are good");
    // Signed out everywhere: the links are void, and so is the count.
    let everywhere = json!({"user": {"username": "alice"}, "end_browser_sessions": true});
    app.bearer(&shop, "GlobalSignOut", &desk.key, everywhere).await.ok();
    app.app.clock.advance(900);
    let letters = fill().await;
    assert_eq!(letters.len(), 5);
    assert_eq!(
        app.follow_link(&link_of(&app, &letters[4]), &passwords("another harbour pilot")).await.status,
        200
    );
}

async fn a_link_ends_after_half_an_hour(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    let link = link(&app, &mailbox, &shop).await;
    app.app.clock.advance(1799);
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    app.app.clock.advance(1);
    let late = app.post_form(&link, (&cookie, &sealed), &passwords(NEW_PASSWORD)).await;
    assert_eq!(Seen::of(late).await.message(), GONE);
    app.app.clock.advance(2 * 3600);
    tessera::jobs::run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM mail_links").await, 0);
}
