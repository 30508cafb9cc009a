//! A client that hangs up cancels nothing, whichever statement of its request is under way.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tessera::app::App;
use tessera::audit::{Verdict, verify};
use tessera::mail::Mailer;
use tessera::projects;
use tessera::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Deleting, Engine, PASSWORD, REASON, Shop, TestApp, both_engines, number};

both_engines!(a_sign_out_is_whole, a_deletion_is_whole, a_refresh_is_whole);

/// A request of the session API.
struct Request<'a> {
    path: &'a str,
    authorization: String,
    body: Value,
}

impl Request<'_> {
    fn text(&self) -> String {
        let Self { path, authorization, body } = self;
        let body = body.to_string();
        format!(
            "POST /projects/shop/api/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

/// Sends a request to a fresh node over the store of `app`, and hangs up while its n-th statement waits. Whatever the node
/// goes on with is over afterwards. False when the request had fewer statements and was answered.
async fn cut(app: &TestApp, ledger: &Path, request: &Request<'_>, n: u32) -> bool {
    let change = |app: &mut App| {
        app.erasure_ledger = Some(ledger.to_owned());
        app.server.max_connections = 1;
    };
    let node = app.second_node_changed(change).await;
    let mut statements = node.app.db.hold_statements();
    let mut client = TcpStream::connect(node.base.strip_prefix("http://").unwrap()).await.unwrap();
    client.write_all(request.text().as_bytes()).await.unwrap();
    let (mut answer, mut held) = (Vec::new(), None);
    for _ in 0..n {
        drop(held.take());
        held = tokio::select! {
            held = statements.recv() => held,
            _ = client.read_to_end(&mut answer) => None,
        };
        if held.is_none() {
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
            return false;
        }
    }
    // A reset, as when the other machine is gone: nothing is sent any more, and nothing will be read.
    client.set_zero_linger().unwrap();
    drop(client);
    // There is one place: who is answered now has it after the server let go of the first connection and its handler.
    let next = node.http.get(format!("{}/nowhere", node.base)).send().await.unwrap();
    assert_eq!(next.status(), 404);
    drop((held, statements));
    node.app.running.finished().await;
    true
}

/// Acts once for each statement of the act, and cuts each act at the next one. Gives how many there were.
async fn at_each_statement(act: impl AsyncFn(u32) -> bool) -> u32 {
    let mut n = 1;
    while act(n).await {
        n += 1;
    }
    n - 1
}

async fn is_whole(app: &TestApp, shop: &Shop) {
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn a_sign_out_is_whole(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let directory = tempfile::tempdir().unwrap();
    let statements = at_each_statement(async |n| {
        let tokens = app.sign_in(&shop).await;
        let request = Request {
            path: "GlobalSignOut",
            authorization: format!("Bearer {}", tokens.get("access_token")),
            body: json!({"end_browser_sessions": true}),
        };
        let was_cut = cut(&app, &directory.path().join("ledger"), &request, n).await;
        assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "signed_out", "cut at {n}");
        let events = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.signed_out'";
        assert_eq!(number(&app.app.db, events).await, i64::from(n), "cut at {n}");
        is_whole(&app, &shop).await;
        was_cut
    });
    let statements = statements.await;
    assert!(statements >= 6, "{statements}");
}

async fn a_deletion_is_whole(engine: Engine) {
    let mails = tempfile::tempdir().unwrap();
    let app = TestApp::changed(engine, |app| app.mailer = Mailer::Files(mails.path().to_owned())).await;
    let shop = app.shop("shop", "confidential").await;
    let ledger = mails.path().join("ledger");
    let admin = Deleting::new(&app, &shop).await;
    let statements = at_each_statement(async |n| {
        let (name, password) = (format!("user{n}"), Secret::new(PASSWORD));
        let email = format!("{name}@example.com");
        let user =
            projects::create_user(&app.app, shop.project, &name, Some(&email), password).await.unwrap();
        let tokens = app.sign_in_as(&shop, &name).await;
        let asked = admin.post("delete-user", json!({"user": user, "reason": REASON})).await;
        let id = asked.body["deletion_id"].as_str().unwrap();
        let request = Request {
            path: "delete-user/confirm",
            authorization: format!("Bearer {}", admin.key),
            body: json!({"deletion_id": id, "confirmation": name}),
        };
        let was_cut = cut(&app, &ledger, &request, n).await;
        assert_eq!(
            app.verify(&shop, tokens.get("access_token")).await["reason"],
            "user_deleted",
            "cut at {n}"
        );
        assert_eq!(admin.show(id).await.ok()["state"], "executed", "cut at {n}");
        for once in [
            "SELECT count(*) AS n FROM users WHERE status = 'deleted' AND username IS NULL",
            "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deleted'",
            "SELECT count(*) AS n FROM erasures",
            "SELECT count(*) AS n FROM outbox WHERE state = 'waiting'",
        ] {
            assert_eq!(number(&app.app.db, once).await, i64::from(n), "{once}, cut at {n}");
        }
        for gone in ["token_families", "browser_sessions", "authorization_codes"] {
            assert_eq!(rows(&app, gone).await, 0, "{gone}, cut at {n}");
        }
        let lines = std::fs::read_to_string(&ledger).unwrap();
        assert_eq!(lines.lines().count(), n as usize, "cut at {n}");
        is_whole(&app, &shop).await;
        was_cut
    });
    let statements = statements.await;
    assert!(statements >= 20, "{statements}");
}

async fn rows(app: &TestApp, table: &'static str) -> i64 {
    number(&app.app.db, format!("SELECT count(*) AS n FROM {table}").leak()).await
}

async fn a_refresh_is_whole(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let directory = tempfile::tempdir().unwrap();
    let statements = at_each_statement(async |n| {
        let tokens = app.sign_in(&shop).await;
        let (id, secret) = (&shop.id, shop.secret.as_deref().unwrap());
        let request = Request {
            path: "refresh",
            authorization: format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))),
            body: json!({"refresh_token": tokens.get("refresh_token")}),
        };
        let was_cut = cut(&app, &directory.path().join("ledger"), &request, n).await;
        let rotated = "SELECT count(*) AS n FROM token_families WHERE prev_seq IS NOT NULL";
        assert_eq!(number(&app.app.db, rotated).await, i64::from(n), "cut at {n}");
        // The answer is lost: asked again, and once more, it is the one successor.
        let again = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
        let once_more = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
        assert_eq!(again["refresh_token"], once_more["refresh_token"], "cut at {n}");
        let steps = "SELECT max(seq) - min(seq) AS n FROM token_families";
        assert_eq!(number(&app.app.db, steps).await, 0, "each was rotated once");
        assert_eq!(app.verify(&shop, again["access_token"].as_str().unwrap()).await["active"], true);
        was_cut
    });
    let statements = statements.await;
    assert!(statements >= 2, "{statements}");
}
