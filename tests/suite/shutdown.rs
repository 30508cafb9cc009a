//! SIGTERM: nothing new is accepted, what runs is finished, the store is closed, and the exit code is 0.

use std::io::Write;
use std::net::TcpStream;

use tessera::entropy::Entropy;
use tessera::identity::passwords::Hasher;
use tessera::secret::Secret;

use crate::support::process::{Pending, Server};
use crate::support::{Engine, PASSWORD, TestApp, both_engines};

both_engines!(
    a_request_in_flight_is_finished,
    a_request_whose_client_hung_up_is_finished,
    the_grace_is_a_bound,
    a_second_signal_cuts_the_waiting_short,
    half_a_request_does_not_stretch_the_stop,
);

async fn begin_sign_out(app: &TestApp, server: &Server) -> Pending {
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let bearer = format!("Bearer {}", tokens.get("access_token"));
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    Pending::post(server.address, "/projects/shop/api/GlobalSignOut", &headers, 2)
}

async fn a_request_in_flight_is_finished(engine: Engine) {
    let mut app = TestApp::new(engine).await;
    let mut server = Server::serve(&mut app, &[("TESSERA__SHUTDOWN__GRACE_SECONDS", "600")]);
    let mut sign_out = begin_sign_out(&app, &server).await;
    server.signal("TERM");
    server.wait_until_closed();
    assert!(server.is_running());
    sign_out.send("{}");
    let answer = sign_out.answer();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(r#""families_ended":1"#),
        "{answer}"
    );
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(log.last().unwrap().contains("stopped"), "{log:#?}");
}

async fn a_request_whose_client_hung_up_is_finished(engine: Engine) {
    let mut app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    // A hash that takes its time: the client is gone and the signal has come before it is done.
    let slow = Hasher::new(&Entropy::default(), 19_456, 40, 1, 1).unwrap();
    let phc = slow.hash(&Entropy::default(), Secret::new(PASSWORD)).await.unwrap();
    let phc = &phc;
    app.app
        .db
        .write(|conn| async move { tessera::execute!(&conn, "UPDATE credentials SET secret = $1", phc.as_str()) })
        .await
        .unwrap();
    let server = Server::serve(&mut app, &[("TESSERA__SHUTDOWN__GRACE_SECONDS", "600")]);
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let body = serde_urlencoded::to_string([
        ("request", sealed.as_str()),
        ("username", "alice"),
        ("password", PASSWORD),
    ])
    .unwrap();
    let headers = [("Cookie", cookie.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    let mut sign_in = Pending::post(server.address, "/projects/shop/sign-in", &headers, body.len());
    sign_in.send(&body);
    drop(sign_in);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let sessions = app
        .app
        .db
        .read(
            |conn| async move { tessera::fetch_one!(&conn, (i64,), "SELECT count(*) FROM browser_sessions") },
        )
        .await;
    assert_eq!(sessions.unwrap().0, 1, "{log:#?}");
}

async fn the_grace_is_a_bound(engine: Engine) {
    let mut app = TestApp::new(engine).await;
    let server = Server::serve(&mut app, &[("TESSERA__SHUTDOWN__GRACE_SECONDS", "0")]);
    let _never_sent = begin_sign_out(&app, &server).await;
    server.signal("INT");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("some requests did not end in time")), "{log:#?}");
}

async fn a_second_signal_cuts_the_waiting_short(engine: Engine) {
    let mut app = TestApp::new(engine).await;
    let mut server = Server::serve(&mut app, &[("TESSERA__SHUTDOWN__GRACE_SECONDS", "600")]);
    let _never_sent = begin_sign_out(&app, &server).await;
    server.signal("TERM");
    server.wait_for_log("stopping: ");
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("stopping at once")), "{log:#?}");
}

async fn half_a_request_does_not_stretch_the_stop(engine: Engine) {
    let mut app = TestApp::new(engine).await;
    let limits = [
        ("TESSERA__SHUTDOWN__GRACE_SECONDS", "600"),
        ("TESSERA__SERVER__HEADER_TIMEOUT_SECONDS", "1"),
        ("TESSERA__SERVER__BODY_TIMEOUT_SECONDS", "1"),
    ];
    let server = Server::serve(&mut app, &limits);
    let _never_sent = begin_sign_out(&app, &server).await;
    let mut half = TcpStream::connect(server.address).unwrap();
    half.write_all(b"GET /health HTTP/1.1\r\nHost").unwrap();
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(log.last().unwrap().contains("stopped"), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("did not end in time")), "{log:#?}");
}
