//! What lies in the outbox for a person: which letter, to which address. Its words have links in them that nobody else may follow.

use serde::Serialize;

use crate::app::Ctx;
use crate::error::Result;
use crate::ids::{ClientId, OutboxId, UserId};
use crate::jobs::outbox::{Kind, open_caught};
use crate::model::timestamp::Timestamp;
use crate::store::held::{self, MessageRow};

/// A message that has not left.
#[derive(Debug, Serialize)]
pub struct Pending {
    #[serde(skip)]
    pub id: OutboxId,
    pub kind: String,
    pub state: String,
    /// Of a letter: which, and to whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub letter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Of a logout token: who is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    pub created_at: Timestamp,
}

pub(super) async fn list(
    ctx: &Ctx,
    user: UserId,
    after: Option<OutboxId>,
    limit: i64,
) -> Result<Vec<Pending>> {
    let (project, after) = (ctx.project.id, after.unwrap_or(OutboxId(uuid::Uuid::nil())));
    let list = |conn| async move { held::messages(&conn, project, user, after, limit).await };
    ctx.app.db.read(list).await?.into_iter().map(|row| pending(ctx, row)).collect()
}

fn pending(ctx: &Ctx, row: MessageRow) -> Result<Pending> {
    let body = row.sealed_body.filter(|_| row.kind == Kind::Mail.as_str());
    let body = body.map(|body| open_caught(&ctx.app, ctx.project.id, row.id, &body)).transpose()?;
    let said = |name: &str| body.as_ref().and_then(|body| body[name].as_str()).map(str::to_owned);
    Ok(Pending {
        letter: said("letter"),
        address: said("to"),
        id: row.id,
        kind: row.kind,
        state: row.state,
        client_id: row.client_id,
        created_at: row.created_at,
    })
}
