//! Nobody holds a connection without using it: heads, bodies and silence have limits, and so has their number.

use std::time::Duration;

use serde_json::{Value, json};
use tessera::config::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Engine, TestApp, both_engines};

both_engines!(
    a_head_that_drips_in_ends_the_connection,
    a_body_that_does_not_follow_is_answered,
    a_connection_that_nobody_uses_ends,
    more_connections_than_allowed_wait,
);

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(400);

async fn app(engine: Engine, limits: Server) -> TestApp {
    TestApp::changed(engine, |app| app.server = limits).await
}

fn limits() -> Server {
    Server { max_connections: 16, header_timeout: LONG, body_timeout: LONG, idle_timeout: LONG }
}

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.base.strip_prefix("http://").unwrap()).await.unwrap()
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

const ASK: &str = "GET /health HTTP/1.1\r\nHost: here\r\n\r\n";

/// The next answer, up to the end of its body, which is "ok".
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\nok\n") {
        let mut bytes = [0; 512];
        let count = stream.read(&mut bytes).await.unwrap();
        assert!(count > 0, "the connection ended: {text}");
        text += std::str::from_utf8(&bytes[..count]).unwrap();
    }
    text
}

/// Whatever comes until the connection ends.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // Closed with bytes of ours unread, it ends in a reset.
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
    String::from_utf8(bytes).unwrap()
}

async fn a_head_that_drips_in_ends_the_connection(engine: Engine) {
    let app = app(engine, Server { header_timeout: SHORT, ..limits() }).await;
    let (mut dripping, silent) = (connect(&app).await, connect(&app).await);
    // A later request of a connection is held to it as well.
    let mut later = connect(&app).await;
    send(&mut later, ASK).await;
    answer(&mut later).await;
    send(&mut later, "GET /health").await;
    send(&mut dripping, "GET /health HTTP/1.1\r\nX-Slow: ").await;
    let mut byte = [0];
    let ended = async {
        // Each byte that comes is no more time for the rest.
        while let Err(_still_open) = timeout(Duration::from_millis(10), dripping.read(&mut byte)).await {
            if dripping.write_all(b"a").await.is_err() {
                break;
            }
        }
    };
    timeout(LONG, ended).await.unwrap();
    assert_eq!((rest(silent).await, rest(later).await), (String::new(), String::new()));
    // Others are served as before.
    let mut other = connect(&app).await;
    send(&mut other, ASK).await;
    answer(&mut other).await;
}

async fn a_body_that_does_not_follow_is_answered(engine: Engine) {
    let app = app(engine, Server { body_timeout: SHORT, ..limits() }).await;
    app.shop("shop", "confidential").await;
    let mut stream = connect(&app).await;
    let head = "POST /projects/shop/api/refresh HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n";
    send(&mut stream, &format!("{head}Content-Length: 100\r\n\r\n{{\"refresh_token\":")).await;
    let answer = rest(stream).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 408 ") && head.contains("\r\nconnection: close"), "{head}");
    let mut body: Value = serde_json::from_str(body).unwrap();
    assert!(body.as_object_mut().unwrap().remove("request_id").is_some());
    assert_eq!(
        body,
        json!({"error": "request_timeout", "error_description": "the body did not arrive in time"})
    );
    assert_eq!(app.app.running.count(), 0);
    // In time, and in two parts, it is read.
    let mut stream = connect(&app).await;
    send(&mut stream, "POST /projects/shop/api/refresh HTTP/1.1\r\nHost: here\r\nConnection: close\r\n")
        .await;
    send(&mut stream, "Content-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"col").await;
    tokio::task::yield_now().await;
    send(&mut stream, "or\":1}").await;
    assert!(rest(stream).await.contains("unknown field color"));
}

async fn a_connection_that_nobody_uses_ends(engine: Engine) {
    let app = app(engine, Server { idle_timeout: SHORT, ..limits() }).await;
    let mut stream = connect(&app).await;
    for _ in 0..3 {
        send(&mut stream, ASK).await;
        answer(&mut stream).await;
    }
    assert_eq!(rest(stream).await, "");
}

async fn more_connections_than_allowed_wait(engine: Engine) {
    // The shortest limit says how often we look.
    let app = app(engine, Server { max_connections: 2, body_timeout: SHORT, ..limits() }).await;
    let (mut first, mut second) = (connect(&app).await, connect(&app).await);
    send(&mut first, "GET /hea").await;
    send(&mut second, "GET /hea").await;
    let mut third = connect(&app).await;
    send(&mut third, ASK).await;
    let waiting = timeout(2 * SHORT, answer(&mut third)).await;
    assert!(waiting.is_err(), "a third connection is served: {waiting:?}");
    // What one of them asks is answered, and then it makes room.
    send(&mut first, &ASK[8..]).await;
    answer(&mut first).await;
    timeout(LONG, answer(&mut third)).await.unwrap();
    assert_eq!(rest(first).await, "");
    send(&mut second, &ASK[8..]).await;
    answer(&mut second).await;
}
