//! `/admin/jobs`: the last run of each job of this instance.

use axum::response::Response;
use serde_json::{Value, json};

use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::jobs;
use crate::store::jobs::JobRow;

/// All of them at once: there is a handful.
pub async fn list(call: Call) -> Result<Response> {
    call.admin().await?;
    let found = jobs::list(&call.app).await?;
    let items: Vec<Value> = found.iter().map(shown).collect();
    Ok(ok(&json!({"items": items, "next": null})))
}

fn shown(row: &JobRow) -> Value {
    json!({"name": row.name, "next_run_at": row.next_run_at, "held_until": row.lease_until, "failures": row.failures,
        "started_at": row.started_at, "finished_at": row.finished_at, "outcome": row.outcome})
}
