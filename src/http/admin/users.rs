//! `/admin/projects/{project}/users`: people.

use axum::http::StatusCode;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::paging::{cursor, limit, page};
use crate::error::{Error, Result};
use crate::http::answer::{ok, versioned};
use crate::http::body;
use crate::http::call::Call;
use crate::http::members::Members;
use crate::identity::addresses;
use crate::ids::UserId;
use crate::model::profile::Profile;
use crate::model::user::UserStatus;
use crate::projects::users::{self, NewUser, Search, UserChange};
use crate::secret::Secret;

/// A new user; standard claims stand beside these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUserBody {
    username: String,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    password: Option<Secret>,
    #[serde(default)]
    attributes: Map<String, Value>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
}

/// The body as its own shape, and the standard claims of it.
pub(in crate::http) fn with_claims<T: DeserializeOwned>(call: &Call) -> Result<(T, Map<String, Value>)> {
    let Members(mut members) = call.json()?;
    let claims = Profile::split_off(&mut members);
    let rest = serde_json::to_vec(&members).map_err(Error::internal)?;
    Ok((body::parse(&rest)?, claims))
}

pub async fn create(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (body, profile): (NewUserBody, _) = with_claims(&call)?;
    let new = NewUser {
        username: body.username,
        email: body.email,
        email_verified: body.email_verified,
        password: body.password,
        profile,
        attributes: body.attributes,
        roles: body.roles,
        groups: body.groups,
    };
    let user = users::create(&ctx, &actor, new).await?;
    Ok(versioned(StatusCode::CREATED, user.version, &user))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<i64>,
    after: Option<String>,
    search: Option<String>,
    status: Option<String>,
}

pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: Listing = call.query()?;
    let limit = limit(query.limit)?;
    let search = Search {
        text: query.search,
        status: query.status.as_deref().map(str::parse).transpose()?,
        after: cursor(query.after.as_deref())?,
        limit: limit + 1,
    };
    Ok(ok(&page(users::list(&ctx, search).await?, limit, |user| user.id.to_string())))
}

pub async fn read(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let user = users::find(&ctx, call.path("user")?).await?;
    Ok(versioned(StatusCode::OK, user.version, &user))
}

/// What changes of a user; standard claims stand beside these, and null takes one away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserPatch {
    #[serde(default, deserialize_with = "given")]
    status: Option<UserStatus>,
    #[serde(default, deserialize_with = "given")]
    username: Option<String>,
    #[serde(default, deserialize_with = "given")]
    email: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    email_verified: Option<bool>,
}

/// Tells null from a member that is left out.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

pub async fn change(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let (id, seen) = (call.path("user")?, call.if_match()?);
    let (patch, profile): (UserPatch, _) = with_claims(&call)?;
    let change = UserChange {
        status: patch.status,
        username: patch.username,
        email: patch.email,
        email_verified: patch.email_verified,
        profile,
    };
    let user = users::change(&ctx, &actor, id, &change, seen).await?;
    Ok(versioned(StatusCode::OK, user.version, &user))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: Secret,
}

pub async fn set_password(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let NewPassword { password } = call.json()?;
    let (id, seen) = (call.path("user")?, call.if_match()?);
    Ok(ok(&users::set_password(&ctx, &actor, id, password, seen).await?))
}

pub async fn send_verification(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let id: UserId = call.path("user")?;
    addresses::ask_verification(&ctx, &actor, id).await?;
    Ok(ok(&json!({"id": id, "sent_at": ctx.now})))
}
