//! Who acts, for which request: what the events of one request have in common.

use serde_json::json;

use super::Event;
use crate::app::Ctx;
use crate::error::Result;
use crate::ids::{AdminKeyId, ClientId, InitialAccessTokenId, UserId};
use crate::projects::admin_keys::{Admin, not_valid};
use crate::projects::initial_access_tokens;
use crate::secret::encode_base64url;
use crate::store::admin_keys;
use crate::store::db::Conn;

/// An admin key, a client, a user, the command line or the system itself.
#[derive(Clone, Debug)]
pub struct Actor {
    name: String,
    kind: &'static str,
    request_id: String,
    /// The admin key that acts, which must live when the act is committed.
    key: Option<AdminKeyId>,
}

impl Actor {
    pub fn admin(admin: &Admin, request_id: &str) -> Self {
        let key = Some(admin.id);
        Self {
            name: format!("admin_key:{}", admin.id),
            kind: "admin_key",
            request_id: request_id.into(),
            key,
        }
    }

    pub fn client(client: ClientId, request_id: &str) -> Self {
        Self { name: format!("client:{client}"), kind: "client", request_id: request_id.into(), key: None }
    }

    /// Whoever registers an application with it.
    pub fn initial_access_token(id: InitialAccessTokenId, request_id: &str) -> Self {
        let name = initial_access_tokens::target(id);
        Self { name, kind: "initial_access_token", request_id: request_id.into(), key: None }
    }

    /// A client that manages its own registration.
    pub fn registration(client: ClientId, request_id: &str) -> Self {
        let name = format!("registration:{client}");
        Self { name, kind: "registration", request_id: request_id.into(), key: None }
    }

    /// A user appears by the keyed hash of the id only.
    pub fn user(ctx: &Ctx, user: UserId) -> Self {
        Self { name: user_name(ctx, user), kind: "user", request_id: ctx.request_id.clone(), key: None }
    }

    pub fn command_line() -> Self {
        Self { name: "command_line".into(), kind: "command_line", request_id: String::new(), key: None }
    }

    /// What happens by itself, by the name of the job.
    pub fn system(job: &str) -> Self {
        Self { name: format!("system:{job}"), kind: "system", request_id: String::new(), key: None }
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
            key: self.key,
        }
    }

    /// Sees to it that the acting key lives until the unit ends. [`super::append`] does this; a unit that ends the key itself
    /// does it before, and marks its events with [`Event::by_an_ended_key`].
    pub async fn hold(&self, conn: &Conn) -> Result<()> {
        hold(conn, self.key).await
    }
}

/// The revocation of the key, and whatever else it does at the same time, waits from here to the end of the unit.
///
/// # Errors
/// `invalid_token`, as for any other use of a revoked key.
pub(super) async fn hold(conn: &Conn, key: Option<AdminKeyId>) -> Result<()> {
    match key {
        Some(key) if admin_keys::hold(conn, key).await? == 0 => Err(not_valid()),
        _ => Ok(()),
    }
}

/// How a user is named in the audit log: the keyed hash of the id, which says nothing once the user is gone.
pub fn user_name(ctx: &Ctx, user: UserId) -> String {
    let hash = ctx.app.master_keys.keyed_hash(ctx.project.id, "audit/user", user.0.as_bytes());
    format!("user:{}", encode_base64url(&hash))
}
