//! Showing the log to those who may read it.

use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;
use crate::store::audit::{self, AuditRow};
pub use crate::store::audit::{Filter, Order};

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
}

impl TryFrom<AuditRow> for Shown {
    type Error = Error;
    fn try_from(row: AuditRow) -> Result<Self> {
        Ok(Self {
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
    rows.into_iter().map(Shown::try_from).collect()
}
