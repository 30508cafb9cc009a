//! A tenant, and the rule for numbers that every liveness check and cache rests on.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::brand::Brand;
use super::retention::Retention;
use super::sign_in_policy::SignInPolicy;
use super::status::Status;
use super::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::ids::ProjectId;

/// A project: isolated users, clients, keys, and an issuer of its own.
#[derive(Clone, Debug, Serialize)]
pub struct Project {
    pub id: ProjectId,
    pub slug: String,
    pub name: String,
    pub kind: ProjectKind,
    pub issuer: String,
    pub status: Status,
    #[serde(skip)]
    pub token_epoch: i64,
    pub version: i64,
    /// Seconds by which its clock goes ahead; 0 in a live project.
    #[serde(skip)]
    pub clock_offset: i64,
    pub settings: ProjectSettings,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Fixed when the project is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProjectKind {
    #[default]
    Live,
    /// For trying out; its tokens say so.
    Sandbox,
}

impl ProjectKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
        }
    }
}

impl FromStr for ProjectKind {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let known = [Self::Live, Self::Sandbox].into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| Error::invalid_field("kind", "kind must be live or sandbox"))
    }
}

/// What an admin may set on a project: one JSON document in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectSettings {
    /// Live token families per user and client, 1 to 1000; the longest unused ends.
    pub max_families: i64,
    /// How the deletion of a user is confirmed.
    pub deletion_confirmation: DeletionConfirmation,
    /// Days between the confirmation of a deletion and its execution, 0 to 90; it can be cancelled meanwhile.
    pub deletion_restore_days: i64,
    /// Whether people may delete their own accounts, by their user name typed again.
    pub self_deletion: bool,
    /// Whether the role `user_manager` may delete users, one by one.
    pub user_managers_may_delete: bool,
    /// Users that may be deleted within an hour, 1 to 1000, before each further one asks for the strongest confirmation at hand.
    pub deletion_mass_threshold: i64,
    /// DPoP proofs have a nonce of ours (RFC 9449, 8), whatever their client.
    pub require_dpop_nonce: bool,
    /// Whether applications may register themselves (RFC 7591).
    pub dynamic_registration: DynamicRegistration,
    /// What is asked of people who sign in.
    pub sign_in: SignInPolicy,
    /// How the pages look.
    pub brand: Brand,
    pub retention: Retention,
    /// Whether the project cannot be deleted.
    pub deletion_protection: bool,
    /// Reasons of at most 100 characters, at most 50 of them, that are taken as they are; any other has 10 characters at least.
    pub deletion_reasons: Vec<String>,
}

/// The longest restore window.
pub const MOST_RESTORE_DAYS: i64 = 90;

const MOST_MASS_THRESHOLD: i64 = 1000;

const MOST_REASONS: usize = 50;
const MOST_REASON_CHARACTERS: usize = 100;

impl Default for ProjectSettings {
    fn default() -> Self {
        Self {
            max_families: 100,
            deletion_confirmation: DeletionConfirmation::default(),
            deletion_restore_days: 0,
            self_deletion: false,
            user_managers_may_delete: false,
            deletion_mass_threshold: 10,
            require_dpop_nonce: false,
            dynamic_registration: DynamicRegistration::default(),
            sign_in: SignInPolicy::default(),
            brand: Brand::default(),
            retention: Retention::default(),
            deletion_protection: false,
            deletion_reasons: Vec::new(),
        }
    }
}

/// Who may register clients without an admin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DynamicRegistration {
    #[default]
    Off,
    /// Whoever has an initial access token (RFC 7591, 3).
    InitialAccessToken,
}

/// How the deletion of a user is confirmed, from the weakest to the strongest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DeletionConfirmation {
    /// The key that asked types the user name again.
    #[default]
    Typed,
    /// The factor of an admin who is a person. A key alone has none.
    SecondFactor,
    /// Another admin confirms: whatever one person can prove, they are one.
    SecondPerson,
}

impl FromStr for DeletionConfirmation {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Typed, Self::SecondFactor, Self::SecondPerson];
        let known = all.into_iter().find(|method| method.as_str() == text);
        known.ok_or_else(|| Error::internal("an unknown way of confirming in the store"))
    }
}

impl DeletionConfirmation {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Typed => "typed",
            Self::SecondPerson => "second_person",
            Self::SecondFactor => "second_factor",
        }
    }
}

impl ProjectSettings {
    /// The first setting that lets a user be deleted with less ado than `self` does, or lets go of the log of it sooner.
    pub fn weakened_by(&self, new: &Self) -> Option<&'static str> {
        if new.deletion_confirmation < self.deletion_confirmation {
            return Some("settings.deletion_confirmation");
        }
        // Whoever gives somebody another password could sign in as them, and delete them alone.
        if new.self_deletion && !self.self_deletion {
            return Some("settings.self_deletion");
        }
        if new.user_managers_may_delete && !self.user_managers_may_delete {
            return Some("settings.user_managers_may_delete");
        }
        if new.deletion_mass_threshold > self.deletion_mass_threshold {
            return Some("settings.deletion_mass_threshold");
        }
        if new.deletion_restore_days < self.deletion_restore_days {
            return Some("settings.deletion_restore_days");
        }
        if self.deletion_protection && !new.deletion_protection {
            return Some("settings.deletion_protection");
        }
        let is_shorter = self.retention.is_audited_longer_than(&new.retention);
        is_shorter.then_some("settings.retention.audit_days")
    }

    /// # Errors
    /// `invalid_request` naming the first setting out of bounds.
    pub fn check(&self) -> Result<()> {
        if !(1..=1000).contains(&self.max_families) {
            let bound = "settings.max_families must lie between 1 and 1000";
            return Err(Error::invalid_field("settings.max_families", bound));
        }
        if !(0..=MOST_RESTORE_DAYS).contains(&self.deletion_restore_days) {
            let bound = "settings.deletion_restore_days must lie between 0 and 90";
            return Err(Error::invalid_field("settings.deletion_restore_days", bound));
        }
        if !(1..=MOST_MASS_THRESHOLD).contains(&self.deletion_mass_threshold) {
            let bound = "settings.deletion_mass_threshold must lie between 1 and 1000";
            return Err(Error::invalid_field("settings.deletion_mass_threshold", bound));
        }
        let is_reason = |reason: &String| {
            let length = reason.chars().count();
            !reason.trim().is_empty()
                && length <= MOST_REASON_CHARACTERS
                && !reason.chars().any(char::is_control)
        };
        if self.deletion_reasons.len() > MOST_REASONS || !self.deletion_reasons.iter().all(is_reason) {
            let bound = "settings.deletion_reasons are at most 50, each of 1 to 100 characters";
            return Err(Error::invalid_field("settings.deletion_reasons", bound));
        }
        self.brand.check()?;
        self.sign_in.check()?;
        self.retention.check()
    }
}

/// A project as the store holds it.
#[derive(Clone, Debug, FromRow)]
pub struct ProjectRow {
    id: ProjectId,
    slug: String,
    name: String,
    kind: String,
    issuer: String,
    status: String,
    token_epoch: i64,
    version: i64,
    clock_offset: i64,
    settings: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<ProjectRow> for Project {
    type Error = Error;
    fn try_from(row: ProjectRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            slug: row.slug,
            name: row.name,
            kind: row.kind.parse().map_err(Error::internal)?,
            issuer: row.issuer,
            status: row.status.parse()?,
            token_epoch: row.token_epoch,
            version: row.version,
            clock_offset: row.clock_offset,
            settings: serde_json::from_str(&row.settings).map_err(Error::internal)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Project {
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    pub fn is_sandbox(&self) -> bool {
        self.kind == ProjectKind::Sandbox
    }
}

/// The epoch or version that follows `old`: it only grows, and goes on ahead of everything that a store which was set back
/// may have given out.
pub fn next_number(old: i64, now: Timestamp) -> i64 {
    now.micros().max(old.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_and_versions_only_grow() {
        assert_eq!(next_number(5, Timestamp::from_micros(9)), 9);
        assert_eq!(next_number(9, Timestamp::from_micros(9)), 10);
        assert_eq!(next_number(90, Timestamp::from_micros(9)), 91);
    }
}
