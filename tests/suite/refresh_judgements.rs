//! What a refresh token that is not the newest one means, and whose it is (RFC 9700, 4.14).

use serde_json::{Value, json};
use tessera::keys::master::MasterKeys;
use tessera::model::client::{ClientSettings, RefreshRetry};
use tessera::model::validity::Validity;
use tessera::store::db::execute;

use crate::support::{Engine, REDIRECT, Shop, TestApp, both_engines};

both_engines!(
    a_replay_leaves_one_event,
    // C083
    an_older_token_is_a_replay_within_the_window_as_well,
    until_used_a_lost_answer_can_be_asked_for_again,
    a_store_that_was_set_back_revokes_nothing,
    without_rotation_the_token_stays,
    idle_and_absolute_end_apart,
    a_repeat_is_the_same_under_a_new_master_key,
    // C086
    a_token_of_another_client_is_worth_nothing,
);

const REPLAYED: &str = "the refresh token was used already; the session has been ended";
const INVALID: &str = "the refresh token is not valid";
const REVOKED: &str = "the session has ended: session_revoked";
const EXPIRED: &str = "the session has ended: session_expired";

fn settings(change: impl FnOnce(&mut ClientSettings)) -> ClientSettings {
    let mut settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        refresh_rotation: Some(true),
        ..ClientSettings::default()
    };
    change(&mut settings);
    settings
}

fn token(answer: &Value) -> &str {
    answer["refresh_token"].as_str().unwrap()
}

/// The targets of the events with this action.
async fn targets(app: &TestApp, shop: &Shop, action: &str) -> Vec<Value> {
    let page = app.desk(shop, "auditor").await.get(&format!("/audit?action={action}")).await.ok();
    page["items"].as_array().unwrap().iter().map(|event| event["target"].clone()).collect()
}

/// The target of an event about the family of an access token.
async fn family(app: &TestApp, shop: &Shop, tokens: &Value) -> Value {
    let verdict = app.verify(shop, tokens["access_token"].as_str().unwrap()).await;
    json!(format!("token_family:{}", verdict["claims"]["sid"].as_str().unwrap()))
}

async fn a_replay_leaves_one_event(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let first = app.sign_in(&shop).await.0;
    let family = family(&app, &shop, &first).await;
    app.refresh(&shop, token(&first)).await.ok();
    app.app.clock.advance(31);
    app.refresh(&shop, token(&first)).await.refused(400, "invalid_grant", REPLAYED);
    app.refresh(&shop, token(&first)).await.refused(400, "invalid_grant", REVOKED);
    assert_eq!(targets(&app, &shop, "token_family.replayed").await, [family]);
}

async fn an_older_token_is_a_replay_within_the_window_as_well(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let first = app.sign_in(&shop).await.0;
    let second = app.refresh(&shop, token(&first)).await.ok();
    let third = app.refresh(&shop, token(&second)).await.ok();
    app.refresh(&shop, token(&first)).await.refused(400, "invalid_grant", REPLAYED);
    app.refresh(&shop, token(&third)).await.refused(400, "invalid_grant", REVOKED);
    assert_eq!(targets(&app, &shop, "token_family.replayed").await.len(), 1);
}

async fn until_used_a_lost_answer_can_be_asked_for_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let patient = settings(|settings| settings.refresh_retry = RefreshRetry::UntilUsed);
    let shop = app.shop_with("shop", "confidential", patient).await;
    let first = app.sign_in(&shop).await.0;
    let lost = app.refresh(&shop, token(&first)).await.ok();
    app.app.clock.advance(3600);
    let found = app.refresh(&shop, token(&first)).await.ok();
    assert_ne!(token(&found), token(&lost));
    // Within the window of this answer it is the same again.
    assert_eq!(token(&app.refresh(&shop, token(&first)).await.ok()), token(&found));
    let next = app.refresh(&shop, token(&found)).await.ok();
    // The successor that nobody used is void: whoever has it did not get it from us.
    app.refresh(&shop, token(&lost)).await.refused(400, "invalid_grant", REPLAYED);
    app.refresh(&shop, token(&next)).await.refused(400, "invalid_grant", REVOKED);
}

async fn a_store_that_was_set_back_revokes_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let first = app.sign_in(&shop).await.0;
    let family = family(&app, &shop, &first).await;
    let second = app.refresh(&shop, token(&first)).await.ok();
    let set_back = app.app.db.write(|conn| async move {
        let sql = "UPDATE token_families SET seq = 0, prev_seq = NULL WHERE project_id = $1";
        execute!(conn, sql, shop.project)
    });
    assert_eq!(set_back.await.unwrap(), 1);
    app.refresh(&shop, token(&second)).await.refused(400, "invalid_grant", INVALID);
    assert_eq!(targets(&app, &shop, "token_family.ahead_of_store").await, [family]);
    app.refresh(&shop, token(&first)).await.ok();
}

async fn without_rotation_the_token_stays(engine: Engine) {
    let app = TestApp::new(engine).await;
    let idle = 10 * 86_400;
    let settings = settings(|settings| {
        // The default of a confidential client.
        settings.refresh_rotation = None;
        settings.validity.refresh_idle = idle;
    });
    let shop = app.shop_with("shop", "confidential", settings).await;
    let first = app.sign_in(&shop).await.0;
    assert_eq!(first["refresh_expires_in"], idle);
    // The idle limit is written when it moves by a twentieth, and not before.
    app.app.clock.advance(idle / 20 - 1);
    let early = app.refresh(&shop, token(&first)).await.ok();
    assert_eq!((token(&early), &early["refresh_expires_in"]), (token(&first), &json!(idle - idle / 20 + 1)));
    app.app.clock.advance(1);
    let moved = app.refresh(&shop, token(&first)).await.ok();
    assert_eq!((token(&moved), &moved["refresh_expires_in"]), (token(&first), &json!(idle)));
    app.app.clock.advance(3600);
    assert_eq!(token(&app.refresh(&shop, token(&first)).await.ok()), token(&first));
    assert_eq!(targets(&app, &shop, "token_family.replayed").await.len(), 0);
}

async fn idle_and_absolute_end_apart(engine: Engine) {
    let app = TestApp::new(engine).await;
    let short = settings(|settings| {
        settings.validity = Validity { refresh_token: 7200, refresh_idle: 3600, ..settings.validity };
    });
    let shop = app.shop_with("shop", "confidential", short).await;
    let (busy, idle) = (app.sign_in(&shop).await.0, app.sign_in(&shop).await.0);
    app.app.clock.advance(3599);
    let busy = app.refresh(&shop, token(&busy)).await.ok();
    assert_eq!(busy["refresh_expires_in"], 3600);
    app.app.clock.advance(1);
    app.refresh(&shop, token(&idle)).await.refused(400, "invalid_grant", EXPIRED);
    app.app.clock.advance(3500);
    let busy = app.refresh(&shop, token(&busy)).await.ok();
    assert_eq!(busy["refresh_expires_in"], 100, "the nearer of the two");
    assert_eq!(busy["expires_in"], 100, "no token outlives its family");
    app.app.clock.advance(100);
    app.refresh(&shop, token(&busy)).await.refused(400, "invalid_grant", EXPIRED);
}

/// A retry gets the same to the byte, though another master key makes new tokens by then.
async fn a_repeat_is_the_same_under_a_new_master_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let first = app.sign_in(&shop).await.0;
    let second = app.refresh(&shop, token(&first)).await.ok();
    let keys = format!("test-2:{},test:{}", "E".repeat(43), "A".repeat(43));
    let node = app.second_node_changed(|app| app.master_keys = MasterKeys::parse(&keys).unwrap()).await;
    assert_eq!(token(&node.refresh(&shop, token(&first)).await.ok()), token(&second));
    let third = node.refresh(&shop, token(&second)).await.ok();
    assert_eq!(token(&node.refresh(&shop, token(&second)).await.ok()), token(&third));
    // A node that does not have the new key yet cannot tell it from a forgery, and ends nothing.
    app.refresh(&shop, token(&third)).await.refused(400, "invalid_grant", INVALID);
    node.refresh(&shop, token(&third)).await.ok();
}

async fn a_token_of_another_client_is_worth_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let other = app.second_client(&shop, settings(|_| ())).await;
    let first = app.sign_in(&shop).await.0;
    app.refresh(&other, token(&first)).await.refused(400, "invalid_grant", INVALID);
    let second = app.refresh(&shop, token(&first)).await.ok();
    app.app.clock.advance(31);
    // Not even what would be a replay ends anything when a stranger presents it.
    app.refresh(&other, token(&first)).await.refused(400, "invalid_grant", INVALID);
    app.refresh(&shop, token(&second)).await.ok();
}
