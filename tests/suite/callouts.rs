//! Calls to addresses that applications registered: what is called, and what is not.

use std::time::Duration;

use tessera::callout::{CalloutSettings, Callouts, Fault, Post, Reach};
use tessera::ids::ProjectId;

use crate::support::{Reaction, Receiver, status};

const SHOP: ProjectId = ProjectId(uuid::Uuid::from_u128(1));
const OTHER: ProjectId = ProjectId(uuid::Uuid::from_u128(2));

fn within(reach: Reach) -> CalloutSettings {
    CalloutSettings { reach, ..CalloutSettings::default() }
}

fn callouts(settings: CalloutSettings) -> Callouts {
    Callouts::new(settings).unwrap()
}

#[tokio::test]
async fn a_document_is_fetched_and_a_form_posted() {
    let server = Receiver::start().await;
    server.react(Reaction::Says(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: a=b\r\ncontent-length: 2\r\n\r\n{}"
            .into(),
    ));
    let callouts = callouts(within(Reach::Loopback));
    let answer = callouts.get(SHOP, &server.url("/keys?of=us")).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    assert_eq!(answer.headers["content-type"], "application/json");
    callouts.post(SHOP, &server.url("/logout"), Post::form("a=1&b=2".into())).await.unwrap();
    let received = server.received();
    assert_eq!(received[0].line, "GET /keys?of=us");
    let host = format!("localhost:{}", server.port);
    assert_eq!(received[0].header("host"), Some(host.as_str()));
    assert_eq!((received[1].line.as_str(), received[1].body.as_str()), ("POST /logout", "a=1&b=2"));
    assert_eq!(received[1].header("content-type"), Some("application/x-www-form-urlencoded"));
    for header in ["cookie", "authorization", "accept-encoding", "referer"] {
        assert!(received.iter().all(|one| one.header(header).is_none()), "{header}");
    }
}

#[tokio::test]
async fn nothing_inside_is_called() {
    let server = Receiver::start().await;
    let callouts = callouts(CalloutSettings::default());
    let refused = Fault::Refused("the address is not one on the public internet");
    let port = server.port;
    for host in [
        "localhost",
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "127.0.0.1.",
        "0177.0.0.1",
    ] {
        for scheme in ["https", "http"] {
            let fault = callouts.get(SHOP, &format!("{scheme}://{host}:{port}/")).await.unwrap_err();
            assert_eq!(fault, refused, "{scheme}://{host}");
        }
    }
    for host in ["10.0.0.1", "192.168.0.1", "169.254.169.254", "[fd00:ec2::254]", "0.0.0.0", "[::]"] {
        assert_eq!(callouts.get(SHOP, &format!("https://{host}/")).await.unwrap_err(), refused, "{host}");
    }
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn metadata_is_never_called() {
    let callouts = callouts(within(Reach::Private));
    for host in ["169.254.169.254", "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]", "0.0.0.0"] {
        let fault = callouts.get(SHOP, &format!("http://{host}/latest/meta-data")).await.unwrap_err();
        assert_eq!(fault, Fault::Refused("the address is not one on the public internet"), "{host}");
    }
    let fault = callouts.get(SHOP, "http://1.1.1.1/").await.unwrap_err();
    assert_eq!(fault, Fault::Refused("the address is not https"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (server, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let to = elsewhere.url("/");
    server
        .react(Reaction::Says(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")));
    let answer = callouts(within(Reach::Loopback)).get(SHOP, &server.url("/")).await.unwrap();
    assert_eq!(answer.status, 302);
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn time_and_size_are_bounded() {
    let server = Receiver::start().await;
    let callouts = callouts(CalloutSettings { time: Duration::from_millis(300), ..within(Reach::Loopback) });
    let url = server.url("/");
    let get = || callouts.get(SHOP, &url);
    server.react(Reaction::Silent(Duration::from_secs(60)));
    assert_eq!(get().await.unwrap_err(), Fault::Failed("the address did not answer in time"));
    server.react(Reaction::Endless);
    assert_eq!(get().await.unwrap_err(), Fault::Failed("the answer is too long"));
    // A post is judged by its status, and the body is left where it is.
    for reaction in [Reaction::Endless, Reaction::Unfinished] {
        server.react(reaction);
        assert_eq!(callouts.post(SHOP, &url, Post::form("a=1".into())).await, Ok(200));
    }
    let long = format!("HTTP/1.1 200 OK\r\nlong: {}\r\ncontent-length: 0\r\n\r\n", "a".repeat(20_000));
    for said in ["not http\r\n\r\n".to_owned(), long] {
        server.react(Reaction::Says(said));
        assert_eq!(get().await.unwrap_err(), Fault::Failed("the address did not answer in HTTP"));
    }
    server.react(status(204));
    assert_eq!(get().await.unwrap().status, 204);
}

#[tokio::test]
async fn a_name_proves_itself() {
    let (server, root) = Receiver::encrypted().await;
    let untrusted = Fault::Failed("the certificate of the address is not trusted, or the encryption failed");
    let stranger = callouts(within(Reach::Loopback));
    assert_eq!(stranger.get(SHOP, &server.url("/")).await.unwrap_err(), untrusted);
    let friend =
        callouts(CalloutSettings { extra_roots: Some(root.into_bytes()), ..within(Reach::Loopback) });
    assert_eq!(friend.get(SHOP, &server.url("/")).await.unwrap().status, 200);
    // The certificate is for another name than this one.
    let other = format!("https://127.0.0.1:{}/", server.port);
    assert_eq!(friend.get(SHOP, &other).await.unwrap_err(), untrusted);
    assert_eq!(server.received().len(), 1);
}

/// The slow servers of one project leave places for the others.
#[tokio::test]
async fn one_project_takes_not_all_places() {
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    slow.react(Reaction::Silent(Duration::from_secs(60)));
    let callouts = std::sync::Arc::new(callouts(within(Reach::Loopback)));
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let (callouts, url) = (callouts.clone(), slow.url("/"));
            tokio::spawn(async move { callouts.get(SHOP, &url).await.map(|_| ()) })
        })
        .collect();
    while slow.received().len() < 8 {
        tokio::task::yield_now().await;
    }
    let begun = std::time::Instant::now();
    assert_eq!(callouts.get(OTHER, &quick.url("/")).await.unwrap().status, 200);
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(slow.received().len(), 8);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}
