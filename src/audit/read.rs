//! Showing the log to those who may read it.

use serde::Serialize;
use serde_json::Value;

use super::{Owner, open, open_origin};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;
use crate::store::audit::{self, ActRow, AuditRow};
pub use crate::store::audit::{Filter, Order};
use crate::store::user_keys;

/// An event as the API shows it.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub seq: i64,
    pub at: Timestamp,
    pub actor: String,
    pub actor_kind: String,
    pub action: String,
    pub target: String,
    pub reason: String,
    pub detail: Value,
    pub request_id: String,
    /// What the event keeps about a person: `null` where there is nothing, and for good once the person is deleted.
    pub personal: Option<Value>,
    /// Address and user agent of the request behind it: `null` where there was none, and for good once the person whose they
    /// were is deleted.
    pub origin: Option<Value>,
    /// Whose these are.
    #[serde(skip)]
    pub origin_owner: Option<Owner>,
}

impl Shown {
    fn new(app: &App, chain: ProjectId, row: AuditRow) -> Result<Self> {
        Ok(Self {
            personal: opened(app, chain, &row),
            origin: origin(app, &row),
            origin_owner: row.origin_project.zip(row.origin_user),
            seq: row.seq,
            at: row.at,
            actor: row.actor,
            actor_kind: row.actor_kind,
            action: row.action,
            target: row.target,
            reason: row.reason,
            detail: serde_json::from_str(&row.detail).map_err(Error::internal)?,
            request_id: row.request_id,
        })
    }
}

/// One entry that was tampered with must not hide the others; `audit verify` is there to find it.
fn opened(app: &App, chain: ProjectId, row: &AuditRow) -> Option<Value> {
    let (user, blob, key) = (row.user_id?, row.sealed.as_ref()?, row.sealed_key.as_ref()?);
    let opened = open(&app.master_keys, chain, user, key, blob);
    opened.inspect_err(|_| tracing::error!(seq = row.seq, "an audit entry's sealed part does not open")).ok()
}

fn origin(app: &App, row: &AuditRow) -> Option<Value> {
    let owner = row.origin_project.zip(row.origin_user);
    let (blob, key) = (row.origin.as_ref()?, row.origin_key.as_deref());
    let opened = open_origin(&app.master_keys, owner, &row.request_id, key, blob);
    opened.inspect_err(|_| tracing::error!(seq = row.seq, "an audit entry's origin does not open")).ok()
}

/// What a person did as an admin.
#[derive(Debug, Serialize)]
pub struct AdminAct {
    /// `None`: above the projects.
    pub project: Option<ProjectId>,
    pub seq: i64,
    pub at: Timestamp,
    pub action: String,
    /// Address and user agent.
    pub origin: Option<Value>,
    #[serde(skip)]
    chain: ProjectId,
}

/// The acts of an admin who is a person, in all chains, after one of them; as far as from where is kept with them.
pub async fn admin_acts(
    app: &App,
    owner: Owner,
    after: Option<&AdminAct>,
    limit: i64,
) -> Result<Vec<AdminAct>> {
    let (home, user) = owner;
    let after = after.map_or((ProjectId::INSTANCE, 0), |act| (act.chain, act.seq));
    let read = |conn| async move {
        let key = user_keys::find(&conn, home, user).await?;
        Ok((key, audit::admin_acts(&conn, home, user, after, limit).await?))
    };
    let (key, rows) = app.db.read(read).await?;
    let key = key.as_deref();
    let shown = |row: ActRow| AdminAct {
        project: Some(row.project_id).filter(|project| *project != ProjectId::INSTANCE),
        seq: row.seq,
        at: row.at,
        action: row.action,
        origin: row
            .origin
            .and_then(|blob| open_origin(&app.master_keys, Some(owner), &row.request_id, key, &blob).ok()),
        chain: row.project_id,
    };
    Ok(rows.into_iter().map(shown).collect())
}

/// Events of one chain, beyond the number `after`.
pub async fn list(
    app: &App,
    chain: ProjectId,
    filter: &Filter,
    order: Order,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<Shown>> {
    let rows = app
        .db
        .read(|conn| async move { audit::list(&conn, chain, filter, order, after, limit).await })
        .await?;
    rows.into_iter().map(|row| Shown::new(app, chain, row)).collect()
}
