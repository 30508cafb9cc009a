//! No page weighs more than 50 kB with all that it loads: with the largest logo, the longest names, and lists that are full.

use std::collections::BTreeSet;

use qrcode::{Color, EcLevel, QrCode};
use serde_json::json;
use tessera::model::client::ClientSettings;
use tessera::projects;
use tessera::store::db::Conn;

use crate::support::{
    Account, Authenticator, Engine, PASSWORD, REDIRECT, Seen, Shop, TestApp, Tokens, Visit, between,
    both_engines, code_of, cookie_of,
};

both_engines!(the_picture_of_an_app, full_lists, the_picture_is_the_code);

const MOST: usize = 50_000;
const LOGO: &[u8] = include_bytes!("support/pictures/logo.png");
/// As long as a name may be, in a language whose characters take three bytes.
const LONG: usize = 128;

fn long() -> String {
    "\u{5e97}".repeat(LONG)
}

/// A project with a long name and a logo of 24 KiB, whose one user has a long name, too.
async fn shop(app: &TestApp) -> (Shop, String) {
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "owner").await;
    desk.patch("", json!({"name": long()})).await.ok();
    let logo = [&LOGO[..33], &vec![0; 24 * 1024 - LOGO.len()], &LOGO[33..]].concat();
    let url = format!("{}/admin/projects/shop/logo", app.base);
    let put = app.http.put(url).bearer_auth(&desk.key).header("content-type", "image/png").body(logo);
    assert_eq!(put.send().await.unwrap().status(), 200);
    let user = json!({"username": long(), "password": PASSWORD});
    desk.post("/users", user).await.created();
    (shop, long())
}

async fn sign_in(app: &TestApp, shop: &Shop, name: &str) -> (String, String) {
    let (cookie, sealed) = app.sign_in_page(shop, "").await;
    let answer = app.submit_as(shop, &cookie, &sealed, (name, PASSWORD)).await;
    (code_of(&answer), cookie_of(&answer))
}

/// What a page weighs with all that it names.
async fn weigh(app: &TestApp, page: &Seen) -> usize {
    let loaded =
        ["<link rel=\"icon\" type=\"image/svg+xml\" href=\"", "<link rel=\"stylesheet\" href=\"", " src=\""];
    let mut weight = page.text.len();
    let mut logos = 0;
    for before in loaded {
        for part in page.text.split(before).skip(1) {
            let path = part.split('"').next().unwrap();
            let file = app.http.get(format!("{}{path}", app.base)).send().await.unwrap();
            assert_eq!(file.status(), 200, "{path}");
            logos += usize::from(path.contains("/logo-"));
            weight += file.bytes().await.unwrap().len();
        }
    }
    assert_eq!(logos, 1);
    weight
}

async fn is_light(app: &TestApp, what: &str, page: &Seen) {
    let weight = weigh(app, page).await;
    assert!(weight < MOST, "{what} weighs {weight}, {} of it the page", page.text.len());
}

async fn the_picture_of_an_app(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, name) = shop(&app).await;
    let visit = Visit { app: &app, shop: &shop, cookie: sign_in(&app, &shop, &name).await.1 };
    is_light(&app, "account/factors/app", &visit.open("/factors/app").await).await;
    // And on the way in, with what a wrong code makes of it.
    app.policy(&shop, json!({"second_factor": "required"})).await;
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let middle = app.asked_for_more(&app.submit_as(&shop, &cookie, &sealed, (&name, PASSWORD)).await).await;
    is_light(&app, "enrol", &middle.page).await;
    let sealed = middle.sealed();
    let wrong = [("request", sealed.as_str()), ("code", "000000")];
    let wrong = Seen::of(app.post_page(&shop, "/enrol", &middle.cookie, &wrong).await).await;
    assert_eq!(wrong.status, 400);
    is_light(&app, "enrol, wrong", &wrong).await;
    // The app can be made: its key is the whole one.
    let key = between(&wrong.text, r#"<pre id="key" dir="ltr">"#, "</pre>");
    let (sealed, code) = (crate::support::sealed_of(&wrong.text), Authenticator::of(key).code(&app));
    let right = [("request", sealed.as_str()), ("code", code.as_str())];
    let codes = Seen::of(app.post_page(&shop, "/enrol", &middle.cookie, &right).await).await;
    assert_eq!(codes.status, 200);
}

/// The ids of all buttons of this name, over all pages, each of which is light.
async fn listed(visit: &Visit<'_>, path: &str, buttons: &[&str]) -> BTreeSet<String> {
    let (mut found, mut next, mut pages) = (BTreeSet::new(), path.to_owned(), 0);
    loop {
        let page = visit.open(&next).await;
        is_light(visit.app, &next, &page).await;
        for name in buttons {
            let before = format!(r#"name="{name}" value=""#);
            let ids = page.text.split(&before).skip(1).map(|rest| rest.split('"').next().unwrap());
            found.extend(ids.filter(|id| id.len() == 36).map(str::to_owned));
        }
        pages += 1;
        match page.text.split_once("/account").is_some() && page.text.contains("?from=") {
            true => next = format!("{path}?from={}", between(&page.text, "?from=", "\"")),
            false => break,
        }
    }
    assert!(pages > 1, "{path} is full");
    found
}

async fn full_lists(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, name) = shop(&app).await;
    let desk = app.desk(&shop, "owner").await;
    desk.count_no_factor().await;
    app.policy(&shop, json!({"remember_device_days": 30})).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let (client, secret) =
        projects::create_client(&app.app, shop.project, &long(), "confidential", settings).await.unwrap();
    let secret = secret.map(|secret| secret.expose().to_owned());
    let app_of_long_name = Shop { id: client.id.to_string(), secret, slug: shop.slug.clone(), ..shop };
    let mut tokens = Vec::new();
    for _ in 0..12 {
        let (code, _) = sign_in(&app, &app_of_long_name, &name).await;
        tokens.push(Tokens(app.exchange(&app_of_long_name, &code).await.ok()));
    }
    let own = Account::with(&app, &app_of_long_name, &tokens[0]);
    for _ in 0..5 {
        let begun = own.post("/factors/app", json!({})).await.ok();
        let code = Authenticator::of(begun["key"].as_str().unwrap()).code(&app);
        let body = json!({"enrolment": begun["enrolment"], "code": code, "name": long()});
        own.post("/factors/app/confirm", body).await.created();
    }
    remember_fifty(&app, &app_of_long_name, own.get("/profile").await.ok()["id"].as_str().unwrap()).await;
    let (_, cookie) = sign_in(&app, &app_of_long_name, &name).await;
    let visit = Visit { app: &app, shop: &app_of_long_name, cookie };
    assert_eq!(listed(&visit, "/factors", &["remove", "forget"]).await.len(), 55);
    let sessions = listed(&visit, "/sessions", &["end"]).await;
    assert_eq!(sessions.len(), own.get("/sessions?limit=100").await.ok()["items"].as_array().unwrap().len());
    assert_eq!(sessions.len(), 25);
    // A page that is past the end is the first one.
    for nonsense in ["1000", "x", "-1", ""] {
        let page = visit.open(&format!("/sessions?from={nonsense}")).await;
        assert!(page.text.contains("this browser"), "{nonsense}");
    }
    // One button ends them all, whatever the page shows.
    let page = visit.open("/sessions?from=3").await;
    let ended = visit.post("/sessions", &crate::support::sealed_of(&page.text), &[("end", "others")]).await;
    let left = visit.follow(ended).await;
    assert_eq!(left.text.matches(r#"name="end""#).count(), 3, "this browser, and the two buttons");
}

async fn remember_fifty(app: &TestApp, shop: &Shop, user: &str) {
    let (project, now, user) = (shop.project, app.app.clock.now(), user.parse::<uuid::Uuid>().unwrap());
    for n in 0..50_u8 {
        let id: uuid::Uuid = app.app.entropy.id(now).unwrap();
        let insert = |conn: Conn| async move {
            tessera::execute!(
                &conn,
                "INSERT INTO remembered_devices (project_id, id, user_id, token_hash, browser_epoch, user_agent, address,
                   created_at, last_used_at, expires_at)
                 SELECT project_id, $2, id, $4, browser_epoch, '', '', $5, $5, $6 FROM users
                 WHERE project_id = $1 AND id = $3",
                project,
                id,
                user,
                &[n][..],
                now,
                now.plus_seconds(86_400)
            )
        };
        app.app.db.write(insert).await.unwrap();
    }
}

/// What a camera sees is what the link beside it says.
async fn the_picture_is_the_code(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, name) = shop(&app).await;
    let visit = Visit { app: &app, shop: &shop, cookie: sign_in(&app, &shop, &name).await.1 };
    let long = visit.open("/factors/app").await;
    let short = Visit::new(&app, &shop).await.open("/factors/app").await;
    for page in [long, short] {
        let uri = format!("otpauth:{}", between(&page.text, "href=\"otpauth:", "\"")).replace("&#38;", "&");
        let code = QrCode::with_error_correction_level(&uri, EcLevel::L).unwrap();
        let svg = between(&page.text, "<svg", "</svg>");
        let side = code.width() + 8;
        assert!(svg.contains(&format!("viewBox=\"0 0 {side} {side}\"")), "{svg}");
        let path = between(svg, "stroke=\"#000\" d=\"", "\"");
        assert_eq!(drawn(path, side), code.to_colors(), "{uri}");
        assert!(page.text.contains("role=\"img\" aria-label="));
        let key: String = between(&page.text, r#"<code dir="ltr">"#, "</code>").split(' ').collect();
        assert!(uri.contains(&format!("?secret={key}&issuer={}", "%E5%BA%97".repeat(10))), "{uri}");
    }
}

/// The modules that a path of rows draws, without the light ones around them.
fn drawn(path: &str, side: usize) -> Vec<Color> {
    let mut modules = vec![Color::Light; side * side];
    let (mut x, mut y) = (0, 0);
    let spaced = path.replace('h', " h").replace('m', " m").replace('M', " M");
    let mut words = spaced.split_whitespace();
    while let Some(word) = words.next() {
        let (command, number) = word.split_at(1);
        let number: usize = number.parse().unwrap();
        match command {
            "M" => {
                let middle = words.next().unwrap().strip_suffix(".5").unwrap();
                (x, y) = (number, middle.parse::<usize>().unwrap());
            }
            "m" => {
                assert_eq!(words.next(), Some("0"));
                x += number;
            }
            "h" => {
                modules[y * side + x..y * side + x + number].fill(Color::Dark);
                x += number;
            }
            other => panic!("{other}"),
        }
    }
    let rows = modules.chunks(side).skip(4).take(side - 8);
    rows.flat_map(|row| row[4..side - 4].to_vec()).collect()
}
