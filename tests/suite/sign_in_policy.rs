//! What a project asks of people who sign in: its settings, and which passwords it takes.

use serde_json::{Value, json};

use crate::support::{Engine, PASSWORD, TestApp, both_engines};

both_engines!(
    settings_have_bounds,
    what_weakens_is_in_the_audit_log,
    a_client_asks_for_more_and_never_for_less,
    passwords_are_judged_by_the_projects_rules,
    former_passwords_are_not_used_again,
);

fn sign_in(policy: Value) -> Value {
    json!({"settings": {"sign_in": policy}})
}

async fn settings_have_bounds(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let usual = desk.get("").await.ok()["settings"]["sign_in"].clone();
    let expected = json!({"second_factor": "optional", "factors": ["totp", "passkey"], "passkey_sign_in": true,
        "remember_device_days": 0, "sign_up": "closed", "sign_up_letters_per_hour": 500,
        "password": {"min_length": 8, "min_strength": 2, "blocklist": [], "history": 0}});
    assert_eq!(usual, expected);
    let words = |count: usize| json!({"password": {"blocklist": vec!["word"; count]}});
    let (days, kinds) = ("must lie between 0 and 90", "each of F must be one of totp, passkey, email_code");
    let list = "has at most 200 words of 3 to 64 characters, with no space at either end";
    for (policy, field, bound) in [
        (json!({"second_factor": "always"}), "second_factor", "F must be one of off, optional, required"),
        (json!({"sign_up": "maybe"}), "sign_up", "F must be one of closed, invitation, open"),
        (json!({"factors": ["sms"]}), "factors", kinds),
        (json!({"factors": ["totp", "totp"]}), "factors", "F names each kind once"),
        (json!({"factors": []}), "factors", "F names one kind at least, unless second_factor is off"),
        (json!({"passkey_sign_in": "yes"}), "passkey_sign_in", "F must be a boolean"),
        (json!({"remember_device_days": -1}), "remember_device_days", &format!("F {days}")),
        (json!({"remember_device_days": 91}), "remember_device_days", &format!("F {days}")),
        (
            json!({"sign_up_letters_per_hour": 0}),
            "sign_up_letters_per_hour",
            "F must lie between 1 and 100000",
        ),
        (
            json!({"sign_up_letters_per_hour": 100_001}),
            "sign_up_letters_per_hour",
            "F must lie between 1 and 100000",
        ),
        (json!({"password": {"min_length": 7}}), "password.min_length", "F must lie between 8 and 128"),
        (json!({"password": {"min_length": 129}}), "password.min_length", "F must lie between 8 and 128"),
        (json!({"password": {"min_strength": 5}}), "password.min_strength", "F must lie between 0 and 4"),
        (json!({"password": {"history": 25}}), "password.history", "F must lie between 0 and 24"),
        (json!({"password": {"history": "all"}}), "password.history", "F must be a whole number"),
        (words(201), "password.blocklist", &format!("F {list}")),
        (json!({"password": {"blocklist": ["ab"]}}), "password.blocklist", &format!("F {list}")),
        (json!({"password": {"rotation": 90}}), "password.rotation", "unknown field F"),
        (json!({"sms": true}), "sms", "unknown field F"),
    ] {
        let field = format!("settings.sign_in.{field}");
        let bound = bound.replace('F', &field);
        desk.patch("", sign_in(policy)).await.refused_for(400, "invalid_request", &field, &bound);
    }
    assert_eq!(desk.get("").await.ok()["settings"]["sign_in"], expected, "nothing has changed");
    // What is named changes, within the policy too; null is the default again.
    let changed = json!({"second_factor": "required", "password": {"min_length": 12, "blocklist": ["acme"]}});
    let changed = desk.patch("", sign_in(changed)).await.ok()["settings"]["sign_in"].clone();
    assert_eq!((&changed["second_factor"], &changed["factors"]), (&json!("required"), &expected["factors"]));
    let password = json!({"min_length": 12, "min_strength": 2, "blocklist": ["acme"], "history": 0});
    assert_eq!(changed["password"], password);
    let reset = desk.patch("", sign_in(json!({"second_factor": null, "password": null}))).await.ok();
    assert_eq!(reset["settings"]["sign_in"], expected);
    let off = desk.patch("", sign_in(json!({"second_factor": "off", "factors": []}))).await.ok();
    assert_eq!(off["settings"]["sign_in"]["factors"], json!([]));
}

async fn what_weakens_is_in_the_audit_log(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (desk, client) = (app.desk(&shop, "admin").await, format!("/clients/{}", shop.id));
    let last = async |action: &str| {
        let read = desk.get(&format!("/audit?action={action}&limit=1")).await.ok();
        read["items"][0]["detail"].clone()
    };
    desk.patch("", sign_in(json!({"second_factor": "required"}))).await.ok();
    assert_eq!(last("project.changed").await["weakened"], Value::Null);
    let weaker = json!({"second_factor": "off", "remember_device_days": 30, "password": {"min_strength": 0}});
    desk.patch("", sign_in(weaker)).await.ok();
    let named = ["second_factor", "remember_device_days", "password.min_strength"];
    assert_eq!(
        last("project.changed").await["weakened"],
        json!(named.map(|name| format!("settings.sign_in.{name}")))
    );
    desk.patch(&client, json!({"second_factor": "required"})).await.ok();
    assert_eq!(last("client.changed").await["weakened"], Value::Null);
    desk.patch(&client, json!({"second_factor": "optional"})).await.ok();
    assert_eq!(last("client.changed").await["weakened"], json!(["second_factor"]));
}

async fn a_client_asks_for_more_and_never_for_less(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (desk, client) = (app.desk(&shop, "admin").await, format!("/clients/{}", shop.id));
    assert_eq!(desk.get(&client).await.ok()["second_factor"], Value::Null);
    let bound =
        "second_factor is optional, required, or left out: a client asks for no less than its project";
    desk.patch(&client, json!({"second_factor": "off"})).await.refused_for(
        400,
        "invalid_request",
        "second_factor",
        bound,
    );
    let changed = desk.patch(&client, json!({"second_factor": "required"})).await.ok();
    assert_eq!(changed["second_factor"], "required");
}

async fn passwords_are_judged_by_the_projects_rules(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let desk = app.desk(&shop, "admin").await;
    let password = format!("/users/{}/set-password", shop.user);
    let refused = async |text: &str, rule: &str, description: &str| {
        let body = json!({"error": "invalid_request", "error_description": description, "field": "password",
            "rule": rule});
        let set = desk.post(&password, json!({"password": text})).await;
        assert_eq!((set.status, &set.body), (400, &body), "{text}");
        let made = desk
            .post("/users", json!({"username": "alice-2", "email": "alice@example.com", "password": text}));
        let made = made.await;
        assert_eq!((made.status, &made.body), (400, &body), "{text}");
    };
    let weak = |score: u8| {
        format!("password is too easy to guess: its strength is {score}, and this project asks for 2 of 4")
    };
    refused("password", "min_strength", &weak(0)).await;
    // What everybody knows of a person makes no password.
    refused("alice@example.com", "min_strength", &weak(0)).await;
    let rules = json!({"min_length": 20, "min_strength": 0, "blocklist": ["Battery"]});
    desk.patch("", sign_in(json!({"password": rules}))).await.ok();
    refused("nineteen characters", "min_length", "password has at least 20 characters").await;
    let blocked = "password contains a word that this project does not allow";
    refused(PASSWORD, "blocklist", blocked).await;
    desk.post(&password, json!({"password": "aaaaaaaaaaaaaaaaaaaa"})).await.ok();
    // Another project's rules are its own.
    let theirs = format!("/users/{}/set-password", other.user);
    app.desk(&other, "admin").await.post(&theirs, json!({"password": PASSWORD})).await.ok();
}

async fn former_passwords_are_not_used_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let path = format!("/users/{}/set-password", shop.user);
    let set = async |text: &str| {
        app.app.clock.advance(1);
        desk.post(&path, json!({"password": text})).await
    };
    let used = async |text: &str| {
        let answer = set(text).await;
        assert_eq!((answer.status, &answer.body["rule"]), (400, &json!("history")), "{text}");
        assert_eq!(answer.body["error_description"], "password was used before");
    };
    let [first, second, third] =
        ["violet stapler 34", "quiet harbour 71", "marble lantern 58"].map(str::to_owned);
    set(PASSWORD).await.ok();
    desk.patch("", sign_in(json!({"password": {"history": 3}}))).await.ok();
    used(PASSWORD).await;
    for text in [&first, &second] {
        set(text).await.ok();
    }
    for text in [PASSWORD, &first, &second] {
        used(text).await;
    }
    set(&third).await.ok();
    // The last three are not used again; the one before them is free.
    for text in [&first, &second, &third] {
        used(text).await;
    }
    set(PASSWORD).await.ok();
    // A project that keeps none forgets them.
    desk.patch("", sign_in(json!({"password": {"history": 0}}))).await.ok();
    set(&third).await.ok();
    let kept = app.app.db.read(|conn| async move {
        tessera::store::db::fetch_one!(conn, (i64,), "SELECT count(*) FROM password_history")
    });
    assert_eq!(kept.await.unwrap().0, 0);
}
