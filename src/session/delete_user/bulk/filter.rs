//! Who is meant, by what their records say.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::model::names::{folded, prefix_end};
use crate::model::timestamp::moment;
use crate::model::user::UserStatus;
use crate::store::bulk_users::Matching;

/// Names of groups, roles and people are no longer than this.
const MOST_BYTES: usize = 254;

/// Whoever fits all that is said.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    pub status: Option<String>,
    /// However it is written.
    pub username_prefix: Option<String>,
    pub created_before: Option<String>,
    /// Neither signed in nor made since.
    pub inactive_since: Option<String>,
    pub group: Option<String>,
    pub role: Option<String>,
}

impl Filter {
    /// # Errors
    /// 400 naming the member, and for a filter that says nothing and so would mean everybody.
    pub fn matching(&self) -> Result<Matching> {
        let said = [
            &self.status,
            &self.username_prefix,
            &self.created_before,
            &self.inactive_since,
            &self.group,
            &self.role,
        ];
        if said.iter().all(|member| member.is_none()) {
            let why = "filter names status, username_prefix, created_before, inactive_since, group or role";
            return Err(Error::invalid_field("filter", why));
        }
        for (name, text) in [
            ("filter.username_prefix", &self.username_prefix),
            ("filter.group", &self.group),
            ("filter.role", &self.role),
        ] {
            check(name, text.as_deref())?;
        }
        let status: Result<Option<UserStatus>> = self.status.as_deref().map(str::parse).transpose();
        let status = status.map_err(|error| error.with_field("filter.status"))?;
        let from = self.username_prefix.as_deref().map(folded);
        Ok(Matching {
            status: status.map(UserStatus::as_str),
            // Beyond every character there is nothing to end before.
            names: (from.clone(), from.as_deref().and_then(prefix_end)),
            created_before: moment("filter.created_before", self.created_before.as_deref())?,
            inactive_since: moment("filter.inactive_since", self.inactive_since.as_deref())?,
            group: self.group.clone(),
            role: self.role.clone(),
        })
    }
}

fn check(name: &'static str, text: Option<&str>) -> Result<()> {
    let fits = |text: &str| (1..=MOST_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
    if text.is_none_or(fits) {
        return Ok(());
    }
    let bound = format!("{name} has 1 to {MOST_BYTES} bytes and no control characters");
    Err(Error::invalid_field(name, bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_means_everybody_by_saying_nothing() {
        assert_eq!(Filter::default().matching().unwrap_err().field(), Some("filter"));
        let empty = Filter { username_prefix: Some(String::new()), ..Filter::default() };
        assert_eq!(empty.matching().unwrap_err().field(), Some("filter.username_prefix"));
        // What folds to nothing would begin every name.
        let prefix = Filter { username_prefix: Some("Test-".into()), ..Filter::default() };
        assert_eq!(prefix.matching().unwrap().names, (Some("test-".into()), Some("test.".into())));
    }
}
