//! Names that people choose, made valid once at the edge.

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// The form under which user names and mail addresses are compared: NFKC, lower case, and what upper case would make one:
/// a final sigma is a sigma, a sharp s two of them. (Unicode's full case folding knows more such pairs; these are the ones
/// that people write.)
pub fn folded(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for c in name.nfkc().flat_map(char::to_lowercase) {
        match c {
            'ς' => folded.push('σ'),
            'ß' => folded.push_str("ss"),
            c => folded.push(c),
        }
    }
    folded.nfkc().collect()
}

/// The least text that is greater than everything that begins with `prefix`, by code points; `None` when there is none.
/// Both engines compare keys that way, so a search by prefix is `key >= prefix AND key < end`.
pub fn prefix_end(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // The code points between U+D7FF and U+E000 are no characters.
        let next = if last == '\u{D7FF}' { 0xE000 } else { u32::from(last) + 1 };
        if let Some(next) = char::from_u32(next) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// What folds to more than this is refused: it would not fit into an index.
const MOST_KEY_BYTES: usize = 512;

/// Control characters, and those that show nothing or turn the direction of writing: with them two names look the same.
/// Among them are signs that are blank: of Braille, Hangul, music, shorthand and hieroglyphs.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{13430}'..='\u{13446}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D159}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// A user name: 1 to 128 characters that can be seen, no space at either end.
///
/// # Errors
/// `invalid_request` naming the field and the bound.
pub fn check_username(name: &str) -> Result<()> {
    let length = name.chars().count();
    let key = folded(name);
    if !(1..=128).contains(&length)
        || name.chars().any(is_invisible)
        || name.trim() != name
        || !(1..=MOST_KEY_BYTES).contains(&key.len())
    {
        return Err(Error::invalid_field(
            "username",
            "username has 1 to 128 characters, no control or invisible characters and no space at either end",
        ));
    }
    Ok(())
}

/// What an access token may be meant for.
pub fn is_audience(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A name that is shown to people: 1 to 128 characters, none of them a control character and one at least to be seen, no
/// space at either end.
///
/// # Errors
/// `invalid_request` naming `field` and the bound.
pub fn check_display_name(field: &'static str, name: &str) -> Result<()> {
    let length = name.chars().count();
    let is_blank = name.chars().all(|c| c.is_whitespace() || is_invisible(c));
    if length <= 128 && !is_blank && !name.chars().any(char::is_control) && name.trim() == name {
        return Ok(());
    }
    let bound = format!("{field} has 1 to 128 characters, no control characters and no space at either end");
    Err(Error::invalid_field(field, bound))
}

/// A mail address: something, an @ and a domain, at most 254 bytes (RFC 5321, 4.5.3.1.3). Whether mail arrives there is
/// for the mail to show.
///
/// # Errors
/// `invalid_request` naming the field and the bound.
pub fn check_email(address: &str) -> Result<()> {
    let halves = address.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let strange = |c: char| c.is_whitespace() || is_invisible(c);
    if halves.is_none()
        || halves.is_some_and(|(local, _)| local.contains('@'))
        || address.len() > 254
        || address.chars().any(strange)
        || folded(address).len() > MOST_KEY_BYTES
    {
        return Err(Error::invalid_field(
            "email",
            "email is a mail address of at most 254 bytes without spaces or invisible characters",
        ));
    }
    Ok(())
}

/// The name of a role, a group or an attribute: 1 to 64 of A-Z, a-z, 0-9 and . _ : -, beginning with a letter or digit.
/// So each can be told from each other, in a token as well as on a screen.
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn check_label(name: &str) -> Result<()> {
    let shape = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
    if shape && (1..=64).contains(&name.len()) && name.as_bytes()[0].is_ascii_alphanumeric() {
        return Ok(());
    }
    Err(Error::invalid_field(
        "name",
        "name has 1 to 64 of A-Z, a-z, 0-9 and . _ : -, and begins with a letter or digit",
    ))
}

/// What people say of a thing: at most 500 characters.
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn check_description(text: &str) -> Result<()> {
    if text.chars().count() <= 500 && !text.contains('\0') {
        return Ok(());
    }
    Err(Error::invalid_field("description", "description has at most 500 characters, none of them NUL"))
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
        assert_eq!(folded("ΝΙΚΟΣ"), folded("νικος"));
        assert_eq!(folded("Νικοσ"), folded("νικος"));
        for name in ["STRASSE", "Straße", "STRAẞE"] {
            assert_eq!(folded(name), "strasse");
        }
        assert_ne!(folded("straße"), folded("strase"));
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for c in (0..0x2_0000).filter_map(char::from_u32) {
            let once = folded(&format!("a{c}b"));
            assert_eq!(folded(&once), once, "{c:?}");
        }
    }

    #[test]
    fn prefixes_have_an_end() {
        assert_eq!(prefix_end("ab").as_deref(), Some("ac"));
        assert_eq!(prefix_end("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(prefix_end("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(prefix_end("\u{10FFFF}"), None);
    }

    #[test]
    fn mail_addresses_have_a_shape() {
        for good in ["a@b", "Ana.Lima+x@example.com", "名@例え.jp"] {
            assert!(check_email(good).is_ok(), "{good}");
        }
        for bad in
            ["", "a", "@b", "a@", "a b@c", "a@b\n", "a@b@c", "a\u{200B}@b", &format!("{}@b", "a".repeat(253))]
        {
            assert!(check_email(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn labels_are_plain() {
        for good in ["admin", "Team-7", "org:eu.sales_1", "7"] {
            assert!(check_label(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "a b", "é", "a/b", "a\"", &"a".repeat(65)] {
            assert!(check_label(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bounds_hold() {
        assert!(check_username("al ice").is_ok());
        assert!(check_username(" alice").is_err());
        for bad in [
            "",
            "a\nb",
            "a\u{202E}b",
            "ad\u{200D}min",
            "a\u{FE0F}",
            "\u{AD}",
            "\u{2800}",
            "a\u{2800}b",
            "\u{1D159}",
            &"a".repeat(129),
        ] {
            assert!(check_username(bad).is_err(), "{bad:?}");
        }
        // One character that folds to eighteen: the name would not fit into an index.
        assert!(check_username(&"\u{FDFA}".repeat(128)).is_err());
        assert!(check_slug("demo-1").is_ok());
        assert!(check_slug("1demo").is_err());
        assert!(check_slug("Demo").is_err());
        assert!(check_slug("a0000000-0000-7000-8000-000000000000").is_err());
        assert!(check_slug("a0000000000070008000000000000000").is_err());
        assert!(check_password("short").is_err());
    }
}
