//! The logo of a project.

use serde_json::json;

use super::{check_seen, record, target};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Error, Result, stale};
use crate::model::logo::LogoKind;
use crate::model::merge::differences;
use crate::model::project::{Project, ProjectSettings, next_number};
use crate::secret::{encode_base64url, sha256};
use crate::store::{logos, projects};

/// Shows a picture on the pages from now on, in the place of the one before.
///
/// # Errors
/// `invalid_request` for what is no such picture; 412 or 409 when the project is no longer what was read.
pub async fn put(ctx: &Ctx, actor: &Actor, seen: Option<i64>, picture: &[u8]) -> Result<Project> {
    let kind = LogoKind::of(picture)?;
    let name = format!("logo-{}.{}", encode_base64url(&sha256(picture)[..12]), kind.extension());
    change(ctx, actor, seen, Some(name), picture).await
}

/// Shows none. There may have been none.
pub async fn remove(ctx: &Ctx, actor: &Actor, seen: Option<i64>) -> Result<Project> {
    change(ctx, actor, seen, None, &[]).await
}

/// The picture itself, while it is the project's logo.
pub async fn find(ctx: &Ctx, name: &str) -> Result<Option<Vec<u8>>> {
    if ctx.project.settings.brand.logo.as_deref() != Some(name) {
        return Ok(None);
    }
    ctx.app.db.read(|conn| async move { logos::find(&conn, ctx.project.id, name).await }).await
}

/// A setting may take the logo away, and name none: a picture is uploaded.
pub(super) fn check_named(new: &ProjectSettings, old: Option<&ProjectSettings>) -> Result<()> {
    let named = new.brand.logo.as_ref();
    if named.is_some() && named != old.and_then(|old| old.brand.logo.as_ref()) {
        let why = "settings.brand.logo is named by uploading it";
        return Err(Error::invalid_field("settings.brand.logo", why));
    }
    Ok(())
}

async fn change(
    ctx: &Ctx,
    actor: &Actor,
    seen: Option<i64>,
    name: Option<String>,
    picture: &[u8],
) -> Result<Project> {
    check_seen(ctx, seen)?;
    let old = &*ctx.project;
    let mut new = old.clone();
    new.settings.brand.logo = name;
    let changed = differences(old, &new)?;
    if changed.is_empty() {
        return Ok(new);
    }
    let (asked, changed) = (&new, &changed);
    ctx.app
        .db
        .unit(|conn| async move {
            if projects::update(&conn, ctx.now, asked, false).await? == 0 {
                return Err(stale(seen.is_some()));
            }
            match &asked.settings.brand.logo {
                Some(name) => logos::put(&conn, asked.id, ctx.now, name, picture).await?,
                None => logos::delete(&conn, asked.id).await?,
            };
            let target = target(asked.id);
            let event = actor.did("project.changed", &target).with(json!({"changed": changed}));
            record(&conn, asked.id, ctx.now, &event).await
        })
        .await?;
    new.version = next_number(old.version, ctx.now);
    new.updated_at = ctx.now;
    Ok(new)
}
