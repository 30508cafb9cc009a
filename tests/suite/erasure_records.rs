//! Erasure records: what they say, that they stay, and that they are checked without us.

use std::fs;

use reqwest::Response;
use serde_json::{Value, json};
use tessera::jobs::run_due;
use tessera::keys::rotate::rotate_due;
use tessera::secret::encode_base64url;

use crate::exports::checked;
use crate::keys_support::change;
use crate::support::oauth::claims_of;
use crate::support::process::{Said, run};
use crate::support::{Deleting, Engine, Shop, TestApp, both_engines, number};

both_engines!(
    a_restored_store_says_that_it_has_none,
    it_says_what_was_erased,
    not_before_and_not_for_everybody,
    it_stays,
    checked_offline,
    a_rehearsal_says_so,
);

const DAY: i64 = 86_400;

async fn get(app: &TestApp, shop: &Shop, key: &str, id: &str) -> Response {
    let url = app.project_url(shop, &format!("/api/delete-user/{id}/record"));
    app.http.get(url).bearer_auth(key).send().await.unwrap()
}

async fn record(admin: &Deleting<'_>, id: &str) -> String {
    let answer = get(admin.app, admin.shop, &admin.key, id).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/jwt".parse().unwrap())
    );
    assert_eq!(answer.headers()["cache-control"], "no-store");
    answer.text().await.unwrap()
}

async fn jwks(app: &TestApp, shop: &Shop) -> String {
    app.http.get(app.project_url(shop, "/.well-known/jwks.json")).send().await.unwrap().text().await.unwrap()
}

async fn it_says_what_was_erased(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.sign_in(&shop).await;
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.asked().await;
    app.app.clock.advance(60);
    admin.confirm(&id, "alice").await.ok();
    app.app.clock.advance(DAY);
    let jws = record(&admin, &id).await;
    let (typ, claims) = checked(&app, &shop, &jws).await;
    assert_eq!(typ, "tessera-erasure+jwt");
    let log = app.desk(&shop, "auditor").await.get("/audit?action=user.deleted").await.ok();
    let event = &log["items"][0];
    let hash = number_and_hash(&app).await;
    assert_eq!(
        claims,
        json!({
            "iss": app.project_url(&shop, ""), "iat": 1_800_000_060 + DAY, "project": shop.project,
            "deletion_id": id, "user": event["target"], "requested_by": "admin", "method": "typed",
            "requested_at": "2027-01-15T08:00:00Z", "confirmed_at": "2027-01-15T08:01:00Z", "restore_days": 0,
            "erased_at": "2027-01-15T08:01:00Z", "notify": true,
            "impact": {"families": 1, "browser_sessions": 1, "factors": 1, "groups": 0, "audit_events_kept": 2},
            "event": {"seq": event["seq"], "hash": hash},
        })
    );
    let said = claims.to_string();
    for personal in ["alice", "example.com", &shop.user.to_string(), "admin_key"] {
        assert!(!said.contains(personal), "{personal} in {said}");
    }
    // It passes for no token.
    assert_eq!(app.verify(&shop, &jws).await["active"], false);
}

#[derive(sqlx::FromRow)]
struct Hash {
    hash: Vec<u8>,
}

async fn number_and_hash(app: &TestApp) -> String {
    let sql = "SELECT hash FROM audit_log WHERE action = 'user.deleted'";
    let row = app.app.db.read(|conn| async move { tessera::fetch_one!(&conn, Hash, sql) }).await.unwrap();
    encode_base64url(&row.hash)
}

async fn not_before_and_not_for_everybody(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let admin = Deleting::new(&app, &shop).await;
    admin.settings(json!({"deletion_restore_days": 7})).await;
    let refused = async |key: &str, id: &str, shop: &Shop, status: u16, code: &str, why: &str| {
        crate::support::Answer::of(get(&app, shop, key, id).await).await.refused(status, code, why);
    };
    let why = "this deletion has not been executed";
    let id = admin.asked().await;
    refused(&admin.key, &id, &shop, 409, "conflict", why).await;
    admin.cancel(&id).await.ok();
    refused(&admin.key, &id, &shop, 409, "conflict", why).await;
    let id = admin.asked().await;
    admin.confirm(&id, "alice").await.ok();
    refused(&admin.key, &id, &shop, 409, "conflict", why).await;
    app.app.clock.advance(7 * DAY);
    run_due(&app.app).await.unwrap();
    record(&admin, &id).await;
    // An auditor reads it, and whoever manages users does not.
    let auditor = app.key(Some(shop.project), "auditor").await;
    assert_eq!(get(&app, &shop, &auditor, &id).await.status(), 200);
    let manager = app.key(Some(shop.project), "user_manager").await;
    refused(&manager, &id, &shop, 403, "forbidden", "the role user_manager may not do this").await;
    let theirs = app.key(Some(other.project), "owner").await;
    refused(&theirs, &id, &shop, 401, "invalid_token", "the admin key is not valid here").await;
    refused(&theirs, &id, &other, 404, "not_found", "no such deletion").await;
    let nobody = uuid::Uuid::nil().to_string();
    refused(&admin.key, &nobody, &shop, 404, "not_found", "no such deletion").await;
}

/// The tombstone goes after 31 days, the log as the project says, and keys every 90 days; the record can be had all the same.
async fn it_stays(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    let id = admin.delete().await;
    let kept = (record(&admin, &id).await, jwks(&app, &shop).await);
    app.app.clock.advance(100 * DAY);
    run_due(&app.app).await.unwrap();
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users").await, 0, "no tombstone is left");
    for _ in 0..3 {
        rotate_due(&change!(app, shop.project)).await.unwrap();
        app.app.clock.advance(3600);
    }
    app.app.clock.advance(40 * DAY);
    rotate_due(&change!(app, shop.project)).await.unwrap();
    let again = record(&admin, &id).await;
    let (_, claims) = checked(&app, &shop, &again).await;
    let mut former = claims_of(&kept.0);
    assert_ne!(former["iat"], claims["iat"], "it says when it was signed");
    former["iat"] = claims["iat"].clone();
    assert_eq!(former, claims);
    // The first one is proven by the keys of its day, and not by today's.
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (of_then, of_now) = (file("then.json", &kept.1), file("now.json", &jwks(&app, &shop).await));
    let first = file("first.jwt", &kept.0);
    assert_eq!(run(&["deletion", "verify", &first, "--jwks", &of_then], &[], "").code, Some(0));
    assert_eq!(run(&["deletion", "verify", &first, "--jwks", &of_now], &[], "").code, Some(1));
}

async fn checked_offline(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let tokens = app.sign_in(&shop).await;
    let (admin, theirs) = (Deleting::new(&app, &shop).await, Deleting::new(&app, &other).await);
    let id = admin.delete().await;
    let jws = record(&admin, &id).await;
    let their_id = theirs.delete().await;
    let their_jws = record(&theirs, &their_id).await;
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("jwks.json").to_str().unwrap().to_owned();
    fs::write(&keys, jwks(&app, &shop).await).unwrap();
    let check = |jws: &str| -> Said { run(&["deletion", "verify", "-", "--jwks", &keys], &[], jws) };
    let good = check(&format!("{jws}\n"));
    let user = claims_of(&jws)["user"].as_str().unwrap().to_owned();
    let first = format!("{user} was erased at 2027-01-15T08:00:00Z, says {}\n", app.project_url(&shop, ""));
    assert_eq!((good.code, good.err.as_str()), (Some(0), ""));
    let rest = good.out.strip_prefix(&first).unwrap_or_else(|| panic!("{}", good.out));
    assert_eq!(serde_json::from_str::<Value>(rest).unwrap(), claims_of(&jws));

    let parts: Vec<&str> = jws.split('.').collect();
    let forged = |header: Value, claims: Value| {
        let part = |value: &Value| encode_base64url(value.to_string().as_bytes());
        format!("{}.{}.{}", part(&header), part(&claims), parts[2])
    };
    let header: Value =
        serde_json::from_slice(&tessera::secret::decode_base64url(parts[0]).unwrap()).unwrap();
    let with = |name: &str, value: Value| {
        let mut changed = claims_of(&jws);
        changed[name] = value;
        forged(header.clone(), changed)
    };
    let with_header = |name: &str, value: Value| {
        let mut changed = header.clone();
        changed[name] = value;
        forged(changed, claims_of(&jws))
    };
    let their_header: Value = serde_json::from_slice(
        &tessera::secret::decode_base64url(their_jws.split('.').next().unwrap()).unwrap(),
    )
    .unwrap();
    let fit = "its signature does not fit";
    for (jws, why) in [
        (with("user", json!("user:AAAA")), fit),
        (with("erased_at", json!("2020-01-01T00:00:00Z")), fit),
        (with("sandbox", json!(true)), fit),
        // A key that comes along proves nothing, and neither does a `kid` of theirs.
        (with_header("jwk", their_header["jwk"].clone()), fit),
        (
            with_header("kid", their_header["kid"].clone()),
            "it is signed with a key that is not in the JWK Set",
        ),
        (with_header("alg", json!("none")), "it is not signed with ES256"),
        (with_header("alg", json!("HS256")), "it is not signed with ES256"),
        (with_header("typ", json!("at+jwt")), "it is a statement of another kind"),
        // Another project's.
        (their_jws.clone(), "it is signed with a key that is not in the JWK Set"),
        (tokens.get("access_token").to_owned(), "it is a statement of another kind"),
        (format!("{}.{}.", parts[0], parts[1]), "it is no signed statement"),
        (String::new(), "it is no signed statement"),
        (format!("{jws}.x"), "it is no signed statement"),
    ] {
        let said = check(&jws);
        let expected = format!("error: - proves nothing: {why}\n");
        assert_eq!(
            (said.code, said.out.as_str(), said.err.as_str()),
            (Some(1), "", expected.as_str()),
            "{jws}"
        );
    }
    fs::write(&keys, "[]").unwrap();
    let said = check(&jws);
    assert_eq!((said.code, said.err), (Some(1), format!("error: {keys} is no JWK Set\n")));
    // An export is none.
    let desk = app.desk(&shop, "admin").await;
    let made = desk.post("/users", json!({"username": "bob"})).await.created();
    let url = format!("{}/admin/projects/shop/users/{}/export", app.base, made["id"].as_str().unwrap());
    let request = app.http.get(url).bearer_auth(&desk.key).header("accept", "application/jwt");
    let export = request.send().await.unwrap().text().await.unwrap();
    fs::write(&keys, jwks(&app, &shop).await).unwrap();
    assert_eq!(check(&export).err, "error: - proves nothing: it is a statement of another kind\n");
}

async fn a_rehearsal_says_so(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = app.key(None, "owner").await;
    app.admin_post(&owner, "/projects", json!({"slug": "school", "kind": "sandbox"})).await.created();
    app.admin_post(&owner, "/projects/school/users", json!({"username": "paul"})).await.created();
    let url = format!("{}/projects/school/api/delete-user", app.base);
    let post = async |path: &str, body: Value| -> Value {
        let request = app.http.post(format!("{url}{path}")).bearer_auth(&owner).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    };
    let asked = post("", json!({"user": {"username": "paul"}, "reason": crate::support::REASON})).await;
    let id = asked["deletion_id"].as_str().unwrap();
    post("/confirm", json!({"deletion_id": id, "confirmation": "paul"})).await;
    let jws = app.http.get(format!("{url}/{id}/record")).bearer_auth(&owner).send().await.unwrap();
    let jws = jws.text().await.unwrap();
    assert_eq!(claims_of(&jws)["sandbox"], true);
    let keys = app.http.get(format!("{}/projects/school/.well-known/jwks.json", app.base));
    let keys = keys.send().await.unwrap().text().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json");
    fs::write(&file, keys).unwrap();
    let said = run(&["deletion", "verify", "-", "--jwks", file.to_str().unwrap()], &[], &jws);
    assert!(
        said.out.starts_with("A rehearsal in a sandbox: nobody was erased.\n"),
        "{} {}",
        said.out,
        said.err
    );
}

/// The backup is older than the request, or than the confirmation: the ledger knows that and when, and nothing more.
async fn a_restored_store_says_that_it_has_none(engine: Engine) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("erasure-ledger");
    let named = path.clone();
    let before = TestApp::changed(engine, |app| app.erasure_ledger = Some(named)).await;
    let (shop, other) =
        (before.shop("shop", "confidential").await, before.shop("other", "confidential").await);
    let key = before.key(None, "admin").await;
    let open = Deleting { app: &before, shop: &other, key: key.clone() }.asked().await;
    let (backup, app) = before.backed_up(&path).await;
    let (here, there) = (
        Deleting { app: &app, shop: &shop, key: key.clone() },
        Deleting { app: &app, shop: &other, key: key.clone() },
    );
    let id = here.delete().await;
    there.confirm(&open, "alice").await.ok();
    let node = backup.node(&path).await;
    tessera::ledger::replay::restored(&node.app, std::slice::from_ref(&path)).await.unwrap();
    let why = "this deletion was executed, but the store was restored from a backup of before it: the erasure ledger has \
               the moment, and the record that was made then is the only one";
    for (shop, id, line) in [(&shop, &id, 1), (&other, &open, 2)] {
        let answer = crate::support::Answer::of(get(&node, shop, &key, id).await).await;
        let expected = serde_json::json!({"error": "conflict", "error_description": why,
            "erased_at": "2027-01-15T08:00:00Z", "ledger_line": line});
        assert_eq!((answer.status, answer.body), (409, expected));
    }
    // Of another project, and of none, it says nothing.
    let answer = crate::support::Answer::of(get(&node, &other, &key, &id).await).await;
    answer.refused(404, "not_found", "no such deletion");
}
