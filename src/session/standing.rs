//! The loop of every hot path: decide with what is remembered, read once, and begin again when the store disagrees.

use std::sync::Arc;

use crate::app::{Ctx, Visit};
use crate::cache::ClientEntry;
use crate::error::{Error, Result, not_found};
use crate::oauth::client_auth::{Presented, authenticate};
use crate::projects::admins::Admin;
use crate::secret::Secret;
use crate::store::liveness::{self, Question, Standing};

/// Each begins with what another request has just changed, so more than this means that somebody changes without end.
pub const ATTEMPTS: usize = 4;

/// Who asks; nothing is proven yet.
pub enum Asker {
    Client(Presented),
    AdminKey(Secret),
    /// An admin who is a person, and proven already.
    Admin(Box<Admin>),
    /// The token speaks for itself.
    Bearer,
}

/// A context, a client and how things stand, all true at the moment of one read.
pub struct Proven<T> {
    pub ctx: Ctx,
    pub client: Option<Arc<ClientEntry>>,
    pub standing: Standing,
    /// What was seen in the token.
    pub seen: T,
}

impl<T> Proven<T> {
    /// The client that asks; only for what clients ask.
    ///
    /// # Errors
    /// None, where [`Asker::Client`] asked.
    pub fn asking_client(&self) -> Result<Arc<ClientEntry>> {
        self.client.clone().ok_or_else(|| Error::internal("no client asks"))
    }
}

/// `look` reads the token with the project's remembered keys, and says what to ask the store about.
///
/// # Errors
/// `invalid_client` for a client that does not prove itself; 404 for an unknown project; whatever `look` refuses.
pub async fn prove<T>(
    visit: &Visit,
    asker: &Asker,
    look: impl Fn(&Ctx) -> Result<(T, Question)>,
) -> Result<Proven<T>> {
    for _ in 0..ATTEMPTS {
        let ctx = visit.remembered().await?;
        let client = match asker {
            Asker::Client(presented) => Some(authenticate(&ctx, presented).await?),
            Asker::AdminKey(_) | Asker::Admin(_) | Asker::Bearer => None,
        };
        let (seen, mut question) = look(&ctx)?;
        if let Some(entry) = &client {
            question.caller = Some(entry.client.id);
        }
        if let Asker::AdminKey(key) = asker {
            question.admin_key = Some(key.sha256());
        }
        let id = ctx.project.id;
        let via = std::mem::take(&mut question.via);
        let standing = ctx.app.standings.ask(id, question).await?;
        let standing = standing.filter(|standing| standing.project_status != "deleted");
        let Some(mut standing) = standing else {
            ctx.app.cache.forget_project(id);
            return Err(not_found("no such project"));
        };
        if let Some(via) = Some(&via).filter(|via| !via.is_empty()) {
            let alive =
                ctx.app.db.read(|conn| async move { liveness::links_live(&conn, id, via).await }).await?;
            standing.token_revoked |= !alive;
        }
        if is_current(&ctx, client.as_deref(), &standing) {
            return Ok(Proven { ctx, client, standing, seen });
        }
    }
    Err(Error::unavailable(1, "the project or the client changed at every attempt"))
}

/// Compares the versions, and forgets what is old.
fn is_current(ctx: &Ctx, client: Option<&ClientEntry>, standing: &Standing) -> bool {
    let same_project = standing.project_version == ctx.project.version;
    if !same_project {
        ctx.app.cache.forget_project(ctx.project.id);
    }
    let same_client = client.is_none_or(|entry| standing.caller_version == Some(entry.client.version));
    if let Some(entry) = client.filter(|_| !same_client) {
        ctx.app.cache.forget_client(ctx.project.id, entry.client.id);
    }
    same_project && same_client
}
