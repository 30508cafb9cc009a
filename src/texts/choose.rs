//! Which language somebody is spoken to in.

use serde::Deserialize;

use super::{Texts, all};

/// The head of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// BCP 47, as it stands in `lang`.
    pub tag: String,
    /// `ltr` or `rtl`.
    pub dir: String,
    /// What the language calls itself.
    pub name: String,
    /// Tags that mean this language, with whatever follows them.
    pub matches: Vec<String>,
    /// Longer ones that do not.
    #[serde(default)]
    pub except: Vec<String>,
}

/// More wishes than this nobody has.
const MOST_WISHES: usize = 16;

/// The texts for a language tag, cut from its end until one fits (RFC 4647, 3.4).
pub fn find(tag: &str) -> Option<&'static Texts> {
    let is = |known: &String, tag: &str| known.eq_ignore_ascii_case(tag);
    let mut tag = tag.trim();
    loop {
        if all().iter().any(|texts| texts.language.except.iter().any(|known| is(known, tag))) {
            return None;
        }
        let found = all().iter().find(|texts| texts.language.matches.iter().any(|known| is(known, tag)));
        if found.is_some() {
            return found;
        }
        tag = tag.rsplit_once('-')?.0;
    }
}

/// `ui_locales`: tags, the dearest first (OpenID Connect Core, 3.1.2.1).
pub fn of_locales(locales: &str) -> Option<&'static Texts> {
    locales.split_ascii_whitespace().take(MOST_WISHES).find_map(find)
}

/// `Accept-Language`: tags with their weights (RFC 9110, 12.5.4).
pub fn of_header(header: &str) -> Option<&'static Texts> {
    let mut wishes: Vec<(u32, &str)> = header.split(',').take(MOST_WISHES).filter_map(wish).collect();
    // The order of equals stays.
    wishes.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    wishes.into_iter().find_map(|(_, tag)| find(tag))
}

/// A tag, and its weight in thousandths; `None` for what is not wanted.
fn wish(text: &str) -> Option<(u32, &str)> {
    let (tag, weight) = text.split_once(';').map_or((text, None), |(tag, weight)| (tag, Some(weight)));
    let weight = match weight {
        Some(weight) => weight.trim().strip_prefix("q=")?.parse::<f32>().ok()?,
        None => 1.0,
    };
    // What is out of bounds or no number is cut to them.
    let thousandths = (weight.clamp(0.0, 1.0) * 1000.0) as u32;
    (thousandths > 0).then_some((thousandths, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(found: Option<&'static Texts>) -> &'static str {
        found.map_or("none", |texts| &texts.language.tag)
    }

    #[test]
    fn the_first_wish_that_is_spoken_wins() {
        for (locales, chosen) in [
            ("de", "de"),
            ("DE-at", "de"),
            ("fr-CA de-CH en", "de"),
            ("zh", "zh-Hans"),
            ("zh-CN", "zh-Hans"),
            ("zh-Hans-SG", "zh-Hans"),
            ("zh-TW", "none"),
            ("zh-Hant-HK en-GB", "en"),
            ("tlh", "none"),
            ("", "none"),
            ("- -- de-", "de"),
        ] {
            assert_eq!(tag(of_locales(locales)), chosen, "{locales}");
        }
        assert_eq!(tag(of_locales(&"x ".repeat(MOST_WISHES)).or(of_locales("en"))), "en");
    }

    #[test]
    fn weights_are_honoured() {
        for (header, chosen) in [
            ("de-DE,de;q=0.9,en;q=0.8", "de"),
            ("en;q=0.4, de;q=0.7", "de"),
            ("de;q=0, en;q=0.1", "en"),
            ("fr, *;q=0.5", "none"),
            ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hans"),
            ("de;q=x, en", "en"),
            ("de;q=NaN, en;q=-3", "none"),
            (",,;;", "none"),
        ] {
            assert_eq!(tag(of_header(header)), chosen, "{header}");
        }
    }
}
