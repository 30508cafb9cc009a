//! Sealing again, under the first master key, what an older one sealed; so that the older one seals nothing any more.
//!
//! A new sealed column joins [`rewrap`]: as a table of [`sealed`], or with a function of its own.

use serde_json::json;
use uuid::Uuid;

use super::master::{MasterKeys, Place};
use super::{data_key, provide, subject_salt};
use crate::audit::{self, Actor};
use crate::entropy::Entropy;
use crate::error::Result;
use crate::events;
use crate::identity::links;
use crate::identity::{recovery, totp};
use crate::ids::ProjectId;
use crate::jobs::outbox;
use crate::model::timestamp::Timestamp;
use crate::projects::webhooks;
use crate::sandbox::seed;
use crate::store::db::Db;
use crate::store::sealed::{self, Table};
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
    let mut run = Run { db, entropy, keys, done: Rewrapped::default() };
    run.signing_keys().await?;
    for table in Table::ALL {
        run.table(table).await?;
    }
    let Rewrapped { moved, kept, unreadable } = run.done;
    let detail = json!({"to": keys.current_id(), "moved": moved, "kept": kept, "unreadable": unreadable});
    let (actor, detail) = (&Actor::command_line(), &detail);
    db.unit(|conn| async move {
        let event = actor.did("master_key.rewrapped", "instance").with(detail.clone());
        audit::append(&conn, ProjectId::INSTANCE, now, &event).await
    })
    .await?;
    Ok(run.done)
}

struct Run<'a> {
    db: &'a Db,
    entropy: &'a Entropy,
    keys: &'a MasterKeys,
    done: Rewrapped,
}

impl Run<'_> {
    /// The value sealed anew; `None` for one that lies right already, or that no configured key opens.
    fn sealed_anew(&mut self, place: &Place<'_>, old: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.keys.seals_today(old) {
            self.done.kept += 1;
            return Ok(None);
        }
        match self.keys.open(place, old) {
            Ok(plain) => self.keys.seal(self.entropy, place, &plain).map(Some),
            Err(_) => {
                self.done.unreadable += 1;
                Ok(None)
            }
        }
    }

    async fn signing_keys(&mut self) -> Result<()> {
        let db = self.db;
        let mut after = ProjectId::INSTANCE;
        loop {
            let page = db.read(|conn| async move { signing_keys::owners(&conn, after, PAGE).await }).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            for project in page {
                self.signing_keys_of(project).await?;
            }
        }
    }

    async fn signing_keys_of(&mut self, project: ProjectId) -> Result<()> {
        let db = self.db;
        let listed = db.read(|conn| async move { signing_keys::list(&conn, project).await }).await?;
        for key in &listed {
            let (place, old) = (provide::place(project, &key.kid), &key.sealed_private);
            let Some(new) = &self.sealed_anew(&place, old)? else { continue };
            // No row: the key went meanwhile, or another run moved it.
            self.done.moved += db
                .write(|conn| async move { signing_keys::reseal(&conn, project, &key.kid, old, new).await })
                .await?;
        }
        Ok(())
    }

    async fn table(&mut self, table: Table) -> Result<()> {
        let db = self.db;
        let mut after = (ProjectId::INSTANCE, Uuid::nil());
        loop {
            let page = db.read(|conn| async move { sealed::page(&conn, table, after, PAGE).await }).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.project_id, last.id);
            for row in &page {
                let name = &row.id.to_string();
                let place = match table {
                    Table::UserKeys => data_key::place(row.project_id, name),
                    Table::Outbox => outbox::place(row.project_id, name),
                    Table::SubjectSalts => subject_salt::place(row.project_id),
                    Table::SandboxSeeds => seed::place(row.project_id, name),
                    Table::Webhooks => webhooks::place(row.project_id, name),
                    Table::MailLinks => links::place(row.project_id, name),
                    Table::TotpSeeds => totp::place(row.project_id, name),
                    Table::RecoveryKeys => recovery::place(row.project_id, name),
                    Table::Events => events::place(row.project_id, name),
                };
                let Some(new) = &self.sealed_anew(&place, &row.sealed)? else { continue };
                self.done.moved +=
                    db.write(|conn| async move { sealed::reseal(&conn, table, row, new).await }).await?;
            }
        }
    }
}
