//! Names that people choose, made valid once at the edge.

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// The form under which user names and mail addresses are compared: NFKC, lower case.
pub fn folded(name: &str) -> String {
    name.nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

/// A user name: 1 to 128 characters, none of them a control character, no space at either end.
///
/// # Errors
/// `invalid_request` naming the field and the bound.
pub fn check_username(name: &str) -> Result<()> {
    let length = name.chars().count();
    if !(1..=128).contains(&length) || name.chars().any(char::is_control) || name.trim() != name {
        return Err(Error::invalid_field(
            "username",
            "username has 1 to 128 characters, no control characters and no space at either end",
        ));
    }
    Ok(())
}

/// A name that is shown to people: 1 to 128 characters, none of them a control character, no space at either end.
///
/// # Errors
/// `invalid_request` naming `field` and the bound.
pub fn check_display_name(field: &'static str, name: &str) -> Result<()> {
    let length = name.chars().count();
    if (1..=128).contains(&length) && !name.chars().any(char::is_control) && name.trim() == name {
        return Ok(());
    }
    let bound = format!("{field} has 1 to 128 characters, no control characters and no space at either end");
    Err(Error::invalid_field(field, bound))
}

/// A password: 8 to 1024 bytes.
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn check_password(password: &str) -> Result<()> {
    if (8..=1024).contains(&password.len()) {
        return Ok(());
    }
    Err(Error::invalid_field("password", "password has 8 to 1024 bytes"))
}

/// A project's slug: 2 to 63 of a-z, 0-9 and -, beginning with a letter.
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn check_slug(slug: &str) -> Result<()> {
    let shape = slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !shape || !(2..=63).contains(&slug.len()) || !slug.as_bytes()[0].is_ascii_lowercase() {
        return Err(Error::invalid_field(
            "slug",
            "slug has 2 to 63 of a-z, 0-9 and -, and begins with a letter",
        ));
    }
    // A path names a project by slug or by id, so no slug may be another project's id.
    if slug.parse::<uuid::Uuid>().is_ok() {
        return Err(Error::invalid_field("slug", "slug must not have the form of an id"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_makes_look_alikes_one() {
        assert_eq!(folded("Ａlice"), "alice");
        assert_eq!(folded("ALICE"), folded("alice"));
    }

    #[test]
    fn bounds_hold() {
        assert!(check_username("al ice").is_ok());
        assert!(check_username(" alice").is_err());
        assert!(check_username("a\nb").is_err());
        assert!(check_slug("demo-1").is_ok());
        assert!(check_slug("1demo").is_err());
        assert!(check_slug("Demo").is_err());
        assert!(check_slug("a0000000-0000-7000-8000-000000000000").is_err());
        assert!(check_slug("a0000000000070008000000000000000").is_err());
        assert!(check_password("short").is_err());
    }
}
