//! Nothing personal is left, in any cell of any table, however it is written: with the letter still waiting nothing that can
//! be read, and once it is delivered nothing that can be opened either.

use reqwest::Client as Http;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::jobs::run_due;
use tessera::mail::Mailer;
use tessera::model::proxies::{ForwardedHeader, TrustedProxies};
use tessera::session::delete_user::execute_due;

use crate::consents::{allowed, settings};
use crate::support::scan::{Needle, Table, found, found_in};
use crate::support::{
    Account, Deleting, Engine, REASON, Receiver, Shop, TestApp, Way, both_engines, number, run,
};

both_engines!(nothing_is_left, told_only_when_wanted);

/// What alice is known by.
const KNOWN_BY: [&str; 12] = [
    "alice",
    "alice@example.com",
    "penguin-post@example.net",
    "Blue Penguin",
    "Allison",
    "Zoë Ångström",
    "Emperor Road",
    "+351987654321",
    "1984-02-29",
    "https://example.org/zoe.png",
    "Mosaic/2.6",
    "203.0.113.77",
];

/// Wherever something is kept of a person, something of alice has to be before the deletion.
const KEPT_IN: [&str; 23] = [
    "audit_log",
    "authorization_codes",
    "browser_sessions",
    "consents",
    "credentials",
    "device_grants",
    "deletions",
    "events",
    "known_places",
    "mail_links",
    "outbox",
    "passkeys",
    "password_history",
    "recovery_codes",
    "recovery_sets",
    "remembered_devices",
    "sign_ins_in_progress",
    "token_families",
    "totp_factors",
    "user_attributes",
    "user_groups",
    "user_keys",
    "user_roles",
];

const DAY: i64 = 86_400;

fn needles() -> Vec<Needle> {
    KNOWN_BY.iter().map(|value| Needle::text(value)).collect()
}

/// Tables with rows that name the user.
fn held_in(tables: &[Table], shop: &Shop) -> Vec<String> {
    let id = Needle::id(shop.user.0);
    let names = |table: &&Table| {
        let Some(at) = table.columns.iter().position(|column| column == "user_id") else { return false };
        table.rows.iter().any(|row| row[at].as_ref().is_some_and(|cell| id.is_in(cell)))
    };
    tables.iter().filter(names).map(|table| table.name.clone()).collect()
}

/// A node whose callers all come from one address, with one browser.
pub async fn node(engine: Engine, mails: &std::path::Path) -> TestApp {
    let directory = mails.to_owned();
    let mut app = TestApp::changed(engine, |app| {
        app.base_url = app.base_url.replace("127.0.0.1", "localhost");
        app.mailer = Mailer::Files(directory);
        app.proxies = TrustedProxies::parse(["127.0.0.1"], ForwardedHeader::XForwardedFor).unwrap();
    })
    .await;
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.77"));
    headers.insert("user-agent", HeaderValue::from_static("Mosaic/2.6"));
    app.http = Http::builder().redirect(Policy::none()).default_headers(headers).build().unwrap();
    app
}

/// Leaves a trace of alice wherever the server keeps one.
pub async fn lives_here(app: &TestApp, office: &TestApp, shop: &Shop, server: &Receiver) {
    let desk = office.desk(shop, "admin").await;
    desk.define(&["animal"], &["keeper"], &["staff"]).await;
    let update = json!({"user": shop.user, "set": {"animal": "Blue Penguin"}, "roles": {"add": ["keeper"]},
        "groups": {"add": ["staff"]}});
    desk.update(update).await.ok();
    let profile = json!({"name": "Zoë Ångström", "nickname": "Allison", "phone_number": "+351987654321",
        "birthdate": "1984-02-29", "picture": "https://example.org/zoe.png",
        "address": {"street_address": "Emperor Road"}, "email_verified": true});
    desk.patch(&format!("/users/{}", shop.user), profile).await.ok();
    desk.patch(&format!("/clients/{}", shop.id), json!({"backchannel_logout_uri": server.url("/out")}))
        .await
        .ok();
    office
        .admin_post(&desk.key, "/projects/shop/webhooks", json!({"uri": server.url("/hook")}))
        .await
        .created();
    office.policy(shop, json!({"factors": ["totp"]})).await;
    office.policy(shop, json!({"second_factor": "required"})).await;
    let middle = app.half_signed_in(shop, "").await;
    let (enrolled, last) = app.enrol(shop, &middle).await;
    let form = [("request", last.sealed())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(app.post_page(shop, "/second-factor", &last.cookie, &form).await.status(), 303);
    office.policy(shop, json!({"second_factor": null})).await;
    app.app.clock.advance(30);
    office.policy(shop, json!({"factors": null})).await;
    desk.count_no_factor().await;
    let alice = Account::new(app, shop).await;
    app.new_passkey(shop, &alice.token, &Way::default()).await;
    let own = alice.get("/passkeys").await.ok();
    let passkey = own["items"][0]["id"].as_str().unwrap().to_owned();
    alice.patch(&format!("/passkeys/{passkey}"), json!({"name": "Allison"})).await.ok();
    // Sessions of applications, one of them of others, a device, a code that nobody uses.
    let third = app.second_client(shop, settings()).await;
    allowed(app, &third, "&scope=openid+profile&prompt=consent").await;
    let device = app.device(shop, "openid").await;
    app.allow(shop, &device).await;
    let tokens = app.sign_in(shop).await;
    app.code(shop, "&login_hint=alice@example.com").await;
    // What is asked for and not done yet; what is tried in vain.
    Account::with(app, shop, &tokens).post("/email", json!({"email": "penguin-post@example.net"})).await;
    app.forget(shop, "alice").await;
    let pushed = [("response_type", "code"), ("login_hint", "alice@example.com")];
    app.post_as(shop, "/oauth2/par", &pushed).send().await.unwrap();
    let (cookie, sealed) = app.sign_in_page(shop, "&login_hint=alice").await;
    assert_ne!(app.submit(shop, &cookie, &sealed, "a wrong one").await.status(), 303);
    tessera::events::flush(&app.app).await.unwrap();
    app.bearer(shop, "GlobalSignOut", tokens.get("access_token"), json!({})).await.ok();
    app.sign_in(shop).await;
    let former = "INSERT INTO password_history (project_id, id, user_id, secret, created_at)
        SELECT project_id, id, user_id, secret, created_at FROM credentials";
    assert_eq!(run(&app.app.db, former).await, 1);
    // A browser that is remembered, and one in the middle of a sign-in.
    office.policy(shop, json!({"second_factor": "optional", "remember_device_days": 30})).await;
    let middle = app.half_signed_in(shop, "").await;
    let (sealed, code) = (middle.sealed(), enrolled.authenticator.code(app));
    let form = [("request", sealed.as_str()), ("factor", "totp"), ("code", &code), ("remember", "yes")];
    assert_eq!(app.post_page(shop, "/second-factor", &middle.cookie, &form).await.status(), 303);
    app.half_signed_in(shop, "&login_hint=alice").await;
}

async fn nothing_is_left(engine: Engine) {
    let mails = tempfile::tempdir().unwrap();
    let app = node(engine, mails.path()).await;
    let shop = app.device_shop("shop", "confidential").await;
    let server = Receiver::start().await;
    // Where admins work; what they do is told of them.
    let office = app.called_from("198.51.100.4", "Desk/1.0");
    lives_here(&app, &office, &shop, &server).await;
    let admin = Deleting::new(&office, &shop).await;
    admin.settings(json!({"deletion_restore_days": 1})).await;
    let id = admin.asked().await;
    let needles = needles();
    let tables = app.tables().await;
    let (before, held) = (found(&tables, &needles), held_in(&tables, &shop));
    for table in KEPT_IN {
        assert!(held.iter().any(|held| held == table), "nothing of alice in {table}: {held:?}");
    }
    let opened = found_in(&app.unsealed().await, &needles);
    for value in KNOWN_BY {
        let is_there = |places: &[String]| places.iter().any(|place| place.ends_with(&format!(" {value}")));
        assert!(is_there(&before) || is_there(&opened), "{value} can be found: {before:?} {opened:?}");
    }
    let sealed = [
        "audit_log.sealed",
        "audit_log.origin",
        "events.sealed",
        "mail_links.sealed_content",
        "outbox.sealed_body",
    ];
    for place in sealed {
        assert!(opened.iter().any(|found| found.starts_with(place)), "{place} can be opened: {opened:?}");
    }

    let shown = admin.confirm(&id, "alice").await.ok();
    assert_eq!((&shown["state"], &shown["notify"]), (&json!("scheduled"), &json!(true)));
    app.app.clock.advance(DAY);
    let ctx = app.ctx(&shop).await;
    assert!(execute_due(&ctx, id.parse().unwrap()).await.unwrap());
    waiting(&app, &shop, &needles).await;
    delivered(&app, &shop, &needles).await;
    let letters: Vec<_> = std::fs::read_dir(mails.path()).unwrap().collect();
    assert_eq!(letters.len(), 1, "what was not delivered before is not delivered any more");
    let letter = std::fs::read_to_string(letters[0].as_ref().unwrap().path()).unwrap();
    assert!(letter.contains("alice@example.com") && letter.contains("has been deleted"), "{letter}");
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
    // Nor in the record of it.
    let record = app.http.get(app.project_url(&shop, &format!("/api/delete-user/{id}/record")));
    let record = record.bearer_auth(&admin.key).send().await.unwrap().text().await.unwrap();
    assert!(needles.iter().all(|needle| !needle.is_in(record.as_bytes())));
    assert!(!Needle::id(shop.user.0).is_in(record.as_bytes()));
}

/// The letter that tells of the deletion waits, sealed, and so do tokens that tell applications, by ids.
async fn waiting(app: &TestApp, shop: &Shop, needles: &[Needle]) {
    let tables = app.tables().await;
    assert_eq!(found(&tables, needles), [""; 0]);
    let held = held_in(&tables, shop);
    assert!(held.iter().all(|table| ["deletions", "outbox"].contains(&table.as_str())), "{held:?}");
    let opened = found_in(&app.unsealed().await, needles);
    assert!(opened.iter().all(|place| place.starts_with("outbox.sealed_body ")), "{opened:?}");
    assert!(opened.iter().any(|place| place.ends_with(" alice@example.com")), "{opened:?}");
}

/// Everything has left the house, and the last look is done.
async fn delivered(app: &TestApp, shop: &Shop, needles: &[Needle]) {
    for _ in 0..4 {
        app.app.clock.advance(61);
        run_due(&app.app).await.unwrap();
    }
    assert_eq!(
        number(&app.app.db, "SELECT count(*) AS n FROM outbox WHERE sealed_body IS NOT NULL").await,
        0
    );
    let (tables, opened) = (app.tables().await, app.unsealed().await);
    assert_eq!(found(&tables, needles), [""; 0]);
    assert_eq!(found_in(&opened, needles), [""; 0]);
    assert_eq!(held_in(&tables, shop), ["deletions"]);
    // The bare id stays where it has to: in the tombstone, in the deletion, in the ledger.
    let id = [Needle::id(shop.user.0)];
    let places = ["deletions.user_id the id", "erasures.line the id", "users.id the id"];
    assert_eq!(found(&tables, &id), places);
    assert_eq!(found_in(&opened, &id), [""; 0]);
    app.app.clock.advance(32 * DAY);
    run_due(&app.app).await.unwrap();
    assert_eq!(found(&app.tables().await, &id), places[..2]);
}

async fn told_only_when_wanted(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    // Not wanted.
    let admin = Deleting::new(&app, &shop).await;
    let ask: Value =
        json!({"user": shop.user, "reason": REASON, "notify": false, "notify_reason": "told on the phone"});
    let asked = admin.post("delete-user", ask).await.body;
    assert_eq!(asked["notify"], false);
    admin.confirm(asked["deletion_id"].as_str().unwrap(), "alice").await.ok();
    // Wanted, but nowhere to write to.
    run(&app.app.db, "UPDATE users SET email = NULL, email_key = NULL").await;
    let admin = Deleting::new(&app, &other).await;
    let ask = json!({"user": other.user, "reason": REASON, "notify": true});
    let asked = admin.post("delete-user", ask).await.body;
    assert_eq!(asked["notify"], false);
    admin.confirm(asked["deletion_id"].as_str().unwrap(), "alice").await.ok();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM outbox").await, 0);
}
