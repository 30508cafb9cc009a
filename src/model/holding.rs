//! What a project defines and its users hold: roles, groups and attributes.

use serde::Serialize;
use sqlx::FromRow;

use super::timestamp::Timestamp;

/// One of the three. Each has a table of definitions and a table of who holds them; what tokens and verification read
/// stands resolved on the user's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    Role,
    Group,
    Attribute,
}

impl Holding {
    /// As errors, audit actions and targets name it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Group => "group",
            Self::Attribute => "attribute",
        }
    }
}

/// Roles and groups are names and nothing more: a role says what somebody may do, a group where somebody belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelKind {
    Role,
    Group,
}

impl LabelKind {
    pub const fn holding(self) -> Holding {
        match self {
            Self::Role => Holding::Role,
            Self::Group => Holding::Group,
        }
    }

    /// How many of them a project has at most.
    pub const fn most(self) -> i64 {
        match self {
            Self::Role => 1000,
            Self::Group => 10_000,
        }
    }
}

/// A role or a group of a project.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct Label {
    pub name: String,
    pub description: String,
    pub created_at: Timestamp,
}
