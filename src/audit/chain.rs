//! Appending. The last thing a unit does before COMMIT, so that the head of the chain is locked for the shortest time.

use sqlx::FromRow;

use super::actor::{Authority, check_other, hold};
use super::origin::{self, Kept, Origin};
use super::personal::{Personal, commitment};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::Timestamp;
use crate::secret::sha256;
use crate::store::db::{Conn, execute, fetch_all, fetch_one};

/// What happened, to whom, by whom, why.
pub struct Event<'a> {
    pub actor: &'a str,
    pub actor_kind: &'a str,
    /// `noun.verb`
    pub action: &'a str,
    pub target: &'a str,
    pub reason: &'a str,
    pub detail: serde_json::Value,
    pub request_id: &'a str,
    pub personal: Option<&'a Personal>,
    /// From where.
    pub origin: &'a Origin,
    /// What must live until the unit ends.
    pub authority: Option<&'a Authority>,
}

impl<'a> Event<'a> {
    /// Why it was done, in the actor's words.
    #[must_use]
    pub fn because(mut self, reason: &'a str) -> Self {
        self.reason = reason;
        self
    }

    /// What else is worth knowing; nothing personal.
    #[must_use]
    pub fn with(mut self, detail: serde_json::Value) -> Self {
        self.detail = detail;
        self
    }

    /// What is personal, from [`super::seal`].
    #[must_use]
    pub fn sealing(mut self, personal: Option<&'a Personal>) -> Self {
        self.personal = personal;
        self
    }

    /// The unit ended the acting admin itself, after [`super::Actor::hold`].
    #[must_use]
    pub fn by_an_ended_key(mut self) -> Self {
        self.authority = None;
        self
    }
}

#[derive(FromRow)]
struct Head {
    seq: i64,
    hash: Vec<u8>,
}

/// What the hash of an entry covers, as stored.
#[derive(FromRow)]
pub(super) struct Entry {
    pub seq: i64,
    pub at: Timestamp,
    pub actor: String,
    pub actor_kind: String,
    pub action: String,
    pub target: String,
    pub reason: String,
    pub detail: String,
    pub request_id: String,
    pub commitment: Vec<u8>,
    pub prev_hash: Vec<u8>,
    pub hash: Vec<u8>,
    /// What the commitment is about; `None` once erased.
    pub sealed: Option<Vec<u8>>,
    /// `None` where no request was behind it, and in entries from before origins were kept.
    pub origin_commitment: Option<Vec<u8>>,
    /// What that is about; `None` once erased.
    pub origin: Option<Vec<u8>>,
}

/// The hash before the first entry, and the commitment of an entry that holds nothing personal.
pub(super) const ZERO: [u8; 32] = [0; 32];

impl Entry {
    /// SHA-256 over a version byte and each field, length-prefixed, from the stored bytes. The version says whether there is a
    /// commitment to an origin.
    pub(super) fn computed_hash(&self, project: ProjectId) -> Vec<u8> {
        let fields: [&[u8]; 12] = [
            project.0.as_bytes(),
            &self.seq.to_be_bytes(),
            &self.at.micros().to_be_bytes(),
            self.actor.as_bytes(),
            self.actor_kind.as_bytes(),
            self.action.as_bytes(),
            self.target.as_bytes(),
            self.reason.as_bytes(),
            self.detail.as_bytes(),
            self.request_id.as_bytes(),
            &self.commitment,
            &self.prev_hash,
        ];
        let version = if self.origin_commitment.is_some() { 2 } else { 1 };
        let mut input = vec![version];
        for field in fields.into_iter().chain(self.origin_commitment.as_deref()) {
            input.extend_from_slice(&(field.len() as u64).to_be_bytes());
            input.extend_from_slice(field);
        }
        sha256(&input)
    }

    /// Whether what is sealed is what the chain covers. Nothing sealed is right as well: it has been erased.
    pub(super) fn is_kept(&self) -> bool {
        self.sealed.as_ref().is_none_or(|blob| commitment(blob) == self.commitment)
            && (self.origin.as_ref())
                .is_none_or(|blob| Some(origin::commitment(blob)) == self.origin_commitment)
    }
}

/// The entries of a chain after a number, in their order.
pub(super) async fn entries(conn: &Conn, project: ProjectId, after: i64, limit: i64) -> Result<Vec<Entry>> {
    fetch_all!(
        conn,
        Entry,
        "SELECT seq, at, actor, actor_kind, action, target, reason, detail, request_id, commitment, prev_hash,
           hash, sealed, origin_commitment, origin
         FROM audit_log WHERE project_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        project,
        after,
        limit
    )
}

/// Appends an event to the project's chain and gives its number.
///
/// # Errors
/// `invalid_token` when the admin who acts was revoked since the request began, 403 for one who acts on their own account: the
/// unit comes to nothing.
pub async fn append(conn: &Conn, project: ProjectId, now: Timestamp, event: &Event<'_>) -> Result<i64> {
    check_other(event.authority, event.target)?;
    hold(conn, event.authority).await?;
    let origin = event.origin.keep(conn, now).await?;
    let origin = origin.as_deref();
    execute!(
        conn,
        "INSERT INTO audit_heads (project_id, seq, hash) VALUES ($1, 0, $2) ON CONFLICT (project_id) DO NOTHING",
        project,
        &ZERO[..]
    )?;
    let head = fetch_one!(
        conn,
        Head,
        "UPDATE audit_heads SET seq = seq + 1 WHERE project_id = $1 RETURNING seq, hash",
        project
    )?;
    let mut entry = Entry {
        seq: head.seq,
        at: now,
        actor: event.actor.into(),
        actor_kind: event.actor_kind.into(),
        action: event.action.into(),
        target: event.target.into(),
        reason: event.reason.into(),
        detail: event.detail.to_string(),
        request_id: event.request_id.into(),
        commitment: event.personal.map_or_else(|| ZERO.to_vec(), |personal| personal.commitment.clone()),
        prev_hash: head.hash,
        hash: Vec::new(),
        sealed: event.personal.map(|personal| personal.blob.clone()),
        origin_commitment: origin.map(|kept| kept.commitment.clone()),
        origin: origin.map(|kept| kept.blob.clone()),
    };
    entry.hash = entry.computed_hash(project);
    insert(conn, project, &entry, event.personal.map(|personal| personal.user), origin).await?;
    execute!(conn, "UPDATE audit_heads SET hash = $1 WHERE project_id = $2", &entry.hash, project)?;
    Ok(entry.seq)
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

/// Events by or about `name`, which is written as events write it.
pub async fn count_of(conn: &Conn, project: ProjectId, name: &str) -> Result<i64> {
    let count = fetch_one!(
        conn,
        Count,
        "SELECT count(*) AS n FROM audit_log WHERE project_id = $1 AND (target = $2 OR actor = $2)",
        project,
        name
    )?;
    Ok(count.n)
}

/// A user who was deleted before the head was ours keeps nothing sealed: the commitment stands alone, as after an erasure.
async fn insert(
    conn: &Conn,
    project: ProjectId,
    entry: &Entry,
    user: Option<UserId>,
    origin: Option<&Kept>,
) -> Result<u64> {
    let (home, owner) = origin.and_then(|kept| kept.owner).unzip();
    execute!(
        conn,
        "INSERT INTO audit_log (project_id, seq, at, actor, actor_kind, action, target, reason, detail, request_id,
           commitment, prev_hash, hash, user_id, sealed, origin_commitment, origin_project, origin_user, origin)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
           (SELECT id FROM users WHERE project_id = $1 AND id = $14 AND status <> 'deleted'),
           CASE WHEN EXISTS (SELECT 1 FROM users WHERE project_id = $1 AND id = $14 AND status <> 'deleted')
                THEN $15 END, $16,
           (SELECT project_id FROM users WHERE project_id = $17 AND id = $18 AND status <> 'deleted'),
           (SELECT id FROM users WHERE project_id = $17 AND id = $18 AND status <> 'deleted'),
           CASE WHEN $18 IS NULL
                  OR EXISTS (SELECT 1 FROM users WHERE project_id = $17 AND id = $18 AND status <> 'deleted')
                THEN $19 END)",
        project,
        entry.seq,
        entry.at,
        &entry.actor,
        &entry.actor_kind,
        &entry.action,
        &entry.target,
        &entry.reason,
        &entry.detail,
        &entry.request_id,
        &entry.commitment,
        &entry.prev_hash,
        &entry.hash,
        user,
        entry.sealed.as_deref(),
        entry.origin_commitment.as_deref(),
        home,
        owner,
        entry.origin.as_deref()
    )
}
