//! The attributes that a project defines. Every change raises the project's version: caches hold the definitions.

use serde_json::{Value, json};

use super::withdrawal::{self, Impact};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict, not_found};
use crate::model::attribute::{AttributeDefinition, AttributeType, MOST_VALUE_BYTES, check_together};
use crate::model::holding::Holding;
use crate::model::names::{check_description, check_label};
use crate::store::db::Conn;
use crate::store::{attribute_definitions, projects};

/// How many bytes a value in access tokens has at most, where the definition does not say.
const USUAL_TOKEN_BYTES: i64 = 256;

/// An attribute to be.
pub struct NewDefinition {
    pub name: String,
    pub kind: AttributeType,
    pub description: String,
    pub user_writable: bool,
    pub in_access_token: bool,
    /// `None`: 2048, or 256 in access tokens.
    pub max_bytes: Option<i64>,
}

/// What changes of a definition. The type does not, nor does a bound shrink: values are there already.
#[derive(Default)]
pub struct DefinitionChange {
    pub description: Option<String>,
    pub user_writable: Option<bool>,
    pub in_access_token: Option<bool>,
    pub max_bytes: Option<i64>,
}

/// # Errors
/// `invalid_request` naming the field and the bound, also for the 51st definition and for too much in access tokens;
/// 409 when the name is taken.
pub async fn define(ctx: &Ctx, actor: &Actor, new: NewDefinition) -> Result<AttributeDefinition> {
    check_label(&new.name)?;
    check_description(&new.description)?;
    let usual = if new.in_access_token { USUAL_TOKEN_BYTES } else { MOST_VALUE_BYTES };
    let definition = AttributeDefinition {
        name: new.name,
        kind: new.kind.as_str().into(),
        description: new.description,
        user_writable: new.user_writable,
        in_access_token: new.in_access_token,
        max_bytes: new.max_bytes.unwrap_or(usual),
        created_at: ctx.now,
    };
    check_max_bytes(definition.max_bytes)?;
    let made = &definition;
    ctx.app
        .db
        .unit(|conn| async move {
            // First: it also makes changes of one project's definitions take turns.
            projects::raise_version(&conn, ctx.project.id, ctx.now).await?;
            let others = attribute_definitions::list(&conn, ctx.project.id).await?;
            if others.iter().any(|other| other.name == made.name) {
                return Err(conflict("this attribute is defined already").with_field("name"));
            }
            check_together(others.iter().chain([made]))?;
            attribute_definitions::insert(&conn, ctx.project.id, made).await?;
            record(ctx, &conn, actor, "attribute.defined", made).await
        })
        .await?;
    Ok(definition)
}

pub async fn list(ctx: &Ctx) -> Result<Vec<AttributeDefinition>> {
    ctx.app.db.read(|conn| async move { attribute_definitions::list(&conn, ctx.project.id).await }).await
}

pub async fn find(ctx: &Ctx, name: &str) -> Result<AttributeDefinition> {
    let found = list(ctx).await?.into_iter().find(|definition| definition.name == name);
    found.ok_or_else(no_attribute)
}

/// # Errors
/// `invalid_request` naming the field and the bound; 404 for an attribute that is not defined.
pub async fn change(
    ctx: &Ctx,
    actor: &Actor,
    name: &str,
    change: &DefinitionChange,
) -> Result<AttributeDefinition> {
    if let Some(description) = &change.description {
        check_description(description)?;
    }
    ctx.app
        .db
        .unit(|conn| async move {
            projects::raise_version(&conn, ctx.project.id, ctx.now).await?;
            let mut all = attribute_definitions::list(&conn, ctx.project.id).await?;
            let found = all.iter_mut().find(|definition| definition.name == name).ok_or_else(no_attribute)?;
            if let Some(max_bytes) = change.max_bytes {
                check_max_bytes(max_bytes)?;
                if max_bytes < found.max_bytes {
                    let why =
                        format!("max_bytes must not be less than {}, as values are there", found.max_bytes);
                    return Err(Error::invalid_field("max_bytes", why));
                }
                found.max_bytes = max_bytes;
            }
            found.description = change.description.clone().unwrap_or_else(|| found.description.clone());
            found.user_writable = change.user_writable.unwrap_or(found.user_writable);
            found.in_access_token = change.in_access_token.unwrap_or(found.in_access_token);
            let changed = found.clone();
            check_together(all.iter())?;
            attribute_definitions::update(&conn, ctx.project.id, &changed).await?;
            record(ctx, &conn, actor, "attribute.changed", &changed).await?;
            Ok(changed)
        })
        .await
}

/// What a deletion would take away; changes nothing.
pub async fn impact(ctx: &Ctx, name: &str) -> Result<Impact> {
    find(ctx, name).await?;
    withdrawal::impact(ctx, Holding::Attribute, name).await
}

/// Deletes the definition and every value of it.
///
/// # Errors
/// 404 for an attribute that is not defined.
pub async fn delete(ctx: &Ctx, actor: &Actor, name: &str) -> Result<Impact> {
    find(ctx, name).await?;
    withdrawal::delete(ctx, actor, Holding::Attribute, name).await
}

fn check_max_bytes(bytes: i64) -> Result<()> {
    if (1..=MOST_VALUE_BYTES).contains(&bytes) {
        return Ok(());
    }
    Err(Error::invalid_field("max_bytes", format!("max_bytes must lie between 1 and {MOST_VALUE_BYTES}")))
}

async fn record(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    action: &str,
    definition: &AttributeDefinition,
) -> Result<()> {
    let target = format!("attribute:{}", definition.name);
    let detail: Value = json!({
        "type": definition.kind,
        "user_writable": definition.user_writable,
        "in_access_token": definition.in_access_token,
        "max_bytes": definition.max_bytes,
    });
    audit::append(conn, ctx.project.id, ctx.now, &actor.did(action, &target).with(detail)).await.map(drop)
}

fn no_attribute() -> Error {
    not_found("no such attribute")
}
