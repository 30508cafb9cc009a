//! What has been taken out of the entries of a live store. An erasure leaves the commitment alone, and so does somebody who has
//! something to hide; but an erasure is told of in the chain.

use std::collections::HashSet;

use super::chain::{Entry, ZERO};
use super::walk::Stop;
use crate::error::Result;
use crate::ids::ProjectId;
use crate::store::db::{Conn, Db, fetch_optional};
use crate::store::projects;

/// Names that are remembered as erased.
const MOST_NAMES: usize = 10_000;

/// What somebody did while a person was being deleted is told of after the deletion: so soon after a cut its word may be gone.
const NEAR_A_CUT: i64 = 100;

/// The judge of one chain.
pub(super) struct Emptied {
    project: ProjectId,
    /// Nobody is asked for in a sandbox, which forgets without a word when it begins anew, nor where the whole project was
    /// emptied.
    judges_people: bool,
    erased: HashSet<String>,
}

impl Emptied {
    pub async fn of(db: &Db, project: ProjectId) -> Result<Self> {
        let id = &project.to_string();
        let found = db.read(|conn| async move { projects::find(&conn, id).await }).await?;
        let judges_people = found.is_some_and(|found| !found.is_sandbox());
        Ok(Self { project, judges_people, erased: HashSet::new() })
    }

    /// Stops at an entry that has lost something which no erasure took.
    pub async fn judge(&mut self, db: &Db, entry: &Entry, base: i64) -> Result<(), Stop> {
        if lacks_origin_of_program(entry) {
            return Err(Stop::at(entry.seq, "from where it came has been taken away"));
        }
        if !self.judges_people || (base > 0 && entry.seq <= base + NEAR_A_CUT) {
            return Ok(());
        }
        for name in people(entry) {
            if !self.is_erased(db, name).await? {
                return Err(Stop::at(entry.seq, "what it seals has been taken away, and nobody was deleted"));
            }
        }
        Ok(())
    }

    async fn is_erased(&mut self, db: &Db, name: &str) -> Result<bool> {
        if self.erased.contains(name) {
            return Ok(true);
        }
        let project = self.project;
        let told = db.read(|conn| async move { tells_of_deletion(&conn, project, name).await }).await?;
        if told {
            if self.erased.len() >= MOST_NAMES {
                self.erased.clear();
            }
            self.erased.insert(name.to_owned());
        }
        Ok(told)
    }
}

/// Of a program it is nobody's data, and no erasure takes it away.
fn lacks_origin_of_program(entry: &Entry) -> bool {
    let is_a_programs = matches!(&*entry.actor_kind, "admin_key" | "initial_access_token" | "registration");
    is_a_programs && entry.origin_commitment.is_some() && entry.origin.is_none()
}

/// Whose data is gone from it, as far as its names tell.
fn people(entry: &Entry) -> impl Iterator<Item = &str> {
    let lacks_sealed = entry.sealed.is_none() && entry.commitment != ZERO;
    let lacks_origin = entry.origin.is_none() && entry.origin_commitment.is_some();
    let of_origin = match &*entry.actor_kind {
        "user" => Some(entry.actor.as_str()),
        // Somebody tries to sign in as the one whom it is about.
        "system" => Some(entry.target.as_str()),
        _ => None,
    };
    let names = [of_origin.filter(|_| lacks_origin), Some(entry.target.as_str()).filter(|_| lacks_sealed)];
    names.into_iter().flatten().filter(|name| name.starts_with("user:"))
}

async fn tells_of_deletion(conn: &Conn, project: ProjectId, name: &str) -> Result<bool> {
    let found = fetch_optional!(
        conn,
        (i64,),
        "SELECT seq FROM audit_log WHERE project_id = $1 AND target = $2 AND action = 'user.deleted' LIMIT 1",
        project,
        name
    )?;
    Ok(found.is_some())
}
