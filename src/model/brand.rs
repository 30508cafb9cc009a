//! How the pages of a project look.

use serde::{Deserialize, Serialize};

use super::colour::Colour;
use super::uris::check_web_uri;
use crate::error::{Error, Result};

/// What a project may say of its looks. None of it is markup, and none of it becomes any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Brand {
    /// The name of the logo's file. Uploading one sets it, and nothing else does.
    pub logo: Option<String>,
    /// The colour of buttons and links, `#rrggbb`. Where it could not be read it is made darker or lighter.
    #[schema(value_type = Option<String>, pattern = "^#[0-9A-Fa-f]{6}$")]
    pub accent: Option<Colour>,
    /// Of buttons and fields, in pixels: 0 to 24.
    #[schema(minimum = 0, maximum = 24)]
    pub radius: Option<u8>,
    pub scheme: Scheme,
    /// The terms of service, linked below each page.
    pub terms_uri: Option<String>,
    /// The privacy policy, linked below each page.
    pub privacy_uri: Option<String>,
}

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// As the reader's device is set.
    #[default]
    Auto,
    Light,
    Dark,
}

impl Scheme {
    /// In the words of CSS.
    pub const fn css(self) -> &'static str {
        match self {
            Self::Auto => "light dark",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

const MOST_RADIUS: u8 = 24;

impl Brand {
    /// # Errors
    /// `invalid_request` naming what is out of bounds.
    pub fn check(&self) -> Result<()> {
        if self.radius.is_some_and(|radius| radius > MOST_RADIUS) {
            let bound = "settings.brand.radius must lie between 0 and 24";
            return Err(Error::invalid_field("settings.brand.radius", bound));
        }
        let links = [("terms_uri", &self.terms_uri), ("privacy_uri", &self.privacy_uri)];
        for (name, uri) in links {
            let Some(uri) = uri else { continue };
            let field = format!("settings.brand.{name}");
            let is_secure = uri.starts_with("https://") && check_web_uri("uri", uri).is_ok();
            if !is_secure {
                let bound = format!("{field} must be an https address of at most 2048 characters");
                return Err(Error::invalid_field(field, bound));
            }
        }
        Ok(())
    }

    /// The accent as it can be read on white, and white on it: for letters, which know one scheme.
    pub fn accent_on_white(&self) -> Option<Colour> {
        self.accent.map(|accent| accent.until_contrast(Colour::BLACK, &[Colour::WHITE], 4.55))
    }

    /// Whether the stylesheet of everybody will do.
    pub fn is_plain(&self) -> bool {
        self.accent.is_none() && self.radius.is_none() && self.scheme == Scheme::Auto
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_can_be_read() {
        for (accent, shown) in [("#0b6e4f", Some("#0b6e4f")), ("#ffe600", None), ("#ffffff", None)] {
            let brand = Brand { accent: accent.parse().ok(), ..Brand::default() };
            let own = brand.accent_on_white().unwrap();
            assert!(own.contrast(Colour::WHITE) >= 4.5, "{accent}");
            assert!(shown.is_none_or(|shown| own.to_string() == shown), "{accent}");
        }
        assert_eq!(Brand::default().accent_on_white(), None);
    }
}
