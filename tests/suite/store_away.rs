//! PostgreSQL goes away under load and comes back: 503 in the meantime, quickly and never anything else, no token called
//! good by memory alone, nothing lost that was answered; and right again afterwards without a restart of the server.

use futures_util::FutureExt;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tessera::model::client::ClientSettings;

use crate::store_away_support::{Clients, LIMIT, says_unavailable};
use crate::support::process::{Server, run, settings_of};
use crate::support::{Absence, Caller, Cluster, REDIRECT, Shop, TestApp, Tokens};

/// One second for a connection, one for a statement.
const SETTINGS: [(&str, &str); 6] = [
    ("TESSERA__DATABASE__ACQUIRE_TIMEOUT_SECONDS", "1"),
    ("TESSERA__DATABASE__STATEMENT_TIMEOUT_SECONDS", "1"),
    ("TESSERA__DATABASE__LOCK_TIMEOUT_SECONDS", "1"),
    ("TESSERA__PASSWORDS__MEMORY_KIB", "7168"),
    ("TESSERA__PASSWORDS__ITERATIONS", "1"),
    ("TESSERA__LOG__FILTER", "tessera=info,warn"),
];

/// Every kind of request while there is no database: the same answer to all of them, and none that a cache could give.
async fn all_is_refused(caller: &Caller, tokens: &Tokens, cookie: &str) {
    let (access, dan) = (tokens.get("access_token"), json!({"username": "dan"}));
    let admin = |path| caller.admin(Method::GET, path, json!({}));
    let calls = [
        caller.verify(access).boxed(),
        caller.act("verifyaccesstoken", json!({"access_token": access})).boxed(),
        caller.bearer("userinfofromaccesstoken", access, json!({})).boxed(),
        caller.refresh(tokens.get("refresh_token")).boxed(),
        caller.exchange("tco_unknown").boxed(),
        caller.authorize(cookie, "&prompt=none").boxed(),
        caller.bearer("GlobalSignOut", access, json!({})).boxed(),
        caller.act("GlobalSignOut", json!({"user": dan})).boxed(),
        caller.act("attribute-update", json!({"user": dan, "set": {}})).boxed(),
        caller.act("delete-user", json!({"user": dan, "dry_run": true})).boxed(),
        caller.create_user("eve").boxed(),
        admin("/users").boxed(),
        admin("/audit").boxed(),
        caller.get("/health").boxed(),
    ];
    let replies = tokio::time::timeout(LIMIT, join_all(calls)).await.expect("no answer in time");
    for (number, reply) in replies.into_iter().enumerate() {
        let reply = reply.expect("the connection was cut");
        assert_eq!(reply.status, 503, "{number}: {reply:?}");
        says_unavailable(reply);
    }
}

/// No sign-out that was acknowledged is lost.
async fn are_over(caller: &Caller, left: Vec<Tokens>) {
    assert!(left.len() > 10, "{}", left.len());
    for tokens in left {
        let verdict = caller.verify(tokens.get("access_token")).await.unwrap().expect(200);
        assert_eq!(verdict["reason"], "signed_out");
        let refused = caller.refresh(tokens.get("refresh_token")).await.unwrap();
        refused.refused("invalid_grant", "the session has ended: signed_out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_and_comes_back() {
    goes_away_and_comes_back("none").await;
}

/// Every read is a transaction then, and may be cut off in more places.
#[tokio::test(flavor = "multi_thread")]
async fn in_transactions_as_for_a_pooler() {
    goes_away_and_comes_back("transaction").await;
}

/// A shop whose client has as long as there is to ask again for what was lost.
async fn patient_shop(app: &TestApp) -> Shop {
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        refresh_rotation: Some(true),
        refresh_grace_seconds: 60,
        ..ClientSettings::default()
    };
    app.shop_with("shop", "confidential", settings).await
}

async fn goes_away_and_comes_back(pooler: &str) {
    let cluster = Cluster::new();
    let mut app = cluster.app().await;
    let shop = patient_shop(&app).await;
    let key = app.admin_key(Some(shop.project), "admin").await;
    app.app.db.close().await;
    let server = Server::serve(&mut app, &[&SETTINGS[..], &[("TESSERA__DATABASE__POOLER", pooler)]].concat());
    let caller = Caller::new(&app, &shop, &key);
    let mut cookies = Vec::new();
    for name in ["ann", "bea", "cid", "dan"] {
        caller.create_user(name).await.unwrap().expect(201);
        cookies.push(caller.sign_in(name).await.unwrap());
    }
    let [ann, bea, cid, dan]: [&String; 4] = cookies.iter().collect::<Vec<_>>().try_into().unwrap();
    let mut kept = caller.tokens(dan).await.unwrap();
    let mut clients = Clients::begin(&caller, [ann, bea, cid]).await;
    for absence in [Absence::Fast, Absence::Immediate, Absence::Frozen] {
        clients.wait_for(10, |seen| seen.0).await;
        clients.next_phase();
        cluster.leave(absence);
        clients.next_phase();
        clients.wait_for(2, |seen| seen.1).await;
        all_is_refused(&caller, &kept, dan).await;
        clients.next_phase();
        cluster.come_back(absence);
        clients.next_phase();
        // What was refused has not happened.
        assert_eq!(caller.verify(kept.get("access_token")).await.unwrap().expect(200)["active"], true);
        kept = Tokens(caller.refresh(kept.get("refresh_token")).await.unwrap().expect(200));
    }
    clients.wait_for(10, |seen| seen.0).await;
    are_over(&caller, clients.end().await).await;
    let verified = run(&["audit", "verify"], &settings_of(&app), "");
    assert_eq!(verified.code, Some(0), "{}", verified.out);
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let panics: Vec<&String> = log.iter().filter(|line| line.contains("panic")).collect();
    assert!(panics.is_empty(), "{panics:#?}");
}
