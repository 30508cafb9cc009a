//! Messages that leave after their unit is committed.

use serde::Serialize;

use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::{OutboxId, ProjectId};
use crate::keys::master::Place;
use crate::mail::Message;
use crate::model::timestamp::Timestamp;

/// What the outbox can deliver. A new kind gets its arm here and in the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Mail,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
        }
    }
}

/// A message ready for [`crate::store::outbox::enqueue`]. Made before the unit, because a unit seals nothing.
#[derive(Debug)]
pub struct Sealed {
    pub id: OutboxId,
    pub kind: Kind,
    pub body: Vec<u8>,
}

/// Seals a letter for the outbox of `project`.
pub fn seal_mail(app: &App, project: ProjectId, now: Timestamp, message: &Message) -> Result<Sealed> {
    seal(app, project, now, Kind::Mail, message)
}

fn seal(app: &App, project: ProjectId, now: Timestamp, kind: Kind, body: &impl Serialize) -> Result<Sealed> {
    let id: OutboxId = app.entropy.id(now)?;
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(body).map_err(Error::internal)?);
    let body = app.master_keys.seal(&app.entropy, &place(project, &id.to_string()), &plain)?;
    Ok(Sealed { id, kind, body })
}

/// Where a body is sealed.
fn place(project: ProjectId, row: &str) -> Place<'_> {
    Place { table: "outbox", project, row, column: "sealed_body" }
}
