//! Who calls the admin API: whoever has an admin key, and people of the built-in project with a token of theirs. Both hold
//! roles, for one project or for all.

pub mod grants;
pub mod home;
mod person;
pub mod step_up;

use std::sync::Arc;

pub use self::person::{Person, authenticate, name, name_in};
use crate::error::{Error, Result};
use crate::ids::{AdminKeyId, ProjectId};
use crate::model::role::{Permission, Role};
use crate::store::admin_keys::AdminKey;

/// A live admin: who it is, and what they may do.
#[derive(Clone, Debug)]
pub struct Admin {
    pub who: Who,
    /// A key has one.
    pub grants: Vec<Grant>,
}

#[derive(Clone, Debug)]
pub enum Who {
    Key(AdminKeyId),
    Person(Arc<Person>),
}

/// A role, and how far it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub role: Role,
    /// `None`: every project.
    pub project: Option<ProjectId>,
}

/// How far a permission reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    All,
    /// By age.
    These(Vec<ProjectId>),
}

impl Within {
    /// `None`: what is for every project.
    pub fn contains(&self, project: Option<ProjectId>) -> bool {
        match (self, project) {
            (Self::All, _) => true,
            (Self::These(own), Some(project)) => own.contains(&project),
            (Self::These(_), None) => false,
        }
    }

    /// The one project of a list; `None`: all of them.
    ///
    /// # Errors
    /// `invalid_request` where there are several, and none is named.
    pub fn one(&self) -> Result<Option<ProjectId>> {
        match self {
            Self::All => Ok(None),
            Self::These(own) => match own.as_slice() {
                [one] => Ok(Some(*one)),
                _ => Err(Error::invalid_field("project", "name the project: you have a role in several")),
            },
        }
    }
}

impl TryFrom<AdminKey> for Admin {
    type Error = Error;
    fn try_from(key: AdminKey) -> Result<Self> {
        let grants = vec![Grant { role: role(&key.role)?, project: key.project_id }];
        Ok(Self { who: Who::Key(key.id), grants })
    }
}

impl Admin {
    fn in_project(&self, project: ProjectId) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| grant.project.is_none_or(|own| own == project))
    }

    pub fn reaches(&self, project: ProjectId) -> bool {
        self.in_project(project).next().is_some()
    }

    pub fn may_in(&self, permission: Permission, project: ProjectId) -> bool {
        self.in_project(project).any(|grant| grant.role.may(permission))
    }

    /// In one project at least.
    pub fn may(&self, permission: Permission) -> bool {
        self.grants.iter().any(|grant| grant.role.may(permission))
    }

    pub fn may_everywhere(&self, permission: Permission) -> bool {
        self.grants.iter().any(|grant| grant.project.is_none() && grant.role.may(permission))
    }

    /// The strongest role.
    pub fn role(&self) -> Role {
        strongest(self.grants.iter())
    }

    /// The strongest role in a project that they reach.
    pub fn role_in(&self, project: ProjectId) -> Role {
        strongest(self.in_project(project))
    }

    /// Where the permission holds.
    pub fn within(&self, permission: Permission) -> Within {
        if self.may_everywhere(permission) {
            return Within::All;
        }
        let may = self.grants.iter().filter(|grant| grant.role.may(permission));
        let mut own: Vec<ProjectId> = may.filter_map(|grant| grant.project).collect();
        own.sort_unstable();
        Within::These(own)
    }

    pub fn person(&self) -> Option<&Person> {
        match &self.who {
            Who::Key(_) => None,
            Who::Person(person) => Some(person),
        }
    }

    /// As refusals call them.
    pub const fn noun(&self) -> &'static str {
        match self.who {
            Who::Key(_) => "a key for",
            Who::Person(_) => "an admin of",
        }
    }
}

fn strongest<'a>(grants: impl Iterator<Item = &'a Grant>) -> Role {
    let held: Vec<Role> = grants.map(|grant| grant.role).collect();
    Role::ALL.into_iter().find(|role| held.contains(role)).unwrap_or(Role::Auditor)
}

/// A role as the store holds it.
fn role(text: &str) -> Result<Role> {
    text.parse().map_err(|_| Error::internal("an unknown role in the store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_reach_as_far_as_they_were_granted() {
        let (shop, other) = (ProjectId(uuid::Uuid::from_u128(1)), ProjectId(uuid::Uuid::from_u128(2)));
        let admin = Admin {
            who: Who::Key(AdminKeyId(uuid::Uuid::nil())),
            grants: vec![
                Grant { role: Role::Auditor, project: None },
                Grant { role: Role::Owner, project: Some(shop) },
            ],
        };
        assert!(admin.may_in(Permission::Own, shop) && !admin.may_in(Permission::Own, other));
        assert!(admin.may_in(Permission::Read, other) && admin.may_everywhere(Permission::Read));
        assert!(admin.may(Permission::Own) && !admin.may_everywhere(Permission::Own));
        assert_eq!((admin.role_in(other), admin.role_in(shop)), (Role::Auditor, Role::Owner));
        let own = admin.within(Permission::Own);
        assert!(own.contains(Some(shop)) && !own.contains(Some(other)) && !own.contains(None));
        assert_eq!(admin.within(Permission::Read), Within::All);
        assert_eq!(own.one().unwrap(), Some(shop));
        assert!(Within::These(vec![shop, other]).one().is_err());
    }
}
