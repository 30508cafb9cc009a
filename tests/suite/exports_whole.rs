//! The export against the schema: wherever a row names a user, it is told, or there is a reason why not.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::delete_user_traces::{lives_here, node};
use crate::jobs_project_rows::tables_with;
use crate::support::{Deleting, Engine, Receiver, both_engines};

both_engines!(whatever_is_held_is_told);

/// What of the export tells of a table.
const TOLD: [(&str, &str); 18] = [
    ("audit_log", "/events"),
    ("browser_sessions", "/sessions"),
    ("consents", "/consents"),
    ("credentials", "/credentials"),
    ("deletion_guards", "/guards"),
    ("deletions", "/deletions"),
    ("events", "/sign_ins"),
    ("mail_links", "/links"),
    ("outbox", "/messages"),
    ("passkeys", "/passkeys"),
    ("recovery_sets", "/factors/recovery_codes_left"),
    ("remembered_devices", "/remembered"),
    ("token_families", "/sessions"),
    ("totp_factors", "/factors/items"),
    ("user_attributes", "/user/attributes"),
    ("user_groups", "/user/groups"),
    ("user_roles", "/user/roles"),
    // Of users of the built-in project alone.
    ("admin_grants", "/admin_roles"),
];

/// What nobody is told, and why.
const NOT_TOLD: [(&str, &str); 8] = [
    ("authorization_codes", "good for a minute, and then a session, which is told"),
    ("bulk_deletion_users", "when it is carried out, a deletion of the user's own, which is told"),
    ("device_grants", "good for minutes, and then a session, which is told"),
    ("known_places", "keyed hashes, out of which nobody makes a place again"),
    ("password_history", "hashes of passwords"),
    ("recovery_codes", "hashes of codes; how many are left is told"),
    ("sign_ins_in_progress", "over within the hour; what comes of it is a sign-in, which is told"),
    ("user_keys", "the key that opens what is told"),
];

async fn whatever_is_held_is_told(engine: Engine) {
    let told = TOLD.iter().chain(&NOT_TOLD).map(|(table, _)| *table);
    assert_eq!(told.collect::<BTreeSet<_>>(), tables_with("user_id"));

    let mails = tempfile::tempdir().unwrap();
    let app = node(engine, mails.path()).await;
    let shop = app.device_shop("shop", "confidential").await;
    let server = Receiver::start().await;
    let office = app.called_from("198.51.100.4", "Desk/1.0");
    lives_here(&app, &office, &shop, &server).await;
    Deleting::new(&office, &shop).await.asked().await;
    let desk = office.desk(&shop, "admin").await;
    let guard = json!({"reason": "case 4711 of the court"});
    let path = format!("/users/{}/legal-hold", shop.user);
    desk.send(Method::PUT, &path, Some(guard), None).await.created();
    let held = desk.get(&format!("/users/{}/export", shop.user)).await.ok();
    for (table, pointer) in TOLD.iter().filter(|(table, _)| *table != "admin_grants") {
        let is_there = match held.pointer(pointer) {
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(members)) => !members.is_empty(),
            Some(Value::Number(number)) => number.as_i64() > Some(0),
            _ => false,
        };
        assert!(is_there, "{table}: no {pointer} in {held:#}");
    }
    // A letter by name and address, and not the link that is in it.
    let messages = held["messages"].as_array().unwrap();
    let letter = messages.iter().find(|message| message["letter"] == "change_address").unwrap();
    let expected = json!({"kind": "mail", "state": "waiting", "letter": "change_address",
        "address": "penguin-post@example.net", "created_at": letter["created_at"]});
    assert_eq!(letter, &expected);
    let token = messages.iter().find(|message| message["kind"] == "logout_token").unwrap();
    assert_eq!(token["client_id"], json!(shop.id));
    assert!(!held.to_string().contains("tml_"));
}
