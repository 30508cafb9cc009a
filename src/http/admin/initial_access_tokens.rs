//! `/admin/projects/{project}/initial-access-tokens`: who may register clients without an admin (RFC 7591).

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::paging::{limit, page};
use super::rehearsal;
use super::users::given;
use crate::error::{Error, Result};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::ids::InitialAccessTokenId;
use crate::model::timestamp::Timestamp;
use crate::projects::initial_access_tokens::{self, End, NewInitialAccessToken};
use crate::store::initial_access_tokens::InitialAccessToken;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    name: String,
    #[serde(default, deserialize_with = "given")]
    max_uses: Option<i64>,
    #[serde(default, deserialize_with = "given")]
    expires_in_seconds: Option<i64>,
    #[serde(default, deserialize_with = "given")]
    expires_at: Option<Timestamp>,
}

pub async fn create(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let NewBody { name, max_uses, expires_in_seconds, expires_at } = call.json()?;
    let end = match (expires_in_seconds, expires_at) {
        (None, None) => End::Usual,
        (Some(seconds), None) => End::After(seconds),
        (None, Some(end)) => End::At(end),
        (Some(_), Some(_)) => {
            return Err(Error::invalid_field("expires_at", "expires_at and expires_in_seconds say the same"));
        }
    };
    let new = NewInitialAccessToken { name, max_uses, end };
    let (made, token) = initial_access_tokens::create(&ctx, &actor, new).await?;
    let body = json!({"id": made.id, "token": token.expose(), "name": made.name, "max_uses": made.max_uses,
        "uses": made.uses, "created_at": made.created_at, "expires_at": made.expires_at});
    Ok((StatusCode::CREATED, ok(&body)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    limit: Option<i64>,
    after: Option<InitialAccessTokenId>,
}

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: List = call.query()?;
    let limit = limit(query.limit)?;
    let found = initial_access_tokens::list(&ctx, query.after, limit + 1).await?;
    Ok(ok(&page(found, limit, |token: &InitialAccessToken| token.id.to_string())))
}

pub async fn revoke(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let id: InitialAccessTokenId = call.path("id")?;
    let revoke = async {
        initial_access_tokens::revoke(&ctx, &actor, id).await?;
        Ok(json!({"id": id, "revoked_at": ctx.now}))
    };
    rehearsal::answer(&call, revoke).await
}
