//! Who acts, for which request: what the events of one request have in common.

use std::sync::Arc;

use serde_json::json;

use super::{Event, Origin};
use crate::app::{App, Ctx};
use crate::error::{Result, forbidden};
use crate::ids::{AdminKeyId, ClientId, InitialAccessTokenId, ProjectId, UserId};
use crate::keys::master::MasterKeys;
use crate::projects::admin_keys::not_valid;
use crate::projects::admins::{Admin, Person, Who};
use crate::projects::initial_access_tokens;
use crate::secret::encode_base64url;
use crate::store::admin_keys;
use crate::store::db::Conn;

/// An admin key, an admin who is a person, a client, a user, the command line or the system itself.
#[derive(Clone, Debug)]
pub struct Actor {
    name: String,
    kind: &'static str,
    request_id: String,
    authority: Authority,
    origin: Origin,
}

/// What must live when an act is committed.
#[derive(Clone, Debug)]
pub enum Authority {
    /// Whoever acts is judged elsewhere, or by nobody.
    Own,
    Key(AdminKeyId),
    Person(Arc<Person>),
}

impl Actor {
    fn new(name: String, kind: &'static str, request_id: &str, origin: Origin) -> Self {
        Self { name, kind, request_id: request_id.into(), authority: Authority::Own, origin }
    }

    pub fn admin(app: &Arc<App>, admin: &Admin, request_id: &str) -> Self {
        match &admin.who {
            Who::Key(id) => {
                let origin = Origin::of_program(app, None, request_id);
                let actor = Self::new(format!("admin_key:{id}"), "admin_key", request_id, origin);
                Self { authority: Authority::Key(*id), ..actor }
            }
            Who::Person(person) => {
                let origin = Origin::of_person(app, (person.home(), person.user()), request_id);
                let actor = Self::new(person.name(), "admin", request_id, origin);
                Self { authority: Authority::Person(person.clone()), ..actor }
            }
        }
    }

    /// The person who acts as an admin, if it is one.
    pub fn person(&self) -> Option<&Person> {
        match &self.authority {
            Authority::Person(person) => Some(person),
            Authority::Own | Authority::Key(_) => None,
        }
    }

    /// `user`: whose session it acts on. A client may be a page in that person's browser, so the address goes with the person; it
    /// is sealed under the master key, because these acts lie beside hot paths, and so costs no read.
    pub fn client(ctx: &Ctx, client: ClientId, user: Option<UserId>) -> Self {
        let owner = user.map(|user| (ctx.project.id, user));
        let origin = Origin::of_program(&ctx.app, owner, &ctx.request_id);
        Self::new(format!("client:{client}"), "client", &ctx.request_id, origin)
    }

    /// Whoever registers an application with it.
    pub fn initial_access_token(ctx: &Ctx, id: InitialAccessTokenId) -> Self {
        let origin = Origin::of_program(&ctx.app, None, &ctx.request_id);
        Self::new(initial_access_tokens::target(id), "initial_access_token", &ctx.request_id, origin)
    }

    /// A client that manages its own registration.
    pub fn registration(ctx: &Ctx, client: ClientId) -> Self {
        let origin = Origin::of_program(&ctx.app, None, &ctx.request_id);
        Self::new(format!("registration:{client}"), "registration", &ctx.request_id, origin)
    }

    /// A user appears by the keyed hash of the id only.
    pub fn user(ctx: &Ctx, user: UserId) -> Self {
        let origin = Origin::of_person(&ctx.app, (ctx.project.id, user), &ctx.request_id);
        Self::new(user_name(ctx, user), "user", &ctx.request_id, origin)
    }

    pub fn command_line() -> Self {
        Self::new("command_line".into(), "command_line", "", Origin::Nowhere)
    }

    pub fn is_command_line(&self) -> bool {
        self.kind == "command_line"
    }

    /// What happens by itself, by the name of the job.
    pub fn system(job: &str) -> Self {
        Self::new(format!("system:{job}"), "system", "", Origin::Nowhere)
    }

    /// What happens by itself because somebody tries to sign in as `user`.
    pub fn sign_in(ctx: &Ctx, user: UserId) -> Self {
        let origin = Origin::of_person(&ctx.app, (ctx.project.id, user), &ctx.request_id);
        Self::new("system:sign_in".into(), "system", &ctx.request_id, origin)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// An event of this actor; `action` is `noun.verb`.
    pub fn did<'a>(&'a self, action: &'a str, target: &'a str) -> Event<'a> {
        Event {
            actor: &self.name,
            actor_kind: self.kind,
            action,
            target,
            reason: "",
            detail: json!({}),
            request_id: &self.request_id,
            personal: None,
            origin: &self.origin,
            authority: Some(&self.authority),
        }
    }

    /// Sees to it that the acting admin lives until the unit ends. [`super::append`] does this; a unit that ends the admin itself
    /// does it before, and marks its events with [`Event::by_an_ended_key`].
    pub async fn hold(&self, conn: &Conn) -> Result<()> {
        hold(conn, Some(&self.authority)).await
    }
}

/// The revocation of the key, or the end of the person's session or role, waits from here to the end of the unit.
///
/// # Errors
/// `invalid_token`, as for any other use of a revoked key or a dead token.
pub(super) async fn hold(conn: &Conn, authority: Option<&Authority>) -> Result<()> {
    match authority {
        Some(Authority::Key(key)) if admin_keys::hold(conn, *key).await? == 0 => Err(not_valid()),
        Some(Authority::Person(person)) => Box::pin(person.hold(conn)).await,
        _ => Ok(()),
    }
}

/// Nobody acts on their own account as an admin: a found token would get around what the account page asks for.
///
/// # Errors
/// 403.
pub(super) fn check_other(authority: Option<&Authority>, target: &str) -> Result<()> {
    match authority {
        Some(Authority::Person(person)) if person.target() == target => Err(own_account()),
        _ => Ok(()),
    }
}

/// Where admins do what concerns themselves.
pub fn own_account() -> crate::error::Error {
    forbidden("nobody changes their own account as an admin: the account page is for that")
}

/// How a user is named in the audit log: the keyed hash of the id, which says nothing once the user is gone.
pub fn user_name(ctx: &Ctx, user: UserId) -> String {
    user_name_in(&ctx.app.master_keys, ctx.project.id, user)
}

/// The same of a user of this project.
pub fn user_name_in(keys: &MasterKeys, project: ProjectId, user: UserId) -> String {
    let hash = keys.keyed_hash(project, "audit/user", user.0.as_bytes());
    format!("user:{}", encode_base64url(&hash))
}
