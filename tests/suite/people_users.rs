//! Users as admins make, read and change them.

use serde_json::{Value, json};

use crate::support::{Engine, TestApp, both_engines};

both_engines!(
    made_with_everything,
    refused_when_out_of_bounds,
    look_alikes_collide,
    changed_in_parts,
    found_by_prefix,
    listed_in_pages,
    unseen_by_other_projects
);

async fn made_with_everything(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (admin, desk) = (app.desk(&shop, "admin").await, app.desk(&shop, "user_manager").await);
    admin.define(&["department"], &["buyer"], &["eu"]).await;
    let body = json!({
        "username": "Ana", "email": "ana@example.com", "email_verified": true, "password": "correct horse battery",
        "given_name": "Ana", "locale": "pt-PT", "phone_number": "+351210000000",
        "attributes": {"department": "sales"}, "roles": ["buyer"], "groups": ["eu"],
    });
    let answer = desk.post("/users", body).await;
    assert_eq!(answer.etag.as_deref(), Some("\"2\""));
    let made = answer.created();
    let now = "2027-01-15T08:00:00Z";
    let expected = json!({
        "id": made["id"], "username": "Ana", "email": "ana@example.com", "email_verified": true, "status": "active",
        "given_name": "Ana", "locale": "pt-PT", "phone_number": "+351210000000",
        "attributes": {"department": "sales"}, "roles": ["buyer"], "groups": ["eu"], "version": 2,
        "last_sign_in_at": null, "created_at": now, "updated_at": now,
    });
    assert_eq!(made, expected);
    let read = desk.get(&format!("/users/{}", made["id"].as_str().unwrap())).await;
    assert_eq!((read.etag.as_deref(), read.body), (Some("\"2\""), expected));

    // Without a password nobody signs in.
    let bare = desk.post("/users", json!({"username": "bo"})).await.created();
    assert_eq!((&bare["email"], &bare["version"]), (&Value::Null, &json!(1)));
}

async fn refused_when_out_of_bounds(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    let name =
        "username has 1 to 128 characters, no control or invisible characters and no space at either end";
    let mail = "email is a mail address of at most 254 bytes without spaces or invisible characters";
    for (body, field, description) in [
        (json!({}), "username", "missing field username"),
        (json!({"username": 5}), "username", "username must be a string"),
        (json!({"username": ""}), "username", name),
        (json!({"username": "a\u{7}b"}), "username", name),
        (json!({"username": "adm\u{200B}in"}), "username", name),
        (json!({"username": "a\u{0}"}), "username", name),
        (json!({"username": "\u{2800}"}), "username", name),
        (json!({"username": "\u{FDFA}".repeat(128)}), "username", name),
        (json!({"username": "bo", "email": "bo"}), "email", mail),
        (
            json!({"username": "bo", "email_verified": true}),
            "email_verified",
            "email_verified needs an email",
        ),
        (
            json!({"username": "bo", "email_verified": 1}),
            "email_verified",
            "email_verified must be a boolean",
        ),
        (json!({"username": "bo", "password": "short"}), "password", "password has 8 to 1024 bytes"),
        (
            json!({"username": "bo", "picture": "javascript:x"}),
            "picture",
            "picture is an http or https URL of at most 1024 bytes",
        ),
        (json!({"username": "bo", "colour": "red"}), "colour", "unknown field colour"),
        (json!({"username": "bo", "version": 7}), "version", "unknown field version"),
        (json!({"username": "bo", "roles": ["king"]}), "roles", "there is no role king"),
        (json!({"username": "bo", "groups": ["a\u{0}"]}), "groups", "there is no group a\u{0}"),
        (json!({"username": "bo", "roles": "king"}), "roles", "roles must be a list"),
        (
            json!({"username": "bo", "attributes": {"size": 1}}),
            "attributes.size",
            "there is no attribute size",
        ),
    ] {
        desk.post("/users", body).await.refused_for(400, "invalid_request", field, description);
    }
    let all = desk.get("/users").await.ok();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "nothing was made");
    let role = "the role auditor may not do this";
    let auditor = app.desk(&shop, "auditor").await;
    auditor.post("/users", json!({"username": "bo"})).await.refused(403, "forbidden", role);
}

async fn look_alikes_collide(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    let taken = "another user has this user name, or one that looks the same";
    // Full-width, ligature, capital, composed or not.
    desk.post("/users", json!({"username": "o\u{FB03}ce café"})).await.created();
    for name in ["office café", "OFFICE CAFÉ", "office cafe\u{301}", "ｏffice café"] {
        let answer = desk.post("/users", json!({"username": name})).await;
        answer.refused_for(409, "conflict", "username", taken);
    }
    // What upper case makes one is one.
    for (name, again) in [("νικος", "ΝΙΚΟΣ"), ("Straße", "STRASSE")] {
        desk.post("/users", json!({"username": name})).await.created();
        let answer = desk.post("/users", json!({"username": again})).await;
        answer.refused_for(409, "conflict", "username", taken);
    }
    let other = desk.post("/users", json!({"username": "bo"})).await.created();
    let path = format!("/users/{}", other["id"].as_str().unwrap());
    let answer = desk.patch(&path, json!({"username": "ＡＬＩＣＥ"})).await;
    answer.refused_for(409, "conflict", "username", taken);
    // One's own name may be written anew.
    let renamed = desk.patch(&path, json!({"username": "Ｂo"})).await.ok();
    assert_eq!((&renamed["username"], &renamed["version"]), (&json!("Ｂo"), &json!(2)));
}

async fn changed_in_parts(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    let path = format!("/users/{}", shop.user);
    app.app.clock.advance(5);
    let change = json!({"given_name": "Alice", "phone_number": "+351210000000", "phone_number_verified": true,
        "email_verified": true});
    let changed = desk.patch(&path, change).await;
    assert_eq!(changed.etag.as_deref(), Some("\"2\""));
    let changed = changed.ok();
    assert_eq!((&changed["given_name"], &changed["username"]), (&json!("Alice"), &json!("alice")));
    assert_eq!(changed["updated_at"], "2027-01-15T08:00:05Z");

    // Another address, and another number, are not the ones that were verified.
    let change = json!({"email": "new@example.com", "phone_number": "+351210000001", "given_name": null});
    let changed = desk.patch(&path, change).await.ok();
    assert_eq!((&changed["email"], &changed["email_verified"]), (&json!("new@example.com"), &json!(false)));
    assert_eq!((changed.get("given_name"), changed.get("phone_number_verified")), (None, None));
    let changed = desk.patch(&path, json!({"email": null})).await.ok();
    assert_eq!((&changed["email"], &changed["version"]), (&Value::Null, &json!(4)));
    // What stands already changes nothing.
    assert_eq!(desk.patch(&path, json!({"status": "active", "email": null})).await.ok()["version"], 4);
    assert_eq!(desk.patch(&path, json!({})).await.ok()["version"], 4);

    for (body, field, description) in [
        (json!({"status": null}), "status", "status has the wrong type"),
        (json!({"status": "deleted"}), "status", "status must be active or disabled"),
        (json!({"username": null}), "username", "username must be a string"),
        (json!({"email_verified": true}), "email_verified", "email_verified needs an email"),
        (json!({"roles": []}), "roles", "unknown field roles"),
        (json!({"password": "correct horse"}), "password", "unknown field password"),
        (json!({"birthdate": "soon"}), "birthdate", "birthdate is YYYY-MM-DD, 0000-MM-DD or YYYY"),
    ] {
        desk.patch(&path, body).await.refused_for(400, "invalid_request", field, description);
    }
    let late = desk.send(reqwest::Method::PATCH, &path, Some(json!({"name": "x"})), Some("\"3\"")).await;
    let stale = "it was changed since the version that If-Match names";
    late.refused(412, "precondition_failed", stale);
    let timely = desk.send(reqwest::Method::PATCH, &path, Some(json!({"name": "x"})), Some("\"4\"")).await;
    assert_eq!(timely.ok()["name"], "x");
    let nobody = format!("/users/{}", uuid::Uuid::nil());
    desk.patch(&nobody, json!({"name": "x"})).await.refused(404, "not_found", "no such user");
    desk.get("/users/alice").await.refused(404, "not_found", "there is nothing at this address");
}

async fn found_by_prefix(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "auditor").await;
    let manager = app.desk(&shop, "user_manager").await;
    for (name, mail) in [("Alberta", "z@example.com"), ("bo", "Alf@example.com"), ("Zoë", "zoe@example.com")]
    {
        app.app.clock.advance(1);
        manager.post("/users", json!({"username": name, "email": mail})).await.created();
    }
    let search = async |query: &str| {
        let found = desk.get(&format!("/users?{query}")).await.ok();
        let names = found["items"].as_array().unwrap().iter().map(|user| user["username"].clone());
        Value::Array(names.collect())
    };
    assert_eq!(search("search=al").await, json!(["alice", "Alberta", "bo"]));
    assert_eq!(search("search=AL%EF%BC%A2").await, json!(["Alberta"]), "full-width B");
    assert_eq!(search("search=zo").await, json!(["Zoë"]));
    assert_eq!(search("search=zo%C3%AB").await, json!(["Zoë"]));
    assert_eq!(search("search=%25").await, json!([]), "no wildcard");
    assert_eq!(search("search=_lice").await, json!([]));
    assert_eq!(search("search=al&limit=1").await, json!(["alice"]));
    let id = shop.user.to_string();
    assert_eq!(search(&format!("search=al&limit=1&after={id}")).await, json!(["Alberta"]));
    manager.patch(&format!("/users/{id}"), json!({"status": "disabled"})).await.ok();
    assert_eq!(search("search=al&status=active").await, json!(["Alberta", "bo"]));
    assert_eq!(search("status=disabled").await, json!(["alice"]));
    for (query, field, description) in [
        ("search=", "search", "search has 1 to 254 bytes and no control characters"),
        ("search=%00", "search", "search has no control characters"),
        ("status=deleted", "status", "status is active or disabled"),
        ("limit=0", "limit", "limit must lie between 1 and 200"),
        ("after=x", "after", "after is what next of the page before says"),
        ("order=name", "order", "unknown parameter order"),
    ] {
        let answer = desk.get(&format!("/users?{query}")).await;
        answer.refused_for(400, "invalid_request", field, description);
    }
}

async fn listed_in_pages(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "user_manager").await;
    for n in 0..4 {
        app.app.clock.advance(1);
        desk.post("/users", json!({"username": format!("user{n}")})).await.created();
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = desk.get(&format!("/users?limit=2{after}")).await.ok();
        seen.extend(page["items"].as_array().unwrap().iter().map(|user| user["username"].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(json!(seen), json!(["alice", "user0", "user1", "user2", "user3"]));
}

async fn unseen_by_other_projects(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (desk, foreign) = (app.desk(&shop, "owner").await, app.desk(&other, "owner").await);
    let path = format!("/users/{}", shop.user);
    let invalid = "the admin key is not valid here";
    foreign.on(&shop).get(&path).await.refused(401, "invalid_token", invalid);
    foreign.on(&shop).get("/users").await.refused(401, "invalid_token", invalid);
    let none = "no such user";
    foreign.get(&path).await.refused(404, "not_found", none);
    foreign.patch(&path, json!({"status": "disabled"})).await.refused(404, "not_found", none);
    let password = json!({"password": "correct horse battery"});
    foreign.post(&format!("{path}/set-password"), password).await.refused(404, "not_found", none);
    foreign.get(&format!("{path}/sessions")).await.refused(404, "not_found", none);
    foreign.update(json!({"user": shop.user})).await.refused(404, "not_found", none);
    // The same name lives in both; each list has its own.
    let ids = async |desk: &crate::support::Desk<'_>| desk.get("/users").await.ok()["items"].clone();
    assert_eq!(ids(&desk).await[0]["id"], json!(shop.user));
    assert_eq!(ids(&foreign).await[0]["id"], json!(other.user));
    assert_eq!(desk.get("/users?search=alice").await.ok()["items"].as_array().unwrap().len(), 1);
    let page = foreign.get(&format!("/users?after={}", shop.user)).await.ok();
    assert!(
        page["items"].as_array().unwrap().iter().all(|user| user["id"] == json!(other.user)),
        "only where to begin"
    );
}
