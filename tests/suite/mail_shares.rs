//! Sign-ups of an open project: what all may cause in an hour, and what one network may.

use reqwest::{Method, Response};
use serde_json::json;
use tessera::model::proxies::{ForwardedHeader, TrustedProxies};

use crate::support::{Engine, Mailbox, Seen, Shop, TestApp, both_engines};

both_engines!(
    an_open_project_is_no_mail_cannon,
    one_network_uses_up_its_share_alone,
    a_share_is_never_less_than_three,
    a_share_says_nothing_of_who_is_here,
);

const NEW: &str = "new@example.com";
const SENT: &str =
    "We have written to this address. Follow the link in the letter to go on; it is good for 24 hours.";
const TOO_MANY: &str = "Too many accounts were asked for from your network. Please wait for an hour.";

fn trusting(app: &mut tessera::app::App) {
    app.proxies = TrustedProxies::parse(["127.0.0.0/8"], ForwardedHeader::XForwardedFor).unwrap();
}

/// A node that believes its tests where they come from, and a project that is open for so many in an hour.
async fn open(engine: Engine, letters: i64) -> (TestApp, Mailbox, Shop) {
    let (app, mailbox) = TestApp::with_mailbox_changed(engine, trusting).await;
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    open_for(&app, &shop, letters).await;
    (app, mailbox, shop)
}

async fn open_for(app: &TestApp, shop: &Shop, letters: i64) {
    let key = app.key(Some(shop.project), "admin").await;
    let body = json!({"settings": {"sign_in": {"sign_up": "open", "sign_up_letters_per_hour": letters}}});
    app.admin(&key, Method::PATCH, &format!("/projects/{}", shop.slug), body).await.ok();
}

async fn post(app: &TestApp, shop: &Shop, email: &str, address: &str) -> Response {
    let url = app.project_url(shop, "/sign-up");
    let (cookie, sealed, _) = app.open_form(&url, None).await;
    let post = app.http.post(url).header("cookie", cookie).header("x-forwarded-for", address);
    post.form(&[("request", sealed.as_str()), ("email", email)]).send().await.unwrap()
}

async fn ask(app: &TestApp, shop: &Shop, email: &str, address: &str) -> Seen {
    Seen::of(post(app, shop, email, address).await).await
}

async fn assert_sent(app: &TestApp, shop: &Shop, email: &str, address: &str) {
    let seen = ask(app, shop, email, address).await;
    assert_eq!((seen.status, seen.message().as_str()), (200, SENT), "{email} from {address}");
}

/// However many addresses are asked for, and from wherever, a project writes so many letters in an hour; nobody sees from
/// outside which.
async fn an_open_project_is_no_mail_cannon(engine: Engine) {
    let (app, mailbox, shop) = open(engine, 4).await;
    let other = app.shop("other", "confidential").await;
    let mut pages = Vec::new();
    for (n, who) in ["one", "two", "alice", "three", "four", "five", "alice"].into_iter().enumerate() {
        let seen = ask(&app, &shop, &format!("{who}@example.com"), &format!("198.51.{n}.1")).await;
        pages.push((seen.status, seen.text));
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "the same page for everybody");
    let written: Vec<_> = mailbox.take(&app).await.into_iter().map(|letter| letter.to).collect();
    let to_alice = written.iter().filter(|to| *to == "alice@example.com").count();
    assert_eq!((written.len(), to_alice), (6, 2), "four strangers, and who is here: {written:?}");
    // Other letters go out all the same, and so do those of others.
    app.forget(&shop, "alice").await;
    assert_eq!(mailbox.one(&app, "alice@example.com").await.subject, "Choose a new password for shop");
    open_for(&app, &other, 500).await;
    assert_sent(&app, &other, NEW, "198.51.9.1").await;
    assert_eq!(mailbox.one(&app, NEW).await.subject, "Your account at other");
    app.app.clock.advance(3600);
    assert_sent(&app, &shop, NEW, "198.51.9.1").await;
    assert_eq!(mailbox.one(&app, NEW).await.subject, "Your account at shop");
}

/// Whatever its hosts, and on whichever node.
async fn one_network_uses_up_its_share_alone(engine: Engine) {
    let (app, mailbox, shop) = open(engine, 50).await;
    let node = app.second_node_changed(trusting).await;
    for (name, host) in [("four", "198.51.100"), ("six", "2001:db8:1")] {
        let address = |n: usize| match name {
            "four" => format!("{host}.{n}"),
            _ => format!("{host}:{n}::{n}"),
        };
        for n in 0..5 {
            let node = if n % 2 == 0 { &app } else { &node };
            assert_sent(node, &shop, &format!("{name}{n}@example.com"), &address(n)).await;
        }
        for n in 5..8 {
            let refused = post(&app, &shop, &format!("{name}{n}@example.com"), &address(n)).await;
            let wait: u32 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((3500..=3600).contains(&wait), "{wait}");
            Seen::of(refused).await.asks_again(429, TOO_MANY);
        }
    }
    assert_eq!(mailbox.take(&app).await.len(), 10);
    // Nobody else notices, be they next door; and what the one asks for elsewhere is another project's.
    for (n, address) in ["198.51.101.1", "2001:db8:2::1", "203.0.113.7"].into_iter().enumerate() {
        assert_sent(&app, &shop, &format!("else{n}@example.com"), address).await;
    }
    assert_eq!(mailbox.take(&app).await.len(), 3);
    let other = app.shop("other", "confidential").await;
    open_for(&app, &other, 50).await;
    assert_sent(&app, &other, NEW, "198.51.100.1").await;
    assert_eq!(mailbox.one(&app, NEW).await.subject, "Your account at other");
    // A forgotten password is nothing of it.
    assert_eq!(app.forget(&shop, "alice").await.status, 200);
    assert_eq!(mailbox.one(&app, "alice@example.com").await.subject, "Choose a new password for shop");
    app.app.clock.advance(3600);
    assert_sent(&app, &shop, "four9@example.com", "198.51.100.9").await;
    assert_eq!(mailbox.one(&app, "four9@example.com").await.subject, "Your account at shop");
}

async fn a_share_is_never_less_than_three(engine: Engine) {
    let (app, _mailbox, shop) = open(engine, 10).await;
    for n in 0..3 {
        assert_sent(&app, &shop, &format!("one{n}@example.com"), &format!("198.51.100.{n}")).await;
    }
    ask(&app, &shop, "one3@example.com", "198.51.100.3").await.asks_again(429, TOO_MANY);
    // But never more than all.
    open_for(&app, &shop, 2).await;
    for n in 0..2 {
        assert_sent(&app, &shop, &format!("two{n}@example.com"), &format!("203.0.113.{n}")).await;
    }
    ask(&app, &shop, "two2@example.com", "203.0.113.2").await.asks_again(429, TOO_MANY);
}

/// Who is here and who is not use up the same, and are refused alike.
async fn a_share_says_nothing_of_who_is_here(engine: Engine) {
    for first in ["alice@example.com", NEW] {
        let (app, _mailbox, shop) = open(engine, 30).await;
        for n in 0..3 {
            assert_sent(&app, &shop, first, &format!("198.51.100.{n}")).await;
        }
        let mut pages = Vec::new();
        for email in ["alice@example.com", NEW, "other@example.com"] {
            let refused = post(&app, &shop, email, "198.51.100.77").await;
            let headers: Vec<_> = refused.headers().keys().map(ToString::to_string).collect();
            let wait = refused.headers()["retry-after"].clone();
            let seen = Seen::of(refused).await;
            seen.asks_again(429, TOO_MANY);
            pages.push((
                seen.text.replace(email, "").replace(&crate::support::sealed_of(&seen.text), ""),
                headers,
                wait,
            ));
        }
        pages.dedup();
        assert_eq!(pages.len(), 1, "{pages:?}");
    }
}
