//! What strangers try with what is mailed: who is here, whose host it is, and what a name may hold.

use std::time::Instant;

use reqwest::Method;
use serde_json::json;
use tessera::store::db::StatementCounts;

use crate::support::{Engine, Seen, SmtpServer, TestApp, both_engines, link_of};

both_engines!(
    nobody_can_tell_who_is_here,
    nobody_can_tell_by_the_clock,
    a_host_header_leads_nowhere,
    names_bring_no_headings,
    forms_are_of_one_browser_and_one_kind,
    the_mailbox_is_where_mail_is_kept,
);

const PAGES: [(&str, &str, &str, &str); 2] = [
    ("/forgotten-password", "who", "alice@example.com", "nobody@example.com"),
    ("/sign-up", "email", "alice@example.com", "nobody@example.com"),
];

async fn open(app: &TestApp) -> crate::support::Shop {
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    let key = app.key(Some(shop.project), "admin").await;
    let body = json!({"settings": {"sign_in": {"sign_up": "open"}}});
    assert_eq!(app.admin(&key, Method::PATCH, "/projects/shop", body).await.status, 200);
    shop
}

/// The same status, headers and text, and the same statements, whoever is asked for.
async fn nobody_can_tell_who_is_here(engine: Engine) {
    let (app, _mailbox) = TestApp::with_mailbox(engine).await;
    let shop = open(&app).await;
    for (path, field, known, unknown) in PAGES {
        let url = app.project_url(&shop, path);
        let (cookie, sealed, _) = app.open_form(&url, None).await;
        let mut told = Vec::new();
        for who in [known, unknown] {
            let StatementCounts { reads, writes, units } = app.app.db.statements();
            let answer = app.post_form(&url, (&cookie, &sealed), &[(field, who)]).await;
            let after = app.app.db.statements();
            let cost = (after.reads - reads, after.writes - writes, after.units - units);
            let mut headers: Vec<_> = answer
                .headers()
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            headers.sort();
            let seen = Seen::of(answer).await;
            assert!(!seen.text.contains(who));
            told.push((cost, headers, seen.status, seen.text));
        }
        assert_eq!(told[0], told[1], "{path}");
        assert_eq!(told[0].0.2, 1, "{path}: one unit, and nothing is looked up");
    }
}

/// Many samples, in turns, so that what else the machine does falls on both alike. A lookup that only one of them had to
/// wait for, or a letter that only one of them got, would be seen; the bound is far beyond what chance does.
/// A difference that is there shows in each round; one that a busy machine makes does not.
async fn nobody_can_tell_by_the_clock(engine: Engine) {
    const ROUNDS: usize = 4;
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = open(&app).await;
    for (path, field, ..) in PAGES {
        let url = app.project_url(&shop, path);
        let mut seen = Vec::new();
        loop {
            let (known, unknown) = medians(&app, &url, field).await;
            if known.abs_diff(unknown) * 4 < known.min(unknown) {
                break;
            }
            seen.push((known, unknown));
            assert!(seen.len() < ROUNDS, "{path}: for who is here and for nobody, in µs: {seen:?}");
        }
    }
    mailbox.take(&app).await;
}

/// How long the page takes for somebody who is here, and for nobody, in microseconds.
async fn medians(app: &TestApp, url: &str, field: &str) -> (u128, u128) {
    const SAMPLES: usize = 150;
    let (mut cookie, mut sealed, _) = app.open_form(url, None).await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for n in 0..SAMPLES {
        // The bounds for one host and one name are not what is measured.
        if n % 3 == 0 {
            app.app.clock.advance(901);
            (cookie, sealed, _) = app.open_form(url, None).await;
        }
        let nobody = format!("nobody{n}@example.com");
        let pair =
            if n % 2 == 0 { ["alice@example.com", &nobody] } else { [nobody.as_str(), "alice@example.com"] };
        for who in pair {
            let begun = Instant::now();
            let answer = app.post_form(url, (&cookie, &sealed), &[(field, who)]).await;
            let taken = begun.elapsed().as_micros();
            assert_eq!(answer.status(), 200);
            answer.bytes().await.unwrap();
            if who == nobody { unknown.push(taken) } else { known.push(taken) }
        }
    }
    let median = |times: &mut Vec<u128>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    (median(&mut known), median(&mut unknown))
}

async fn a_host_header_leads_nowhere(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = open(&app).await;
    for (n, (name, value)) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-original-url", "http://evil.example/"),
        ("origin", "http://evil.example"),
        ("referer", "http://evil.example/"),
    ]
    .into_iter()
    .enumerate()
    {
        let url = app.project_url(&shop, "/forgotten-password");
        let (cookie, sealed, _) = app.open_form(&url, None).await;
        let post = app.http.post(&url).header("cookie", &cookie).header(name, value);
        let form = [("request", sealed.as_str()), ("who", "alice")];
        assert_eq!(post.form(&form).send().await.unwrap().status(), 200, "{name}");
        let letter = mailbox.one(&app, "alice@example.com").await;
        assert!(!letter.text.contains("evil"), "{name}");
        link_of(&app, &letter);
        if n % 3 == 2 {
            app.app.clock.advance(3600);
        }
    }
}

/// Names and addresses that would be headings, recipients or commands.
async fn names_bring_no_headings(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let shop = open(&app).await;
    let desk = app.desk(&shop, "admin").await;
    for name in ["Bcc: eve@example.com", "a\u{2028}Bcc: eve@example.com", "<b>x</b>", "x\" <eve@example.com>"]
    {
        let user = json!({"username": name, "email": "bob@example.com", "email_verified": true});
        if desk.post("/users", user).await.status != 201 {
            continue;
        }
        app.forget(&shop, name).await;
    }
    let ask = async |email: &str| {
        let url = app.project_url(&shop, "/sign-up");
        let (cookie, sealed, _) = app.open_form(&url, None).await;
        app.post_form(&url, (&cookie, &sealed), &[("email", email)]).await.status().as_u16()
    };
    for (email, status) in [
        ("eve@example.com\r\nBcc: all@example.com", 400),
        ("eve@example.com, all@example.com", 400),
        ("eve@example.com,all@example.com", 400),
        ("<eve@example.com>", 200),
        ("eve@example.com>\tRCPT", 400),
    ] {
        assert_eq!(ask(email).await, status, "{email}");
    }
    app.app.clock.advance(5);
    tessera::jobs::run_due(&app.app).await.unwrap();
    let received = server.received();
    assert!(received.len() >= 2);
    for mail in received {
        assert_eq!(mail.to, ["bob@example.com"], "nobody else is written to");
        let (head, _) = mail.text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{head}");
    }
}

/// A form of one page is worth nothing at another, in another browser, or from another site.
async fn forms_are_of_one_browser_and_one_kind(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = open(&app).await;
    let other = app.shop("other", "confidential").await;
    for (path, field, known, _) in PAGES {
        let url = app.project_url(&shop, path);
        let (cookie, sealed, _) = app.open_form(&url, None).await;
        let (stranger, _, _) = app.open_form(&url, None).await;
        let post = async |url: &str, cookie: Option<&str>, sealed: &str, site: Option<&str>| {
            let mut request = app.http.post(url).form(&[("request", sealed), (field, known)]);
            for (name, value) in [("cookie", cookie), ("sec-fetch-site", site)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(post(&url, None, &sealed, None).await, 400);
        assert_eq!(post(&url, Some(&stranger), &sealed, None).await, 400);
        assert_eq!(post(&url, Some(&cookie), "x", None).await, 400);
        for site in ["cross-site", "same-site"] {
            assert_eq!(post(&url, Some(&cookie), &sealed, Some(site)).await, 400);
        }
        for (another, ..) in PAGES.iter().filter(|(another, ..)| *another != path) {
            assert_eq!(post(&app.project_url(&shop, another), Some(&cookie), &sealed, None).await, 400);
        }
        let (sign_in, form) = app.sign_in_page(&shop, "").await;
        assert_eq!(post(&url, Some(&sign_in), &form, None).await, 400);
        let there = app.project_url(&other, "/forgotten-password");
        assert_eq!(post(&there, Some(&cookie), &sealed, None).await, 400);
        // Two values of a field are none.
        let twice = [("request", sealed.as_str()), (field, known), (field, "eve@example.com")];
        let twice = app.http.post(&url).header("cookie", &cookie).form(&twice).send().await.unwrap();
        assert_eq!(twice.status(), 400);
        app.app.clock.advance(3601);
        assert_eq!(post(&url, Some(&cookie), &sealed, None).await, 400, "an hour later");
        let wrong = Seen::of(app.http.put(&url).send().await.unwrap()).await;
        wrong.refused(405, "This address takes another kind of request.");
    }
    assert!(mailbox.take(&app).await.is_empty());
}

async fn the_mailbox_is_where_mail_is_kept(engine: Engine) {
    let (app, _mailbox) = TestApp::with_mailbox(engine).await;
    let shop = open(&app).await;
    let list = format!("{}/dev/mail", app.base);
    let empty = Seen::of(app.http.get(&list).send().await.unwrap()).await;
    assert!(empty.text.contains("There is no mail yet."));
    let desk = app.desk(&shop, "admin").await;
    desk.patch("", json!({"name": "<i>Shop</i>"})).await;
    app.forget(&shop, "alice").await;
    app.app.clock.advance(5);
    tessera::jobs::run_due(&app.app).await.unwrap();
    let seen = Seen::of(app.http.get(&list).send().await.unwrap()).await;
    assert!(seen.text.contains("alice@example.com") && !seen.text.contains("<i>"), "{}", seen.text);
    let letter = crate::support::between(&seen.text, r#"<a href="/dev/mail/"#, "\"");
    let letter = Seen::of(app.http.get(format!("{list}/{letter}")).send().await.unwrap()).await;
    let link = crate::support::between(&letter.text, r#"<a href="http"#, "\"").replace("&#38;", "&");
    assert_eq!(app.http.get(format!("http{link}")).send().await.unwrap().status(), 200);
    // A name that somebody has pointed here is another site.
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "localhost:evil"] {
        let rebound = app.http.get(&list).header("host", host).send().await.unwrap();
        assert_eq!(rebound.status(), 404, "{host}");
    }
    for nothing in ["x", "..%2Fdev.json", &uuid::Uuid::nil().to_string()] {
        assert_eq!(
            app.http.get(format!("{list}/{nothing}")).send().await.unwrap().status(),
            404,
            "{nothing}"
        );
    }
    // Where mail is sent there is none.
    let server = SmtpServer::start().await;
    let sending = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    assert_eq!(sending.http.get(format!("{}/dev/mail", sending.base)).send().await.unwrap().status(), 404);
}
