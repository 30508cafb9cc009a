//! The erasure record: a signed statement of what was erased and when, without anything personal. It is made when it is asked
//! for, of what is kept of the deletion for good, and signed with the project's key of that day; whoever has it checks it
//! without us.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{no_deletion, state};
use crate::app::Ctx;
use crate::audit;
use crate::error::{Error, Result, conflict};
use crate::ids::{DeletionId, ProjectId};
use crate::keys::statement;
use crate::ledger::Line;
use crate::model::deletion::{Impact, State};
use crate::model::timestamp::Timestamp;
use crate::secret::encode_base64url;
use crate::store::audit::find_deleted;
use crate::store::db::Conn;
use crate::store::{deletions, erasures};

/// No token of ours has this type.
const TYPE: &str = "tessera-erasure+jwt";

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRecord {
    pub iss: String,
    /// When it was signed, which may be long after the erasure.
    pub iat: i64,
    pub project: ProjectId,
    /// Of a rehearsal, which erased nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sandbox: bool,
    pub deletion_id: DeletionId,
    /// The keyed hash of the user's id, as the audit log has it, and an export that was made before.
    pub user: String,
    /// `user` or `admin`: who asked for it.
    pub requested_by: String,
    /// How it was confirmed.
    pub method: String,
    pub requested_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
    pub restore_days: i64,
    pub erased_at: Timestamp,
    /// Whether a letter was to tell the user.
    pub notify: bool,
    /// How much ended, and how many events of the audit log stay, without what was personal.
    pub impact: Impact,
    /// The event of the erasure in the audit log, while that goes back so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<LogEntry>,
}

/// An entry of the project's audit log, which a checkpoint or an export of the log can be held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    pub seq: i64,
    /// base64url
    pub hash: String,
}

impl ErasureRecord {
    /// Checks a record against the keys of the project's JWK Set, without a store.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub fn verify(jws: &str, keys: &[Value]) -> Result<Self, &'static str> {
        statement::verify(jws, TYPE, keys)
    }
}

/// The record of an executed deletion, signed.
///
/// # Errors
/// 404 for an unknown deletion; 409 for one that is not executed, or of which a restored backup knows no more than the line in
/// the ledger.
pub async fn erasure_record(ctx: &Ctx, id: DeletionId) -> Result<String> {
    let project = ctx.project.id;
    let (deletion, event) = ctx
        .app
        .db
        .read(|conn| async move {
            let Some(deletion) = deletions::find(&conn, project, id).await? else {
                return Err(replayed(ctx, &conn, id).await?.unwrap_or_else(no_deletion));
            };
            // One that a restored backup had open, and the ledger closed, was confirmed by nobody that this store knows of.
            if state(ctx, &deletion)? == State::Executed && deletion.confirmed_at.is_none() {
                return Err(replayed(ctx, &conn, id).await?.unwrap_or_else(not_executed));
            }
            let user = audit::user_name(ctx, deletion.user_id);
            Ok((deletion, find_deleted(&conn, project, &user).await?))
        })
        .await?;
    if state(ctx, &deletion)? != State::Executed {
        return Err(not_executed());
    }
    let user = audit::user_name(ctx, deletion.user_id);
    let record = ErasureRecord {
        iss: ctx.project.issuer.clone(),
        iat: ctx.now.unix(),
        project,
        sandbox: ctx.project.is_sandbox(),
        deletion_id: id,
        requested_by: if deletion.actor == user { "user".into() } else { "admin".into() },
        user,
        method: deletion.method,
        requested_at: deletion.requested_at,
        confirmed_at: deletion.confirmed_at,
        restore_days: deletion.restore_days,
        erased_at: deletion.finished_at.ok_or_else(|| Error::internal("an execution without a moment"))?,
        notify: deletion.notify,
        impact: serde_json::from_str(&deletion.impact).map_err(Error::internal)?,
        event: event.map(|(seq, hash)| LogEntry { seq, hash: encode_base64url(&hash) }),
    };
    statement::sign(ctx, TYPE, &record)
}

fn not_executed() -> Error {
    conflict("this deletion has not been executed")
}

/// What is said of a deletion of which the store has nothing but the line in the ledger: a backup from before it was restored.
async fn replayed(ctx: &Ctx, conn: &Conn, id: DeletionId) -> Result<Option<Error>> {
    let found = erasures::find_of(conn, ctx.project.id, id).await?;
    let line = found.and_then(|text| Line::read(&ctx.app.master_keys, &text).ok());
    Ok(line.map(|line| {
        let why = "this deletion was executed, but the store was restored from a backup of before it: the erasure ledger has \
                   the moment, and the record that was made then is the only one";
        conflict(why).with_details(json!({"erased_at": line.at, "ledger_line": line.seq}))
    }))
}
