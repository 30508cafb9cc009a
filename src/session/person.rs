//! What is shown of a person: by the scopes that were granted, and claim by claim.

use serde_json::{Map, Value, json};

use crate::cache::ProjectEntry;
use crate::error::{Error, Result};
use crate::model::claim;
use crate::model::profile::Profile;
use crate::model::timestamp::Timestamp;
use crate::model::token::Family;
use crate::model::user::UserRow;
use crate::store::users::SignedIn;

/// A person's record as it is now; lists and documents as JSON text.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    pub username: Option<&'a str>,
    pub email: Option<&'a str>,
    pub email_verified: bool,
    pub profile: &'a str,
    pub roles: &'a str,
    pub groups: &'a str,
    pub attributes: &'a str,
    pub updated_at: Timestamp,
}

impl<'a> From<&'a Family> for Person<'a> {
    fn from(family: &'a Family) -> Self {
        Self {
            username: family.username.as_deref(),
            email: family.email.as_deref(),
            email_verified: family.email_verified,
            profile: &family.profile,
            roles: &family.roles,
            groups: &family.groups,
            attributes: &family.attributes,
            updated_at: family.user_updated_at,
        }
    }
}

impl<'a> From<&'a SignedIn> for Person<'a> {
    fn from(user: &'a SignedIn) -> Self {
        Self {
            username: user.username.as_deref(),
            email: user.email.as_deref(),
            email_verified: user.email_verified,
            profile: &user.profile,
            roles: &user.roles,
            groups: &user.groups,
            attributes: &user.attributes,
            updated_at: user.updated_at,
        }
    }
}

impl<'a> From<&'a UserRow> for Person<'a> {
    fn from(user: &'a UserRow) -> Self {
        Self {
            username: user.username.as_deref(),
            email: user.email.as_deref(),
            email_verified: user.email_verified,
            profile: &user.profile,
            roles: &user.roles,
            groups: &user.groups,
            attributes: &user.attributes,
            updated_at: user.updated_at,
        }
    }
}

/// The part of a granted scope that still is what the person allowed in this version of the project: what has been made
/// wider, or anew, since then is for them to allow again. `None`: nobody had to.
pub fn still_granted(entry: &ProjectEntry, scope: &str, allowed_as_of: Option<i64>) -> String {
    let is_newer = |word: &str| {
        let own = entry.scope(word);
        own.zip(allowed_as_of).is_some_and(|(own, allowed)| own.version > allowed)
    };
    scope.split(' ').filter(|word| !is_newer(word)).collect::<Vec<_>>().join(" ")
}

/// How far a client sees roles, groups and attributes: a project's own application all of them, one of others what the
/// scopes of a token show.
pub enum Sight<'a> {
    Whole,
    By(Shown<'a>),
}

impl Sight<'_> {
    pub fn reaches_claim(&self, name: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::By(shown) => shown.claims.contains(&name),
        }
    }

    pub fn reaches_attribute(&self, name: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::By(shown) => shown.attributes.as_ref().is_some_and(|names| names.contains(&name)),
        }
    }

    /// Whether there is anything that may be old.
    pub fn reaches_anything(&self) -> bool {
        match self {
            Self::Whole => true,
            Self::By(shown) => {
                shown.attributes.is_some()
                    || ["roles", "groups"].iter().any(|name| shown.claims.contains(name))
            }
        }
    }
}

/// Names of what may be shown.
#[derive(Default)]
pub struct Shown<'a> {
    claims: Vec<&'a str>,
    attributes: Option<Vec<&'a str>>,
}

impl<'a> Shown<'a> {
    /// Standard scopes show their claims and nothing else (OpenID Connect Core, 5.4); those of a project, what it says.
    pub fn by_scope(entry: &'a ProjectEntry, scope: &str) -> Self {
        let mut shown = Self::default();
        for word in scope.split(' ') {
            for name in claim::of_scope(word) {
                shown.claims.push(name);
            }
            if let Some(own) = entry.scope(word) {
                shown.claims.extend(own.claims.0.iter().map(String::as_str));
                let attributes = own.attributes.0.iter().map(String::as_str);
                if attributes.len() > 0 {
                    shown.attributes.get_or_insert_default().extend(attributes);
                }
            }
        }
        shown
    }

    /// And these claims.
    pub fn and(mut self, claims: impl IntoIterator<Item = &'a String>) -> Self {
        self.claims.extend(claims.into_iter().map(String::as_str));
        self
    }

    /// The claims that there are of the person, by name.
    pub fn of(&self, person: &Person<'_>) -> Result<Map<String, Value>> {
        if self.claims.is_empty() && self.attributes.is_none() {
            return Ok(Map::new());
        }
        let (profile, mut answer) = (Profile::parse(person.profile)?, Map::new());
        for name in &self.claims {
            if let Some(value) = claim_of(person, &profile, name)? {
                answer.insert((*name).to_owned(), value);
            }
        }
        if let Some(names) = &self.attributes {
            let Value::Object(mut attributes) = parsed(person.attributes)? else {
                return Err(Error::internal("attributes are a JSON object"));
            };
            attributes.retain(|name, _| names.contains(&name.as_str()));
            answer.insert("attributes".into(), Value::Object(attributes));
        }
        Ok(answer)
    }
}

fn claim_of(person: &Person<'_>, profile: &Profile, name: &str) -> Result<Option<Value>> {
    Ok(match name {
        "preferred_username" => person.username.map(Value::from),
        "updated_at" => Some(json!(person.updated_at.unix())),
        "email" => person.email.map(Value::from),
        "email_verified" => person.email.map(|_| Value::from(person.email_verified)),
        "roles" => Some(parsed(person.roles)?),
        "groups" => Some(parsed(person.groups)?),
        _ => profile.get(name).cloned(),
    })
}

/// JSON of the store.
pub fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(Error::internal)
}
