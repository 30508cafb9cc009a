//! What is remembered of projects and clients between requests: bounded, validated by version, never trusted.
//!
//! Whatever changes a project, its keys or definitions, or a client and its secrets raises that row's `version` in the
//! same transaction. A hot path decides with what is remembered, reads the versions in its one read, and when one
//! differs forgets and judges again from the start.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use moka::sync::Cache as Lru;

use crate::app::App;
use crate::error::{Code, Error, Result, not_found};
use crate::ids::{ClientId, ProjectId};
use crate::keys::client_keys::ClientKeys;
use crate::keys::jwks::jwks_document;
use crate::keys::master::MasterKeys;
use crate::keys::provide;
use crate::keys::signing::{Alg, Signer, Verifier};
use crate::keys::subject_salt::SubjectSalt;
use crate::model::attribute::AttributeDefinition;
use crate::model::client::{Client, SCOPES};
use crate::model::project::Project;
use crate::model::scope::{ResourceServer, Scope};
use crate::model::signing_key::SigningKey;
use crate::model::timestamp::Timestamp;
use crate::model::token::AccessClaims;
use crate::oauth::discovery::{self, Published};
use crate::oauth::published_keys::PublishedKeys;
use crate::projects::admins::home::Home;
use crate::store::client_origins;
use crate::store::client_secrets::{self, StoredSecret};
use crate::store::db::Conn;
use crate::store::{
    attribute_definitions, clients, projects, resource_servers, scopes, signing_keys, subject_salts,
};

const MOST_PROJECTS: u64 = 1000;
const MOST_CLIENTS: u64 = 4000;
const MOST_TOKENS: u64 = 4000;
const MOST_ORIGINS: u64 = 4000;

/// Seconds for which an origin is taken for what it was.
const ORIGIN_SECONDS: i64 = 5;

pub struct Cache {
    /// A slug is never given to another project, so this needs no validation.
    ids: Lru<String, ProjectId>,
    projects: Lru<ProjectId, Arc<ProjectEntry>>,
    clients: Lru<(ProjectId, ClientId), Arc<ClientEntry>>,
    published_keys: Lru<(ProjectId, ClientId), Arc<PublishedKeys>>,
    /// Whether a client of the project registered the origin, and when the store said so.
    origins: Lru<(ProjectId, String), (bool, Timestamp)>,
    /// Access tokens whose signature was right.
    tokens: Lru<ProvenToken, Arc<AccessClaims>>,
    /// The built-in project, once there is one: its ids never change.
    pub admin_home: OnceLock<Arc<Home>>,
}

/// A token under the keys of one version of a project. A signature that was right stays right, and whatever happens to
/// the keys makes another version, so this remembers arithmetic and nothing else: time and liveness are judged anew.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProvenToken {
    project: ProjectId,
    version: i64,
    hash: [u8; 32],
}

impl ProvenToken {
    pub fn new(project: &Project, token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self { project: project.id, version: project.version, hash }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            ids: Lru::new(MOST_PROJECTS),
            projects: Lru::new(MOST_PROJECTS),
            clients: Lru::new(MOST_CLIENTS),
            published_keys: Lru::new(MOST_CLIENTS),
            origins: Lru::new(MOST_ORIGINS),
            tokens: Lru::new(MOST_TOKENS),
            admin_home: OnceLock::new(),
        }
    }
}

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
    validated_at: AtomicI64,
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

/// A client with its live secrets and the keys that it registered.
pub struct ClientEntry {
    pub client: Client,
    pub secrets: Vec<StoredSecret>,
    pub keys: Arc<ClientKeys>,
}

impl ClientEntry {
    fn new(client: Client, secrets: Vec<StoredSecret>) -> Result<Self> {
        let keys =
            client.settings.jwks.as_ref().map(ClientKeys::parse).transpose().map_err(Error::internal)?;
        Ok(Self { client, secrets, keys: Arc::new(keys.unwrap_or_default()) })
    }
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
async fn entry_of(conn: &Conn, project: Project) -> Result<ProjectEntry> {
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

impl Cache {
    /// The project as remembered, which the caller validates by its version; read when it is not remembered.
    ///
    /// # Errors
    /// 404 for a name that no project has.
    pub async fn project(&self, app: &App, name: &str) -> Result<Arc<ProjectEntry>> {
        let remembered = self.id_of(name).and_then(|id| self.projects.get(&id));
        match remembered {
            Some(entry) => Ok(entry),
            None => self.read_project(app, name).await,
        }
    }

    /// The project as it is now: one narrow read confirms what is remembered.
    pub async fn validated_project(
        &self,
        app: &App,
        name: &str,
        now: Timestamp,
    ) -> Result<Arc<ProjectEntry>> {
        if let Some(entry) = self.id_of(name).and_then(|id| self.projects.get(&id)) {
            let id = entry.project.id;
            let version = app.db.read(|conn| async move { projects::version(&conn, id).await }).await?;
            if version == Some(entry.project.version) {
                entry.validated_at.store(now.micros(), Ordering::Relaxed);
                return Ok(entry);
            }
            self.projects.invalidate(&id);
        }
        let entry = self.read_project(app, name).await?;
        entry.validated_at.store(now.micros(), Ordering::Relaxed);
        Ok(entry)
    }

    /// For public documents: the project as it was at most `seconds` ago.
    pub async fn recent_project(
        &self,
        app: &App,
        name: &str,
        now: Timestamp,
        seconds: i64,
    ) -> Result<Arc<ProjectEntry>> {
        let remembered = self.id_of(name).and_then(|id| self.projects.get(&id));
        let since = |entry: &ProjectEntry| {
            now.seconds_since(Timestamp::from_micros(entry.validated_at.load(Ordering::Relaxed)))
        };
        match remembered.filter(|entry| (0..seconds).contains(&since(entry))) {
            Some(entry) => Ok(entry),
            None => self.validated_project(app, name, now).await,
        }
    }

    /// The version is read first: what changes meanwhile leaves an entry that looks older than it is, never newer.
    async fn read_project(&self, app: &App, name: &str) -> Result<Arc<ProjectEntry>> {
        let read = |conn| async move {
            let project = projects::get(&conn, name).await?;
            entry_of(&conn, project).await
        };
        let entry = Arc::new(app.db.read(read).await?);
        self.ids.insert(entry.project.slug.clone(), entry.project.id);
        self.projects.insert(entry.project.id, entry.clone());
        Ok(entry)
    }

    /// A project that was deleted a moment ago, by its id. It is not remembered.
    ///
    /// # Errors
    /// 404 for an id that no project has or had.
    pub async fn deleted_project(app: &App, id: &str) -> Result<Arc<ProjectEntry>> {
        let read = |conn| async move {
            let project = projects::find_deleted(&conn, id).await?;
            entry_of(&conn, project.ok_or_else(|| not_found("no such project"))?).await
        };
        app.db.read(read).await.map(Arc::new)
    }

    fn id_of(&self, name: &str) -> Option<ProjectId> {
        name.parse().ok().or_else(|| self.ids.get(name))
    }

    /// The client as remembered, and whether it was read just now.
    ///
    /// # Errors
    /// 404 for an unknown client.
    pub async fn client(
        &self,
        app: &App,
        project: ProjectId,
        id: ClientId,
        now: Timestamp,
    ) -> Result<(Arc<ClientEntry>, bool)> {
        if let Some(entry) = self.clients.get(&(project, id)) {
            return Ok((entry, false));
        }
        Ok((self.current_client(app, project, id, now).await?, true))
    }

    /// The client as it is now. What is remembered in the same version stays: somebody else's wrong secret costs a client
    /// nothing.
    pub async fn current_client(
        &self,
        app: &App,
        project: ProjectId,
        id: ClientId,
        now: Timestamp,
    ) -> Result<Arc<ClientEntry>> {
        let entry = app
            .db
            .read(|conn| async move {
                let client =
                    clients::find(&conn, project, id).await?.ok_or_else(|| not_found("no such client"))?;
                let secrets = client_secrets::list_live(&conn, project, now, id).await?;
                ClientEntry::new(client, secrets)
            })
            .await?;
        let entry = Arc::new(entry);
        let remembered = self.clients.get(&(project, id));
        if remembered.is_none_or(|known| known.client.version != entry.client.version) {
            self.clients.insert((project, id), entry.clone());
        }
        Ok(entry)
    }

    /// Whether pages of this origin may call the project: as it was at most five seconds ago.
    pub async fn is_registered_origin(
        &self,
        app: &App,
        project: &str,
        origin: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let entry = match self.project(app, project).await {
            Ok(entry) => entry,
            Err(error) if error.code() == Code::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let key = (entry.project.id, origin.to_owned());
        let remembered = self.origins.get(&key);
        let is_recent = |at: Timestamp| (0..ORIGIN_SECONDS).contains(&now.seconds_since(at));
        if let Some((registered, _)) = remembered.filter(|(_, at)| is_recent(*at)) {
            return Ok(registered);
        }
        let id = entry.project.id;
        let read = |conn| async move { client_origins::is_registered(&conn, id, origin).await };
        let registered = app.db.read(read).await?;
        self.origins.insert(key, (registered, now));
        Ok(registered)
    }

    /// Where the keys of a client that publishes them are kept.
    pub fn published_keys(&self, project: ProjectId, client: ClientId) -> Arc<PublishedKeys> {
        self.published_keys.get_with((project, client), Arc::default)
    }

    /// The claims of a token that was proven before under the same keys.
    pub fn proven_token(&self, token: &ProvenToken) -> Option<Arc<AccessClaims>> {
        self.tokens.get(token)
    }

    pub fn remember_token(&self, token: ProvenToken, claims: Arc<AccessClaims>) {
        self.tokens.insert(token, claims);
    }

    pub fn forget_project(&self, project: ProjectId) {
        self.projects.invalidate(&project);
    }

    pub fn forget_client(&self, project: ProjectId, client: ClientId) {
        self.clients.invalidate(&(project, client));
    }
}
