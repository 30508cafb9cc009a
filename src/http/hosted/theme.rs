//! The stylesheet: the one of everybody, and those of projects with colours of their own.
//!
//! A project chooses an accent, and what is made of it can always be read: text on it is white or black; links and edges are
//! darkened in light mode and lightened in dark mode, as far as it takes (WCAG 2.2, 1.4.3 and 1.4.11).

use super::assets::content_hash;
use crate::model::brand::{Brand, Scheme};
use crate::model::colour::Colour;

/// The colours in light and in dark, and what is done with them.
const LIGHT: &str = include_str!("style/light.css");
const DARK: &str = include_str!("style/dark.css");
const RULES: &str = include_str!("style/rules.css");

/// A rounding error is not to decide.
const TEXT: f64 = 4.55;
const EDGE: f64 = 3.05;

/// The name of a brand's stylesheet: another one with each change of the brand, and of our own rules.
pub fn name(brand: &Brand) -> String {
    format!("theme-{}.css", content_hash(stylesheet(brand).as_bytes()))
}

pub fn stylesheet(brand: &Brand) -> String {
    let light = palette(LIGHT, brand, Colour::BLACK);
    let dark = palette(DARK, brand, Colour::WHITE);
    let colours = match brand.scheme {
        Scheme::Auto => format!("{light}\n@media (prefers-color-scheme: dark) {{\n{dark}}}\n"),
        Scheme::Light => light,
        Scheme::Dark => dark,
    };
    let radius =
        brand.radius.map(|pixels| format!("\n:root {{ --radius: {pixels}px; }}\n")).unwrap_or_default();
    format!(":root {{ color-scheme: {}; }}\n{colours}\n{RULES}{radius}", brand.scheme.css())
}

/// The colours of a scheme, with the accent moved towards `end`, the colour of its texts.
fn palette(scheme: &str, brand: &Brand, end: Colour) -> String {
    let lines = brand.accent.map(|accent| accent_lines(scheme, accent, end)).unwrap_or_default();
    format!(":root {{\n{scheme}{lines}}}\n")
}

fn accent_lines(scheme: &str, accent: Colour, end: Colour) -> String {
    let backs = ["card", "page", "quiet"].map(|name| colour(scheme, name).unwrap_or(Colour::WHITE));
    let fill = accent.until_contrast(end, &backs, EDGE);
    let on_fill = fill.text_on();
    // Away from the text that stands on it.
    let hover = fill.towards(if on_fill == Colour::WHITE { Colour::BLACK } else { Colour::WHITE }, 15);
    let link = accent.until_contrast(end, &backs, TEXT);
    let lines = [
        ("accent", fill),
        ("accent-hover", hover),
        ("on-accent", on_fill),
        ("link", link),
        ("link-hover", link.towards(end, 20)),
    ];
    lines.map(|(name, colour)| format!("  --{name}: {colour};\n")).concat()
}

/// A colour that is written `--name: #rrggbb`; of two, the last one counts.
fn colour(scheme: &str, name: &str) -> Option<Colour> {
    scheme.rsplit_once(&format!("--{name}: "))?.1.split(';').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2, 1.4.3 and 1.4.11: text at 4.5 to 1, the edges of fields at 3 to 1.
    const PAIRS: [(&str, &str, f64); 23] = [
        ("text", "card", 4.5),
        ("text", "page", 4.5),
        ("text", "field", 4.5),
        ("text", "quiet", 4.5),
        ("muted", "card", 4.5),
        ("muted", "page", 4.5),
        ("muted", "quiet", 4.5),
        ("link", "card", 4.5),
        ("link", "page", 4.5),
        ("link", "quiet", 4.5),
        ("link-hover", "card", 4.5),
        ("link-hover", "page", 4.5),
        ("on-accent", "accent", 4.5),
        ("on-accent", "accent-hover", 4.5),
        ("alert-text", "alert-back", 4.5),
        ("alert-text", "card", 4.5),
        ("good-text", "good-back", 4.5),
        ("accent", "card", 3.0),
        ("field-edge", "card", 3.0),
        ("field-edge", "field", 3.0),
        ("alert-edge", "card", 3.0),
        ("good-edge", "card", 3.0),
        ("link", "field", 3.0),
    ];

    fn assert_readable(scheme: &str, what: &str) {
        for (front, back, least) in PAIRS {
            let contrast = colour(scheme, front).unwrap().contrast(colour(scheme, back).unwrap());
            assert!(contrast >= least, "{what}: {front} on {back}: {contrast:.2}");
        }
    }

    #[test]
    fn colours_can_be_told_apart_whatever_the_accent() {
        assert_readable(LIGHT, "light");
        assert_readable(DARK, "dark");
        const STEPS: [u8; 7] = [0, 0x33, 0x66, 0x80, 0x99, 0xcc, 0xff];
        for number in 0..STEPS.len().pow(3) {
            let step = |place: u32| STEPS[number / STEPS.len().pow(place) % STEPS.len()];
            let (red, green, blue) = (step(0), step(1), step(2));
            let accent = format!("#{red:02x}{green:02x}{blue:02x}");
            let brand = Brand { accent: accent.parse().ok(), ..Brand::default() };
            assert_readable(&palette(LIGHT, &brand, Colour::BLACK), &accent);
            assert_readable(&palette(DARK, &brand, Colour::WHITE), &accent);
        }
    }

    #[test]
    fn a_readable_accent_stays_as_it_is() {
        let brand = Brand { accent: "#0b6e4f".parse().ok(), ..Brand::default() };
        let light = palette(LIGHT, &brand, Colour::BLACK);
        assert_eq!(colour(&light, "accent"), brand.accent);
        assert_eq!(colour(&light, "link"), brand.accent);
        assert_eq!(colour(&light, "on-accent"), Some(Colour::WHITE));
    }

    #[test]
    fn a_scheme_alone_is_not_asked_about() {
        for (scheme, has, has_not) in
            [(Scheme::Light, "--page: #f4f5f8", "#10131a"), (Scheme::Dark, "#10131a", "#f4f5f8")]
        {
            let css = stylesheet(&Brand { scheme, radius: Some(3), ..Brand::default() });
            assert!(css.contains(has) && !css.contains(has_not) && !css.contains("prefers-color-scheme"));
            assert!(css.contains(&format!("color-scheme: {};", scheme.css())));
            assert!(css.ends_with(":root { --radius: 3px; }\n"));
        }
    }
}
