use std::collections::BTreeMap;

use super::*;

/// Each text of a file, by section and name.
fn texts_of(file: &str) -> BTreeMap<String, Text> {
    let mut table: toml::Table = toml::from_str(file).unwrap();
    table.remove("language");
    let section = |(section, texts): (String, toml::Value)| {
        let texts: BTreeMap<String, Text> = texts.try_into().unwrap();
        texts.into_iter().map(move |(name, text)| (format!("{section}.{name}"), text))
    };
    table.into_iter().flat_map(section).collect()
}

#[test]
fn every_language_has_every_text_with_the_same_places() {
    let english = texts_of(FILES[0]);
    for file in FILES {
        let known: Texts = toml::from_str(file).unwrap();
        let texts = texts_of(file);
        let language = &known.language;
        assert_eq!(texts.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{}", language.tag);
        for (name, text) in &texts {
            let sorted = |text: &Text| {
                let mut places: Vec<String> = text.places().into_iter().map(String::from).collect();
                places.sort();
                places.dedup();
                places
            };
            assert_eq!(sorted(text), sorted(&english[name]), "{name} in {}", language.tag);
            let shown = text.as_str();
            assert!(!shown.trim().is_empty() && shown.trim() == shown, "{name} in {}", language.tag);
            assert!(!shown.contains(['<', '>']), "{name} in {}: markup is for templates", language.tag);
        }
    }
}

#[test]
fn languages_name_themselves() {
    let mut tags: Vec<&str> = all().iter().map(|texts| texts.language.tag.as_str()).collect();
    assert_eq!(tags[0], "en");
    for texts in all() {
        let language = &texts.language;
        assert!(matches!(language.dir.as_str(), "ltr" | "rtl") && !language.name.is_empty());
        assert_eq!(find(&language.tag).unwrap().language.tag, language.tag);
    }
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), FILES.len());
}

/// Descriptions of errors go to applications as well, which take ASCII there (RFC 6749, 4.1.2.1).
#[test]
fn english_errors_are_ascii() {
    for (name, text) in texts_of(FILES[0]).iter().filter(|(name, _)| name.starts_with("errors.")) {
        assert!(text.as_str().is_ascii() && !text.as_str().contains(['"', '\\']), "{name}");
    }
}
