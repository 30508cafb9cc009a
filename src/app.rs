//! Everything a request needs, behind one `Arc`; and the context that services take instead of ten arguments.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cache::{Cache, ProjectEntry};
use crate::callout::Callouts;
use crate::clock::Clock;
use crate::config::Server;
use crate::demo::Demo;
use crate::entropy::Entropy;
use crate::error::{Code, Result};
use crate::events::Events;
use crate::identity::guesses::Turns;
use crate::identity::passwords::Hasher;
use crate::keys::master::MasterKeys;
use crate::keys::signing::{Alg, Signer};
use crate::mail::Mailer;
use crate::model::project::Project;
use crate::model::proxies::TrustedProxies;
use crate::model::timestamp::Timestamp;
use crate::running::Running;
use crate::sandbox::faults::{self, Hazard};
use crate::store::db::Db;
use crate::store::rotations::Rotations;
use crate::store::standings::Standings;
use crate::texts::{self, Texts};
use crate::tls::Tls;

/// The application.
pub struct App {
    /// `scheme://host[:port]`; every URL is built from it, never from a Host header.
    pub base_url: String,
    pub db: Db,
    /// The hot read, for all who wait at once.
    pub standings: Standings,
    pub rotations: Rotations,
    pub cache: Cache,
    pub clock: Clock,
    pub entropy: Entropy,
    pub master_keys: MasterKeys,
    pub hasher: Hasher,
    /// Of those who guess at the same password.
    pub turns: Turns,
    pub running: Running,
    /// Users of deletions of many that this node deletes in a second, at most.
    pub deletions_per_second: u32,
    /// What connections may take.
    pub server: Server,
    /// The certificate of our own; `None`: plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Whose word on the client's address is taken.
    pub proxies: TrustedProxies,
    pub mailer: Mailer,
    /// Sign-ins, refreshes and failures that are not written yet.
    pub events: Events,
    /// The way to addresses that applications registered.
    pub callouts: Callouts,
    /// Where this node keeps its copy of the erasure ledger; `None`: it keeps none.
    pub erasure_ledger: Option<PathBuf>,
    /// The demo of `tessera dev`, and with it its redirect page.
    pub demo: Option<Demo>,
}

/// A request to a project, before the project has been looked up.
#[derive(Clone)]
pub struct Visit {
    pub app: Arc<App>,
    /// The slug or the id that the path names.
    pub project: String,
    pub request_id: String,
    pub now: Timestamp,
    /// What a sandbox may do to the request; `None` for work that is none, and for admins.
    pub hazard: Option<Arc<Hazard>>,
}

/// One request's view: the project, its keys, and one now.
#[derive(Clone)]
pub struct Ctx {
    pub app: Arc<App>,
    pub project: Arc<Project>,
    pub entry: Arc<ProjectEntry>,
    /// By the project's clock, which in a sandbox goes ahead.
    pub now: Timestamp,
    /// By everybody's clock: for what others dated.
    pub wall: Timestamp,
    pub request_id: String,
    /// The language of whoever is spoken to; English where no person is.
    pub texts: &'static Texts,
    /// Whether the request asked for this language, rather than the browser.
    pub language_asked: bool,
}

impl Visit {
    /// Of work that no request asked for.
    pub fn of_nobody(app: &Arc<App>, project: impl ToString, now: Timestamp) -> Self {
        Self { app: app.clone(), project: project.to_string(), request_id: String::new(), now, hazard: None }
    }

    async fn enter(&self, entry: Arc<ProjectEntry>) -> Result<Ctx> {
        let ctx = self.ctx(entry);
        if let Some(hazard) = self.hazard.as_ref().filter(|_| ctx.project.is_sandbox()) {
            faults::strike(&ctx, hazard).await?;
        }
        Ok(ctx)
    }

    fn ctx(&self, entry: Arc<ProjectEntry>) -> Ctx {
        Ctx {
            app: self.app.clone(),
            project: entry.project.clone(),
            now: self.now.plus_seconds(entry.project.clock_offset),
            wall: self.now,
            request_id: self.request_id.clone(),
            texts: texts::english(),
            language_asked: false,
            entry,
        }
    }

    /// The project as it is now; an unknown one is a 404.
    pub async fn current(&self) -> Result<Ctx> {
        let entry = self.app.cache.validated_project(&self.app, &self.project, self.now).await?;
        self.enter(entry).await
    }

    /// Like [`Self::current`], for what is still to be said in the name of a project that was deleted, while its rows are
    /// there.
    pub async fn even_if_deleted(&self) -> Result<Ctx> {
        match self.current().await {
            Err(error) if error.code() == Code::NotFound => {
                let deleted = Box::pin(Cache::deleted_project(&self.app, &self.project));
                Ok(self.ctx(deleted.await?))
            }
            found => found,
        }
    }

    /// The project as remembered. Whoever decides with it compares its version in the same read as the rest.
    pub async fn remembered(&self) -> Result<Ctx> {
        self.enter(self.app.cache.project(&self.app, &self.project).await?).await
    }

    /// The project as it was at most `seconds` ago, for documents that everybody may keep for longer than that.
    pub async fn recent(&self, seconds: i64) -> Result<Ctx> {
        let entry = self.app.cache.recent_project(&self.app, &self.project, self.now, seconds).await?;
        self.enter(entry).await
    }
}

impl Ctx {
    /// The key that signs today.
    pub fn signer(&self, alg: Alg) -> Result<Arc<Signer>> {
        self.entry.signer(&self.app.master_keys, alg)
    }
}
