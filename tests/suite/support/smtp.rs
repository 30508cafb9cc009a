//! A real SMTP server, as small as RFC 5321 allows, that does what a test tells it to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tessera::mail::{Mailer, Pooling, Sender, Smtp, SmtpSettings, SmtpTls};
use tessera::secret::Secret;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The authority behind the server's certificate.
pub const SMTP_ROOT: &str = include_str!("smtp_tls/ca.pem");
const CERTIFICATE: &str = include_str!("smtp_tls/localhost.pem");
const KEY: &str = include_str!("smtp_tls/localhost.key");

pub const SMTP_USER: &str = "tessera";
pub const SMTP_PASSWORD: &str = "let me post";

/// How the server behaves. A change holds for what comes next.
#[derive(Clone)]
pub struct Manner {
    /// TLS from the first byte.
    pub implicit_tls: bool,
    pub offers_starttls: bool,
    /// The answer to RCPT.
    pub recipient: &'static str,
    /// Hangs up after the text instead of saying that it was taken; it keeps the message.
    pub hangs_up: bool,
    /// Hangs up after the first line of the text, which is lost.
    pub breaks_off: bool,
    /// Says twice that it has taken a message.
    pub stutters: bool,
    /// Messages over one connection.
    pub messages: usize,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            implicit_tls: false,
            offers_starttls: false,
            recipient: "250 welcome",
            hangs_up: false,
            breaks_off: false,
            stutters: false,
            messages: usize::MAX,
        }
    }
}

/// A message as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
    pub encrypted: bool,
    pub user: Option<String>,
}

impl Mail {
    /// A heading of the message.
    pub fn heading(&self, name: &str) -> &str {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        let start = format!("{name}: ");
        head.lines()
            .find_map(|line| line.strip_prefix(&start))
            .unwrap_or_else(|| panic!("no {name} in {head}"))
    }
}

pub struct SmtpServer {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    manner: Mutex<Manner>,
    received: Mutex<Vec<Mail>>,
    commands: watch::Sender<Vec<String>>,
    connections: AtomicUsize,
    /// Changes when every connection is to be dropped.
    away: watch::Sender<()>,
    /// Messages that may be taken; a test can hold them back.
    gate: Semaphore,
    /// Messages that stand before the gate or have passed it.
    arrived: watch::Sender<usize>,
}

impl SmtpServer {
    pub async fn start() -> Self {
        Self::with(Manner::default()).await
    }

    pub async fn with(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            manner: Mutex::new(manner),
            received: Mutex::default(),
            commands: watch::Sender::default(),
            connections: AtomicUsize::default(),
            away: watch::Sender::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            arrived: watch::Sender::new(0),
        });
        tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    state.connections.fetch_add(1, Ordering::Relaxed);
                    // A client that hangs up is no failure of the server.
                    tokio::spawn(serve(Arc::clone(&state), stream));
                }
            }
        });
        Self { port, state }
    }

    pub fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    pub fn received(&self) -> Vec<Mail> {
        self.state.received.lock().unwrap().clone()
    }

    /// Every command that came, of all connections.
    pub fn commands(&self) -> Vec<String> {
        self.state.commands.borrow().clone()
    }

    /// Waits until `count` commands of the kind have come.
    pub async fn heard(&self, verb: &str, count: usize) {
        let heard = |commands: &Vec<String>| commands.iter().filter(|line| line.starts_with(verb)).count();
        self.state.commands.subscribe().wait_for(|commands| heard(commands) >= count).await.unwrap();
    }

    /// How many connections have been made to it.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Hangs up on everybody who says nothing at the moment.
    pub fn hang_up_on_all(&self) {
        self.state.away.send_replace(());
    }

    /// Takes no message until [`Self::open_gate`].
    pub fn close_gate(&self) {
        self.state.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn open_gate(&self) {
        self.state.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Waits until `count` messages have come as far as the gate.
    pub async fn arrived(&self, count: usize) {
        self.state.arrived.subscribe().wait_for(|arrived| *arrived >= count).await.unwrap();
    }

    /// The way to this server without encryption.
    pub fn mailer(&self) -> Mailer {
        Self::mailer_at(self.port)
    }

    /// The same from another process.
    pub fn mailer_at(port: u16) -> Mailer {
        way(port, SmtpTls::Off, None, None)
    }

    /// The same, with so many connections that are kept so long.
    pub fn mailer_pooled(&self, connections: usize, idle: Duration) -> Mailer {
        let pooling = Pooling { connections, idle };
        let settings = SmtpSettings { pooling, ..settings(self.port, SmtpTls::Off, None, None) };
        Mailer::Smtp(Box::new(Smtp::new(settings).unwrap()))
    }

    pub fn mailer_with(&self, tls: SmtpTls, root: Option<&str>, password: Option<&str>) -> Mailer {
        way(self.port, tls, root, password)
    }
}

fn way(port: u16, tls: SmtpTls, root: Option<&str>, password: Option<&str>) -> Mailer {
    Mailer::Smtp(Box::new(Smtp::new(settings(port, tls, root, password)).unwrap()))
}

fn settings(port: u16, tls: SmtpTls, root: Option<&str>, password: Option<&str>) -> SmtpSettings {
    SmtpSettings {
        host: "localhost".into(),
        port,
        tls,
        credentials: password.map(|password| (SMTP_USER.to_owned(), Secret::new(password))),
        extra_roots: root.map(|root| root.as_bytes().to_vec()),
        from: Sender::parse("Tessera <no-reply@id.example>").unwrap(),
        pooling: Pooling { connections: 4, idle: Duration::from_secs(30) },
    }
}

fn acceptor() -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(state: Arc<State>, stream: TcpStream) -> std::io::Result<()> {
    let manner = state.manner.lock().unwrap().clone();
    if manner.implicit_tls {
        let mut stream = BufStream::new(acceptor().accept(stream).await?);
        say(&mut stream, "220 mail.example").await?;
        return talk(&state, &mut stream, true).await.map(drop);
    }
    let mut stream = BufStream::new(stream);
    say(&mut stream, "220 mail.example").await?;
    if talk(&state, &mut stream, false).await? == Ended::ForTls {
        let mut stream = BufStream::new(acceptor().accept(stream.into_inner()).await?);
        talk(&state, &mut stream, true).await?;
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Ended {
    Closed,
    ForTls,
}

/// One conversation, until the client goes or asks for encryption.
async fn talk<S>(state: &State, stream: &mut BufStream<S>, encrypted: bool) -> std::io::Result<Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut user, mut from, mut to, mut taken) = (None, String::new(), Vec::new(), 0);
    let mut away = state.away.subscribe();
    loop {
        let line = tokio::select! {
            line = line(stream) => line?,
            _ = away.changed() => None,
        };
        let Some(line) = line else { return Ok(Ended::Closed) };
        state.commands.send_modify(|commands| commands.push(line.clone()));
        let manner = state.manner.lock().unwrap().clone();
        let verb = line.split([' ', ':']).next().unwrap().to_uppercase();
        let answer = match verb.as_str() {
            "EHLO" if manner.offers_starttls && !encrypted => "250-mail.example\r\n250 STARTTLS",
            "EHLO" => "250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "STARTTLS" if manner.offers_starttls => {
                say(stream, "220 go ahead").await?;
                return Ok(Ended::ForTls);
            }
            "AUTH" if login(&line).as_deref() == Some(SMTP_PASSWORD) => {
                user = Some(SMTP_USER.to_owned());
                "235 welcome"
            }
            "AUTH" => "535 5.7.8 who are you",
            "MAIL" if taken >= manner.messages => "452 4.5.3 too many messages over this connection",
            // RFC 5321, 4.1.4: a second transaction while one is open.
            "MAIL" if !from.is_empty() => "503 one after the other",
            "MAIL" => {
                from = address(&line);
                "250 go on"
            }
            "RCPT" => {
                if manner.recipient.starts_with('2') {
                    to.push(address(&line));
                }
                manner.recipient
            }
            "DATA" => {
                say(stream, "354 go on").await?;
                if manner.breaks_off {
                    self::line(stream).await?;
                    return Ok(Ended::Closed);
                }
                let text = text(stream).await?;
                state.arrived.send_modify(|arrived| *arrived += 1);
                state.gate.acquire().await.unwrap().forget();
                let (from, to) = (std::mem::take(&mut from), std::mem::take(&mut to));
                let user = user.clone();
                taken += 1;
                state.received.lock().unwrap().push(Mail { from, to, text, encrypted, user });
                if state.manner.lock().unwrap().hangs_up {
                    return Ok(Ended::Closed);
                }
                if manner.stutters { "250 taken\r\n250 taken" } else { "250 taken" }
            }
            "RSET" => {
                (from, to) = (String::new(), Vec::new());
                "250 fine"
            }
            "NOOP" => "250 fine",
            "QUIT" => "221 goodbye",
            _ => "502 not here",
        };
        say(stream, answer).await?;
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), answer: &str) -> std::io::Result<()> {
    stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    stream.flush().await
}

async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let length = stream.read_line(&mut line).await?;
    Ok((length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The message up to the lone dot, with doubled dots made single again (RFC 5321, 4.5.2).
async fn text(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<String> {
    let mut text = String::new();
    while let Some(line) = line(stream).await? {
        if line == "." {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push_str("\r\n");
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

fn address(line: &str) -> String {
    line.split_once('<').unwrap().1.split_once('>').unwrap().0.to_owned()
}

/// The password of an AUTH PLAIN command (RFC 4616).
fn login(line: &str) -> Option<String> {
    let bytes = STANDARD.decode(line.split(' ').nth(2)?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut parts = text.split('\0').skip(1);
    (parts.next()? == SMTP_USER).then(|| parts.next().map(str::to_owned))?
}
