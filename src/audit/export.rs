//! The log as JSON Lines: an entry each, with all that its hash covers and nothing personal. A file of them proves itself
//! without the store.

use std::collections::HashSet;
use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::chain::{Entry, entries};
use super::walk::{Demands, Stop, Verdict, Walk, verdict};
use crate::error::{Error, Result};
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;
use crate::secret::{decode_base64url, encode_base64url};
use crate::store::db::Db;

/// Entries of one page.
pub const MOST_LINES: i64 = 500;

/// No entry is nearly as long; a file that has no line breaks does not fill the memory.
const MOST_LINE_BYTES: u64 = 1 << 20;

/// One line. The hashes are base64url, and `detail` is the text that was hashed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    project: ProjectId,
    seq: i64,
    at: Timestamp,
    actor: String,
    actor_kind: String,
    action: String,
    target: String,
    reason: String,
    detail: String,
    request_id: String,
    commitment: String,
    /// Left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin_commitment: Option<String>,
    prev_hash: String,
    hash: String,
}

impl Line {
    fn of(project: ProjectId, entry: Entry) -> Self {
        Self {
            project,
            seq: entry.seq,
            at: entry.at,
            actor: entry.actor,
            actor_kind: entry.actor_kind,
            action: entry.action,
            target: entry.target,
            reason: entry.reason,
            detail: entry.detail,
            request_id: entry.request_id,
            commitment: encode_base64url(&entry.commitment),
            origin_commitment: entry.origin_commitment.as_deref().map(encode_base64url),
            prev_hash: encode_base64url(&entry.prev_hash),
            hash: encode_base64url(&entry.hash),
        }
    }

    fn entry(self) -> Option<(ProjectId, Entry)> {
        let origin_commitment = match self.origin_commitment {
            Some(text) => Some(decode_base64url(&text)?),
            None => None,
        };
        let entry = Entry {
            seq: self.seq,
            at: self.at,
            actor: self.actor,
            actor_kind: self.actor_kind,
            action: self.action,
            target: self.target,
            reason: self.reason,
            detail: self.detail,
            request_id: self.request_id,
            commitment: decode_base64url(&self.commitment)?,
            prev_hash: decode_base64url(&self.prev_hash)?,
            hash: decode_base64url(&self.hash)?,
            sealed: None,
            origin_commitment,
            origin: None,
        };
        Some((self.project, entry))
    }
}

/// A page of the export.
pub struct Page {
    /// Each line with its line break.
    pub text: String,
    /// The number to go on after; `None` when there was nothing.
    pub last: Option<i64>,
    pub more: bool,
}

/// The entries after a number, at most `limit` and [`MOST_LINES`].
pub async fn export(db: &Db, project: ProjectId, after: i64, limit: i64) -> Result<Page> {
    let limit = limit.clamp(1, MOST_LINES);
    let mut page = db.read(|conn| async move { entries(&conn, project, after, limit + 1).await }).await?;
    let most = usize::try_from(limit).map_err(Error::internal)?;
    let more = page.len() > most;
    page.truncate(most);
    let last = page.last().map(|entry| entry.seq);
    let mut text = String::new();
    for entry in page {
        text += &serde_json::to_string(&Line::of(project, entry)).map_err(Error::internal)?;
        text.push('\n');
    }
    Ok(Page { text, last, more })
}

/// What a file of lines says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub verdict: Verdict,
    /// The number before its first entry.
    pub base: i64,
    /// Whether what lay before is proven: there was nothing, a checkpoint that was kept says what it was, or it was cut by the
    /// rule.
    pub begins_well: bool,
}

/// Proves a file of lines; several exports one after the other are one. `project`: whose it has to be.
///
/// # Errors
/// The file cannot be read.
pub fn verify_export(file: impl BufRead, project: Option<ProjectId>, demands: &Demands) -> Result<Proof> {
    let (mut base, mut begins_well) = (0, true);
    let outcome = prove(file, project, demands).inspect(|walk| {
        base = walk.base.unwrap_or_default();
        let is_held = demands.held.iter().any(|held| held.seq == base);
        begins_well = is_held || walk.check_cut().is_ok();
    });
    Ok(Proof { verdict: verdict(outcome.and_then(Walk::end))?, base, begins_well })
}

fn prove<'a>(
    mut file: impl BufRead,
    project: Option<ProjectId>,
    demands: &'a Demands,
) -> Result<Walk<'a>, Stop> {
    let mut project = project.or_else(|| demands.held.first().map(|held| held.project));
    let mut walk: Option<Walk<'_>> = None;
    let mut line = String::new();
    loop {
        line.clear();
        let next = walk.as_ref().map_or(1, |walk| walk.seq + 1);
        let unreadable = || Stop::at(next, "the line cannot be read");
        let mut limited = std::io::Read::take(&mut file, MOST_LINE_BYTES);
        match limited.read_line(&mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(unreadable()),
            Err(error) => return Err(Error::internal(error).into()),
        }
        let parsed: Line = serde_json::from_str(&line).map_err(|_| unreadable())?;
        let (of, entry) = parsed.entry().ok_or_else(unreadable)?;
        if *project.get_or_insert(of) != of {
            return Err(Stop::at(next, "it belongs to another project"));
        }
        let walk = match &mut walk {
            Some(walk) => walk,
            None => {
                let mut begun = Walk::new(of, demands, HashSet::new())?;
                begun.begin(&entry)?;
                walk.insert(begun)
            }
        };
        walk.step(entry)?;
    }
    walk.ok_or_else(|| Stop::at(1, "there is nothing in it"))
}
