//! The `sub` by which a client knows a person (OpenID Connect Core, 8).

use super::authorize::AuthorizationRequest;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::model::client::{Client, SubjectType};

/// The user's id, or for a pairwise client what its sector alone knows them by.
pub fn subject(ctx: &Ctx, client: &Client, user: UserId) -> Result<String> {
    match client.settings.subject_type {
        SubjectType::Public => Ok(user.to_string()),
        SubjectType::Pairwise => {
            let sector = client.settings.sector();
            let sector = sector.ok_or_else(|| Error::internal("a pairwise client has no sector"))?;
            Ok(ctx.entry.subject_salt(&ctx.app.master_keys)?.subject(&sector, user))
        }
    }
}

/// Whether this is the person that the request means, if it means any one.
pub fn is_meant(ctx: &Ctx, client: &Client, request: &AuthorizationRequest, user: UserId) -> Result<bool> {
    Ok(!request.means_somebody() || request.accepts_subject(&subject(ctx, client, user)?))
}
