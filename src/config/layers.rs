//! The layers of settings, from weak to strong: the built-in file, one of the operator's, the environment, flags.
//!
//! All of it is text by name until `config` reads it, so every problem is found and none of them prints a value.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Every setting with its default and an explanation.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Variables that begin so are settings; a further `__` stands for the dot.
const PREFIX: &str = "TESSERA__";

/// Where settings come from, besides the defaults.
#[derive(Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// Names and values; what is not ours is passed over.
    pub environment: Vec<(String, String)>,
    /// Setting, value, and the flag that set it.
    pub flags: Vec<(&'static str, String, &'static str)>,
}

impl Sources {
    /// The file that was named, if any, and the environment of this process.
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Self { file, environment, flags: Vec::new() }
    }
}

struct Setting {
    text: String,
    origin: Origin,
}

/// Who said so, for people who look for the mistake.
#[derive(Clone)]
enum Origin {
    Default,
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("by default"),
            Self::File(file) => write!(f, "in {}", file.display()),
            Self::Variable(name) => write!(f, "in the environment as {name}"),
            Self::Flag(name) => write!(f, "by {name}"),
        }
    }
}

/// The settings in force, and what is wrong with them.
pub struct Layers {
    settings: BTreeMap<String, Setting>,
    problems: Vec<String>,
}

impl Layers {
    pub fn load(sources: &Sources) -> Self {
        let mut layers = Self { settings: BTreeMap::new(), problems: Vec::new() };
        match DEFAULTS.parse::<toml::Table>() {
            Ok(table) => layers.defaults("", &table),
            Err(error) => layers.problem(format!("the built-in defaults do not parse: {error}")),
        }
        if let Some(file) = &sources.file {
            layers.file(file);
        }
        // The short name is the weaker one.
        let (short, ours): (Vec<_>, Vec<_>) =
            sources.environment.iter().partition(|(name, _)| name == "DATABASE_URL");
        for (name, value) in short {
            layers.set("database_url", value, Origin::Variable(name.clone()));
        }
        for (name, value) in ours {
            if let Some(rest) = name.strip_prefix(PREFIX) {
                let key = rest.to_lowercase().replace("__", ".");
                layers.set(&key, value, Origin::Variable(name.clone()));
            }
        }
        for (key, value, flag) in &sources.flags {
            layers.set(key, value, Origin::Flag(flag));
        }
        layers
    }

    fn defaults(&mut self, prefix: &str, table: &toml::Table) {
        for (name, value) in table {
            match (value, scalar(value)) {
                (toml::Value::Table(inner), _) => self.defaults(&format!("{prefix}{name}."), inner),
                (_, Some(text)) => {
                    self.settings
                        .insert(format!("{prefix}{name}"), Setting { text, origin: Origin::Default });
                }
                (_, None) => self.problem(format!("the default of {prefix}{name} is not a single value")),
            }
        }
    }

    fn file(&mut self, file: &Path) {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => return self.problem(format!("{} cannot be read: {error}", file.display())),
        };
        match text.parse::<toml::Table>() {
            Ok(table) => self.merge("", &table, file),
            // The parser quotes the line, and a secret may stand in it.
            Err(error) => {
                let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
                self.problem(format!("{} is not TOML: see line {line}", file.display()));
            }
        }
    }

    fn merge(&mut self, prefix: &str, table: &toml::Table, file: &Path) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match (value, scalar(value)) {
                (toml::Value::Table(inner), _) => self.merge(&format!("{key}."), inner, file),
                (_, Some(text)) => self.set(&key, &text, Origin::File(file.to_owned())),
                (_, None) => self.problem(format!("{key} is a single value ({})", Origin::File(file.into()))),
            }
        }
    }

    fn set(&mut self, key: &str, text: &str, origin: Origin) {
        if let Some(setting) = self.settings.get_mut(key) {
            *setting = Setting { text: text.to_owned(), origin };
            return;
        }
        let section = format!("{key}.");
        let why = if self.settings.keys().any(|known| known.starts_with(&section)) {
            "is a section, not a setting"
        } else {
            "is not a setting"
        };
        self.problem(format!("{key} {why} (set {origin})"));
    }

    /// Notes something that is wrong; all of it is told at once.
    pub fn problem(&mut self, what: String) {
        self.problems.push(what);
    }

    /// Notes what is wrong with the value of `key`, and who set it.
    pub fn refuse(&mut self, key: &str, why: &str) {
        let origin = self.settings.get(key).map_or(Origin::Default, |setting| setting.origin.clone());
        self.problem(format!("{key} {why} (set {origin})"));
    }

    pub fn into_problems(self) -> Vec<String> {
        self.problems
    }

    /// The text of a setting; `None` when it is not set.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(|setting| setting.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Reads a setting with `read`; when that gives nothing, says `why` and goes on with `fallback`.
    pub fn read<T>(&mut self, key: &str, why: &str, fallback: T, read: impl Fn(&str) -> Option<T>) -> T {
        if let Some(value) = self.text(key).and_then(read) {
            return value;
        }
        self.refuse(key, why);
        fallback
    }

    /// A whole number within bounds.
    pub fn number<T>(&mut self, key: &str, bounds: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Copy + fmt::Display,
    {
        let why = format!("is a whole number from {} to {}", bounds.start(), bounds.end());
        let read = |text: &str| text.parse().ok().filter(|number| bounds.contains(number));
        self.read(key, &why, *bounds.start(), read)
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &str, first: (&str, T), second: (&str, T)) -> T {
        let why = format!("is \"{}\" or \"{}\"", first.0, second.0);
        let known = [first, second];
        let read = |text: &str| known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        self.read(key, &why, first.1, read)
    }

    /// Names of all settings.
    #[cfg(test)]
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.settings.keys()
    }
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(word) => Some(word.to_string()),
        _ => None,
    }
}
