//! A project as it is remembered: its keys, ready to use, and what it defines.

use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::keys::jwks::jwks_document;
use crate::keys::master::MasterKeys;
use crate::keys::provide;
use crate::keys::signing::{Alg, Signer, Verifier};
use crate::keys::subject_salt::SubjectSalt;
use crate::model::attribute::AttributeDefinition;
use crate::model::client::SCOPES;
use crate::model::project::Project;
use crate::model::scope::{ResourceServer, Scope};
use crate::model::signing_key::SigningKey;
use crate::oauth::discovery::{self, Published};
use crate::store::db::Conn;
use crate::store::{attribute_definitions, resource_servers, scopes, signing_keys, subject_salts};

/// A project with its keys, ready to use, and what it defines.
pub struct ProjectEntry {
    pub project: Arc<Project>,
    pub definitions: Vec<AttributeDefinition>,
    /// Those of its own.
    pub scopes: Vec<Scope>,
    pub resource_servers: Vec<ResourceServer>,
    /// The JWK Set of the published halves (RFC 7517, 5).
    pub jwks: Published,
    pub discovery: Published,
    sealed_salt: Option<Vec<u8>>,
    salt: OnceLock<Arc<SubjectSalt>>,
    keys: Vec<KeyEntry>,
    verifiers: HashMap<String, Arc<Verifier>>,
    /// When the store last said that this is current, in microseconds.
    pub(super) validated_at: AtomicI64,
}

/// What a project defines.
struct Defined {
    attributes: Vec<AttributeDefinition>,
    scopes: Vec<Scope>,
    resource_servers: Vec<ResourceServer>,
    sealed_salt: Option<Vec<u8>>,
}

struct KeyEntry {
    key: SigningKey,
    signer: OnceLock<Arc<Signer>>,
}

impl ProjectEntry {
    fn new(project: Project, keys: Vec<SigningKey>, defined: Defined) -> Result<Self> {
        let mut verifiers = HashMap::new();
        let mut entries = Vec::new();
        let published: Vec<String> = keys.iter().map(|key| key.public_jwk.clone()).collect();
        for key in keys {
            verifiers.insert(key.kid.clone(), Arc::new(Verifier::new(key.alg, &key.public_jwk)?));
            entries.push(KeyEntry { key, signer: OnceLock::new() });
        }
        let algs = signing_algs(&entries);
        let own = defined.scopes.iter().map(|scope| scope.name.as_str());
        let scopes: Vec<&str> = SCOPES.into_iter().chain(own).collect();
        Ok(Self {
            discovery: Published::new(&discovery::document(&project, &algs, &scopes)),
            jwks: Published::new(&jwks_document(&published)),
            project: Arc::new(project),
            definitions: defined.attributes,
            scopes: defined.scopes,
            resource_servers: defined.resource_servers,
            sealed_salt: defined.sealed_salt,
            salt: OnceLock::new(),
            keys: entries,
            verifiers,
            validated_at: AtomicI64::new(0),
        })
    }

    /// A scope of its own.
    pub fn scope(&self, name: &str) -> Option<&Scope> {
        self.scopes.iter().find(|scope| scope.name == name)
    }

    /// Whether a scope is one of all projects, or of this one.
    pub fn knows_scope(&self, scope: &str) -> bool {
        SCOPES.contains(&scope) || self.scope(scope).is_some()
    }

    /// The verifier of one of the project's keys. A key that is not the project's proves nothing here.
    pub fn verifier(&self, kid: &str) -> Option<Arc<Verifier>> {
        self.verifiers.get(kid).cloned()
    }

    /// What pairwise subjects are made with, unsealed once. There from the first client on that needs it.
    pub fn subject_salt(&self, master_keys: &MasterKeys) -> Result<Arc<SubjectSalt>> {
        if let Some(salt) = self.salt.get() {
            return Ok(salt.clone());
        }
        let sealed = self.sealed_salt.as_ref().ok_or_else(|| Error::internal("the project has no salt"))?;
        let salt = Arc::new(SubjectSalt::open(master_keys, self.project.id, sealed)?);
        Ok(self.salt.get_or_init(|| salt).clone())
    }

    /// The public half of the key that signs today.
    pub fn public_jwk(&self, alg: Alg) -> Result<serde_json::Value> {
        let entry = self.keys.iter().find(|entry| entry.key.is_current() && entry.key.alg == alg);
        let entry = entry.ok_or_else(|| no_key(alg))?;
        serde_json::from_str(&entry.key.public_jwk).map_err(Error::internal)
    }

    /// The key that signs today, unsealed once.
    pub fn signer(&self, master_keys: &MasterKeys, alg: Alg) -> Result<Arc<Signer>> {
        let entry = self.keys.iter().find(|entry| entry.key.is_current() && entry.key.alg == alg);
        let entry = entry.ok_or_else(|| no_key(alg))?;
        if let Some(signer) = entry.signer.get() {
            return Ok(signer.clone());
        }
        let place = provide::place(self.project.id, &entry.key.kid);
        let private = master_keys.open(&place, &entry.key.sealed_private)?;
        let signer = Arc::new(Signer::new(alg, &entry.key.kid, &private)?);
        Ok(entry.signer.get_or_init(|| signer).clone())
    }
}

fn no_key(alg: Alg) -> Error {
    Error::internal(format!("the project has no current {} key", alg.as_str()))
}

/// What belongs to the project.
pub(super) async fn entry_of(conn: &Conn, project: Project) -> Result<ProjectEntry> {
    let keys = signing_keys::list(conn, project.id).await?;
    let defined = Defined {
        attributes: attribute_definitions::list(conn, project.id).await?,
        scopes: scopes::list(conn, project.id).await?,
        resource_servers: resource_servers::list(conn, project.id).await?,
        sealed_salt: subject_salts::find(conn, project.id).await?,
    };
    ProjectEntry::new(project, keys, defined)
}

/// The algorithms that the project signs with today.
fn signing_algs(keys: &[KeyEntry]) -> Vec<Alg> {
    let signs = |alg: &Alg| keys.iter().any(|entry| entry.key.is_current() && entry.key.alg == *alg);
    Alg::ALL.into_iter().filter(signs).collect()
}
