//! Who guesses at passwords, and how little it helps; and that owners come in all the same.

use serde_json::json;
use tessera::jobs::run_due;
use tessera::mail::Mailer;
use tessera::model::proxies::{ForwardedHeader, TrustedProxies};
use tessera::projects::create_user;
use tessera::secret::Secret;
use tessera::store::db::StatementCounts;

use crate::support::{
    Deleting, Engine, PASSWORD, Seen, Shop, TestApp, both_engines, cookie_of, hold_queue, number, sealed_of,
};

both_engines!(
    // C128
    many_addresses_guess_at_one_account,
    // C128
    the_wait_doubles_and_is_forgotten,
    // C128
    one_address_guesses_at_many_accounts,
    // C128
    unknown_names_are_limited_alike,
    // C128
    guesses_at_once_do_not_pass_the_count,
    another_node_counts_along,
    a_place_has_a_count_of_its_own,
    who_succeeds_is_forgiven,
    a_reset_lifts_the_limit,
    the_owner_is_told_once_a_day,
    devices_are_no_way_around,
    a_good_sign_in_costs_the_same_everywhere,
);

const WRONG: &str = "That user name and password do not match.";
const HOME: &str = "198.51.100.1";
const AWAY: &str = "192.0.2.9";
const DAY: i64 = 86_400;

/// A node that believes its tests where they come from.
fn trusting(app: &mut tessera::app::App) {
    app.proxies = TrustedProxies::parse(["127.0.0.0/8"], ForwardedHeader::XForwardedFor).unwrap();
}

/// Tries to sign in, and gives whether that went well. Whatever the reason, a refusal looks the same.
async fn comes_in(app: &TestApp, shop: &Shop, address: &str, who: (&str, &str)) -> bool {
    let (cookie, sealed) = app.sign_in_page(shop, "").await;
    let form = [("request", sealed.as_str()), ("username", who.0), ("password", who.1)];
    let post = app.http.post(app.project_url(shop, "/sign-in")).header("cookie", cookie).form(&form);
    let answer = post.header("x-forwarded-for", address).send().await.unwrap();
    if answer.status() == 303 {
        return true;
    }
    Seen::of(answer).await.asks_again(400, WRONG);
    false
}

async fn alice(app: &TestApp, shop: &Shop, address: &str) -> bool {
    comes_in(app, shop, address, ("alice", PASSWORD)).await
}

/// Wrong passwords, each from another address.
async fn guess(app: &TestApp, shop: &Shop, name: &str, addresses: std::ops::Range<u8>) {
    for n in addresses {
        assert!(!comes_in(app, shop, &format!("203.0.113.{n}"), (name, "wrong")).await);
    }
}

/// Wrong passwords from one address.
async fn mistype(app: &TestApp, shop: &Shop, address: &str, times: usize) {
    for _ in 0..times {
        assert!(!comes_in(app, shop, address, ("alice", "wrong")).await);
    }
}

/// What one call costs: reads, writes, units.
async fn cost(app: &TestApp, call: impl Future<Output = bool>) -> (bool, u64, u64, u64) {
    let StatementCounts { reads, writes, units } = app.app.db.statements();
    let outcome = call.await;
    // The owner is told beside the answer.
    app.app.running.finished().await;
    let after = app.app.db.statements();
    (outcome, after.reads - reads, after.writes - writes, after.units - units)
}

async fn many_addresses_guess_at_one_account(engine: Engine) {
    let app = TestApp::changed(engine, trusting).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    assert!(alice(&app, &shop, HOME).await);
    guess(&app, &shop, "alice", 0..11).await;
    // From now on the right password is of no use to a stranger, and of the same use as ever at home.
    assert!(!alice(&app, &shop, AWAY).await);
    assert!(!comes_in(&app, &shop, AWAY, (" ALICE ", PASSWORD)).await);
    assert!(alice(&app, &shop, HOME).await);
    assert!(!alice(&app, &shop, AWAY).await, "an owner who comes in forgives no strangers");
    // Her namesake elsewhere is somebody else.
    assert!(alice(&app, &other, AWAY).await);
    // What had to wait was not counted: the wait is over when it was said to be.
    app.app.clock.advance(1);
    assert!(alice(&app, &shop, AWAY).await);
    // Nor for the address from which the right one came, however often.
    let counts = "SELECT coalesce(max(failures), 0) AS n FROM sign_in_failures";
    guess(&app, &shop, "alice", 40..51).await;
    for _ in 0..60 {
        assert!(!alice(&app, &shop, "192.0.2.60").await);
    }
    assert_eq!(number(&app.app.db, counts).await, 11);
    app.app.clock.advance(1);
    assert!(alice(&app, &shop, "192.0.2.60").await);
    // That place is known now as well, and the strangers begin anew.
    guess(&app, &shop, "alice", 20..31).await;
    assert!(alice(&app, &shop, AWAY).await && alice(&app, &shop, HOME).await);
    assert!(!alice(&app, &shop, "192.0.2.10").await);
    // Three months after the last time it is a place like any other.
    app.app.clock.advance(90 * DAY);
    guess(&app, &shop, "alice", 0..11).await;
    assert!(!alice(&app, &shop, HOME).await);
}

async fn the_wait_doubles_and_is_forgotten(engine: Engine) {
    let app = TestApp::changed(engine, trusting).await;
    let shop = app.shop("shop", "confidential").await;
    guess(&app, &shop, "alice", 0..10).await;
    for n in 0..15_u8 {
        guess(&app, &shop, "alice", 10 + n..11 + n).await;
        let wait = (1_i64 << n).min(3600);
        app.app.clock.advance(wait - 1);
        assert!(!alice(&app, &shop, AWAY).await, "{wait}");
        app.app.clock.advance(1);
    }
    // A day without any: as if nothing had been.
    app.app.clock.advance(DAY - 3600);
    guess(&app, &shop, "alice", 0..10).await;
    assert!(alice(&app, &shop, AWAY).await);
}

async fn one_address_guesses_at_many_accounts(engine: Engine) {
    let app = TestApp::changed(engine, trusting).await;
    let shop = app.shop("shop", "confidential").await;
    create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    // All of these are one host.
    let host = |n: usize| format!("2001:db8:1:2::{n:x}");
    assert!(comes_in(&app, &shop, &host(1), ("bob", PASSWORD)).await);
    for n in 0..51 {
        assert!(!comes_in(&app, &shop, &host(n), (&format!("user{n}"), "wrong")).await);
    }
    let rows = "SELECT count(*) AS n FROM sign_in_failures";
    assert_eq!(number(&app.app.db, rows).await, 53, "of the accounts, the host and its site");
    assert!(!alice(&app, &shop, &host(99)).await, "with the right password neither");
    assert!(!comes_in(&app, &shop, &host(99), ("user99", "wrong")).await);
    assert_eq!(
        number(&app.app.db, rows).await,
        54,
        "who has to wait leaves one at the host, and none at accounts"
    );
    // Whoever came in from there before still does, and everybody from elsewhere.
    assert!(comes_in(&app, &shop, &host(7), ("bob", PASSWORD)).await);
    assert!(alice(&app, &shop, "2001:db8:1:3::1").await);
    app.app.clock.advance(1);
    assert!(alice(&app, &shop, &host(1)).await);
}

async fn unknown_names_are_limited_alike(engine: Engine) {
    let app = TestApp::changed(engine, trusting).await;
    let shop = app.shop("shop", "confidential").await;
    let wrong = async |name: &str, n: u8| {
        let address = format!("203.0.113.{n}");
        cost(&app, comes_in(&app, &shop, &address, (name, "wrong"))).await
    };
    // Pages and clients are remembered from here on.
    assert!(!comes_in(&app, &shop, AWAY, ("x", "wrong")).await);
    for n in 0..10 {
        let (known, unknown) = (wrong("alice", n).await, wrong("nobody", 100 + n).await);
        assert_eq!(known, unknown, "try {n}");
    }
    // The eleventh is told of to alice, which is the one difference there is, once a day.
    for name in ["alice", "nobody"] {
        wrong(name, 10).await;
    }
    let limited = [wrong("alice", 20).await, wrong("nobody", 21).await];
    let right = cost(&app, alice(&app, &shop, "203.0.113.22")).await;
    assert_eq!(limited, [right, right], "nothing tells that the password was right");
    for wait in [1, 2, 4] {
        app.app.clock.advance(wait);
        for what in ["counted", "refused"] {
            assert_eq!(wrong("alice", 30).await, wrong("nobody", 31).await, "{what}");
        }
    }
    // When the name is somebody's, that person begins with a clean slate.
    create_user(&app.app, shop.project, "nobody", None, Secret::new(PASSWORD)).await.unwrap();
    assert!(comes_in(&app, &shop, AWAY, ("nobody", PASSWORD)).await);
}

async fn guesses_at_once_do_not_pass_the_count(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let queue = hold_queue(&app.app.hasher, 2).await;
    let guesses: Vec<_> = (0..40)
        .map(|_| {
            let (http, url) = (app.http.clone(), app.project_url(&shop, "/sign-in"));
            let (cookie, sealed) = (cookie.clone(), sealed.clone());
            tokio::spawn(async move {
                let form = [("request", sealed.as_str()), ("username", "alice"), ("password", "wrong")];
                http.post(url).header("cookie", cookie).form(&form).send().await.unwrap()
            })
        })
        .collect();
    while app.app.hasher.waiting() < 40 {
        tokio::task::yield_now().await;
    }
    drop(queue);
    for guess in guesses {
        Seen::of(guess.await.unwrap()).await.asks_again(400, WRONG);
    }
    let judged = "SELECT max(failures) AS n FROM sign_in_failures WHERE blocked_until > 0";
    assert_eq!(number(&app.app.db, judged).await, 11, "the others were not looked at");
    assert_eq!(app.submit(&shop, &cookie, &sealed, PASSWORD).await.status(), 400);
}

async fn another_node_counts_along(engine: Engine) {
    let app = TestApp::changed(engine, trusting).await;
    let node = app.second_node_changed(trusting).await;
    let shop = app.shop("shop", "confidential").await;
    guess(&app, &shop, "alice", 0..6).await;
    guess(&node, &shop, "alice", 6..11).await;
    assert!(!alice(&app, &shop, AWAY).await && !alice(&node, &shop, AWAY).await);
    app.app.clock.advance(1);
    assert!(alice(&node, &shop, AWAY).await);
    guess(&app, &shop, "alice", 0..11).await;
    assert!(alice(&app, &shop, AWAY).await && !alice(&node, &shop, HOME).await);
}

/// A stranger behind the same address as the owner.
async fn a_place_has_a_count_of_its_own(engine: Engine) {
    let app = TestApp::changed(engine, trusting).await;
    let shop = app.shop("shop", "confidential").await;
    assert!(alice(&app, &shop, HOME).await && alice(&app, &shop, AWAY).await);
    mistype(&app, &shop, HOME, 11).await;
    assert!(!alice(&app, &shop, HOME).await);
    assert!(alice(&app, &shop, AWAY).await && alice(&app, &shop, "192.0.2.77").await);
    app.app.clock.advance(1);
    assert!(alice(&app, &shop, HOME).await);
}

async fn who_succeeds_is_forgiven(engine: Engine) {
    let app = TestApp::changed(engine, trusting).await;
    let shop = app.shop("shop", "confidential").await;
    for address in [HOME, HOME, AWAY, HOME, AWAY] {
        mistype(&app, &shop, address, 10).await;
        assert!(alice(&app, &shop, address).await);
    }
    // The address is not forgiven for it: whoever has an account could try all others with it. But for it, the next one
    // would be free again.
    let own = "192.0.2.200";
    for n in 0..51 {
        create_user(&app.app, shop.project, &format!("mine{n}"), None, Secret::new(PASSWORD)).await.unwrap();
        assert!(!comes_in(&app, &shop, own, (&format!("user{n}"), "wrong")).await);
        if n < 50 {
            assert!(comes_in(&app, &shop, own, (&format!("mine{n}"), PASSWORD)).await);
        }
    }
    assert!(!comes_in(&app, &shop, own, ("mine50", PASSWORD)).await);
}

async fn a_reset_lifts_the_limit(engine: Engine) {
    let app = TestApp::changed(engine, trusting).await;
    let shop = app.shop("shop", "confidential").await;
    guess(&app, &shop, "alice", 0..11).await;
    assert!(!alice(&app, &shop, AWAY).await);
    let desk = app.desk(&shop, "user_manager").await;
    let path = format!("/users/{}/set-password", shop.user);
    desk.post(&path, json!({"password": "another long one"})).await.ok();
    assert!(!alice(&app, &shop, AWAY).await, "the old one is over");
    assert!(comes_in(&app, &shop, AWAY, ("alice", "another long one")).await);
}

async fn the_owner_is_told_once_a_day(engine: Engine) {
    let mails = tempfile::tempdir().unwrap();
    let directory = mails.path().to_owned();
    let app = TestApp::changed(engine, |app| {
        trusting(app);
        app.mailer = Mailer::Files(directory);
    });
    let app = app.await;
    let shop = app.shop("shop", "confidential").await;
    let letters = "SELECT count(*) AS n FROM outbox WHERE kind = 'mail'";
    guess(&app, &shop, "alice", 0..10).await;
    guess(&app, &shop, "nobody", 0..12).await;
    app.app.running.finished().await;
    assert_eq!(number(&app.app.db, letters).await, 0);
    guess(&app, &shop, "alice", 10..12).await;
    app.app.running.finished().await;
    assert_eq!(number(&app.app.db, letters).await, 1);
    for n in 20..25 {
        app.app.clock.advance(600);
        guess(&app, &shop, "alice", n..n + 1).await;
    }
    app.app.running.finished().await;
    assert_eq!(number(&app.app.db, letters).await, 1, "once a day");
    app.app.clock.advance(DAY);
    guess(&app, &shop, "alice", 0..11).await;
    app.app.running.finished().await;
    assert_eq!(number(&app.app.db, letters).await, 2);
    run_due(&app.app).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(mails.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.starts_with("To: alice@example.com\nSubject: Many wrong passwords"), "{text}");
    }
    // Whoever is gone has no known places.
    app.app.clock.advance(1);
    assert!(alice(&app, &shop, HOME).await);
    let places = "SELECT count(*) AS n FROM known_places";
    assert_eq!(number(&app.app.db, places).await, 2);
    Deleting::new(&app, &shop).await.delete().await;
    assert_eq!(number(&app.app.db, places).await, 0);
}

/// The same form, on the way to another end.
async fn devices_are_no_way_around(engine: Engine) {
    let app = TestApp::changed(engine, trusting).await;
    let shop = app.device_shop("shop", "public").await;
    let device = app.device(&shop, "openid").await;
    let page = app.device_page(&shop, None).await;
    let entered = app.enter_code(&shop, &page, device.get("user_code")).await;
    let form = app.follow(&entered, &page.0).await.text().await.unwrap();
    for _ in 0..11 {
        let wrong = app.submit(&shop, &page.0, &sealed_of(&form), "wrong").await;
        Seen::of(wrong).await.asks_again(400, WRONG);
    }
    let limited = app.submit(&shop, &page.0, &sealed_of(&form), PASSWORD).await;
    Seen::of(limited).await.asks_again(400, WRONG);
    app.app.clock.advance(1);
    let signed_in = app.submit(&shop, &page.0, &sealed_of(&form), PASSWORD).await;
    assert_eq!(signed_in.status(), 303);
    assert_ne!(cookie_of(&signed_in), page.0);
}

async fn a_good_sign_in_costs_the_same_everywhere(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.sign_in_page(&shop, "").await;
    let sign_in = async || {
        let (cookie, sealed) = app.sign_in_page(&shop, "").await;
        cost(&app, async { app.submit(&shop, &cookie, &sealed, PASSWORD).await.status() == 303 }).await
    };
    // The counts are looked at once, and so is what the person has beside the password. In the unit of the session are written
    // the session and its code, place and browser, and what is forgotten of these.
    for _ in 0..2 {
        assert_eq!(sign_in().await, (true, 6, 6, 1));
    }
}
