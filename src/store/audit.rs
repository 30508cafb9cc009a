//! Reading the audit log in pages.

use sqlx::FromRow;

use super::db::{Conn, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
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
    /// Whose data key seals the next; `None` for events without anything personal, and once it is erased.
    pub user_id: Option<UserId>,
    pub sealed: Option<Vec<u8>>,
    /// That user's data key, sealed in turn.
    pub sealed_key: Option<Vec<u8>>,
    /// From where it came, sealed.
    pub origin: Option<Vec<u8>>,
    /// Whose that is; `None` where no person is, and once it is erased.
    pub origin_project: Option<ProjectId>,
    pub origin_user: Option<UserId>,
    /// Their data key, sealed in turn.
    pub origin_key: Option<Vec<u8>>,
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
            "SELECT a.seq, a.at, a.actor, a.actor_kind, a.action, a.target, a.reason, a.detail, a.request_id,
                    a.user_id, a.sealed, k.sealed_key, a.origin, a.origin_project, a.origin_user,
                    o.sealed_key AS origin_key
             FROM audit_log a LEFT JOIN user_keys k ON k.project_id = a.project_id AND k.user_id = a.user_id
             LEFT JOIN user_keys o ON o.project_id = a.origin_project AND o.user_id = a.origin_user
             WHERE a.project_id = $1 AND ",
            $demand,
            " AND ($2 IS NULL OR a.seq ",
            $beyond,
            " $2) AND ($3 IS NULL OR a.at >= $3) AND ($4 IS NULL OR a.at < $4) AND ($5 IS NULL OR a.actor = $5)
               AND ($6 IS NULL OR a.action = $6) AND ($7 IS NULL OR a.target = $7)
             ORDER BY a.seq ",
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
        Filter { target: Some(_), .. } => page_of!("a.target = $7", order),
        Filter { actor: Some(_), .. } => page_of!("a.actor = $5", order),
        Filter { action: Some(_), .. } => page_of!("a.action = $6", order),
        _ => page_of!("a.seq > 0", order),
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

/// Something that a person of the built-in project did as an admin.
#[derive(Clone, Debug, FromRow)]
pub struct ActRow {
    /// Whose chain has it.
    pub project_id: ProjectId,
    pub seq: i64,
    pub at: Timestamp,
    pub action: String,
    pub request_id: String,
    pub origin: Option<Vec<u8>>,
}

/// The acts of an admin who is a person, in all chains, as far as from where is kept with them; after the entry of a chain.
pub async fn admin_acts(
    conn: &Conn,
    home: ProjectId,
    user: UserId,
    (project, seq): (ProjectId, i64),
    limit: i64,
) -> Result<Vec<ActRow>> {
    fetch_all!(
        conn,
        ActRow,
        "SELECT project_id, seq, at, action, request_id, origin FROM audit_log
         WHERE origin_project = $1 AND origin_user = $2 AND actor_kind = 'admin' AND (project_id, seq) > ($3, $4)
         ORDER BY project_id, seq LIMIT $5",
        home,
        user,
        project,
        seq,
        limit
    )
}

#[derive(FromRow)]
struct Place {
    seq: i64,
    hash: Vec<u8>,
}

/// The event of a user's erasure: its number and its hash.
pub async fn find_deleted(conn: &Conn, project: ProjectId, target: &str) -> Result<Option<(i64, Vec<u8>)>> {
    let row = fetch_optional!(
        conn,
        Place,
        "SELECT seq, hash FROM audit_log
         WHERE project_id = $1 AND target = $2 AND action = 'user.deleted' ORDER BY seq LIMIT 1",
        project,
        target
    )?;
    Ok(row.map(|row| (row.seq, row.hash)))
}
