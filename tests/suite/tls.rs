//! TLS of our own: who gets in, with which certificate, and who is left out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tessera::app::App;
use tessera::config::TlsFiles;
use tessera::tls::Tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};

use crate::support::process::{run, settings_of};
use crate::support::{Engine, TestApp};

/// A certificate for this machine and its key, in files.
struct Files(tempfile::TempDir);

type Made = CertifiedKey<KeyPair>;

fn made() -> Made {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

impl Files {
    fn of(made: &Made) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write(made);
        files
    }

    fn names(&self) -> TlsFiles {
        TlsFiles { certificate: self.0.path().join("chain.pem"), key: self.0.path().join("key.pem") }
    }

    fn write(&self, made: &Made) {
        std::fs::write(self.names().certificate, made.cert.pem()).unwrap();
        std::fs::write(self.names().key, made.signing_key.serialize_pem()).unwrap();
    }
}

/// A node that speaks TLS, with limits of a second.
async fn node(files: &Files, change: impl FnOnce(&mut App)) -> TestApp {
    let tls = Tls::load(files.names()).unwrap();
    TestApp::changed(Engine::Sqlite, |app| {
        app.tls = Some(Arc::new(tls));
        app.server.header_timeout = Duration::from_secs(1);
        change(app);
    })
    .await
}

async fn tcp(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.base.strip_prefix("http://").unwrap()).await.unwrap()
}

/// A connection that trusts this certificate and no other.
async fn connect_with(
    app: &TestApp,
    trusted: &Made,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = config;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp(app).await).await
}

async fn connect(app: &TestApp, trusted: &Made) -> std::io::Result<TlsStream<TcpStream>> {
    connect_with(app, trusted, &[&TLS13]).await
}

/// Asks on an open connection; the status of the answer.
async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        let mut more = [0; 1024];
        let count = stream.read(&mut more).await.unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&more[..count]);
    }
    String::from_utf8(answer).unwrap().lines().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_leads_to_http() {
    let made = made();
    let files = Files::of(&made);
    let app = node(&files, |_| ()).await;
    for (version, expected) in [(&TLS13, ProtocolVersion::TLSv1_3), (&TLS12, ProtocolVersion::TLSv1_2)] {
        let mut stream = connect_with(&app, &made, &[version]).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        for _ in 0..2 {
            assert_eq!(ask(&mut stream).await, "HTTP/1.1 200 OK");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_over() {
    let (old, new) = (made(), made());
    let files = Files::of(&old);
    let app = node(&files, |_| ()).await;
    let tls = app.app.tls.as_ref().unwrap();
    let mut open = connect(&app, &old).await.unwrap();
    assert_eq!(ask(&mut open).await, "HTTP/1.1 200 OK");
    // Broken, half replaced, or gone: the old one stays.
    let names = files.names();
    std::fs::write(&names.certificate, "-----BEGIN CERTIFICATE-----\nbroken\n").unwrap();
    tls.read_again().await;
    std::fs::write(&names.certificate, new.cert.pem()).unwrap();
    tls.read_again().await;
    std::fs::remove_file(&names.key).unwrap();
    tls.read_again().await;
    ask(&mut connect(&app, &old).await.unwrap()).await;
    files.write(&new);
    tls.read_again().await;
    assert!(connect(&app, &old).await.is_err(), "the new one is served");
    ask(&mut connect(&app, &new).await.unwrap()).await;
    // Nobody was cut off.
    assert_eq!(ask(&mut open).await, "HTTP/1.1 200 OK");
    // And back again.
    files.write(&old);
    tls.read_again().await;
    ask(&mut connect(&app, &old).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_refused() {
    let files = Files::of(&made());
    let app = node(&files, |_| ()).await;
    let mut stream = tcp(&app).await;
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP") && answer.len() < 16, "an alert and nothing else: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handshake_is_dropped_and_takes_a_place() {
    let made = made();
    let files = Files::of(&made);
    let app = node(&files, |app| app.server.max_connections = 2).await;
    let begun = Instant::now();
    let (mut silent, mut slow) = (tcp(&app).await, tcp(&app).await);
    // A part of a first message.
    slow.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    // Both places are taken, so this one waits until they are dropped.
    let mut third = connect(&app, &made).await.unwrap();
    assert!(begun.elapsed() > Duration::from_millis(700), "{:?}", begun.elapsed());
    ask(&mut third).await;
    for stream in [&mut silent, &mut slow] {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.len() < 16);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_files_that_do_not_fit_fails() {
    let app = TestApp::new(Engine::Sqlite).await;
    let (one, another) = (made(), made());
    let files = Files::of(&one);
    let names = files.names();
    let start = |key: &std::path::Path| {
        let mut settings = settings_of(&app);
        settings.push(("TESSERA__BASE_URL", "https://id.example".into()));
        settings.push(("TESSERA__TLS__CERTIFICATE_FILE", names.certificate.display().to_string()));
        settings.push(("TESSERA__TLS__KEY_FILE", key.display().to_string()));
        let said = run(&["serve"], &settings, "");
        assert_eq!(said.code, Some(1), "{}", said.err);
        said.err
    };
    let missing = start(&files.0.path().join("nowhere.pem"));
    assert!(missing.contains("nowhere.pem cannot be read"), "{missing}");
    let other = files.0.path().join("other.pem");
    std::fs::write(&other, another.signing_key.serialize_pem()).unwrap();
    let foreign = start(&other);
    assert!(foreign.contains("tls.certificate_file and tls.key_file do not fit together"), "{foreign}");
    let no_key = start(&names.certificate);
    assert!(no_key.contains("tls.key_file holds no private key in PEM form"), "{no_key}");
}
