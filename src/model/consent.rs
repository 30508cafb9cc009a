//! What an application of others may have of a person.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::claim::standard_scope;
use crate::error::{Error, Result};

/// By resource server the scopes that go with it, each in the version in which it was shown. The name of a client's own
/// audience is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pairs(BTreeMap<String, BTreeMap<String, i64>>);

impl TryFrom<String> for Pairs {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        serde_json::from_str(&text).map_err(Error::internal)
    }
}

impl Pairs {
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }

    /// What may be done at some resource server may be shown to the client itself.
    fn has(&self, resource: &str, scope: &str, version: i64) -> bool {
        let mut fitting = self.0.iter().filter(|(known, _)| resource.is_empty() || *known == resource);
        fitting.any(|(_, scopes)| scopes.get(scope) == Some(&version))
    }
}

/// Asked for, or allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    pub scopes: Vec<String>,
    /// Identifiers of resource servers.
    pub resources: Vec<String>,
    /// Claims beyond those of the scopes.
    pub claims: Vec<String>,
    pub pairs: Pairs,
}

impl Permission {
    /// Claims that a granted scope shows anyway are not asked for by themselves. `version_of`: of a scope, as it is now.
    pub fn new<'a>(
        scope: &str,
        resources: &[String],
        claims: impl Iterator<Item = &'a String>,
        version_of: impl Fn(&str) -> i64,
    ) -> Self {
        let scopes: Vec<String> =
            scope.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let is_shown = |claim: &str| standard_scope(claim).is_some_and(|scope| has(&scopes, scope));
        let mut claims: Vec<String> = claims.filter(|claim| !is_shown(claim)).cloned().collect();
        claims.sort_unstable();
        claims.dedup();
        let versions: BTreeMap<String, i64> =
            scopes.iter().map(|scope| (scope.clone(), version_of(scope))).collect();
        let own = resources.is_empty().then(String::new);
        let pairs = resources.iter().cloned().chain(own).map(|resource| (resource, versions.clone()));
        Self { pairs: Pairs(pairs.collect()), scopes, resources: resources.to_vec(), claims }
    }

    /// Whether what was allowed is enough for what is asked: each scope at each resource server, and as it is now.
    pub fn covers(&self, asked: &Self) -> bool {
        let shown = |claim: &String| {
            has(&self.claims, claim) || standard_scope(claim).is_some_and(|scope| has(&self.scopes, scope))
        };
        let mut pairs = asked.pairs.0.iter().flat_map(|(resource, scopes)| {
            scopes.iter().map(move |(scope, version)| (resource, scope, *version))
        });
        pairs.all(|(resource, scope, version)| self.pairs.has(resource, scope, version))
            && asked.resources.iter().all(|resource| has(&self.resources, resource))
            && asked.claims.iter().all(shown)
    }

    /// Both together. A scope that was allowed again is allowed as it is now.
    pub fn and(mut self, more: &Self) -> Self {
        let lists = [
            (&mut self.scopes, &more.scopes),
            (&mut self.resources, &more.resources),
            (&mut self.claims, &more.claims),
        ];
        for (all, more) in lists {
            let new: Vec<String> = more.iter().filter(|name| !has(all, name)).cloned().collect();
            all.extend(new);
        }
        for (resource, scopes) in &more.pairs.0 {
            let known = self.pairs.0.entry(resource.clone()).or_default();
            known.extend(scopes.iter().map(|(scope, version)| (scope.clone(), *version)));
        }
        self
    }
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(scope: &str, resources: &[&str], claims: &[&str]) -> Permission {
        in_version(1, scope, resources, claims)
    }

    fn in_version(version: i64, scope: &str, resources: &[&str], claims: &[&str]) -> Permission {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Permission::new(scope, &owned(resources), owned(claims).iter(), |_| version)
    }

    #[test]
    fn less_is_covered_and_more_is_not() {
        let given = permission("openid email", &["urn:a"], &["birthdate", "email"]);
        assert_eq!(given.claims, ["birthdate"]);
        for less in [
            permission("openid", &[], &[]),
            permission("", &["urn:a"], &["birthdate"]),
            permission("openid", &[], &["email_verified"]),
        ] {
            assert!(given.covers(&less), "{less:?}");
        }
        for more in [
            permission("openid profile", &[], &[]),
            permission("openid", &["urn:b"], &[]),
            permission("openid", &[], &["name"]),
        ] {
            assert!(!given.covers(&more), "{more:?}");
            assert!(given.clone().and(&more).covers(&more));
        }
    }

    #[test]
    fn combinations_and_versions_are_what_is_allowed() {
        let given = permission("read", &["urn:a"], &[]).and(&permission("write", &["urn:b"], &[]));
        for new in [
            permission("write", &["urn:a"], &[]),
            permission("read", &["urn:a", "urn:b"], &[]),
            in_version(2, "read", &["urn:a"], &[]),
            in_version(2, "read", &[], &[]),
        ] {
            assert!(!given.covers(&new), "{new:?}");
            assert!(given.clone().and(&new).covers(&new));
        }
        assert!(given.covers(&permission("read write", &[], &[])), "the client itself learns no more by it");
        let pairs = given.pairs.to_json().unwrap();
        assert_eq!(pairs, r#"{"urn:a":{"read":1},"urn:b":{"write":1}}"#);
        assert_eq!(Pairs::try_from(pairs).unwrap(), given.pairs);
    }
}
