//! The events of the table event × epoch, as an admin makes them happen.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::REASON;

/// What an act raises.
const NOTHING: &[&str] = &[];
const CLIENT: &[&str] = &["client"];
const PROJECT: &[&str] = &["project"];
const TOKENS: &[&str] = &["alice's tokens"];
const ALL_OF_ALICE: &[&str] = &["alice's browsers", "alice's tokens"];

/// What an admin does, what it raises, and what it ends without. `{c}` is the client, `{u}` the user, `{f}` the family of
/// the access token, `{b}` the browser session of the cookie, `{d}` the deletion that was asked for.
pub struct Act {
    pub method: Method,
    pub path: &'static str,
    pub body: Value,
    pub raises: &'static [&'static str],
    pub ends: &'static [&'static str],
}

fn act(method: Method, path: &'static str, body: Value, raises: &'static [&'static str]) -> Act {
    Act { method, path, body, raises, ends: &[] }
}

/// Ends one session of alice.
fn end(path: &'static str, ends: &'static [&'static str]) -> Act {
    Act { ends, ..act(Method::DELETE, path, Value::Null, NOTHING) }
}

/// Asks for a deletion, and confirms it.
fn deletion() -> [Act; 2] {
    let ask = json!({"user": "{u}", "reason": REASON});
    let confirm = json!({"deletion_id": "{d}", "confirmation": "alice"});
    [
        act(Method::POST, "/api/delete-user", ask, NOTHING),
        act(Method::POST, "/api/delete-user/confirm", confirm, ALL_OF_ALICE),
    ]
}

/// What an admin does to a user.
pub fn acts_on_users() -> Vec<Vec<Act>> {
    let (post, patch) = (Method::POST, Method::PATCH);
    let status = |status: &str| json!({"status": status});
    let window = act(patch.clone(), "/", json!({"settings": {"deletion_restore_days": 3}}), NOTHING);
    let cancel = act(post.clone(), "/api/delete-user/cancel", json!({"deletion_id": "{d}"}), NOTHING);
    vec![
        vec![
            act(patch.clone(), "/users/{u}", status("disabled"), ALL_OF_ALICE),
            act(patch.clone(), "/users/{u}", status("disabled"), NOTHING),
            act(patch.clone(), "/users/{u}", status("active"), NOTHING),
        ],
        vec![act(
            post.clone(),
            "/users/{u}/set-password",
            json!({"password": "another long one"}),
            ALL_OF_ALICE,
        )],
        vec![act(patch, "/users/{u}", json!({"given_name": "Alice"}), NOTHING)],
        vec![act(post.clone(), "/api/attribute-update", json!({"user": "{u}", "set": {}}), NOTHING)],
        vec![act(post, "/api/delete-user", json!({"user": "{u}", "dry_run": true}), NOTHING)],
        deletion().into(),
        [window].into_iter().chain(deletion()).chain([cancel]).collect(),
        vec![end("/users/{u}/sessions/{f}", &["access token", "refresh token"])],
        vec![end("/users/{u}/sessions/{b}", &["cookie", "code", "online refresh token"])],
    ]
}

/// Acts by what they are done to. Acts of one line are done one after the other: the second begins where the first has
/// ended what lived, and must neither raise anything more than it says nor bring anything back.
pub fn acts() -> Vec<Vec<Act>> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let status = |status: &str| json!({"status": status});
    vec![
        vec![act(get, "/", Value::Null, NOTHING)],
        vec![act(patch.clone(), "/", json!({"name": "Other", "settings": {"max_families": 9}}), NOTHING)],
        vec![
            act(patch.clone(), "/", status("disabled"), PROJECT),
            act(patch.clone(), "/", status("disabled"), NOTHING),
            act(patch.clone(), "/", status("active"), NOTHING),
        ],
        vec![act(patch.clone(), "/", json!({"settings": {"brand": {"accent": "#0b6e4f"}}}), NOTHING)],
        vec![act(delete.clone(), "/logo", Value::Null, NOTHING)],
        vec![act(post.clone(), "/end-all-sessions", json!({}), PROJECT)],
        vec![act(post.clone(), "/end-all-sessions?dry_run=true", json!({}), NOTHING)],
        vec![act(delete.clone(), "/?dry_run=true", Value::Null, NOTHING)],
        vec![act(delete.clone(), "/", json!({"reason": REASON}), PROJECT)],
        vec![act(post.clone(), "/clients", json!({"client_name": "New", "type": "public"}), NOTHING)],
        vec![act(patch.clone(), "/clients/{c}", json!({"client_name": "Other", "scope": "openid"}), NOTHING)],
        vec![
            act(patch.clone(), "/clients/{c}", status("disabled"), CLIENT),
            act(patch.clone(), "/clients/{c}", status("active"), NOTHING),
        ],
        vec![act(delete.clone(), "/clients/{c}?dry_run=true", Value::Null, NOTHING)],
        vec![act(delete.clone(), "/clients/{c}", Value::Null, CLIENT)],
        vec![
            act(post.clone(), "/clients/{c}/rotate-secret", json!({}), NOTHING),
            act(delete.clone(), "/clients/{c}/secrets/2", Value::Null, NOTHING),
        ],
        vec![act(post.clone(), "/clients/{c}/rotate-secret", json!({"leaked": true}), CLIENT)],
        vec![act(Method::PUT, "/api/token-validity?client_id={c}", json!({"access_token": 2}), NOTHING)],
        vec![act(post.clone(), "/api/GlobalSignOut", json!({"user": "{u}"}), TOKENS)],
        vec![act(
            post,
            "/api/GlobalSignOut",
            json!({"user": "{u}", "end_browser_sessions": true}),
            ALL_OF_ALICE,
        )],
    ]
}
