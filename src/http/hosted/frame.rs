//! What surrounds every page: its language, and whose page it is.

use super::assets::STYLESHEET;
use super::theme;
use crate::app::Ctx;
use crate::model::brand::Brand;
use crate::texts::Texts;

/// Every page has one, beside `t`, the texts: `base.html` draws it.
#[derive(Clone)]
pub struct Frame<'a> {
    pub t: &'static Texts,
    /// The project's name; `None` where no project is known.
    pub name: Option<&'a str>,
    /// The slug, and the looks, of the project.
    pub brand: Option<(&'a str, &'a Brand)>,
    /// The language, if the request asked for it: forms and links carry it on.
    pub ui_locales: Option<&'static str>,
}

impl<'a> Frame<'a> {
    pub fn of(ctx: &'a Ctx) -> Self {
        Self {
            t: ctx.texts,
            name: Some(&ctx.project.name),
            brand: Some((&ctx.project.slug, &ctx.project.settings.brand)),
            ui_locales: ctx.language_asked.then_some(ctx.texts.language.tag.as_str()),
        }
    }

    /// Of a page that belongs to no project.
    pub fn bare(t: &'static Texts) -> Self {
        Self { t, name: None, brand: None, ui_locales: None }
    }

    /// What stands on the tile beside the project's name.
    pub fn initial(&self) -> String {
        let first = self.name.and_then(|name| name.chars().find(|c| c.is_alphanumeric()));
        first.map(|c| c.to_uppercase().collect()).unwrap_or_default()
    }

    pub fn stylesheet(&self) -> String {
        match self.brand {
            Some((slug, brand)) if !brand.is_plain() => {
                format!("/projects/{slug}/brand/{}", theme::name(brand))
            }
            _ => STYLESHEET.path(),
        }
    }

    /// Where the project's logo is.
    pub fn logo(&self) -> Option<String> {
        let (slug, brand) = self.brand?;
        brand.logo.as_ref().map(|name| format!("/projects/{slug}/brand/{name}"))
    }

    /// `light`, `dark`, or both.
    pub fn color_scheme(&self) -> &'static str {
        self.brand.map(|(_, brand)| brand.scheme).unwrap_or_default().css()
    }

    pub fn terms_uri(&self) -> Option<&str> {
        self.brand?.1.terms_uri.as_deref()
    }

    pub fn privacy_uri(&self) -> Option<&str> {
        self.brand?.1.privacy_uri.as_deref()
    }
}

/// One of the pages that a page leads to, drawn by `parts::tabs`.
pub struct Tab {
    pub href: String,
    pub text: &'static str,
    /// Whether it is the one that is shown.
    pub is_here: bool,
}

/// A link of ours, which goes on in the language that the request asked for.
pub fn in_language(ctx: &Ctx, link: &str) -> String {
    if !ctx.language_asked {
        return link.to_owned();
    }
    let separator = if link.contains('?') { '&' } else { '?' };
    format!("{link}{separator}ui_locales={}", ctx.texts.language.tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::english;

    #[test]
    fn the_tile_shows_a_letter_or_nothing() {
        for (name, tile) in [("demo", "D"), ("\"ärzte\"", "Ä"), ("42", "4"), ("…", "")] {
            assert_eq!(Frame { name: Some(name), ..Frame::bare(english()) }.initial(), tile);
        }
    }
}
