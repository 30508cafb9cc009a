//! Giving a project the keys it needs: sealed, audited, and made once however many ask.

use serde_json::json;

use super::generate::{RsaSize, generate};
use super::master::Place;
use super::subject_salt;
use crate::app::App;
use crate::audit::{self, Actor};
use crate::error::{Code, Result, conflict, not_found};
use crate::ids::ProjectId;
use crate::model::client::{ClientSettings, SubjectType};
use crate::model::signing_key::{Alg, KeyState, SigningKey};
use crate::model::timestamp::Timestamp;
use crate::store::db::Conn;
use crate::store::{projects, signing_keys};

/// A change of one project's keys: by whom, and when.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    pub app: &'a App,
    pub project: ProjectId,
    pub now: Timestamp,
    pub actor: &'a Actor,
}

/// Where a signing key is sealed.
pub fn place(project: ProjectId, kid: &str) -> Place<'_> {
    Place { table: "signing_keys", project, row: kid, column: "sealed_private" }
}

impl Change<'_> {
    pub(super) async fn list(&self) -> Result<Vec<SigningKey>> {
        self.app.db.read(|conn| async move { signing_keys::list(&conn, self.project).await }).await
    }

    /// Makes and seals a key; nothing is stored yet. A unit neither searches for primes nor seals, so this comes before it.
    pub async fn make(&self, alg: Alg, size: RsaSize, state: KeyState) -> Result<SigningKey> {
        let key = generate(alg, size).await?;
        let place = place(self.project, &key.kid);
        let sealed_private = self.app.master_keys.seal(&self.app.entropy, &place, &key.private_der)?;
        let created_at = self.now;
        Ok(SigningKey { kid: key.kid, alg, state, public_jwk: key.public_jwk, sealed_private, created_at })
    }

    /// Every unit that changes keys begins with this: it orders them, and makes every node forget what it remembers.
    pub(super) async fn begin(&self, conn: &Conn) -> Result<()> {
        match projects::raise_version(conn, self.project, self.now).await? {
            0 => Err(not_found("no such project")),
            _ => Ok(()),
        }
    }

    /// Stores a new key with its audit event.
    ///
    /// # Errors
    /// 409 when a key of that algorithm and state is there already.
    pub async fn insert(&self, conn: &Conn, key: &SigningKey) -> Result<()> {
        if signing_keys::insert(conn, self.project, key).await? == 0 {
            let (state, alg) = (key.state.as_str(), key.alg.as_str());
            return Err(conflict(format!("there is a {state} key of {alg} already")));
        }
        self.record(conn, "signing_key.created", &key.kid, key.alg, "").await
    }

    /// Appends what happened to a key: the last thing in a unit.
    pub(super) async fn record(
        &self,
        conn: &Conn,
        action: &str,
        kid: &str,
        alg: Alg,
        reason: &str,
    ) -> Result<()> {
        let target = format!("signing_key:{kid}");
        let event = self.actor.did(action, &target).with(json!({"alg": alg.as_str()})).because(reason);
        audit::append(conn, self.project, self.now, &event).await?;
        Ok(())
    }
}

/// The keys that a client needs: RS256 for each project with clients (every OpenID Connect library reads it), and what the
/// client's settings name. Called before the unit that stores the settings.
pub async fn for_client(change: &Change<'_>, settings: &ClientSettings) -> Result<()> {
    let (id, access) = (settings.id_token_signed_response_alg, settings.access_token_signed_response_alg);
    let more = [settings.userinfo_signed_response_alg, settings.introspection_signed_response_alg];
    let algs: Vec<Alg> =
        [Alg::ES256, Alg::RS256, id, access].into_iter().chain(more.into_iter().flatten()).collect();
    ensure(change, &algs).await?;
    match settings.subject_type {
        SubjectType::Pairwise => subject_salt::ensure(change).await,
        SubjectType::Public => Ok(()),
    }
}

/// Sees to it that the project signs with each of `algs`; what it has already is left alone.
///
/// # Errors
/// 404 for a project that is gone.
pub async fn ensure(change: &Change<'_>, algs: &[Alg]) -> Result<()> {
    let keys = change.list().await?;
    let missing = |alg: &Alg| !keys.iter().any(|key| key.alg == *alg && key.is_current());
    for alg in Alg::ALL.into_iter().filter(|alg| algs.contains(alg)).filter(missing) {
        let key = &change.make(alg, RsaSize::default(), KeyState::Current { since: change.now }).await?;
        let stored = change.app.db.unit(|conn| async move {
            change.begin(&conn).await?;
            change.insert(&conn, key).await
        });
        match stored.await {
            // Somebody else was faster, and that key serves as well.
            Err(error) if error.code() == Code::Conflict => {}
            outcome => outcome?,
        }
    }
    Ok(())
}
