//! What an application of others may have of a person.

use serde::Serialize;

use super::claim::standard_scope;

/// Asked for, or allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Permission {
    pub scopes: Vec<String>,
    /// Identifiers of resource servers.
    pub resources: Vec<String>,
    /// Claims beyond those of the scopes.
    pub claims: Vec<String>,
}

impl Permission {
    /// Claims that a granted scope shows anyway are not asked for by themselves.
    pub fn new<'a>(scope: &str, resources: &[String], claims: impl Iterator<Item = &'a String>) -> Self {
        let scopes: Vec<String> =
            scope.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let is_shown = |claim: &str| standard_scope(claim).is_some_and(|scope| has(&scopes, scope));
        let mut claims: Vec<String> = claims.filter(|claim| !is_shown(claim)).cloned().collect();
        claims.sort_unstable();
        claims.dedup();
        Self { scopes, resources: resources.to_vec(), claims }
    }

    /// Whether what was allowed is enough for what is asked.
    pub fn covers(&self, asked: &Self) -> bool {
        let shown = |claim: &String| {
            has(&self.claims, claim) || standard_scope(claim).is_some_and(|scope| has(&self.scopes, scope))
        };
        asked.scopes.iter().all(|scope| has(&self.scopes, scope))
            && asked.resources.iter().all(|resource| has(&self.resources, resource))
            && asked.claims.iter().all(shown)
    }

    /// Both together.
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
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Permission::new(scope, &owned(resources), owned(claims).iter())
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
}
