//! The claims that are shown of a person, by name (OpenID Connect Core, 5.1), and two of ours.

use super::profile;

/// Kept beside the profile, each with the scope that shows it (OpenID Connect Core, 5.4).
const BESIDE: [(&str, &str); 4] = [
    ("preferred_username", "profile"),
    ("updated_at", "profile"),
    ("email", "email"),
    ("email_verified", "email"),
];

/// Shown by scopes of a project alone.
const OURS: [&str; 2] = ["roles", "groups"];

/// The claims that a standard scope shows.
pub fn of_scope(scope: &str) -> impl Iterator<Item = &'static str> {
    all().filter(move |claim| standard_scope(claim) == Some(scope))
}

/// The standard scope that shows a standard claim.
pub fn standard_scope(claim: &str) -> Option<&'static str> {
    let beside = BESIDE.into_iter().find(|(name, _)| *name == claim).map(|(_, scope)| scope);
    beside.or_else(|| profile::scope_of(claim))
}

/// Whether there is such a claim of a person.
pub fn is_claim(name: &str) -> bool {
    OURS.contains(&name) || standard_scope(name).is_some()
}

/// Every claim of a person.
pub fn all() -> impl Iterator<Item = &'static str> {
    profile::names().chain(BESIDE.into_iter().map(|(name, _)| name)).chain(OURS)
}
