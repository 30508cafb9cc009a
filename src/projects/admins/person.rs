//! People as admins: whoever has an access token of the built-in project with the scope `admin`, and a role.

use std::fmt;
use std::sync::Arc;

use super::home::{self, SCOPE};
use super::{Admin, Grant, Who, role};
use crate::app::{App, Ctx, Visit};
use crate::audit;
use crate::error::{Code, Error, Result};
use crate::ids::{ProjectId, UserId};
use crate::keys::master::MasterKeys;
use crate::model::timestamp::Timestamp;
use crate::projects::admin_keys::not_valid;
use crate::session::access_token::Carried;
use crate::session::for_servers::is_for_servers_alone;
use crate::session::person::still_granted;
use crate::session::verify::{Live, require_live, require_still_live};
use crate::store::admin_grants::{self, HeldRow};
use crate::store::db::Conn;
use crate::store::{families, users};

/// A person of the built-in project, as their token and the store have it.
pub struct Person {
    ctx: Ctx,
    live: Live,
    held: Vec<HeldRow>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Person").field(&self.user()).finish()
    }
}

/// Faults of what is no token of the built-in project at all.
const FOREIGN: [&str; 6] =
    ["malformed", "unsupported_alg", "unknown_key", "bad_signature", "wrong_issuer", "wrong_token_use"];

/// # Errors
/// `invalid_token`: with the reason for a token of the built-in project that has ended; like a bad key for any other token, for
/// one that is not for this, and for somebody without a role.
pub async fn authenticate(app: &Arc<App>, request_id: &str, carried: &Carried) -> Result<Admin> {
    let home = home::find(app).await?.ok_or_else(not_valid)?;
    let visit =
        Visit { request_id: request_id.to_owned(), ..Visit::of_nobody(app, home.project, app.clock.now()) };
    let (ctx, live) = require_live(&visit, carried).await.map_err(like_a_bad_key)?;
    if !is_for_admins(&ctx, &live).await? {
        return Err(not_valid());
    }
    let (project, user) = (ctx.project.id, live.family.user_id);
    let held = app.db.read(|conn| async move { admin_grants::held(&conn, project, user).await }).await?;
    let grants = held.iter().map(grant).collect::<Result<Vec<Grant>>>()?;
    if grants.is_empty() {
        return Err(not_valid());
    }
    Ok(Admin { who: Who::Person(Arc::new(Person { ctx, live, held })), grants })
}

fn like_a_bad_key(error: Error) -> Error {
    let reason = error.details().and_then(|details| details["reason"].as_str());
    let is_foreign = reason.is_some_and(|reason| FOREIGN.contains(&reason));
    if error.code() == Code::InvalidToken && is_foreign { not_valid() } else { error }
}

/// Whether a live token lets its person act as an admin: one of the project's own applications got it from the person, for
/// itself and with the scope.
async fn is_for_admins(ctx: &Ctx, live: &Live) -> Result<bool> {
    let Live { claims, family, .. } = live;
    // What was got in exchange, or passed on, is in other hands.
    if claims.epochs.is_some() || claims.act.is_some() || is_for_servers_alone(ctx, live).await? {
        return Ok(false);
    }
    let client = &live.client(ctx).await?.client;
    let granted = still_granted(&ctx.entry, &claims.scope, family.allowed_as_of());
    let has_scope = granted.split(' ').any(|word| word == SCOPE) && client.may_ask_for(SCOPE);
    Ok(has_scope && family.first_party && client.settings.first_party && claims.aud.has(&client.audience()))
}

fn grant(row: &HeldRow) -> Result<Grant> {
    let project = Some(row.for_project).filter(|project| *project != ProjectId::INSTANCE);
    Ok(Grant { role: role(&row.role)?, project })
}

impl Person {
    pub fn user(&self) -> UserId {
        self.live.family.user_id
    }

    /// The built-in project.
    pub fn home(&self) -> ProjectId {
        self.ctx.project.id
    }

    /// As the audit log names them when they act: by a keyed hash, of the built-in project's own.
    pub fn name(&self) -> String {
        name(&self.ctx, self.user())
    }

    /// As the audit log names them when something happens to them.
    pub fn target(&self) -> String {
        audit::user_name(&self.ctx, self.user())
    }

    /// Of the sign-in behind the token: when, and how sure.
    pub fn proof(&self) -> (Timestamp, &str) {
        (self.live.family.auth_time, &self.live.family.acr)
    }

    /// Sees to it that the person, the roles and the sign-in live until the unit ends: whoever ends one of them waits, or was
    /// first.
    ///
    /// # Errors
    /// `invalid_token`, with the reason where the token has ended.
    pub async fn hold(&self, conn: &Conn) -> Result<()> {
        let (project, user) = (self.ctx.project.id, self.user());
        users::lock(conn, project, user).await?;
        let held = admin_grants::hold(conn, project, user).await?;
        let is_held = |seen: &HeldRow| {
            held.iter().any(|now| now.for_project == seen.for_project && now.role == seen.role)
        };
        if !self.held.iter().all(is_held) {
            return Err(not_valid());
        }
        // Whoever revokes it waits too. That it was revoked is said with the reason.
        families::hold(conn, project, self.live.family.id).await?;
        require_still_live(&self.ctx, conn, &self.live).await
    }
}

/// How a user of the built-in project is named as an admin; `ctx` is that project's.
pub fn name(ctx: &Ctx, user: UserId) -> String {
    name_in(&ctx.app.master_keys, ctx.project.id, user)
}

/// The same, where `home` is the id of that project.
pub fn name_in(keys: &MasterKeys, home: ProjectId, user: UserId) -> String {
    audit::user_name_in(keys, home, user).replacen("user:", "admin:", 1)
}
