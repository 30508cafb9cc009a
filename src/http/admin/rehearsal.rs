//! `?dry_run=true`: a destructive call answers what it would answer, and nothing changes.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{Error, Result};
use crate::http::answer::ok;
use crate::http::call::Call;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rehearsal {
    #[serde(default)]
    pub dry_run: bool,
}

/// Does it, or rehearses it, which its answer says then. All that it changes has to be in the store.
///
/// # Errors
/// Those of the act, rehearsed or not.
pub(super) async fn answer<T: Serialize>(
    call: &Call,
    act: impl Future<Output = Result<T>>,
) -> Result<Response> {
    let Rehearsal { dry_run } = call.query()?;
    if !dry_run {
        return Ok(ok(&act.await?));
    }
    let done = call.app.db.rehearse(act).await?;
    let mut shown = serde_json::to_value(done).map_err(Error::internal)?;
    if let Some(members) = shown.as_object_mut() {
        members.insert("dry_run".into(), json!(true));
    }
    Ok(ok(&shown))
}
