//! How a body names a user: by id, or by user name.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::app::Ctx;
use crate::error::{Result, not_found};
use crate::ids::UserId;
use crate::model::names::check_username;
use crate::store::users;

/// An id, or `{"username": "…"}`.
pub(super) enum UserName {
    Id(UserId),
    Named(String),
}

/// By hand: an enum without tags would say of no fault where it lies, and pass over further members.
impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdOrName)
    }
}

struct IdOrName;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    username: String,
}

impl<'de> Visitor<'de> for IdOrName {
    type Value = UserName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id or an object with a username")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UserName, E> {
        text.parse().map(UserName::Id).map_err(|_| E::invalid_value(Unexpected::Other("no id"), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<UserName, A::Error> {
        let named = Named::deserialize(MapAccessDeserializer::new(members))?;
        Ok(UserName::Named(named.username))
    }
}

/// The user's id, when there is such a user.
pub(super) async fn find_user(ctx: &Ctx, named: UserName) -> Result<UserId> {
    let named = &named;
    // What cannot be a name is nobody's.
    if matches!(named, UserName::Named(name) if check_username(name).is_err()) {
        return Err(not_found("no such user"));
    }
    let found = ctx
        .app
        .db
        .read(|conn| async move {
            match named {
                UserName::Id(id) => users::find(&conn, ctx.project.id, *id).await,
                UserName::Named(name) => users::find_by_username(&conn, ctx.project.id, name).await,
            }
        })
        .await?;
    found.map(|user| user.id).ok_or_else(|| not_found("no such user"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::parse;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the reading is tested")]
    struct Body {
        user: Option<UserName>,
    }

    #[test]
    fn faults_have_a_name() {
        let kinds = "user must be an id or an object with a username";
        for (body, field, description) in [
            (r#"{"user": {"username": "a", "id": "b"}}"#, "user.id", "unknown field user.id"),
            (
                r#"{"user": {"username": "a", "username": "b"}}"#,
                "user.username",
                "duplicate field user.username",
            ),
            (r#"{"user": {}}"#, "user.username", "missing field user.username"),
            (r#"{"user": {"username": 5}}"#, "user.username", "user.username must be a string"),
            (r#"{"user": "alice"}"#, "user", kinds),
            (r#"{"user": 5}"#, "user", kinds),
            (r#"{"user": ["alice"]}"#, "user", kinds),
        ] {
            let Err(error) = parse::<Body>(body.as_bytes()) else { panic!("{body} is read") };
            assert_eq!((error.field(), error.description()), (Some(field), description), "{body}");
        }
        for body in [
            r#"{"user": {"username": "a"}}"#,
            r#"{"user": "018f0000-0000-7000-8000-000000000000"}"#,
            r#"{"user": null}"#,
        ] {
            assert!(parse::<Body>(body.as_bytes()).is_ok(), "{body}");
        }
    }
}
