//! A person's passkeys over the API: made, seen, named, removed; and every wrong way to make one.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;
use tessera::projects;
use tessera::secret::{Secret, decode_base64url, encode_base64url};

use crate::support::{
    Answer, Engine, PASSWORD, REDIRECT, Shop, SoftPasskey, TestApp, Tokens, Way, both_engines,
};

both_engines!(
    made_named_and_removed,
    what_is_wrong_is_named,
    a_challenge_is_for_one_person_and_one_session,
    a_challenge_is_used_once,
    ten_at_most,
    one_credential_one_owner,
    a_fresh_sign_in_is_asked_for,
    not_for_others,
    at_an_address_there_are_none,
    the_project_may_want_none,
    they_go_with_their_owner,
    what_has_ended_makes_none,
);

const WRONG_CHALLENGE: &str = "the challenge was made for something else, is too old, or has been used";

/// Alice, signed in.
async fn alice(app: &TestApp, slug: &str) -> (Shop, String) {
    let shop = app.shop(slug, "confidential").await;
    app.desk(&shop, "owner").await.count_no_factor().await;
    let token = app.sign_in(&shop).await.get("access_token").to_owned();
    (shop, token)
}

/// Bob of the same project, signed in.
async fn bob(app: &TestApp, shop: &Shop) -> String {
    projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    app.sign_in_as(shop, "bob").await.get("access_token").to_owned()
}

fn made(app: &TestApp, begun: &Value, way: &Way) -> Value {
    SoftPasskey::create(&app.app.base_url, &begun["options"], way).1
}

async fn listed(app: &TestApp, shop: &Shop, token: &str) -> Vec<Value> {
    let listed = app.passkeys(shop, token, Method::GET, "", None).await.ok();
    listed["items"].as_array().unwrap().clone()
}

async fn made_named_and_removed(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    let begun = app.begin_passkey(&shop, &token).await;
    let options = &begun["options"];
    assert_eq!(options["rp"], json!({"id": "localhost", "name": "shop"}));
    assert_eq!((&options["user"]["name"], &options["attestation"]), (&json!("alice"), &json!("none")));
    let selection = &options["authenticatorSelection"];
    assert_eq!(selection["residentKey"], "required");
    assert_eq!(
        (&selection["requireResidentKey"], &selection["userVerification"]),
        (&json!(true), &json!("required"))
    );
    let handle = decode_base64url(options["user"]["id"].as_str().unwrap()).unwrap();
    assert!(handle.len() == 16 && handle != shop.user.0.as_bytes());
    let made =
        app.finish_passkey(&shop, &token, &begun, &made(&app, &begun, &Way::default())).await.created();
    let at = "2027-01-15T08:00:00Z";
    let id = made["id"].as_str().unwrap();
    let mut shown = json!({"id": id, "name": "Laptop", "created_at": at, "last_used_at": null, "backed_up": false, "usable": true});
    assert_eq!(made, shown);
    assert_eq!(listed(&app, &shop, &token).await, [shown.clone()]);
    // The next one is for another authenticator, of the same person.
    let second = app.begin_passkey(&shop, &token).await;
    assert_eq!(second["options"]["user"]["id"], options["user"]["id"]);
    assert_eq!(second["options"]["excludeCredentials"].as_array().unwrap().len(), 1);
    app.new_passkey(&shop, &token, &Way { synced: true, ..Way::default() }).await;
    assert_eq!(listed(&app, &shop, &token).await.iter().filter(|one| one["backed_up"] == true).count(), 1);

    let (path, name) = (format!("/{id}"), json!({"name": "Grandmother's phone"}));
    shown["name"] = name["name"].clone();
    assert_eq!(app.passkeys(&shop, &token, Method::PATCH, &path, Some(name.clone())).await.ok(), shown);
    let bound = "name has 1 to 128 characters, no control characters and no space at either end";
    for bad in ["", " ", "a\u{7}", &"a".repeat(129)] {
        let refused = app.passkeys(&shop, &token, Method::PATCH, &path, Some(json!({"name": bad}))).await;
        refused.refused_for(400, "invalid_request", "name", bound);
    }
    // Another person has no such passkey.
    let other = bob(&app, &shop).await;
    assert!(listed(&app, &shop, &other).await.is_empty());
    for (method, body) in [(Method::PATCH, Some(name)), (Method::DELETE, None)] {
        app.passkeys(&shop, &other, method, &path, body).await.refused(404, "not_found", "no such passkey");
    }
    assert_eq!(app.passkeys(&shop, &token, Method::DELETE, &path, None).await.ok(), json!({"id": id}));
    app.passkeys(&shop, &token, Method::DELETE, &path, None).await.refused(
        404,
        "not_found",
        "no such passkey",
    );
    assert_eq!(listed(&app, &shop, &token).await.len(), 1);
    let owner = app.admin_key(None, "owner").await;
    for (action, times) in [("factor.added", 2), ("factor.removed", 1)] {
        let log = app.admin_get(&owner, &format!("/projects/shop/audit?action={action}")).await.ok();
        let events = log["items"].as_array().unwrap();
        assert_eq!(events.len(), times, "{log}");
        assert_eq!(
            (&events[0]["detail"]["kind"], &events[0]["actor_kind"]),
            (&json!("passkey"), &json!("user"))
        );
    }
}

async fn what_is_wrong_is_named(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    let begun = app.begin_passkey(&shop, &token).await;
    let normal = Way::default();
    for (way, why) in [
        (
            Way { origin: Some("https://evil.example"), ..normal.clone() },
            "the credential was made at another origin",
        ),
        (
            Way { origin: Some("http://localhost:1"), ..normal.clone() },
            "the credential was made at another origin",
        ),
        (
            Way { origin: Some("http://shop.localhost"), ..normal.clone() },
            "the credential was made at another origin",
        ),
        (
            Way { cross_origin: true, ..normal.clone() },
            "the credential was made in a frame of another origin",
        ),
        (Way { rp_id: Some("evil.example"), ..normal.clone() }, "the credential was made for another RP ID"),
        (Way { kind: Some("webauthn.get"), ..normal.clone() }, "the credential was made for another purpose"),
        (Way { unverified: true, ..normal.clone() }, "the authenticator has not verified the person"),
        (Way { absent: true, ..normal.clone() }, "the authenticator has not verified the person"),
        (
            Way { challenge: Some(encode_base64url(&[7; 32])), ..normal.clone() },
            "the credential answers another challenge",
        ),
        (Way { id: Some(vec![1; 15]), ..normal.clone() }, "the id of the passkey has 16 to 1023 bytes"),
        (Way { id: Some(vec![1; 1024]), ..normal.clone() }, "the id of the passkey has 16 to 1023 bytes"),
    ] {
        let credential = made(&app, &begun, &way);
        let refused = app.finish_passkey(&shop, &token, &begun, &credential).await;
        refused.refused_for(400, "invalid_request", "credential", why);
    }
    let good = made(&app, &begun, &normal);
    let mut broken = good.clone();
    broken["response"]["attestationObject"] = json!(encode_base64url(b"\xa1"));
    let refused = app.finish_passkey(&shop, &token, &begun, &broken).await;
    refused.refused_for(400, "invalid_request", "credential", "the credential is not valid");
    for nothing in
        [json!({}), json!("text"), json!(null), json!({"id": "a", "rawId": "!", "type": "public-key"})]
    {
        let refused = app.finish_passkey(&shop, &token, &begun, &nothing).await;
        let why = "credential is not a PublicKeyCredential of navigator.credentials.create";
        refused.refused_for(400, "invalid_request", "credential", why);
    }
    let sealed = begun["challenge"].as_str().unwrap();
    for challenge in ["", "AAAA", &sealed[1..], &format!("{sealed}A")] {
        let refused = app.finish_passkey(&shop, &token, &json!({"challenge": challenge}), &good).await;
        refused.refused_for(400, "invalid_request", "challenge", WRONG_CHALLENGE);
    }
    // None of it has used the challenge up, or left anything.
    assert!(listed(&app, &shop, &token).await.is_empty());
    app.finish_passkey(&shop, &token, &begun, &good).await.created();
}

async fn a_challenge_is_for_one_person_and_one_session(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    let (other_shop, other_token) = alice(&app, "other").await;
    let begun = app.begin_passkey(&shop, &token).await;
    let good = made(&app, &begun, &Way::default());
    let again = app.sign_in(&shop).await.get("access_token").to_owned();
    let bobs = bob(&app, &shop).await;
    for (shop, token) in [(&shop, &again), (&shop, &bobs), (&other_shop, &other_token)] {
        let refused = app.finish_passkey(shop, token, &begun, &good).await;
        refused.refused_for(400, "invalid_request", "challenge", WRONG_CHALLENGE);
    }
    // What answers one question answers no other.
    let second = app.begin_passkey(&shop, &token).await;
    let refused = app.finish_passkey(&shop, &token, &second, &good).await;
    refused.refused_for(400, "invalid_request", "credential", "the credential answers another challenge");
    // Nor is it open for ever.
    app.app.clock.advance(600);
    let late = app.finish_passkey(&shop, &token, &begun, &good).await;
    assert_eq!((late.status, &late.body["error"]), (401, &json!("insufficient_user_authentication")));
}

async fn a_challenge_is_used_once(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    let begun = app.begin_passkey(&shop, &token).await;
    let (one, other) = (made(&app, &begun, &Way::default()), made(&app, &begun, &Way::default()));
    // Two passkeys at once for one challenge: one is taken.
    let both = [&one, &other].map(|credential| app.finish_passkey(&shop, &token, &begun, credential));
    let mut both = join_all(both).await;
    both.sort_by_key(|answer| answer.status);
    let [first, second]: [Answer; 2] = both.try_into().unwrap();
    first.created();
    second.refused_for(400, "invalid_request", "challenge", WRONG_CHALLENGE);
    assert_eq!(listed(&app, &shop, &token).await.len(), 1);
}

async fn ten_at_most(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    for _ in 0..9 {
        app.new_passkey(&shop, &token, &Way::default()).await;
    }
    let begun = [app.begin_passkey(&shop, &token).await, app.begin_passkey(&shop, &token).await];
    let made = begun.each_ref().map(|begun| made(&app, begun, &Way::default()));
    let both = begun.iter().zip(&made).map(|(begun, made)| app.finish_passkey(&shop, &token, begun, made));
    let mut both = join_all(both).await;
    both.sort_by_key(|answer| answer.status);
    let second = both.pop().unwrap();
    second.refused(409, "conflict", "a user has at most 10 passkeys");
    assert_eq!(listed(&app, &shop, &token).await.len(), 10);
    let eleventh = app.passkeys(&shop, &token, Method::POST, "/begin", None).await;
    eleventh.refused(409, "conflict", "a user has at most 10 passkeys");
}

async fn one_credential_one_owner(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    let passkey = app.new_passkey(&shop, &token, &Way::default()).await;
    let same = Way { id: Some(passkey.id), ..Way::default() };
    let other = bob(&app, &shop).await;
    let begun = app.begin_passkey(&shop, &other).await;
    let taken = app.finish_passkey(&shop, &other, &begun, &made(&app, &begun, &same)).await;
    taken.refused(409, "conflict", "the passkey is registered already");
    let begun = app.begin_passkey(&shop, &token).await;
    let own = app.finish_passkey(&shop, &token, &begun, &made(&app, &begun, &same)).await;
    own.refused_for(400, "invalid_request", "credential", "the credential is not valid");
    // Another project knows nothing of it.
    let (other_shop, other_token) = alice(&app, "other").await;
    app.new_passkey(&other_shop, &other_token, &same).await;
}

async fn a_fresh_sign_in_is_asked_for(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    let tokens = app.sign_in(&shop).await;
    app.new_passkey(&shop, &token, &Way::default()).await;
    let id = listed(&app, &shop, &token).await[0]["id"].as_str().unwrap().to_owned();
    app.app.clock.advance(200);
    let begun = app.begin_passkey(&shop, &token).await;
    app.app.clock.advance(101);
    // A refreshed token is no fresher than its sign-in.
    let refreshed = Tokens(app.refresh(&shop, tokens.get("refresh_token")).await.ok());
    let refreshed = refreshed.get("access_token");
    let path = format!("/{id}");
    for (method, path, body) in [
        (Method::POST, "/begin", None),
        (Method::PATCH, path.as_str(), Some(json!({"name": "x"}))),
        (Method::DELETE, path.as_str(), None),
    ] {
        let url = app.project_url(&shop, &format!("/api/account/passkeys{path}"));
        let request = app.http.request(method, url).bearer_auth(refreshed);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let answer = request.send().await.unwrap();
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.contains(r#"error="insufficient_user_authentication""#), "{challenge}");
        assert!(challenge.contains(r#"max_age="300""#), "{challenge}");
        let answer = Answer::of(answer).await;
        assert_eq!((answer.status, &answer.body["max_age"]), (401, &json!(300)));
    }
    // To look takes none; to finish what had begun does.
    let credential = made(&app, &begun, &Way::default());
    let late = app.finish_passkey(&shop, &token, &begun, &credential).await;
    assert_eq!((late.status, &late.body["error"]), (401, &json!("insufficient_user_authentication")));
    assert_eq!(listed(&app, &shop, refreshed).await.len(), 1);
}

async fn not_for_others(engine: Engine) {
    let app = TestApp::named(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        first_party: false,
        ..ClientSettings::default()
    };
    let (shop, _) = alice(&app, "shop").await;
    let theirs = app.second_client(&shop, settings).await;
    let desk = app.desk(&shop, "admin").await;
    desk.patch(&format!("/clients/{}", theirs.id), json!({"first_party": true})).await.ok();
    let (code, _) = app.code(&theirs, "&scope=openid").await;
    let token = Tokens(app.exchange(&theirs, &code).await.ok()).get("access_token").to_owned();
    desk.patch(&format!("/clients/{}", theirs.id), json!({"first_party": false})).await.ok();
    for (method, path) in [(Method::GET, ""), (Method::POST, "/begin")] {
        let refused = app.passkeys(&shop, &token, method, path, None).await;
        refused.refused(403, "insufficient_scope", "only first-party clients act on the account");
    }
    let (_, foreign) = alice(&app, "other").await;
    let refused = app.passkeys(&shop, &foreign, Method::GET, "", None).await;
    assert_eq!((refused.status, &refused.body["error"]), (401, &json!("invalid_token")));
    let key = app.admin_key(None, "owner").await;
    assert_eq!(app.passkeys(&shop, &key, Method::GET, "", None).await.status, 401);
}

async fn at_an_address_there_are_none(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    let refused = app.passkeys(&shop, &token, Method::POST, "/begin", None).await;
    refused.refused(409, "conflict", "there are no passkeys at an address: base_url must name a domain");
    assert!(listed(&app, &shop, &token).await.is_empty());
}

async fn the_project_may_want_none(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    let owner = app.admin_key(None, "owner").await;
    for (passkey_sign_in, factors, status) in
        [(false, json!(["totp"]), 409), (true, json!(["totp"]), 200), (false, json!(["passkey"]), 200)]
    {
        let policy =
            json!({"settings": {"sign_in": {"passkey_sign_in": passkey_sign_in, "factors": factors}}});
        app.admin_patch(&owner, "/projects/shop", policy).await.ok();
        let begun = app.passkeys(&shop, &token, Method::POST, "/begin", None).await;
        assert_eq!(begun.status, status);
        if status == 409 {
            begun.refused(409, "conflict", "the project takes no passkeys");
        }
    }
}

async fn what_has_ended_makes_none(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    let begun = app.begin_passkey(&shop, &token).await;
    let good = made(&app, &begun, &Way::default());
    app.bearer(&shop, "GlobalSignOut", &token, json!({})).await.ok();
    let refused = app.finish_passkey(&shop, &token, &begun, &good).await;
    assert_eq!((refused.status, &refused.body["reason"]), (401, &json!("signed_out")));
    let token = app.sign_in(&shop).await.get("access_token").to_owned();
    assert!(listed(&app, &shop, &token).await.is_empty());
}

/// A deletion counts them as factors, and leaves none.
async fn they_go_with_their_owner(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, token) = alice(&app, "shop").await;
    let passkey = app.new_passkey(&shop, &token, &Way::default()).await;
    let key = app.admin_key(None, "owner").await;
    let ask = json!({"user": shop.user, "reason": "The person asked for it by letter"});
    let asked = app.bearer(&shop, "delete-user", &key, ask).await;
    assert_eq!((asked.status, &asked.body["impact"]["factors"]), (202, &json!(2)));
    let confirm = json!({"deletion_id": asked.body["deletion_id"], "confirmation": "alice"});
    app.bearer(&shop, "delete-user/confirm", &key, confirm).await.ok();
    // The credential is free again.
    let same = Way { id: Some(passkey.id), ..Way::default() };
    let bobs = bob(&app, &shop).await;
    app.new_passkey(&shop, &bobs, &same).await;
}
