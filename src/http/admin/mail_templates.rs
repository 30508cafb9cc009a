//! `/admin/projects/{project}/mail-templates`: a project's own words in its letters.

use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::rehearsal;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::mail::{Letter, templates};

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(ok(&json!({"items": templates::list(&ctx).await?})))
}

fn named(call: &Call) -> Result<(Letter, &'static str)> {
    templates::named(&call.path::<String>("kind")?, &call.path::<String>("language")?)
}

pub async fn read(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let (letter, language) = named(&call)?;
    Ok(ok(&templates::read(&ctx, letter, language).await?))
}

pub async fn preview(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let (letter, language) = named(&call)?;
    Ok(ok(&templates::preview(&ctx, letter, language).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnWords {
    subject: String,
    text: String,
}

pub async fn set(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let named = named(&call)?;
    let OwnWords { subject, text } = call.json()?;
    Ok(ok(&templates::set(&ctx, &actor, named, &subject, &text).await?))
}

pub async fn remove(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (letter, language) = named(&call)?;
    let remove = async {
        templates::remove(&ctx, &actor, letter, language).await?;
        templates::read(&ctx, letter, language).await
    };
    rehearsal::answer(&call, remove).await
}
