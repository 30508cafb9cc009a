//! A server of somebody else's application: it keeps what it is sent, and answers as a test tells it to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST /path`
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Received {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// A parameter of the posted form.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.body.as_bytes());
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

#[derive(Clone)]
pub enum Reaction {
    /// These bytes.
    Says(String),
    /// Nothing for so long.
    Silent(Duration),
    /// 200, after so long.
    Late(Duration),
    /// 200, and a body that never comes.
    Unfinished,
    /// A body without an end, as fast as it is taken.
    Endless,
}

/// An answer with a status and nothing else.
pub fn status(code: u16) -> Reaction {
    Reaction::Says(format!("HTTP/1.1 {code} so\r\ncontent-length: 0\r\n\r\n"))
}

pub struct Receiver {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    reaction: Mutex<Reaction>,
    received: watch::Sender<Vec<Received>>,
    tls: Option<TlsAcceptor>,
}

impl Receiver {
    /// Answers 200 to everything.
    pub async fn start() -> Self {
        Self::begin(None).await
    }

    /// Speaks TLS, with a certificate for `localhost`; gives the certificate too, as PEM.
    pub async fn encrypted() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        (Self::begin(Some(TlsAcceptor::from(Arc::new(config)))).await, made.cert.pem())
    }

    async fn begin(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state =
            Arc::new(State { reaction: Mutex::new(status(200)), received: watch::Sender::default(), tls });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&serving);
                tokio::spawn(async move {
                    match &state.tls {
                        None => serve(&state, stream).await,
                        Some(tls) => serve(&state, tls.accept(stream).await?).await,
                    }
                });
            }
        });
        Self { port, state }
    }

    pub fn url(&self, path: &str) -> String {
        let scheme = if self.state.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}{path}", self.port)
    }

    /// How it answers from now on.
    pub fn react(&self, reaction: Reaction) {
        *self.state.reaction.lock().unwrap() = reaction;
    }

    pub fn received(&self) -> Vec<Received> {
        self.state.received.borrow().clone()
    }

    /// Waits until so many requests have come.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut received = self.state.received.subscribe();
        received.wait_for(|all| all.len() >= count).await.unwrap().clone()
    }
}

async fn serve(state: &State, stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    let mut stream = BufStream::new(stream);
    while let Some(received) = read(&mut stream).await? {
        state.received.send_modify(|all| all.push(received));
        let reaction = state.reaction.lock().unwrap().clone();
        match reaction {
            Reaction::Says(text) => stream.write_all(text.as_bytes()).await?,
            Reaction::Silent(time) => tokio::time::sleep(time).await,
            Reaction::Late(time) => {
                tokio::time::sleep(time).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
            }
            Reaction::Unfinished => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").await?;
            }
            Reaction::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                loop {
                    stream.write_all(&[b'a'; 1024]).await?;
                    stream.flush().await?;
                }
            }
        }
        stream.flush().await?;
    }
    Ok(())
}

async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Received>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let mut received = Received { line, head, body: String::new() };
    let length = received.header("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    received.body = String::from_utf8(body).unwrap();
    Ok(Some(received))
}
