//! Everything that is held on a person, for whoever asks: by an admin, by the person, plain and signed.

use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{
    Account, Deleting, Engine, PASSWORD, REASON, Shop, TestApp, Visit, Way, both_engines, number,
};

both_engines!(
    an_admin_exports,
    who_may,
    nothing_secret,
    signed_for_whoever_checks,
    of_a_sandbox,
    a_person_gets_the_same
);

async fn get(app: &TestApp, shop: &Shop, key: &str, accept: &str) -> Response {
    let url = format!("{}/admin/projects/{}/users/{}/export", app.base, shop.slug, shop.user);
    app.http.get(url).bearer_auth(key).header("accept", accept).send().await.unwrap()
}

/// Reads a statement as another library does, with the keys that the project publishes.
pub async fn checked(app: &TestApp, shop: &Shop, jws: &str) -> (Value, Value) {
    let jwks = app.http.get(app.project_url(shop, "/.well-known/jwks.json")).send().await.unwrap();
    let jwks: jsonwebtoken::jwk::JwkSet = jwks.json().await.unwrap();
    let header = jsonwebtoken::decode_header(jws).unwrap();
    let key = jwks.find(header.kid.as_deref().unwrap()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.required_spec_claims.clear();
    (rules.validate_exp, rules.validate_aud) = (false, false);
    let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
    let read = jsonwebtoken::decode::<Value>(jws, &key, &rules).unwrap();
    (json!(header.typ), read.claims)
}

async fn an_admin_exports(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.define(&["colour"], &["keeper"], &["staff"]).await;
    let update = json!({"user": shop.user, "set": {"colour": "<b>blue</b>\u{202e}"}, "roles": {"add": ["keeper"]},
        "groups": {"add": ["staff"]}});
    desk.update(update).await.ok();
    let alice = Account::new(&app, &shop).await;
    alice.post("/email", json!({"email": "new@example.com"})).await;
    let hold = json!({"reason": "case 4711 of the court"});
    desk.send(reqwest::Method::PUT, &format!("/users/{}/legal-hold", shop.user), Some(hold), None).await;
    tessera::events::flush(&app.app).await.unwrap();

    let answer = get(&app, &shop, &desk.key, "*/*").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"], &answer.headers()["vary"]),
        (200, &"application/json".parse().unwrap(), &"accept".parse().unwrap())
    );
    let held: Value = answer.json().await.unwrap();
    assert_eq!((&held["complete"], &held["issuer"]), (&json!(true), &json!(app.project_url(&shop, ""))));
    let user = &held["user"];
    assert_eq!((&user["id"], &user["email"]), (&json!(shop.user), &json!("alice@example.com")));
    assert_eq!((&user["roles"], &user["groups"]), (&json!(["keeper"]), &json!(["staff"])));
    // Text is text: it is for whoever shows it to write it as such.
    assert_eq!(user["attributes"]["colour"], "<b>blue</b>\u{202e}");
    assert_eq!(held["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(held["credentials"][0]["kind"], "password");
    assert_eq!(
        (&held["links"][0]["kind"], &held["links"][0]["address"]),
        (&json!("change-address"), &json!("new@example.com"))
    );
    assert_eq!(held["guards"], json!([{"kind": "legal_hold", "placed_at": "2027-01-15T08:00:00Z"}]));
    let sign_ins = held["sign_ins"].as_array().unwrap();
    assert!(sign_ins.iter().any(|event| event["kind"] == "exchange" && event["outcome"] == "ok"));
    assert!(sign_ins.iter().all(|event| event["personal"]["address"] == "127.0.0.1"));
    let events = held["events"].as_array().unwrap();
    let last = events.last().unwrap();
    assert_eq!((&last["action"], &last["by"]), (&json!("user.data_exported"), &json!("admin_key")));
    // The log says who took it along.
    let event = app.desk(&shop, "auditor").await.get("/audit?action=user.data_exported").await.ok();
    let event = &event["items"][0];
    assert_eq!((&event["actor_kind"], &event["target"]), (&json!("admin_key"), &held["name_in_log"]));
    // Why they did what they did is for those who work with accounts to tell.
    assert!(!held.to_string().contains("4711") && !held.to_string().contains("admin_key:"));
}

async fn who_may(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let path = |user: &str| format!("/users/{user}/export");
    for role in ["auditor", "user_manager"] {
        let desk = app.desk(&shop, role).await;
        let why = format!("the role {role} may not do this");
        desk.get(&path(&shop.user.to_string())).await.refused(403, "forbidden", &why);
    }
    let theirs = app.desk(&other, "owner").await;
    let not_valid = "the admin key is not valid here";
    theirs.on(&shop).get(&path(&shop.user.to_string())).await.refused(401, "invalid_token", not_valid);
    // Somebody of another project is nobody here.
    theirs.get(&path(&shop.user.to_string())).await.refused(404, "not_found", "no such user");
    theirs.get(&path("nobody")).await.refused(404, "not_found", "there is nothing at this address");
    let alice = Account::new(&app, &shop).await;
    let url = format!("{}/admin/projects/shop{}", app.base, path(&shop.user.to_string()));
    let answer = app.http.get(&url).bearer_auth(&alice.token).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(
        number(&app.app.db, "SELECT count(*) AS n FROM audit_log WHERE action = 'user.data_exported'").await,
        0
    );
    // Who is gone is gone.
    let admin = Deleting::new(&app, &shop).await;
    admin.delete().await;
    app.desk(&shop, "admin").await.get(&path(&shop.user.to_string())).await.refused(
        404,
        "not_found",
        "no such user",
    );
}

/// No hash, seed, key or token, in whatever form it is stored.
async fn nothing_secret(engine: Engine) {
    let app = TestApp::named(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    desk.count_no_factor().await;
    let tokens = app.sign_in(&shop).await;
    let alice = Account::with(&app, &shop, &tokens);
    app.new_passkey(&shop, &alice.token, &Way::default()).await;
    app.policy(&shop, json!({"second_factor": "optional"})).await;
    alice.post("/email", json!({"email": "new@example.com"})).await;
    let held = get(&app, &shop, &desk.key, "application/json").await.text().await.unwrap();
    let json: Value = serde_json::from_str(&held).unwrap();
    assert_eq!(json["passkeys"].as_array().unwrap().len(), 1);
    for secret in
        ["$argon2", "secret", "seed", "_hash", "token_hash", "tml_", "tsr_", "eyJ", "public_key", PASSWORD]
    {
        assert!(!held.contains(secret), "{secret} in {held}");
    }
    for token in ["access_token", "refresh_token", "id_token"] {
        assert!(!held.contains(tokens.get(token)), "{token}");
    }
    // Nothing is called what a secret is called.
    let names = ["password", "key", "salt", "credential", "secret", "codes", "token"];
    let mut open = vec![&json];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                assert!(members.keys().all(|name| !names.contains(&name.as_str())), "{members:?}");
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

async fn signed_for_whoever_checks(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "owner").await;
    for accept in ["application/jwt", "text/html, application/JWT;q=0.5", "*/*, application/jwt"] {
        let answer = get(&app, &shop, &desk.key, accept).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"application/jwt".parse().unwrap())
        );
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let jws = answer.text().await.unwrap();
        let (typ, claims) = checked(&app, &shop, &jws).await;
        assert_eq!(typ, "tessera-export+jwt");
        let members: Vec<_> = claims.as_object().unwrap().keys().collect();
        assert_eq!(members, ["iss", "iat", "data"]);
        assert_eq!(
            (&claims["iss"], &claims["iat"]),
            (&json!(app.project_url(&shop, "")), &json!(1_800_000_000))
        );
        assert_eq!(claims["data"]["user"]["username"], "alice");
        // It passes for no token.
        assert_eq!(app.verify(&shop, &jws).await["active"], false);
        let answer =
            app.http.get(app.project_url(&shop, "/oauth2/userinfo")).bearer_auth(&jws).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
    for accept in ["application/json", "*/*", "application/jwt;q=0", "application/*"] {
        let answer = get(&app, &shop, &desk.key, accept).await;
        assert_eq!(answer.headers()["content-type"], "application/json", "{accept}");
    }
}

async fn of_a_sandbox(engine: Engine) {
    let app = TestApp::new(engine).await;
    let owner = app.key(None, "owner").await;
    app.admin_post(&owner, "/projects", json!({"slug": "school", "kind": "sandbox"})).await.created();
    let paul = app.admin_post(&owner, "/projects/school/users", json!({"username": "paul"})).await.created();
    let url = format!("{}/admin/projects/school/users/{}/export", app.base, paul["id"].as_str().unwrap());
    let answer =
        app.http.get(url).bearer_auth(&owner).header("accept", "application/jwt").send().await.unwrap();
    let claims = crate::support::oauth::claims_of(&answer.text().await.unwrap());
    assert_eq!(claims["sandbox"], true);
}

async fn a_person_gets_the_same(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let alice = Account::new(&app, &shop).await;
    let mut own = alice.get("/data").await.ok();
    let mut exported: Value = get(&app, &shop, &desk.key, "application/json").await.json().await.unwrap();
    // But for the two acts themselves.
    let mut acts = Vec::new();
    for held in [&mut own, &mut exported] {
        acts.push(held["events"].as_array_mut().unwrap().pop().unwrap()["action"].clone());
    }
    exported["events"].as_array_mut().unwrap().pop();
    assert_eq!(acts, ["user.data_downloaded", "user.data_exported"]);
    assert_eq!(own, exported);
    let url = app.project_url(&shop, "/api/account/data");
    let answer =
        app.http.get(url).bearer_auth(&alice.token).header("accept", "application/jwt").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/jwt");
    let (typ, claims) = checked(&app, &shop, &answer.text().await.unwrap()).await;
    assert_eq!((typ, &claims["data"]["user"]["id"]), (json!("tessera-export+jwt"), &json!(shop.user)));
    // And on the page.
    let visit = Visit::new(&app, &shop).await;
    assert!(visit.open("/data").await.text.contains(r#"name="form" value="signed""#));
    let file = visit.submit("/data", &[("form", "signed")]).await;
    assert_eq!(file.headers()["content-disposition"], "attachment; filename=\"shop-account.jwt\"");
    assert_eq!(file.headers()["content-type"], "application/jwt");
    let (_, claims) = checked(&app, &shop, &file.text().await.unwrap()).await;
    assert_eq!(claims["data"]["user"]["username"], "alice");
    // What is pending is told as well.
    let admin = Deleting::new(&app, &shop).await;
    admin.asked().await;
    let own = alice.get("/data").await.ok();
    assert_eq!(own["deletions"][0]["state"], "pending");
    assert!(!own.to_string().contains(REASON));
}
