//! Mail by SMTP (RFC 5321), as a submission client (RFC 6409).

mod connection;
mod pool;

use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use self::connection::{Connection, Trouble};
use self::pool::Pool;
pub use self::pool::Pooling;
use super::Message;
use super::letter::{self, Sender};
use crate::ids::OutboxId;
use crate::model::delivery::Failure;
use crate::model::timestamp::Timestamp;
use crate::secret::Secret;

/// The longest that handing over one message may take.
const TIMEOUT: Duration = Duration::from_secs(60);

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
    pub pooling: Pooling,
}

/// Whether a file holds certificates in PEM form, and nothing that does not parse.
pub fn are_certificates(pem: &[u8]) -> bool {
    let roots =
        |certificates| TlsParameters::builder(String::new()).add_root_certificate(certificates).build();
    // Of a file without any, the parser makes an empty list.
    String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----")
        && Certificate::from_pem(pem).and_then(roots).is_ok()
}

/// A submission client, with connections that it keeps: those of its own settings alone.
pub struct Smtp {
    settings: SmtpSettings,
    hello: ClientId,
    tls: TlsParameters,
    pool: Pool,
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
        Ok(Self { hello, tls: tls.build()?, pool: Pool::new(settings.pooling), settings })
    }

    /// # Errors
    /// Why the server did not take it.
    pub async fn send(&self, id: OutboxId, written_at: Timestamp, message: &Message) -> Result<(), Failure> {
        let letter = letter::build(&self.settings.from, id, written_at, message)?;
        let text = letter.formatted();
        let handed_over = async {
            let place = self.pool.place().await;
            let conn = self.hand_over(letter.envelope(), &text).await?;
            Ok((conn, place))
        };
        let (conn, _place) = tokio::time::timeout(TIMEOUT, handed_over)
            .await
            .map_err(|_| Failure::Failed("timed out".into()))?
            .map_err(|trouble| failure(&trouble))?;
        // Whatever comes now, the server has it.
        self.pool.put_back(conn).await;
        Ok(())
    }

    /// Hands a letter over, and gives the connection on which that went well.
    async fn hand_over(&self, envelope: &Envelope, text: &[u8]) -> Result<Connection, Trouble> {
        if let Some(mut conn) = self.pool.take().await {
            let Err(unsent) = conn.hand_over(envelope, text).await else { return Ok(conn) };
            conn.close_after(&unsent).await;
            if !unsent.is_of_the_connection() {
                return Err(unsent.why);
            }
        }
        let mut conn = Connection::open(&self.settings, &self.tls, &self.hello).await?;
        let Err(unsent) = conn.hand_over(envelope, text).await else { return Ok(conn) };
        conn.close_after(&unsent).await;
        Err(unsent.why)
    }

    /// Says goodbye on the connections that are kept. A letter still goes, over a connection of its own.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// What a failure means. A server's own words quote addresses, so only its code goes on from here.
fn failure(trouble: &Trouble) -> Failure {
    let error = match trouble {
        Trouble::Smtp(error) => error,
        Trouble::NotOffered => return Failure::Failed("the server does not offer what is needed".into()),
        Trouble::OutOfStep => return Failure::Failed("the server answered out of turn".into()),
    };
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
