//! The built-in project is not a way to more rights: who may change something in it, and what never changes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::process::{Said, run, settings_of};
use crate::support::{
    Engine, Hall, Held, PASSWORD, REDIRECT, TestApp, both_engines, hold_queue, number, until_somebody_waits,
};

both_engines!(
    lesser_admins_change_nobody_in_it,
    nobody_acts_on_themselves,
    it_stays_as_it_is,
    the_command_line_says_whether_two_factors_are_needed,
    roles_are_revoked_while_a_password_is_hashed,
    a_sign_out_is_in_time_for_the_unit,
);

const OWNERS: &str = "only owners of all projects change anything in the built-in project admin";

/// Whoever manages users everywhere could give an owner another password, and be one.
async fn lesser_admins_change_nobody_in_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let hall = Hall::new(&app).await;
    let (alice, home) = (hall.console.user, hall.console.project);
    hall.give(alice, "owner", None).await;
    let one = format!("/projects/admin/users/{alice}");
    let mut admins = Vec::new();
    for role in ["admin", "user_manager"] {
        admins.push(app.admin_key(None, role).await);
        admins.push(hall.admin(&format!("all-{role}"), role, None).await.1);
    }
    for role in ["owner", "admin", "user_manager"] {
        admins.push(app.admin_key(Some(home), role).await);
        admins.push(hall.admin(&format!("home-{role}"), role, Some(home)).await.1);
    }
    let before = number(&app.app.db, "SELECT count(*) AS n FROM audit_log").await;
    for admin in &admins {
        let refused = async |method: Method, path: &str, body: Value| {
            app.admin(admin, method, path, body).await.refused(403, "forbidden", OWNERS);
        };
        let password = json!({"password": "mine from now on, thanks"});
        refused(Method::POST, &format!("{one}/set-password"), password).await;
        refused(Method::PATCH, &one, json!({"email": "me@evil.example"})).await;
        refused(Method::PATCH, &one, json!({"status": "disabled"})).await;
        refused(Method::DELETE, &format!("{one}/factors"), json!({})).await;
        refused(Method::POST, "/projects/admin/users", json!({"username": "x"})).await;
        refused(Method::POST, "/projects/admin/invitations", json!({"email": "me@evil.example"})).await;
        let user = json!({"user": alice});
        app.bearer(&hall.console, "GlobalSignOut", admin, user.clone()).await.refused(
            403,
            "forbidden",
            OWNERS,
        );
        app.bearer(&hall.console, "attribute-update", admin, user).await.refused(403, "forbidden", OWNERS);
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM audit_log").await, before);
    for admin in [&admins[0], &admins[1], &admins[6], &admins[7]] {
        let path = format!("/projects/admin/clients/{}", hall.console.id);
        let theirs = json!({"redirect_uris": ["https://evil.example/cb"]});
        app.admin_patch(admin, &path, theirs).await.refused(403, "forbidden", OWNERS);
        let client = json!({"client_name": "x", "type": "public", "scope": "admin"});
        app.admin_post(admin, "/projects/admin/clients", client).await.refused(403, "forbidden", OWNERS);
        let weak = json!({"settings": {"sign_in": {"second_factor": "optional"}}});
        app.admin_patch(admin, "/projects/admin", weak).await.refused(403, "forbidden", OWNERS);
        let letter = json!({"subject": "x", "text": "x"});
        let path = "/projects/admin/mail-templates/password_reset/en";
        app.admin(admin, Method::PUT, path, letter).await.refused(403, "forbidden", OWNERS);
        let reason = json!({"user": alice, "reason": "in the way of me"});
        app.bearer(&hall.console, "delete-user", admin, reason).await.refused(403, "forbidden", OWNERS);
        // Looking is as everywhere, but for what is all there is of somebody.
        app.admin_get(admin, &format!("{one}/export")).await.refused(403, "forbidden", OWNERS);
        app.admin_get(admin, "/projects/admin/users").await.ok();
    }
    let refused = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_refused'";
    assert_eq!(number(&app.app.db, refused).await, 4, "each of them left a trace");
    // Owners of everything do, keys and people alike.
    let (_, token) = hall.admin("olga", "owner", None).await;
    let judged =
        app.bearer(&hall.console, "verifyaccesstoken", &token, json!({"access_token": "x"})).await.ok();
    assert_eq!(judged["reason"], "malformed");
    let held = app.admin_get(&token, &format!("{one}/export")).await.ok();
    assert_eq!(
        (&held["admin_roles"][0]["role"], &held["admin_roles"][0]["project"]),
        (&json!("owner"), &json!(null))
    );
    for owner in [&hall.owner, &token] {
        app.admin_patch(owner, &one, json!({"nickname": "Al"})).await.ok();
        app.admin_patch(owner, &one, json!({"nickname": null})).await.ok();
    }
}

async fn nobody_acts_on_themselves(engine: Engine) {
    let app = TestApp::new(engine).await;
    let hall = Hall::new(&app).await;
    let (user, token) = hall.admin("ben", "owner", None).await;
    let own = "nobody changes their own account as an admin: the account page is for that";
    let one = format!("/projects/admin/users/{user}");
    let password = json!({"password": "whoever found the token"});
    app.admin_post(&token, &format!("{one}/set-password"), password).await.refused(403, "forbidden", own);
    app.admin_patch(&token, &one, json!({"email": "me@evil.example"})).await.refused(403, "forbidden", own);
    app.admin_delete(&token, &format!("{one}/factors")).await.refused(403, "forbidden", own);
    for user in [json!(user), json!({"username": "ben"})] {
        let named = json!({"user": user, "set": {}, "roles": {"add": []}});
        app.bearer(&hall.console, "attribute-update", &token, named).await.ok();
        let body = json!({"user": user});
        app.bearer(&hall.console, "GlobalSignOut", &token, body).await.refused(403, "forbidden", own);
        let body = json!({"user": user, "reason": "nobody will miss them"});
        app.bearer(&hall.console, "delete-user", &token, body).await.refused(403, "forbidden", own);
    }
    // What is asked for by another one is not theirs to confirm either.
    let asked = json!({"user": user, "reason": "nobody will miss them"});
    let asked = app.bearer(&hall.console, "delete-user", &hall.owner, asked).await.body;
    let confirm = json!({"deletion_id": asked["deletion_id"], "confirmation": "ben"});
    assert_eq!(app.bearer(&hall.console, "delete-user/confirm", &token, confirm).await.status, 403);
    let cancel = json!({"deletion_id": asked["deletion_id"]});
    app.bearer(&hall.console, "delete-user/cancel", &token, cancel).await.refused(403, "forbidden", own);
    // A role may be given up.
    let listed = app.admin_get(&token, "/admins").await.ok();
    let id = listed["items"][0]["id"].as_str().unwrap();
    app.admin_delete(&token, &format!("/admins/{id}")).await.ok();
    assert_eq!(app.admin_get(&token, "/admins").await.status, 401);
}

async fn it_stays_as_it_is(engine: Engine) {
    let app = TestApp::new(engine).await;
    let hall = Hall::new(&app).await;
    let owner = &hall.owner;
    let off = app.admin_patch(owner, "/projects/admin", json!({"status": "disabled"})).await;
    let why = "the built-in project admin is never switched off";
    off.refused_for(409, "conflict", "status", why);
    for (settings, field, bound) in [
        (json!({"sign_in": {"second_factor": "off"}}), "sign_in.second_factor", "is optional at least"),
        (json!({"sign_in": {"sign_up": "open"}}), "sign_in.sign_up", "is closed"),
        (json!({"sign_in": {"sign_up": "invitation"}}), "sign_in.sign_up", "is closed"),
        (json!({"sign_in": {"factors": ["totp", "email_code"]}}), "sign_in.factors", "has no email_code"),
        (json!({"sign_in": {"remember_device_days": 1}}), "sign_in.remember_device_days", "is 0"),
        (json!({"self_deletion": true}), "self_deletion", "is off"),
        (json!({"deletion_protection": false}), "deletion_protection", "is on"),
    ] {
        let field = format!("settings.{field}");
        let why = format!("{field} of the built-in project admin {bound}");
        let refused = app.admin_patch(owner, "/projects/admin", json!({"settings": settings})).await;
        refused.refused_for(400, "invalid_request", &field, &why);
    }
    let kind = app.admin_patch(owner, "/projects/admin", json!({"kind": "sandbox"})).await;
    kind.refused_for(400, "invalid_request", "kind", "unknown field kind");
    app.admin_patch(
        owner,
        "/projects/admin",
        json!({"settings": {"sign_in": {"second_factor": "required"}}}),
    )
    .await
    .ok();
    // And stays, whoever asks.
    let field = "settings.sign_in.second_factor";
    let why = "settings.sign_in.second_factor of the built-in project admin is lowered on the command line alone: tessera admin \
               second-factor optional";
    let lower = json!({"settings": {"sign_in": {"second_factor": "optional"}}});
    app.admin_patch(owner, "/projects/admin", lower).await.refused_for(403, "forbidden", field, why);
    let shown = app.admin_get(owner, "/projects/admin").await.ok();
    assert_eq!(shown["settings"]["sign_in"]["second_factor"], "required");
    let why = "the built-in project admin is never deleted";
    app.admin_delete(owner, "/projects/admin").await.refused(409, "conflict", why);
    let why = "the scope admin of the built-in project is never deleted";
    app.admin_delete(owner, "/projects/admin/scopes/admin").await.refused(409, "conflict", why);
    let clock = app.admin_post(owner, "/projects/admin/sandbox/clock", json!({"advance_seconds": 60})).await;
    assert_eq!(clock.status, 409, "{}", clock.body);
    // Nobody signs up.
    let page = app.http.get(app.project_url(&hall.console, "/sign-up")).send().await.unwrap();
    assert!(page.status().as_u16() >= 400);
}

async fn the_command_line_says_whether_two_factors_are_needed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let hall = Hall::new(&app).await;
    let settings = settings_of(&app);
    let said = |policy: &str| run(&["admin", "second-factor", policy, "--json"], &settings, "");
    let shown = |said: Said| {
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        serde_json::from_str::<Value>(&said.out).unwrap()
    };
    // Where a password alone leads somebody.
    let leads_to = async || {
        let (cookie, sealed) = app.sign_in_page(&hall.console, "").await;
        let answer = app.submit(&hall.console, &cookie, &sealed, PASSWORD).await;
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        location.split('?').next().unwrap().to_owned()
    };
    assert_eq!(leads_to().await, REDIRECT);
    assert_eq!(shown(said("required")), json!({"second_factor": "required"}));
    assert_eq!(leads_to().await, "/projects/admin/enrol");
    // Over the API nobody lowers it; the command does.
    let lower = json!({"settings": {"sign_in": {"second_factor": "optional"}}});
    assert_eq!(app.admin_patch(&hall.owner, "/projects/admin", lower).await.status, 403);
    assert_eq!(shown(said("optional")), json!({"second_factor": "optional"}));
    assert_eq!(leads_to().await, REDIRECT);
    for (policy, why) in [
        ("off", "error: settings.sign_in.second_factor of the built-in project admin is optional at least"),
        ("none", "error: settings.sign_in.second_factor must be one of off, optional, required"),
    ] {
        let refused = said(policy);
        assert_eq!((refused.code, refused.err.trim_end()), (Some(1), why));
    }
    assert_eq!(leads_to().await, REDIRECT);
    let audit = app.admin_get(&hall.owner, "/projects/admin/audit?action=project.changed").await.ok();
    let actors: Vec<_> = audit["items"].as_array().unwrap().iter().map(|entry| &entry["actor"]).collect();
    assert_eq!(actors, ["command_line", "command_line"]);
}

async fn roles_are_revoked_while_a_password_is_hashed(engine: Engine) {
    let app = TestApp::new(engine).await;
    app.shop("shop", "confidential").await;
    let (hall, node) = (Hall::new(&app).await, app.second_node().await);
    let user = hall.person("ben").await;
    for way in ["role", "sign-out", "disabled"] {
        app.admin_patch(&hall.owner, &format!("/projects/admin/users/{user}"), json!({"status": "active"}))
            .await
            .ok();
        let role = hall.give(user, "user_manager", None).await;
        let token = hall.token("ben").await;
        let go = hold_queue(&app.app.hasher, 2).await;
        let ended = async {
            until_somebody_waits(&app.app.hasher).await;
            match way {
                "role" => drop(node.admin_delete(&hall.owner, &format!("/admins/{role}")).await.ok()),
                "sign-out" => drop(
                    node.bearer(&hall.console, "GlobalSignOut", &hall.owner, json!({"user": user}))
                        .await
                        .ok(),
                ),
                _ => {
                    let path = format!("/projects/admin/users/{user}");
                    drop(node.admin_patch(&hall.owner, &path, json!({"status": "disabled"})).await.ok());
                }
            }
            drop(go);
        };
        let new = json!({"username": "bo", "password": "another long one"});
        let (answer, ()) = tokio::join!(app.admin_post(&token, "/projects/shop/users", new), ended);
        assert_eq!(
            (answer.status, &answer.body["error"]),
            (401, &json!("invalid_token")),
            "{way}: {}",
            answer.body
        );
        if way != "role" {
            app.admin_delete(&hall.owner, &format!("/admins/{role}")).await.ok();
        }
    }
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users WHERE username = 'bo'").await, 0);
}

/// The end of the session stands uncommitted while the act arrives: it waits, and then comes to nothing.
async fn a_sign_out_is_in_time_for_the_unit(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let hall = Hall::new(&app).await;
    let (user, token) = hall.admin("ben", "user_manager", None).await;
    let home = hall.console.project;
    let held = Held::new(&app, move |conn| async move {
        let now = tessera::model::timestamp::Timestamp::from_micros(crate::support::START + 5);
        tessera::store::users::raise_epochs(&conn, home, now, user, false).await.map(drop)
    })
    .await;
    let path = format!("/projects/shop/users/{}", shop.user);
    let act = app.admin_patch(&token, &path, json!({"nickname": "x"}));
    let (answer, ()) = tokio::join!(act, held.commit_when_awaited(&app, 1));
    assert_eq!((answer.status, &answer.body["reason"]), (401, &json!("signed_out")), "{}", answer.body);
    let nobody = "SELECT count(*) AS n FROM users WHERE profile LIKE '%nickname%'";
    assert_eq!(number(&app.app.db, nobody).await, 0);
}
