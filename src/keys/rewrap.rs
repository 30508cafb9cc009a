//! Sealing again, under the first master key, what an older one sealed; so that the older one can be taken away in time.
//!
//! A new sealed column joins [`rewrap`] with a function of its own.

use serde_json::json;

use super::master::MasterKeys;
use super::provide::place;
use crate::audit::{self, Actor};
use crate::entropy::Entropy;
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;
use crate::store::db::Db;
use crate::store::signing_keys;

const PAGE: i64 = 100;

/// How many sealed values were moved, lay right already, and could not be opened with any configured key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    pub moved: u64,
    pub kept: u64,
    pub unreadable: u64,
}

/// Walks all sealed values in small steps; safe beside running servers, and to be run again.
pub async fn rewrap(db: &Db, entropy: &Entropy, keys: &MasterKeys, now: Timestamp) -> Result<Rewrapped> {
    let mut done = Rewrapped::default();
    let mut after = ProjectId::INSTANCE;
    loop {
        let page = db.read(|conn| async move { signing_keys::owners(&conn, after, PAGE).await }).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        for project in page {
            rewrap_signing_keys(db, entropy, keys, project, &mut done).await?;
        }
    }
    let Rewrapped { moved, kept, unreadable } = done;
    let detail = json!({"to": keys.current_id(), "moved": moved, "kept": kept, "unreadable": unreadable});
    let (actor, detail) = (&Actor::command_line(), &detail);
    db.unit(|conn| async move {
        let event = actor.did("master_key.rewrapped", "instance").with(detail.clone());
        audit::append(&conn, ProjectId::INSTANCE, now, &event).await
    })
    .await?;
    Ok(done)
}

async fn rewrap_signing_keys(
    db: &Db,
    entropy: &Entropy,
    keys: &MasterKeys,
    project: ProjectId,
    done: &mut Rewrapped,
) -> Result<()> {
    let listed = db.read(|conn| async move { signing_keys::list(&conn, project).await }).await?;
    for key in &listed {
        let (place, old) = (place(project, &key.kid), &key.sealed_private);
        if keys.seals_today(old) {
            done.kept += 1;
            continue;
        }
        let Ok(plain) = keys.open(&place, old) else {
            done.unreadable += 1;
            continue;
        };
        let new = &keys.seal(entropy, &place, &plain)?;
        // No row: the key went meanwhile, or another run moved it.
        done.moved += db
            .write(|conn| async move { signing_keys::reseal(&conn, project, &key.kid, old, new).await })
            .await?;
    }
    Ok(())
}
