//! One connection to the mail server, and how far a letter came on it.

use std::fmt::Display;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use tokio::time::Instant;

use super::{SmtpSettings, SmtpTls};

/// The longest that making the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a server may take to say goodbye. The message is its own by then.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a server may take to say that it is still there. Beyond that, a new connection is the faster way.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// RFC 5321, 3.8 and 4.2.1: the server closes the connection, whatever was asked.
const CLOSING: u16 = 421;

/// A connection that is encrypted and logged in as the settings say.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    pub opened_at: Instant,
    pub idle_since: Instant,
    pub letters: u32,
}

/// Why a letter was not handed over.
pub(super) struct Unsent {
    pub why: Trouble,
    stage: Stage,
}

pub(super) enum Trouble {
    Smtp(Error),
    /// The letter needs what the server has not.
    NotOffered,
    /// An answer that belongs to no question of ours.
    OutOfStep,
}

/// What was said when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Sender,
    Recipient,
    /// From here on the server may have the letter.
    Text,
}

impl Unsent {
    /// Whether a new connection is worth a try at once: the one in use may be to blame, and the server has no letter.
    pub fn is_of_the_connection(&self) -> bool {
        match (&self.why, self.stage) {
            (_, Stage::Text) | (Trouble::NotOffered, _) => false,
            // Some servers take so many letters over a connection, and refuse the next one here.
            (_, Stage::Sender) | (Trouble::OutOfStep, _) => true,
            (Trouble::Smtp(error), Stage::Recipient) => {
                error.status().is_none_or(|code| u16::from(code) == CLOSING)
            }
        }
    }
}

impl Connection {
    pub async fn open(
        settings: &SmtpSettings,
        tls: &TlsParameters,
        hello: &ClientId,
    ) -> Result<Self, Trouble> {
        let implicit = (settings.tls == SmtpTls::Implicit).then(|| tls.clone());
        let server = (settings.host.as_str(), settings.port);
        let mut smtp =
            AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT_TIMEOUT), hello, implicit, None).await?;
        if settings.tls == SmtpTls::Starttls {
            smtp.starttls(tls.clone(), hello).await?;
        }
        if let Some((username, password)) = &settings.credentials {
            let credentials = Credentials::new(username.clone(), password.expose().to_owned());
            smtp.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        let now = Instant::now();
        Ok(Self { smtp, opened_at: now, idle_since: now, letters: 0 })
    }

    /// Hands over one letter. After a failure the connection is good for nothing but [`Self::close`].
    pub async fn hand_over(&mut self, envelope: &Envelope, text: &[u8]) -> Result<(), Unsent> {
        let parameters = self.parameters(envelope, text).map_err(at(Stage::Sender))?;
        let sender = Mail::new(envelope.from().cloned(), parameters);
        self.ask(sender, Stage::Sender, Severity::PositiveCompletion).await?;
        for address in envelope.to() {
            let recipient = Rcpt::new(address.clone(), vec![]);
            self.ask(recipient, Stage::Recipient, Severity::PositiveCompletion).await?;
        }
        self.ask(Data, Stage::Recipient, Severity::PositiveIntermediate).await?;
        let answer = self.smtp.message(text).await;
        expect(answer, Severity::PositiveCompletion).map_err(at(Stage::Text))?;
        self.letters += 1;
        Ok(())
    }

    async fn ask(&mut self, command: impl Display, stage: Stage, wanted: Severity) -> Result<(), Unsent> {
        let answer = self.smtp.command(command).await;
        expect(answer, wanted).map_err(at(stage))
    }

    /// What MAIL has to announce (RFC 6152, RFC 6531).
    fn parameters(&self, envelope: &Envelope, text: &[u8]) -> Result<Vec<MailParameter>, Trouble> {
        let mut addresses = envelope.from().into_iter().chain(envelope.to());
        let is_plain = addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii());
        let eight_bits = MailParameter::Body(MailBodyParameter::EightBitMime);
        let needs = [
            (!is_plain, Extension::SmtpUtfEight, MailParameter::SmtpUtfEight),
            (!text.is_ascii(), Extension::EightBitMime, eight_bits),
        ];
        let mut parameters = Vec::new();
        for (_, extension, parameter) in needs.into_iter().filter(|(needed, ..)| *needed) {
            if !self.smtp.server_info().supports_feature(extension) {
                return Err(Trouble::NotOffered);
            }
            parameters.push(parameter);
        }
        Ok(parameters)
    }

    /// Whether the server is still there and has forgotten what came before (RFC 5321, 4.1.1.5).
    pub async fn is_ready(&mut self) -> bool {
        let answer = tokio::time::timeout(PROBE_TIMEOUT, self.smtp.command(Rset)).await;
        matches!(answer, Ok(Ok(answer)) if answer.has_code(250))
    }

    /// Says goodbye, where the server will understand it as such.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(QUIT_TIMEOUT, self.smtp.abort()).await;
    }

    /// The same after a failure: only whoever answered listens for a command.
    pub async fn close_after(self, unsent: &Unsent) {
        let answered = match &unsent.why {
            Trouble::Smtp(error) => error.status().is_some(),
            Trouble::NotOffered => true,
            Trouble::OutOfStep => false,
        };
        if answered {
            self.close().await;
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Smtp(error)
    }
}

fn at(stage: Stage) -> impl FnOnce(Trouble) -> Unsent {
    move |why| Unsent { why, stage }
}

/// An answer of another kind belongs to another question: it would be taken for the fate of the letter, or for leave to
/// send one.
fn expect(answer: Result<Response, Error>, wanted: Severity) -> Result<(), Trouble> {
    if answer?.code().severity == wanted { Ok(()) } else { Err(Trouble::OutOfStep) }
}
