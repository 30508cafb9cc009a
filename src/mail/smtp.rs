//! Mail by SMTP (RFC 5321), as a submission client (RFC 6409).
//!
//! One connection a message: a pooled one that was cut off in the middle would swallow the next message as text.

use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::Message;
use super::letter::{self, Sender};
use crate::ids::OutboxId;
use crate::model::delivery::Failure;
use crate::model::timestamp::Timestamp;
use crate::secret::Secret;

/// The longest that handing over one message may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The longest that making the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a server may take to say goodbye. The message is its own by then.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// By STARTTLS, before anything else; a server that does not offer it gets nothing (RFC 3207).
    Starttls,
    /// From the first byte (RFC 8314).
    Implicit,
    Off,
}

impl SmtpTls {
    /// The word of the settings.
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "starttls" => Some(Self::Starttls),
            "implicit" => Some(Self::Implicit),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Where mail is handed in.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    pub credentials: Option<(String, Secret)>,
    /// Certificates in PEM form that are trusted besides the public ones.
    pub extra_roots: Option<Vec<u8>>,
    pub from: Sender,
}

/// Whether a file holds certificates in PEM form, and nothing that does not parse.
pub fn are_certificates(pem: &[u8]) -> bool {
    let roots =
        |certificates| TlsParameters::builder(String::new()).add_root_certificate(certificates).build();
    // Of a file without any, the parser makes an empty list.
    String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----")
        && Certificate::from_pem(pem).and_then(roots).is_ok()
}

/// A submission client.
pub struct Smtp {
    settings: SmtpSettings,
    hello: ClientId,
    tls: TlsParameters,
}

impl Smtp {
    /// # Errors
    /// Certificates that do not parse.
    pub fn new(settings: SmtpSettings) -> anyhow::Result<Self> {
        let mut tls = TlsParameters::builder(settings.host.clone());
        if let Some(pem) = &settings.extra_roots {
            tls = tls.add_root_certificate(Certificate::from_pem(pem)?);
        }
        // RFC 5321, 4.1.1.1: a name that stands for us; the address of a container tells nobody anything.
        let hello = ClientId::Domain(settings.from.domain().to_owned());
        Ok(Self { hello, tls: tls.build()?, settings })
    }

    /// # Errors
    /// Why the server did not take it.
    pub async fn send(&self, id: OutboxId, written_at: Timestamp, message: &Message) -> Result<(), Failure> {
        let letter = letter::build(&self.settings.from, id, written_at, message)?;
        let handed_over = async {
            let mut conn = self.connect().await?;
            conn.send(letter.envelope(), &letter.formatted()).await?;
            Ok(conn)
        };
        let mut conn = tokio::time::timeout(TIMEOUT, handed_over)
            .await
            .map_err(|_| Failure::Failed("timed out".into()))?
            .map_err(|error| failure(&error))?;
        // Whatever comes now, the server has it.
        let _ = tokio::time::timeout(QUIT_TIMEOUT, conn.quit()).await;
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let SmtpSettings { host, port, tls, credentials, .. } = &self.settings;
        let implicit = (*tls == SmtpTls::Implicit).then(|| self.tls.clone());
        let server = (host.as_str(), *port);
        let mut conn =
            AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT_TIMEOUT), &self.hello, implicit, None)
                .await?;
        if *tls == SmtpTls::Starttls {
            conn.starttls(self.tls.clone(), &self.hello).await?;
        }
        if let Some((username, password)) = credentials {
            let credentials = Credentials::new(username.clone(), password.expose().to_owned());
            conn.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(conn)
    }
}

/// What a failure means. A server's own words quote addresses, so only its code goes on from here.
fn failure(error: &Error) -> Failure {
    if let Some(code) = error.status() {
        let (code, why) = (u16::from(code), format!("smtp {code}"));
        // RFC 4954, 6: our own name and password, which somebody will mend.
        let ours = matches!(code, 530 | 534 | 535 | 538);
        return if error.is_permanent() && !ours {
            Failure::Refused(why.into())
        } else {
            Failure::Failed(why.into())
        };
    }
    let why = if error.is_timeout() {
        "timed out"
    } else if error.is_tls() {
        "the connection could not be encrypted"
    } else if error.is_client() {
        "the server does not offer what is needed"
    } else {
        "the connection failed"
    };
    if !error.is_response() {
        // The network's and the certificate's words, not the server's.
        tracing::info!(cause = %error, "the mail server could not be used");
    }
    Failure::Failed(why.into())
}
