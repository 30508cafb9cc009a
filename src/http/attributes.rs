//! `attribute-update` on the wire.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{versioned, with_dpop_nonce};
use super::call::Call;
use super::members::members;
use super::session::require_account_access;
use super::user_name::{UserName, find_user};
use crate::error::{Error, Result};
use crate::projects::holdings::{Change, LabelChange};
use crate::session::attributes;
use crate::session::verify::require_live;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeUpdate {
    user: Option<UserName>,
    #[serde(default, deserialize_with = "members")]
    set: Map<String, Value>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    roles: LabelChange,
    #[serde(default)]
    groups: LabelChange,
}

pub async fn update(call: Call) -> Result<Response> {
    let seen = call.if_match()?;
    if call.is_by_admin().await? {
        let ctx = call.ctx().await?;
        let actor = call.actor(&call.project_admin(&ctx).await?);
        let (named, change) = asked(&call)?;
        let named = named.ok_or_else(|| Error::invalid_field("user", "user is missing"))?;
        let user = find_user(&ctx, named).await?;
        let user = attributes::update(&ctx, &actor, user, &change, seen).await?;
        Ok(versioned(StatusCode::OK, user.version, &user))
    } else {
        let token = call.access_token(None)?;
        let (ctx, live) = require_live(&call.visit()?, &token).await?;
        let (named, change) = asked(&call)?;
        if named.is_some() {
            let why = "user is for admin keys; a token changes its own user";
            return Err(Error::invalid_field("user", why));
        }
        require_account_access(&ctx, &live).await?;
        let own = attributes::update_own(&ctx, &live, &change, seen).await?;
        let response = versioned(StatusCode::OK, own.version(), &own);
        Ok(with_dpop_nonce(response, live.next_nonce.as_deref()))
    }
}

/// Whose record, and what of it. Read once the caller is proven: a stranger learns nothing of the body's shape.
fn asked(call: &Call) -> Result<(Option<UserName>, Change)> {
    let AttributeUpdate { user, set, remove, roles, groups } = call.json()?;
    Ok((user, Change { set, remove, roles, groups }))
}
