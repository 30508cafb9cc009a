//! What is remembered of projects and clients between requests: bounded, validated by version, never trusted.
//!
//! Whatever changes a project, its keys or definitions, or a client and its secrets raises that row's `version` in the
//! same transaction. A hot path decides with what is remembered, reads the versions in its one read, and when one
//! differs forgets and judges again from the start.

mod client;
mod project;
mod token;

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use moka::sync::Cache as Lru;

pub use self::client::ClientEntry;
pub use self::project::ProjectEntry;
use self::project::entry_of;
pub use self::token::ProvenToken;
use crate::app::App;
use crate::error::{Code, Result, not_found};
use crate::ids::{ClientId, ProjectId};
use crate::model::timestamp::Timestamp;
use crate::model::token::AccessClaims;
use crate::oauth::published_keys::PublishedKeys;
use crate::projects::admins::home::Home;
use crate::store::{client_origins, client_secrets, clients, projects};

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
