//! Everything a request needs, behind one `Arc`; and the context that services take instead of ten arguments.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::identity::passwords::Hasher;
use crate::ids::ProjectId;
use crate::keys::master::{MasterKeys, Place};
use crate::keys::signing::{Alg, Signer, Verifier};
use crate::model::project::Project;
use crate::model::timestamp::Timestamp;
use crate::store::db::Db;
use crate::store::signing_keys::SigningKeyRow;
use crate::store::{projects, signing_keys};

/// The application.
pub struct App {
    /// `scheme://host[:port]`; every URL is built from it, never from a Host header.
    pub base_url: String,
    pub db: Db,
    pub clock: Clock,
    pub entropy: Entropy,
    pub master_keys: MasterKeys,
    pub hasher: Hasher,
    /// Serves the demo redirect page of `tessera dev`.
    pub demo_pages: bool,
}

/// One request's view: the project, its keys, and one now.
pub struct Ctx {
    pub app: Arc<App>,
    pub project: Project,
    pub now: Timestamp,
    pub request_id: String,
    keys: Vec<SigningKeyRow>,
}

impl Ctx {
    /// Reads the project and its keys; an unknown project is a 404.
    pub async fn load(app: Arc<App>, name: &str, request_id: String) -> Result<Self> {
        let now = app.clock.now();
        let (project, keys) = app
            .db
            .read(|conn| async move {
                let project = projects::get(&conn, name).await?;
                let keys = signing_keys::list(&conn, project.id).await?;
                Ok((project, keys))
            })
            .await?;
        Ok(Self { app, project, now, request_id, keys })
    }

    /// The published halves of the project's keys.
    pub fn public_jwks(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.public_jwk.clone()).collect()
    }

    /// Verifiers by `kid`. A key that is not the project's proves nothing here.
    pub fn verifiers(&self) -> Result<HashMap<&str, Arc<Verifier>>> {
        self.keys
            .iter()
            .map(|key| Ok((key.kid.as_str(), Arc::new(Verifier::new(key.alg.parse()?, &key.public_jwk)?))))
            .collect()
    }

    /// The key that signs today, unsealed.
    pub fn signer(&self, alg: Alg) -> Result<Signer> {
        let key = self
            .keys
            .iter()
            .find(|key| key.state == "current" && key.alg == alg.as_str())
            .ok_or_else(|| Error::internal(format!("the project has no current {} key", alg.as_str())))?;
        let private =
            self.app.master_keys.open(&key_place(self.project.id, &key.kid), &key.sealed_private)?;
        Signer::new(alg, &key.kid, &private)
    }
}

/// Where a signing key is sealed.
pub fn key_place(project: ProjectId, kid: &str) -> Place<'_> {
    Place { table: "signing_keys", project, row: kid, column: "sealed_private" }
}
