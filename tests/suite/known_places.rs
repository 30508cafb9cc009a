//! Where somebody has signed in before: the browser and the place that strangers do not share.

use reqwest::Response;
use serde_json::json;
use tessera::model::proxies::{ForwardedHeader, TrustedProxies};

use crate::support::{
    Account, Engine, NEW_PASSWORD, PASSWORD, Seen, Shop, TestApp, Tokens, both_engines, code_of, cookie_of,
    link_of, number, run, sealed_of,
};

both_engines!(
    a_place_is_known_when_a_sign_in_is_complete,
    a_browser_has_a_count_of_its_own,
    a_browser_is_known_for_whom_it_was,
    what_it_is_known_by_is_replaced,
    places_of_a_user_are_bounded,
    a_reset_forgets_where_somebody_was,
    whoever_changes_a_password_is_known_there_alone,
    a_sign_out_of_applications_forgets_no_place,
);

const WRONG: &str = "That user name and password do not match.";
const HOME: &str = "198.51.100.1";
const AWAY: &str = "192.0.2.9";
const DAY: i64 = 86_400;
const PLACES: &str = "SELECT count(*) AS n FROM known_places";

/// A node that believes its tests where they come from.
async fn node(engine: Engine) -> TestApp {
    TestApp::changed(engine, trusting).await
}

fn trusting(app: &mut tessera::app::App) {
    app.proxies = TrustedProxies::parse(["127.0.0.0/8"], ForwardedHeader::XForwardedFor).unwrap();
}

/// Posts the form of a browser that is known by `known`, or by nothing.
async fn post(app: &TestApp, shop: &Shop, from: (&str, &str), who: (&str, &str)) -> Response {
    let (address, known) = from;
    let (cookie, sealed) = app.sign_in_page(shop, "").await;
    let form = [("request", sealed.as_str()), ("username", who.0), ("password", who.1)];
    let post =
        app.http.post(app.project_url(shop, "/sign-in")).header("cookie", format!("{cookie}; {known}"));
    post.header("x-forwarded-for", address).form(&form).send().await.unwrap()
}

/// What the browser is known by from now on.
fn known_by(answer: &Response) -> String {
    let lines = answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let known: Vec<_> = lines.filter(|line| line.split('=').next().unwrap().ends_with("-known")).collect();
    assert_eq!(known.len(), 1);
    let attributes = known[0].split_once(';').unwrap().1;
    assert_eq!(attributes, " Path=/projects/shop; HttpOnly; SameSite=Lax; Max-Age=7776000");
    known[0].split(';').next().unwrap().to_owned()
}

/// Signs in, and gives what the browser is known by then; `None` when refused, which looks the same whatever the reason.
async fn comes_in(app: &TestApp, shop: &Shop, from: (&str, &str), who: (&str, &str)) -> Option<String> {
    let answer = post(app, shop, from, who).await;
    if answer.status() == 303 {
        return Some(known_by(&answer));
    }
    assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 1);
    Seen::of(answer).await.asks_again(400, WRONG);
    None
}

async fn alice(app: &TestApp, shop: &Shop, from: (&str, &str)) -> Option<String> {
    comes_in(app, shop, from, ("alice", PASSWORD)).await
}

/// Eleven wrong passwords, by strangers all over the world.
async fn attack(app: &TestApp, shop: &Shop) {
    for n in 0..11 {
        assert!(comes_in(app, shop, (&format!("203.0.113.{n}"), ""), ("alice", "wrong")).await.is_none());
    }
}

/// And by somebody at one place, or in one browser.
async fn mistype(app: &TestApp, shop: &Shop, from: (&str, &str)) {
    for _ in 0..11 {
        assert!(comes_in(app, shop, from, ("alice", "wrong")).await.is_none());
    }
}

/// Whoever has the password and not the second factor has not signed in anywhere.
async fn a_place_is_known_when_a_sign_in_is_complete(engine: Engine) {
    let app = node(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    run(&app.app.db, "DELETE FROM known_places").await;
    let half = post(&app, &shop, (AWAY, ""), ("alice", PASSWORD)).await;
    assert!(half.headers()["location"].to_str().unwrap().ends_with("/second-factor"));
    assert_eq!(half.headers().get_all("set-cookie").iter().count(), 1);
    assert_eq!(number(&app.app.db, PLACES).await, 0);
    // So whoever has it waits with all strangers.
    attack(&app, &shop).await;
    assert!(alice(&app, &shop, (AWAY, "")).await.is_none());
    app.app.clock.advance(1);
    let middle = app.asked_for_more(&post(&app, &shop, (AWAY, ""), ("alice", PASSWORD)).await).await;
    assert_eq!(number(&app.app.db, PLACES).await, 0);
    Seen::of(app.show(&shop, &middle, "totp", "000000").await).await;
    assert_eq!(number(&app.app.db, PLACES).await, 0);
    let done = app.show(&shop, &middle, "totp", &enrolled.authenticator.code(&app)).await;
    assert_eq!(done.status(), 303);
    let known = known_by(&done);
    assert_eq!(number(&app.app.db, PLACES).await, 2, "the browser and the place");
    attack(&app, &shop).await;
    for from in [(AWAY, ""), ("192.0.2.77", known.as_str())] {
        let again = post(&app, &shop, from, ("alice", PASSWORD)).await;
        assert!(again.headers()["location"].to_str().unwrap().ends_with("/second-factor"), "{from:?}");
    }
    assert_eq!(post(&app, &shop, (HOME, ""), ("alice", PASSWORD)).await.status(), 400);
}

/// A stranger behind the owner's address makes whoever has no cookie wait, and nobody else.
async fn a_browser_has_a_count_of_its_own(engine: Engine) {
    let app = node(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let first = alice(&app, &shop, (HOME, "")).await.unwrap();
    mistype(&app, &shop, (HOME, "")).await;
    assert!(alice(&app, &shop, (HOME, "")).await.is_none());
    let second = alice(&app, &shop, (HOME, &first)).await.unwrap();
    assert!(alice(&app, &shop, (HOME, "")).await.is_none(), "what the place has counted stays");
    // Nor do strangers elsewhere, wherever the browser is.
    attack(&app, &shop).await;
    assert!(alice(&app, &shop, (AWAY, "")).await.is_none());
    let third = alice(&app, &shop, (AWAY, &second)).await.unwrap();
    // Whoever has stolen it has ten guesses, and waits like everybody else.
    mistype(&app, &shop, ("192.0.2.99", &third)).await;
    for address in [HOME, AWAY, "192.0.2.99"] {
        assert!(alice(&app, &shop, (address, &third)).await.is_none(), "{address}");
    }
    assert!(alice(&app, &shop, (AWAY, "")).await.is_some(), "a known place, where nobody has guessed");
    app.app.clock.advance(1);
    let fourth = alice(&app, &shop, (AWAY, &third)).await.unwrap();
    // For three months after the last sign-in.
    app.app.clock.advance(90 * DAY - 1);
    attack(&app, &shop).await;
    let fifth = alice(&app, &shop, ("192.0.2.1", &fourth)).await.unwrap();
    app.app.clock.advance(90 * DAY);
    attack(&app, &shop).await;
    assert!(alice(&app, &shop, ("192.0.2.2", &fifth)).await.is_none());
}

async fn a_browser_is_known_for_whom_it_was(engine: Engine) {
    let app = node(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let desk = app.desk(&shop, "user_manager").await;
    desk.post("/users", json!({"username": "bob", "password": PASSWORD})).await.created();
    // Bob's is nothing to alice's account, whoever shows it, and so is one that is made up.
    let bobs = comes_in(&app, &shop, ("192.0.2.50", ""), ("bob", PASSWORD)).await.unwrap();
    attack(&app, &shop).await;
    let (name, value) = bobs.split_once('=').unwrap();
    let made_up = format!("{name}={}", value.chars().rev().collect::<String>());
    for known in [bobs.as_str(), &made_up, "", &format!("{name}=x")] {
        assert!(alice(&app, &shop, (AWAY, known)).await.is_none(), "{known}");
    }
    // What bob plants in her browser is not what it is known by.
    app.app.clock.advance(1);
    let hers = alice(&app, &shop, (AWAY, &bobs)).await.unwrap();
    assert_ne!(hers, bobs);
    attack(&app, &shop).await;
    assert!(alice(&app, &shop, ("192.0.2.51", &bobs)).await.is_none());
    // The value under the name of another project is nobody's there.
    let theirs = post(&app, &other, (HOME, ""), ("alice", PASSWORD)).await;
    let mut lines = theirs.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let theirs = lines.find(|line| line.contains("-known=")).unwrap().split(';').next().unwrap();
    let moved = format!("{name}={}", theirs.split_once('=').unwrap().1);
    for known in [theirs, &moved] {
        assert!(alice(&app, &shop, ("192.0.2.52", known)).await.is_none());
    }
    assert!(alice(&app, &shop, ("192.0.2.53", &hers)).await.is_some());
    // It is no session, and skips nothing.
    let url = app.authorize_url(&shop, "&prompt=none");
    let silent = app.http.get(url).header("cookie", &hers).send().await.unwrap();
    assert!(silent.headers()["location"].to_str().unwrap().contains("login_required"));
    // The store has its keyed hash alone.
    let all = "SELECT count(*) AS n FROM known_places WHERE length(place) <> 32";
    assert_eq!(number(&app.app.db, all).await, 0);
}

/// A value is good until the next sign-in in the same browser, however it ends.
async fn what_it_is_known_by_is_replaced(engine: Engine) {
    let app = node(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let first = alice(&app, &shop, (HOME, "")).await.unwrap();
    let second = alice(&app, &shop, (HOME, &first)).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(number(&app.app.db, PLACES).await, 2);
    attack(&app, &shop).await;
    assert!(alice(&app, &shop, (AWAY, &first)).await.is_none());
    // A wrong password replaces nothing.
    assert!(comes_in(&app, &shop, (AWAY, &second), ("alice", "wrong")).await.is_none());
    // Once signed in, whoever shows more is known by another one.
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let both = format!("{cookie}; {second}");
    let signed_in = app.submit(&shop, &both, &sealed, PASSWORD).await;
    let third = known_by(&signed_in);
    let page = app.http.get(app.authorize_url(&shop, "&prompt=login"));
    let page = page.header("cookie", cookie_of(&signed_in)).send().await.unwrap().text().await.unwrap();
    let both = format!("{}; {third}", cookie_of(&signed_in));
    let again = app.submit(&shop, &both, &sealed_of(&page), PASSWORD).await;
    assert_ne!(known_by(&again), third);
}

/// Whoever had the password before the reset may have been at all these places.
async fn a_reset_forgets_where_somebody_was(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox_changed(engine, trusting).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.verify_alice(&shop).await;
    let user = format!("/users/{}", shop.user);
    let mut password = PASSWORD;
    for reset in ["by mail", "by an admin", "signed out", "of factors", "disabled"] {
        let known = comes_in(&app, &shop, (HOME, ""), ("alice", password)).await.unwrap();
        match reset {
            "by mail" => {
                app.forget(&shop, "alice").await;
                let link = link_of(&app, &mailbox.one(&app, "alice@example.com").await);
                password = NEW_PASSWORD;
                let set = app.follow_link(&link, &[("password", password), ("again", password)]).await;
                assert_eq!(set.status, 200);
            }
            "by an admin" => {
                password = "another harbour pilot";
                desk.post(&format!("{user}/set-password"), json!({"password": password})).await.ok();
            }
            "signed out" => {
                let everywhere = json!({"user": {"username": "alice"}, "end_browser_sessions": true});
                app.bearer(&shop, "GlobalSignOut", &desk.key, everywhere).await.ok();
            }
            "of factors" => {
                desk.delete(&format!("{user}/factors")).await.ok();
            }
            _ => {
                for status in ["disabled", "active"] {
                    desk.patch(&user, json!({"status": status})).await;
                }
            }
        }
        attack(&app, &shop).await;
        for from in [(HOME, ""), (HOME, known.as_str()), (AWAY, known.as_str())] {
            assert!(comes_in(&app, &shop, from, ("alice", password)).await.is_none(), "{reset}: {from:?}");
        }
        // With the next sign-in there they are known again.
        app.app.clock.advance(1);
        let known = comes_in(&app, &shop, (HOME, &known), ("alice", password)).await.unwrap();
        attack(&app, &shop).await;
        assert!(comes_in(&app, &shop, (HOME, ""), ("alice", password)).await.is_some(), "{reset}");
        assert!(comes_in(&app, &shop, (AWAY, &known), ("alice", password)).await.is_some(), "{reset}");
        app.app.clock.advance(2 * DAY);
    }
}

/// The session that stays keeps the browser and the place where it began.
async fn whoever_changes_a_password_is_known_there_alone(engine: Engine) {
    let app = node(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let elsewhere = alice(&app, &shop, (AWAY, "")).await.unwrap();
    // By an application, whose session began in a browser at the tests' own place.
    let account = Account::new(&app, &shop).await;
    account.change_password(NEW_PASSWORD).await.ok();
    attack(&app, &shop).await;
    let new = ("alice", NEW_PASSWORD);
    for from in [(AWAY, ""), (AWAY, elsewhere.as_str()), (HOME, elsewhere.as_str())] {
        assert!(comes_in(&app, &shop, from, new).await.is_none(), "{from:?}");
    }
    assert!(comes_in(&app, &shop, ("127.0.0.1", ""), new).await.is_some());
    // Everything else ends by a button as well; what was ended before is not among what stays.
    app.app.clock.advance(DAY * 2);
    let elsewhere = comes_in(&app, &shop, (AWAY, ""), new).await.unwrap();
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let code = code_of(&app.submit(&shop, &cookie, &sealed, NEW_PASSWORD).await);
    let tokens = Tokens(app.exchange(&shop, &code).await.ok());
    Account::with(&app, &shop, &tokens).post("/sessions/end-others", json!({})).await.ok();
    attack(&app, &shop).await;
    assert!(comes_in(&app, &shop, (AWAY, &elsewhere), new).await.is_none());
    assert!(comes_in(&app, &shop, ("127.0.0.1", ""), new).await.is_some());
}

/// It ends no browser session, so nobody has left a browser.
async fn a_sign_out_of_applications_forgets_no_place(engine: Engine) {
    let app = node(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let known = alice(&app, &shop, (HOME, "")).await.unwrap();
    let desk = app.desk(&shop, "user_manager").await;
    app.bearer(&shop, "GlobalSignOut", &desk.key, json!({"user": {"username": "alice"}})).await.ok();
    attack(&app, &shop).await;
    assert!(alice(&app, &shop, (HOME, "")).await.is_some());
    assert!(alice(&app, &shop, (AWAY, &known)).await.is_some());
}

async fn places_of_a_user_are_bounded(engine: Engine) {
    let app = node(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let first = alice(&app, &shop, (HOME, "")).await.unwrap();
    let mut last = String::new();
    for n in 0..30 {
        app.app.clock.advance(1);
        last = alice(&app, &shop, (&format!("192.0.2.{n}"), "")).await.unwrap();
    }
    assert_eq!(number(&app.app.db, PLACES).await, 50);
    attack(&app, &shop).await;
    assert!(alice(&app, &shop, (HOME, &first)).await.is_none(), "the longest unused is forgotten");
    assert!(alice(&app, &shop, (HOME, &last)).await.is_some());
}
