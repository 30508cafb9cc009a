//! The erasure ledger: one signed line for each executed deletion of a user or a project, so that a restored backup forgets
//! the same people again.
//!
//! The line is written in the unit of the deletion, into the table `erasures`: there is no deletion without its line and no
//! line without its deletion. From there each node copies the lines to a file outside of the database ([`mod@file`]), right
//! after the deletion and again by the clock, in order and without a gap. [`replay`] is what `tessera restored` does.

pub mod file;
mod line;
pub mod mark;
pub mod replay;

pub use self::line::Line;
use crate::error::Result;
use crate::ids::{ConfirmationId, DeletionId, ProjectId, UserId};
use crate::keys::master::MasterKeys;
use crate::model::timestamp::Timestamp;
use crate::store::db::Conn;
use crate::store::erasures;

/// What was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    User {
        project: ProjectId,
        user: UserId,
        /// By which deletion.
        deletion: DeletionId,
    },
    /// With everybody in it.
    Project {
        project: ProjectId,
        /// By which confirmation.
        confirmation: ConfirmationId,
    },
}

impl Erased {
    pub const fn project(&self) -> ProjectId {
        match self {
            Self::User { project, .. } | Self::Project { project, .. } => *project,
        }
    }
}

/// Writes the line of a deletion, in its unit. The head of the ledger stays locked until the unit ends, so the lines are
/// numbered in the order of commits.
pub async fn append(conn: &Conn, keys: &MasterKeys, now: Timestamp, erased: &Erased) -> Result<()> {
    let head = erasures::raise_head(conn).await?;
    let line = Line::sign(keys, head.seq, now, erased, &head.mac)?;
    erasures::insert(conn, line.seq, &line.text, &line.mac).await
}
