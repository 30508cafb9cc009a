//! Messages that leave after their unit is committed: sealed before it, enqueued in it, delivered by the job.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::{Error, Result};
use crate::identity::requests::Request;
use crate::ids::{OutboxId, ProjectId};
use crate::keys::master::Place;
use crate::mail::{Message, Order};
use crate::model::delivery::Failure;
use crate::model::timestamp::Timestamp;
use crate::store::outbox::Due;

/// What the outbox can deliver. A new kind gets its arm here and in the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Mail,
    /// What somebody without a session asked for; whether a letter follows is decided when it is read.
    MailRequest,
    /// Has no body: it is made when it is sent, of the row's ids.
    LogoutToken,
    /// An event for a webhook.
    Webhook,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::MailRequest => "mail_request",
            Self::LogoutToken => "logout_token",
            Self::Webhook => "webhook",
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        let all = [Self::Mail, Self::MailRequest, Self::LogoutToken, Self::Webhook];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A message ready for [`crate::store::outbox::enqueue`]. Made before the unit, because a unit seals nothing.
#[derive(Debug)]
pub struct Sealed {
    pub id: OutboxId,
    pub kind: Kind,
    pub body: Vec<u8>,
}

/// The body of a mail.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Mail {
    /// Its words are looked up when it leaves.
    Order(Order),
    Message(Message),
}

/// Seals a letter that is to be written for the outbox of `project`.
pub fn seal_letter(app: &App, project: ProjectId, now: Timestamp, order: &Order) -> Result<Sealed> {
    seal(app, project, now, Kind::Mail, order)
}

/// Seals a finished message for the outbox of `project`.
pub fn seal_mail(app: &App, project: ProjectId, now: Timestamp, message: &Message) -> Result<Sealed> {
    seal(app, project, now, Kind::Mail, message)
}

/// Seals an event for the webhooks of `project`.
pub fn seal_event(
    app: &App,
    project: ProjectId,
    now: Timestamp,
    event: &serde_json::Value,
) -> Result<Sealed> {
    seal(app, project, now, Kind::Webhook, event)
}

/// Seals what somebody asked for.
pub fn seal_request(app: &App, project: ProjectId, now: Timestamp, request: &Request) -> Result<Sealed> {
    seal(app, project, now, Kind::MailRequest, request)
}

fn seal(app: &App, project: ProjectId, now: Timestamp, kind: Kind, body: &impl Serialize) -> Result<Sealed> {
    let id: OutboxId = app.entropy.id(now)?;
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(body).map_err(Error::internal)?);
    let body = app.master_keys.seal(&app.entropy, &place(project, &id.to_string()), &plain)?;
    Ok(Sealed { id, kind, body })
}

/// What is behind a sealed body.
///
/// # Errors
/// A body that does not open: perhaps on this node alone, because a master key is missing in its settings.
pub(super) fn open<T: DeserializeOwned>(app: &App, due: &Due, sealed: Option<&[u8]>) -> Result<T, Failure> {
    let sealed = sealed.ok_or(Failure::Hopeless("the body is erased"))?;
    let plain = app.master_keys.open(&place(due.project_id, &due.id.to_string()), sealed);
    let plain = plain.map_err(|_| Failure::Failed("the body does not open".into()))?;
    serde_json::from_slice(&plain).map_err(|_| Failure::Hopeless("the body does not parse"))
}

/// What is behind the sealed body of an event, or of a message that stays in a sandbox.
pub fn open_caught(app: &App, project: ProjectId, id: OutboxId, sealed: &[u8]) -> Result<serde_json::Value> {
    let plain = app.master_keys.open(&place(project, &id.to_string()), sealed)?;
    serde_json::from_slice(&plain).map_err(Error::internal)
}

/// Where a body is sealed.
pub(crate) fn place(project: ProjectId, row: &str) -> Place<'_> {
    Place { table: "outbox", project, row, column: "sealed_body" }
}
