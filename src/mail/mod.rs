//! Mail: what we write to people, and how it leaves the house. When it leaves is the outbox's business.

mod compose;
pub mod files;
mod letter;
mod letters;
mod messages;
pub mod notices;
mod smtp;
pub mod templates;

use std::path::PathBuf;

pub use self::compose::{ACCENT, Letterhead, Words, compose};
pub use self::letter::Sender;
pub use self::letters::{Letter, Order};
pub use self::messages::Message;
pub use self::smtp::{Pooling, Smtp, SmtpSettings, SmtpTls, are_certificates};
use crate::ids::OutboxId;
use crate::model::delivery::Failure;
use crate::model::timestamp::Timestamp;

/// How mail leaves.
pub enum Mailer {
    /// Nothing is configured: mail waits in the outbox.
    Absent,
    /// Into a directory, for people who develop: one readable file each.
    Files(PathBuf),
    Smtp(Box<Smtp>),
}

impl Mailer {
    /// The transport that the settings name, if any.
    ///
    /// # Errors
    /// Certificates that do not parse.
    pub fn of(settings: Option<SmtpSettings>) -> anyhow::Result<Self> {
        let Some(settings) = settings else {
            tracing::warn!("mail.smtp.host is not set: mail waits in the outbox, for 7 days at most");
            return Ok(Self::Absent);
        };
        Ok(Self::Smtp(Box::new(Smtp::new(settings)?)))
    }

    /// Hands a message over. `id` and `written_at` are the same at every attempt.
    ///
    /// # Errors
    /// Why it did not leave, in words without anything personal.
    pub async fn send(&self, id: OutboxId, written_at: Timestamp, message: &Message) -> Result<(), Failure> {
        match self {
            Self::Absent => Err(Failure::Unsent("no mail transport is configured")),
            Self::Files(directory) => files::write(directory, id, written_at, message).await,
            Self::Smtp(smtp) => smtp.send(id, written_at, message).await,
        }
    }

    /// Lets go of what is kept for further messages. Those that still come are handed over all the same.
    pub async fn close(&self) {
        if let Self::Smtp(smtp) = self {
            smtp.close().await;
        }
    }
}
