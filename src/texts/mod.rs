//! What people read, in their language: one file for each language (`texts/*.toml`), one section for each page.
//!
//! A new language is a file, and a line in `FILES`. A new page is a section in `sections`, and in every file.

mod choose;
mod sections;
mod text;

use std::sync::LazyLock;

pub use self::choose::{Language, find, of_header, of_locales};
pub use self::sections::Texts;
pub use self::text::{Filled, Text};

/// One text of all, whatever the language: `|t| &t.sign_in.title`.
pub type Which = fn(&Texts) -> &Text;

/// English first: it is for whoever speaks none of these languages.
const FILES: [&str; 3] = [
    include_str!("../../texts/en.toml"),
    include_str!("../../texts/de.toml"),
    include_str!("../../texts/zh-Hans.toml"),
];

// That each of them parses is for a test to show: they are part of the program.
static ALL: LazyLock<[Texts; FILES.len()]> =
    LazyLock::new(|| FILES.map(|file| toml::from_str(file).unwrap_or_default()));

/// Every language there is.
pub fn all() -> &'static [Texts] {
    &*ALL
}

pub fn english() -> &'static Texts {
    let [english, ..] = &*ALL;
    english
}

#[cfg(test)]
mod tests;
