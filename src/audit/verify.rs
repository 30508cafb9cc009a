//! Proving the chains of a live store.

use sqlx::FromRow;

use super::chain::{Entry, entries};
use super::checkpoint::Checkpoint;
use super::cut::recorded;
use super::emptied::Emptied;
use super::walk::{BEGINNING, Demands, Stop, Verdict, Walk, verdict};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::store::audit_checkpoints::{self, CheckpointRow};
use crate::store::db::{Conn, Db, fetch_optional};
use crate::store::signing_keys;

const PAGE: i64 = 200;

#[derive(FromRow)]
struct Head {
    seq: i64,
    hash: Vec<u8>,
}

async fn find_head(conn: &Conn, project: ProjectId) -> Result<Option<Head>> {
    fetch_optional!(conn, Head, "SELECT seq, hash FROM audit_heads WHERE project_id = $1", project)
}

/// Walks the chain in pages and compares it with the checkpoints of the store, and its end with the head, so that a cut end
/// is found, too.
pub async fn verify(db: &Db, project: ProjectId) -> Result<Verdict> {
    verify_with(db, project, &Demands::default()).await
}

/// Like [`verify`]; and the chain has to be what was kept of it elsewhere.
pub async fn verify_with(db: &Db, project: ProjectId, demands: &Demands) -> Result<Verdict> {
    verdict(prove(db, project, demands).await)
}

async fn prove(db: &Db, project: ProjectId, demands: &Demands) -> Result<i64, Stop> {
    // In this order: entries and checkpoints that come while we walk lie beyond.
    let last = db.read(|conn| async move { audit_checkpoints::list(&conn, project, None, 1).await }).await?;
    let head = db.read(|conn| async move { find_head(&conn, project).await }).await?;
    let known = db.read(|conn| async move {
        match audit_checkpoints::signatory(&conn, project).await? {
            // Gone or not: what they signed they signed.
            Some(by) => signing_keys::list_audit_signers(&conn, by.project).await,
            None => Ok(Vec::new()),
        }
    });
    let mut emptied = Emptied::of(db, project).await?;
    let mut walk = Walk::new(project, demands, known.await?.into_iter().collect())?;
    loop {
        // What stands before 1 was never appended.
        let after = walk.base.map_or(i64::MIN, |_| walk.seq);
        let page = db.read(|conn| async move { entries(&conn, project, after, PAGE).await }).await?;
        let (Some(first), Some(end)) = (page.first(), page.last()) else { break };
        if walk.base.is_none() {
            begin(db, project, &mut walk, first).await?;
        }
        let (after, end) = (walk.seq, end.seq);
        let signed =
            db.read(|conn| async move { audit_checkpoints::between(&conn, project, after, end).await });
        let mut signed = signed.await?.into_iter().peekable();
        for entry in page {
            let judged = emptied.judge(db, &entry, walk.base.unwrap_or_default()).await;
            // What does not even fit is told first.
            walk.step(entry)?;
            judged?;
            while let Some(row) = signed.next_if(|row| row.seq <= walk.seq) {
                compare(&mut walk, &row)?;
            }
        }
    }
    walk.check_cut()?;
    if let Some(beyond) = last.first().filter(|row| row.seq > walk.seq) {
        let why = "the end has been cut off: a checkpoint covers more";
        return Err(Stop::at(walk.seq.min(beyond.seq) + 1, why));
    }
    check_head(&walk, head)?;
    walk.end()
}

/// A chain that does not begin with 1 says itself that it was cut; [`Walk::check_cut`] finds out whether that is true.
async fn begin(db: &Db, project: ProjectId, walk: &mut Walk<'_>, first: &Entry) -> Result<(), Stop> {
    let base = walk.begin(first)?;
    if base == 0 {
        return Ok(());
    }
    let read = |conn| async move {
        let told = recorded(&conn, project).await?;
        Ok((told, audit_checkpoints::find(&conn, project, base).await?))
    };
    match db.read(read).await? {
        (told, _) if told < base => Err(Stop::at(1, BEGINNING)),
        (_, Some(row)) => compare(walk, &row),
        _ => Ok(()),
    }
}

fn compare(walk: &mut Walk<'_>, row: &CheckpointRow) -> Result<(), Stop> {
    let checkpoint = Checkpoint::read(&row.jws).filter(|read| read.kid == row.kid);
    let forged = || Stop::at(walk.seq, "its checkpoint does not bear a signature that fits");
    walk.judge(&checkpoint.ok_or_else(forged)?)
}

fn check_head(walk: &Walk<'_>, head: Option<Head>) -> Result<(), Stop> {
    match head {
        // Entries appended while we walked lie beyond the head that was read first.
        Some(head) if head.seq > walk.seq => Err(Stop::at(walk.seq + 1, "the end has been cut off")),
        Some(head) if head.seq == walk.seq && head.hash != walk.hash => {
            Err(Stop::at(walk.seq, "the head does not fit the last entry"))
        }
        None if walk.seq > 0 => Err(Stop::at(walk.seq, "the head is missing")),
        _ => Ok(()),
    }
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
