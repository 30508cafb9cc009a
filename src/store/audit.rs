//! Reading the audit log in pages.

use sqlx::FromRow;

use super::db::{Conn, fetch_all};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct AuditRow {
    pub seq: i64,
    pub at: Timestamp,
    pub actor: String,
    pub actor_kind: String,
    pub action: String,
    pub target: String,
    pub reason: String,
    /// JSON text.
    pub detail: String,
    pub request_id: String,
}

/// Which events: all that is named must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    pub actor: Option<String>,
    pub action: Option<String>,
    pub target: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    #[default]
    NewestFirst,
}

/// The statement for one demand and one order. The demand that an index serves stands alone, because SQLite looks for an
/// index before it knows which parameters are null.
macro_rules! page_of {
    ($demand:literal, $beyond:literal, $order:literal) => {
        concat!(
            "SELECT seq, at, actor, actor_kind, action, target, reason, detail, request_id FROM audit_log
             WHERE project_id = $1 AND ",
            $demand,
            " AND ($2 IS NULL OR seq ",
            $beyond,
            " $2) AND ($3 IS NULL OR at >= $3) AND ($4 IS NULL OR at < $4) AND ($5 IS NULL OR actor = $5)
               AND ($6 IS NULL OR action = $6) AND ($7 IS NULL OR target = $7)
             ORDER BY seq ",
            $order,
            " LIMIT $8"
        )
    };
    ($demand:literal, $order:expr) => {
        match $order {
            Order::OldestFirst => page_of!($demand, ">", "ASC"),
            Order::NewestFirst => page_of!($demand, "<", "DESC"),
        }
    };
}

/// Events of one chain beyond the number `after`, in `order`.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    filter: &Filter,
    order: Order,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<AuditRow>> {
    let sql = match filter {
        Filter { target: Some(_), .. } => page_of!("target = $7", order),
        Filter { actor: Some(_), .. } => page_of!("actor = $5", order),
        Filter { action: Some(_), .. } => page_of!("action = $6", order),
        _ => page_of!("seq > 0", order),
    };
    fetch_all!(
        conn,
        AuditRow,
        sql,
        project,
        after,
        filter.since,
        filter.until,
        filter.actor.as_deref(),
        filter.action.as_deref(),
        filter.target.as_deref(),
        limit
    )
}
