//! A deletion that is refused leaves a trace, and whoever is refused may come again as often as they like. So one actor writes
//! a bounded number of such entries in an hour, and the last of them says so; the event stream goes on.

use serde_json::json;

use crate::app::Ctx;
use crate::audit::{self, Event};
use crate::error::{Code, Error, Result};
use crate::events;
use crate::identity::tries::{self, Bound};
use crate::store::db::Conn;

/// Entries of one actor in one project.
pub const MOST: i64 = 20;

const SECONDS: i64 = 3600;

/// Appends the event of a refusal, unless its actor has left enough of them: the last statements of a unit.
pub async fn record(conn: &Conn, ctx: &Ctx, mut event: Event<'_>) -> Result<()> {
    let bound = Bound::new(ctx, "refused deletions", event.actor.as_bytes(), MOST, SECONDS);
    let number = tries::number(conn, ctx, &bound).await?;
    if number > MOST {
        return Ok(());
    }
    if number == MOST
        && let Some(detail) = event.detail.as_object_mut()
    {
        detail.insert("further".into(), json!("not recorded within the hour"));
    }
    audit::append(conn, ctx.project.id, ctx.now, &event).await.map(drop)
}

/// What the event stream is told when a unit has come to a refusal. Whoever asks for more than there is, is not refused.
pub fn note(ctx: &Ctx, refusal: &Error) {
    if matches!(refusal.code(), Code::Forbidden | Code::ConfirmationFailed) {
        events::note_refused_deletion(ctx);
    }
}
