//! What an admin may do: a role holds permissions, an endpoint asks for one.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::project::ProjectSettings;
use crate::error::Error;

/// The role of an admin, be it a key or a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Owner,
    /// Everything but admin keys and the deletion of projects.
    Admin,
    /// Users, their attributes and sessions.
    UserManager,
    /// Reads.
    Auditor,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::UserManager, Self::Auditor];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::UserManager => "user_manager",
            Self::Auditor => "auditor",
        }
    }

    pub const fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::Own => matches!(self, Self::Owner),
            Permission::Administer | Permission::DeleteUsers => matches!(self, Self::Owner | Self::Admin),
            Permission::ManageUsers => matches!(self, Self::Owner | Self::Admin | Self::UserManager),
            Permission::Read | Permission::ReadDeletions => {
                matches!(self, Self::Owner | Self::Admin | Self::Auditor)
            }
            Permission::ReadUsers => true,
        }
    }

    /// Whether a project's settings let the role do what it otherwise may not.
    pub const fn may_if_let(self, permission: Permission, settings: &ProjectSettings) -> bool {
        let deletes = matches!(permission, Permission::DeleteUsers | Permission::ReadDeletions);
        deletes && matches!(self, Self::UserManager) && settings.user_managers_may_delete
    }
}

impl FromStr for Role {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known
            .ok_or_else(|| Error::invalid_field("role", "role must be owner, admin, user_manager or auditor"))
    }
}

/// What an endpoint asks of the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Admin keys, the deletion of a project, and the end of a legal hold.
    Own,
    /// Projects, clients, definitions, roles, groups, and the deletion of many users at once.
    Administer,
    /// The deletion of one user: whoever administers, and user managers where the project says so.
    DeleteUsers,
    /// How such a deletion stands: whoever reads, and user managers where they delete.
    ReadDeletions,
    /// Users, their attributes and sessions.
    ManageUsers,
    /// Reads of everything, the audit log among it.
    Read,
    /// Reads of users, and of what is needed to manage them.
    ReadUsers,
}

impl Permission {
    /// Whether it is one to look, and no more.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadDeletions | Self::ReadUsers)
    }
}
