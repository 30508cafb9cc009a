//! The pages of the device flow: what a person sees, and what nobody else can do with them (RFC 8628, 5).

use reqwest::StatusCode;
use serde_json::json;
use tessera::model::proxies::{ForwardedHeader, TrustedProxies};

use crate::support::{Engine, PASSWORD, Seen, TestApp, both_engines, cookie_of, number, sealed_of};

both_engines!(
    // C105
    a_person_allows_a_device,
    // C105
    a_wrong_code_is_harmless,
    // C105
    guessing_is_bounded,
    one_host_closes_nothing,
    // C105
    forged_posts_come_to_nothing,
    somebody_else_may_sign_in,
    the_first_decision_counts,
    a_deleted_person_leaves_no_device,
);

const UNKNOWN: &str =
    "This code is not known, or no longer valid. Please compare it with the one on your device.";
const TOO_MANY: &str = "Too many codes were not right. Please wait for ten minutes.";

async fn a_person_allows_a_device(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "confidential").await;
    let device = app.device(&shop, "openid email").await;
    let code = device.get("user_code");
    // A link with the code fills it in, and does nothing else.
    let page = app.http.get(device.get("verification_uri_complete")).send().await.unwrap();
    let cookie = cookie_of(&page);
    let page = Seen::of(page).await;
    assert!(page.text.contains(&format!(r#"name="user_code" type="text" value="{code}""#)), "{}", page.text);
    assert_eq!(app.poll(&shop, &device).await.body["error"], "authorization_pending");
    // In small letters and without the dash.
    let typed = code.to_lowercase().replace('-', " ");
    let entered = app.enter_code(&shop, &(cookie.clone(), sealed_of(&page.text)), &typed).await;
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let form = Seen::of(app.follow(&entered, &cookie).await).await;
    assert!(form.text.contains(r#"name="password""#) && form.text.contains("<bdi>Shop</bdi>"));
    let signed_in = app.submit(&shop, &cookie, &sealed_of(&form.text), PASSWORD).await;
    let session = cookie_of(&signed_in);
    let confirm = Seen::of(app.follow(&signed_in, &session).await).await;
    // Who asks, for what, as whom, and the code once more.
    for shown in ["<bdi>Shop</bdi>", "<bdi>alice</bdi>", code, "mail address", "Allow", "Do not allow"] {
        assert!(confirm.text.contains(shown), "{shown} is not in {}", confirm.text);
    }
    assert_eq!(app.poll(&shop, &device).await.body["error"], "slow_down");
    let done = app.decide(&shop, &session, &sealed_of(&confirm.text), "allow").await;
    assert_eq!(
        (done.status, done.message().as_str()),
        (200, "You can close this page and go on at your device.")
    );
    app.poll(&shop, &device).await.ok();

    // Whoever is signed in already is asked at once.
    let next = app.device(&shop, "openid").await;
    let page = app.device_page(&shop, Some(&session)).await;
    let entered = app.enter_code(&shop, &page, next.get("user_code")).await;
    let confirm = Seen::of(app.follow(&entered, &session).await).await;
    assert_eq!(app.decide(&shop, &session, &sealed_of(&confirm.text), "allow").await.status, 200);
    app.poll(&shop, &next).await.ok();
}

async fn a_wrong_code_is_harmless(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    let device = app.device(&shop, "openid").await;
    let page = app.device_page(&shop, None).await;
    for wrong in ["", "BCDF-GHJK", "nonsense", &"x".repeat(500), device.get("device_code"), "\"><script>"] {
        let seen = Seen::of(app.enter_code(&shop, &page, wrong).await).await;
        seen.asks_again(400, UNKNOWN);
    }
    // The right one still works, once.
    let (cookie, sealed, _) = app.named_device(&shop, &device).await;
    app.decide(&shop, &cookie, &sealed, "allow").await;
    let seen = Seen::of(app.enter_code(&shop, &page, device.get("user_code")).await).await;
    seen.asks_again(400, UNKNOWN);
    app.poll(&shop, &device).await.ok();
}

async fn guessing_is_bounded(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    let device = app.device(&shop, "openid").await;
    let guess = async |page: &(String, String), times: usize, status: u16| {
        for _ in 0..times {
            let seen = Seen::of(app.enter_code(&shop, page, "BCDF-GHJK").await).await;
            seen.asks_again(status, if status == 400 { UNKNOWN } else { TOO_MANY });
        }
    };
    // A browser: ten, and then not even the right one.
    let first = app.device_page(&shop, None).await;
    guess(&first, 10, 400).await;
    guess(&first, 2, 429).await;
    let right = app.enter_code(&shop, &first, device.get("user_code")).await;
    Seen::of(right).await.asks_again(429, TOO_MANY);
    // Another one at the same address still may, and right ones do not count; many of them together may not.
    let second = app.device_page(&shop, None).await;
    for _ in 0..12 {
        let right = app.enter_code(&shop, &second, device.get("user_code")).await;
        assert_eq!(right.status(), StatusCode::SEE_OTHER);
    }
    guess(&second, 10, 400).await;
    let mut refused = false;
    for _ in 0..4 {
        let next = app.device_page(&shop, None).await;
        for _ in 0..5 {
            refused |= app.enter_code(&shop, &next, "BCDF-GHJK").await.status() == 429;
        }
    }
    assert!(refused, "the address is bounded");
    // Another project counts for itself; and after ten minutes all begin anew.
    let other = app.device_shop("other", "public").await;
    let page = app.device_page(&other, None).await;
    Seen::of(app.enter_code(&other, &page, "BCDF-GHJK").await).await.asks_again(400, UNKNOWN);
    app.app.clock.advance(600);
    guess(&first, 10, 400).await;
    guess(&first, 1, 429).await;
    app.app.clock.advance(2 * 3600);
    tessera::jobs::run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM user_code_failures").await, 0);
}

async fn forged_posts_come_to_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.device_shop("shop", "public").await, app.device_shop("other", "public").await);
    let device = app.device(&shop, "openid").await;
    let (cookie, sealed, _) = app.named_device(&shop, &device).await;
    let confirm = app.project_url(&shop, "/device/confirm");
    let fields = |sealed: &str| {
        vec![("request".to_owned(), sealed.to_owned()), ("decision".to_owned(), "allow".to_owned())]
    };
    // Another browser, none, another site, another kind of form, another project.
    let (stranger, entry) = app.device_page(&shop, None).await;
    let foreign = app.http.post(&confirm).header("cookie", &stranger).form(&fields(&sealed));
    assert_eq!(foreign.send().await.unwrap().status(), 400);
    assert_eq!(app.http.post(&confirm).form(&fields(&sealed)).send().await.unwrap().status(), 400);
    for site in ["cross-site", "same-site"] {
        let forged = app.http.post(&confirm).header("cookie", &cookie).header("sec-fetch-site", site);
        assert_eq!(forged.form(&fields(&sealed)).send().await.unwrap().status(), 400);
    }
    assert_eq!(app.decide(&shop, &cookie, &entry, "allow").await.status, 400);
    assert_eq!(app.decide(&shop, &cookie, "x", "allow").await.status, 400);
    let there = app.http.post(app.project_url(&other, "/device/confirm")).header("cookie", &cookie);
    assert_eq!(there.form(&fields(&sealed)).send().await.unwrap().status(), 400);
    // A decision is a word, and a GET decides nothing.
    assert_eq!(app.decide(&shop, &cookie, &sealed, "perhaps").await.status, 400);
    let get = app.http.get(format!("{confirm}?request={sealed}&decision=allow")).header("cookie", &cookie);
    assert_eq!(get.send().await.unwrap().status(), 200);
    // The link to the decision is this browser's alone.
    let elsewhere = app.http.get(format!("{confirm}?request={sealed}")).header("cookie", &stranger);
    assert_eq!(elsewhere.send().await.unwrap().status(), 400);
    // Whoever signed out has to sign in again.
    app.app.clock.advance(5);
    assert_eq!(app.poll(&shop, &device).await.body["error"], "authorization_pending");
    app.app.clock.advance(3600);
    let late = app.decide(&shop, &cookie, &sealed, "allow").await;
    assert_eq!(late.status, 400);
    for path in ["/device", "/device/confirm"] {
        let wrong = app.http.put(app.project_url(&shop, path)).send().await.unwrap();
        Seen::of(wrong).await.refused(405, "This address takes another kind of request.");
        let by_id = app.project_url(&shop, path).replace("/shop/", &format!("/{}/", shop.project));
        assert_eq!(app.http.get(by_id).send().await.unwrap().status(), 404);
    }
}

async fn somebody_else_may_sign_in(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    let desk = app.desk(&shop, "user_manager").await;
    let bob = desk.post("/users", json!({"username": "bob", "password": PASSWORD})).await.created();
    let device = app.device(&shop, "openid").await;
    let (cookie, sealed, confirm) = app.named_device(&shop, &device).await;
    let (_, link) = confirm.text.split_once(r#"<p class="aside"><a href=""#).unwrap();
    let link = link.split_once('"').unwrap().0.replace("&#38;", "&").replace("&amp;", "&");
    let form = app.http.get(format!("{}{link}", app.base)).header("cookie", &cookie).send().await.unwrap();
    let form = Seen::of(form).await;
    let signed_in = app.submit_as(&shop, &cookie, &sealed_of(&form.text), ("bob", PASSWORD)).await;
    let session = cookie_of(&signed_in);
    let confirm = Seen::of(app.follow(&signed_in, &session).await).await;
    assert!(confirm.text.contains("<bdi>bob</bdi>"));
    // What alice was shown is worth nothing any more.
    let asked = app.decide(&shop, &cookie, &sealed, "allow").await;
    assert!(asked.text.contains(r#"name="password""#), "{}", asked.text);
    assert_eq!(app.poll(&shop, &device).await.body["error"], "authorization_pending");
    assert_eq!(app.decide(&shop, &session, &sealed_of(&confirm.text), "allow").await.status, 200);
    let tokens = app.poll(&shop, &device).await.ok();
    let verdict = app.verify(&shop, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(verdict["claims"]["sub"], bob["id"]);
}

async fn the_first_decision_counts(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    for _ in 0..5 {
        let device = app.device(&shop, "openid").await;
        let (cookie, sealed, _) = app.named_device(&shop, &device).await;
        let (allowed, denied) = tokio::join!(
            app.decide(&shop, &cookie, &sealed, "allow"),
            app.decide(&shop, &cookie, &sealed, "deny")
        );
        let mut both = [allowed.status, denied.status];
        let expected = if allowed.status == 200 { None } else { Some("access_denied") };
        both.sort_unstable();
        assert_eq!(both, [200, 400]);
        let answer = app.poll(&shop, &device).await;
        assert_eq!(answer.body["error"].as_str(), expected);
    }
}

async fn a_deleted_person_leaves_no_device(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "public").await;
    let (approved, consumed) = (app.device(&shop, "openid").await, app.device(&shop, "openid").await);
    app.allow(&shop, &approved).await;
    app.allow(&shop, &consumed).await;
    app.poll(&shop, &consumed).await.ok();
    let owner = app.admin_key(None, "owner").await;
    let ask = json!({"user": shop.user.to_string(), "reason": "a test of it"});
    let asked = app.bearer(&shop, "delete-user", &owner, ask).await;
    assert_eq!(asked.status, 202);
    let confirm = json!({"deletion_id": asked.body["deletion_id"], "confirmation": "alice"});
    app.bearer(&shop, "delete-user/confirm", &owner, confirm).await.ok();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM device_grants").await, 0);
    let unknown = "the device code is unknown";
    app.poll(&shop, &approved).await.refused(400, "invalid_grant", unknown);
}

/// However many cookies and addresses of its network a host brings.
async fn one_host_closes_nothing(engine: Engine) {
    let app = TestApp::changed(engine, |app| {
        app.proxies = TrustedProxies::parse(["127.0.0.0/8"], ForwardedHeader::XForwardedFor).unwrap();
    })
    .await;
    let shop = app.device_shop("shop", "public").await;
    let (mut known, mut refused) = (0, 0);
    let guess = async |address: &str| {
        let (cookie, sealed) = app.device_page(&shop, None).await;
        let post = app.http.post(app.project_url(&shop, "/device")).header("cookie", cookie);
        let post = post.header("x-forwarded-for", address);
        let form = [("request", sealed.as_str()), ("user_code", "BCDF-GHJK")];
        post.form(&form).send().await.unwrap().status().as_u16()
    };
    for n in 0..40 {
        match guess(&format!("2001:db8:1:1::{n:x}")).await {
            400 => known += 1,
            _ => refused += 1,
        }
    }
    assert_eq!((known, refused), (30, 10));
    // Rows of its two networks, of the project, and of the browsers that were let in.
    let rows = "SELECT count(*) AS n FROM user_code_failures";
    assert_eq!(number(&app.app.db, rows).await, 3 + 30);
    // Three times as many from its whole site; the neighbours are not held back, and the project has counted none of the rest.
    let mut of_site = 30;
    for n in 2..100 {
        of_site += i64::from(guess(&format!("2001:db8:1:{n:x}::1")).await == 400);
    }
    assert!(of_site <= 90, "{of_site}");
    assert_eq!(guess("2001:db8:2:1::1").await, 400);
    assert_eq!(guess("192.0.2.1").await, 400);
}
