//! Recomputing a chain.

use sqlx::FromRow;

use super::chain::{Entry, ZERO};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::store::db::{Db, fetch_all, fetch_optional};

/// What a recomputed chain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Whole { events: i64 },
    Broken { seq: i64, why: &'static str },
}

#[derive(FromRow)]
struct Head {
    seq: i64,
    hash: Vec<u8>,
}

/// Walks the chain in pages and compares its end with the head, so that a cut end is found, too.
pub async fn verify(db: &Db, project: ProjectId) -> Result<Verdict> {
    let head = db
        .read(|conn| async move {
            fetch_optional!(&conn, Head, "SELECT seq, hash FROM audit_heads WHERE project_id = $1", project)
        })
        .await?;
    let (mut seq, mut hash) = (0, ZERO.to_vec());
    loop {
        let entries = page(db, project, seq).await?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            let why = match &entry {
                e if e.seq != seq + 1 => Some("an entry is missing before this one"),
                e if e.prev_hash != hash => Some("it does not follow the entry before it"),
                e if e.computed_hash(project) != e.hash => Some("its content does not fit its hash"),
                e if !e.is_kept() => Some("what it seals does not fit its commitment"),
                _ => None,
            };
            if let Some(why) = why {
                return Ok(Verdict::Broken { seq: seq + 1, why });
            }
            (seq, hash) = (entry.seq, entry.hash);
        }
    }
    match head {
        // Entries appended while we walked lie beyond the head that was read first.
        Some(head) if head.seq > seq => Ok(Verdict::Broken { seq: seq + 1, why: "the end has been cut off" }),
        Some(head) if head.seq == seq && head.hash != hash => {
            Ok(Verdict::Broken { seq, why: "the head does not fit the last entry" })
        }
        None if seq > 0 => Ok(Verdict::Broken { seq, why: "the head is missing" }),
        _ => Ok(Verdict::Whole { events: seq }),
    }
}

async fn page(db: &Db, project: ProjectId, after: i64) -> Result<Vec<Entry>> {
    db.read(|conn| async move {
        fetch_all!(
            &conn,
            Entry,
            "SELECT seq, at, actor, actor_kind, action, target, reason, detail, request_id, commitment, prev_hash,
               hash, sealed
             FROM audit_log WHERE project_id = $1 AND seq > $2 ORDER BY seq LIMIT 200",
            project,
            after
        )
    })
    .await
}

/// The chain after `last`, in the order of ids; found by its head or, when that was removed, by its entries.
pub async fn next_chain(db: &Db, last: ProjectId) -> Result<Option<ProjectId>> {
    let next = db
        .read(|conn| async move {
            fetch_optional!(
                &conn,
                (ProjectId,),
                "SELECT project_id FROM (
                   SELECT project_id FROM (SELECT project_id FROM audit_heads WHERE project_id > $1 ORDER BY project_id LIMIT 1) h
                   UNION ALL
                   SELECT project_id FROM (SELECT project_id FROM audit_log WHERE project_id > $1 ORDER BY project_id LIMIT 1) l
                   UNION ALL
                   SELECT id FROM (SELECT id FROM projects WHERE id > $1 ORDER BY id LIMIT 1) p
                 ) c ORDER BY project_id LIMIT 1",
                last
            )
        })
        .await?;
    Ok(next.map(|(project,)| project))
}
