//! Who is here is told by the sign-in page to nobody: not in what it says, not in what it costs, not by the clock.

use std::time::Instant;

use reqwest::Response;
use serde_json::{Value, json};
use tessera::identity::passwords::Hasher;
use tessera::model::proxies::{ForwardedHeader, TrustedProxies};
use tessera::store::db::StatementCounts;

use crate::support::{
    Account, Answer, Engine, PASSWORD, REASON, Seen, Shop, TestApp, between, both_engines, cookie_of,
    sealed_of,
};

both_engines!(
    a_refused_sign_in_tells_nothing,
    a_blocked_address_tells_nothing,
    a_refused_sign_in_takes_as_long,
    no_letter_believes_a_host,
);

const WRONG: &str = "That user name and password do not match.";

/// Whoever there is to be told apart from nobody, whose name is the first.
const NAMES: [&str; 6] = ["ghost", "alice", "frank", "grace", "heidi", "trudy"];

/// People of all kinds: disabled, without a password, with an authenticator app, and known at this place.
async fn people(app: &TestApp) -> Shop {
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    for name in ["frank", "grace", "heidi", "trudy"] {
        let mut user =
            json!({"username": name, "email": format!("{name}@example.com"), "email_verified": true});
        if name != "grace" {
            user["password"] = json!(PASSWORD);
        }
        let made = desk.post("/users", user).await.created();
        let path = format!("/users/{}", made["id"].as_str().unwrap());
        match name {
            "frank" => {
                desk.patch(&path, json!({"status": "disabled"})).await.ok();
            }
            "heidi" => add_app(app, &shop).await,
            _ => {}
        }
    }
    shop
}

/// Somebody with a second factor.
async fn add_app(app: &TestApp, shop: &Shop) {
    let tokens = app.sign_in_as(shop, "heidi").await;
    let heidi = Account::with(app, shop, &tokens);
    let begun = heidi.post("/factors/app", json!({})).await.ok();
    let authenticator = crate::support::Authenticator::of(begun["key"].as_str().unwrap());
    let confirm = json!({"enrolment": begun["enrolment"], "code": authenticator.code(app), "name": "Phone"});
    assert!(heidi.post("/factors/app/confirm", confirm).await.status < 300);
}

async fn post(app: &TestApp, shop: &Shop, form: &(String, String), who: (&str, &str)) -> Response {
    app.submit_as(shop, &form.0, &form.1, who).await
}

/// What can be told apart by whoever posts: status, headers and page, but for what was typed and what is sealed anew.
async fn told(name: &str, answer: Response) -> (u16, Vec<String>, String) {
    let line = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        format!("{name}: {}", value.to_str().unwrap())
    };
    let of_every_request = ["x-request-id", "date"];
    let headers = answer.headers().iter().filter(|(name, _)| !of_every_request.contains(&name.as_str()));
    let mut headers: Vec<_> = headers.map(line).collect();
    headers.sort();
    let seen = Seen::of(answer).await;
    seen.asks_again(400, WRONG);
    let mut text = seen.text.replace(&format!(r#"value="{name}""#), r#"value="""#);
    let sealed = sealed_of(&text);
    text = text.replace(&sealed, "");
    if text.contains(r#"name="challenge""#) {
        let challenge = between(&text, r#"name="challenge" value=""#, "\"").to_owned();
        let options = between(&text, r#"data-options=""#, "\"").to_owned();
        text = text.replace(&challenge, "").replace(&options, "");
    }
    (seen.status, headers, text)
}

/// Ten rounds in which everybody's sign-in is refused, from one address.
async fn all_are_alike(app: &TestApp, shop: &Shop, form: &(String, String), address: &str) {
    for round in 0..10 {
        let mut all = Vec::new();
        for name in NAMES {
            // A right password of somebody who is disabled is a wrong one.
            let password = if name == "frank" { PASSWORD } else { "wrong" };
            let StatementCounts { reads, writes, units } = app.app.db.statements();
            let answer = post_from(app, shop, form, address, (name, password)).await;
            let after = app.app.db.statements();
            let cost = (after.reads - reads, after.writes - writes, after.units - units);
            all.push((cost, told(name, answer).await));
        }
        let first = all[0].clone();
        for (one, name) in all.into_iter().zip(NAMES) {
            assert_eq!(one, first, "{name}, round {round}, {address}");
        }
    }
}

async fn post_from(
    app: &TestApp,
    shop: &Shop,
    form: &(String, String),
    address: &str,
    who: (&str, &str),
) -> Response {
    let fields = [("request", form.1.as_str()), ("username", who.0), ("password", who.1)];
    let post = app.http.post(app.project_url(shop, "/sign-in")).header("cookie", &form.0);
    post.header("x-forwarded-for", address).form(&fields).send().await.unwrap()
}

async fn a_refused_sign_in_tells_nothing(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = people(&app).await;
    let form = app.sign_in_page(&shop, "").await;
    all_are_alike(&app, &shop, &form, "192.0.2.1").await;
}

/// An address from which too much was tried, and where somebody has signed in before.
async fn a_blocked_address_tells_nothing(engine: Engine) {
    let trusting = |app: &mut tessera::app::App| {
        app.base_url = app.base_url.replace("127.0.0.1", "localhost");
        app.proxies = TrustedProxies::parse(["127.0.0.0/8"], ForwardedHeader::XForwardedFor).unwrap();
    };
    let app = TestApp::changed(engine, trusting).await;
    let shop = people(&app).await;
    for address in ["198.51.100.1", "2001:db8:1:2::1"] {
        let form = app.sign_in_page(&shop, "").await;
        let known = post_from(&app, &shop, &form, address, ("trudy", PASSWORD)).await;
        assert_eq!(known.status(), 303);
        let form = app.sign_in_page(&shop, "").await;
        for n in 0..51 {
            let who = format!("{address} {n}");
            assert_eq!(post_from(&app, &shop, &form, address, (&who, "wrong")).await.status(), 400);
        }
        all_are_alike(&app, &shop, &form, address).await;
        let refused = post_from(&app, &shop, &form, address, ("alice", PASSWORD)).await;
        assert_eq!(refused.status(), 400, "the address has to wait");
    }
}

/// The hash takes a good part of the time, as it does in earnest: whoever is not hashed for would be seen at once. A difference
/// that is there shows in each try; one that a busy machine makes does not.
async fn a_refused_sign_in_takes_as_long(engine: Engine) {
    const TRIES: usize = 4;
    let change = |app: &mut tessera::app::App| {
        app.hasher = Hasher::new(&app.entropy, 8192, 1, 2, 64).unwrap();
    };
    let app = TestApp::changed(engine, change).await;
    let shop = people(&app).await;
    let mut seen = Vec::new();
    loop {
        let medians = medians(&app, &shop).await;
        let ghost = medians[0];
        if medians.iter().all(|median| median.abs_diff(ghost) * 5 < ghost) {
            return;
        }
        seen.push(medians);
        assert!(seen.len() < TRIES, "of {NAMES:?}, in µs: {seen:?}");
    }
}

/// How long each of [`NAMES`] takes, in microseconds: many samples, in turns, so that what else the machine does falls on all
/// alike.
async fn medians(app: &TestApp, shop: &Shop) -> Vec<u128> {
    const ROUNDS: usize = 90;
    let mut form = app.sign_in_page(shop, "").await;
    let mut times = vec![Vec::new(); NAMES.len()];
    for round in 0..ROUNDS {
        // The counts of guesses are not what is measured.
        if round % 8 == 0 {
            app.app.clock.advance(86_401);
            form = app.sign_in_page(shop, "").await;
        }
        for turn in 0..NAMES.len() {
            let which = (turn + round) % NAMES.len();
            let begun = Instant::now();
            let answer = post(app, shop, &form, (NAMES[which], "wrong")).await;
            let taken = begun.elapsed().as_micros();
            assert_eq!(answer.status(), 400);
            answer.bytes().await.unwrap();
            times[which].push(taken);
        }
    }
    let median = |times: &mut Vec<u128>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    times.iter_mut().map(median).collect()
}

/// Every letter with a link, asked for with a host that is not ours.
async fn no_letter_believes_a_host(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.verify_alice(&shop).await;
    desk.patch("", json!({"settings": {"sign_in": {"sign_up": "open"}}})).await.ok();
    let owner = app.desk(&shop, "owner").await;
    owner.patch("", json!({"settings": {"deletion_restore_days": 14}})).await.ok();
    let bob = json!({"username": "bob", "email": "bob@example.com", "password": PASSWORD});
    desk.post("/users", bob).await.created();
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example;proto=https"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/"),
    ];
    for (n, (name, value)) in headers.into_iter().enumerate() {
        app.app.clock.advance(3600);
        // By a page.
        for (path, field) in [("/forgotten-password", "who"), ("/sign-up", "email")] {
            let url = app.project_url(&shop, path);
            let page = app.http.get(&url).header(name, value).send().await.unwrap();
            let (cookie, sealed) = (cookie_of(&page), sealed_of(&page.text().await.unwrap()));
            let who = if field == "who" { "alice" } else { "new@example.com" };
            let form = [("request", sealed.as_str()), (field, who)];
            let post = app.http.post(&url).header("cookie", cookie).header(name, value).form(&form);
            assert_eq!(post.send().await.unwrap().status(), 200, "{name} {path}");
        }
        // By the API: an admin's, and the person's own.
        let send = async |path: String, key: &str, body: Value| {
            let request = app.http.post(path).bearer_auth(key).header(name, value).json(&body);
            request.send().await.unwrap().status().as_u16()
        };
        let invite = format!("{}/admin/projects/shop/invitations", app.base);
        assert_eq!(send(invite, &desk.key, json!({"email": "guest@example.com"})).await, 201, "{name}");
        let own = app.project_url(&shop, "/api/account/email");
        let tokens = app.sign_in(&shop).await;
        let asked = send(own, tokens.get("access_token"), json!({"email": "moved@example.com"})).await;
        assert!(asked < 300, "{name}: {asked}");
        let verify = app.project_url(&shop, "/api/account/email/verify");
        let tokens = app.sign_in_as(&shop, "bob").await;
        assert_eq!(send(verify, tokens.get("access_token"), json!({})).await, 202, "{name}");
        // Of somebody whose account is to go, and who may object.
        let carol = format!("carol{n}");
        let user =
            json!({"username": carol, "email": format!("{carol}@example.com"), "email_verified": true});
        let user = desk.post("/users", user).await.created()["id"].clone();
        let act = async |endpoint: &str, body: Value| {
            let request = app.http.post(app.project_url(&shop, &format!("/api/{endpoint}")));
            let request = request.bearer_auth(&desk.key).header(name, value).json(&body);
            Answer::of(request.send().await.unwrap()).await
        };
        let asked = act("delete-user", json!({"user": user, "reason": REASON})).await;
        let confirm = json!({"deletion_id": asked.body["deletion_id"], "confirmation": carol});
        assert_eq!(act("delete-user/confirm", confirm).await.ok()["state"], "scheduled", "{name}");
        let letters = mailbox.take(&app).await;
        let with_link: Vec<_> = letters.iter().filter(|letter| letter.text.contains("://")).collect();
        assert_eq!(with_link.len(), 6, "{name}");
        for letter in with_link {
            assert!(!letter.text.contains("evil"), "{name}: {}", letter.text);
            crate::support::link_of(&app, letter);
        }
    }
}
