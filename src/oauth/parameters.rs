//! Form-encoded parameters, of a query or of a posted form.

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// The parameters in the order in which they came.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// `None` when a name or a value is not UTF-8: decoding it would alter it without a word.
    pub fn parse(text: &str) -> Option<Self> {
        let decode = |part: &str| {
            let spaced = part.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8().ok().map(String::from)
        };
        text.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name)?, decode(value)?))
            })
            .collect::<Option<_>>()
            .map(Self)
    }

    pub fn of_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The value; an empty one counts as left out (RFC 6749, 3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter that may be repeated.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(known, value)| known == name && !value.is_empty());
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Like [`Self::get`], and the value is gone from here afterwards.
    pub fn take(&mut self, name: &str) -> String {
        let found = self.0.iter_mut().find(|(known, _)| known == name);
        found.map(|(_, value)| std::mem::take(value)).unwrap_or_default()
    }

    /// Like [`Self::take`], for what must not be printed. `None`: left out.
    pub fn secret(&mut self, name: &str) -> Option<Secret> {
        Some(self.take(name)).filter(|text| !text.is_empty()).map(Secret::new)
    }

    /// # Errors
    /// `invalid_request` naming the parameter that is missing.
    pub fn required(&self, name: &'static str) -> Result<&str> {
        self.get(name).ok_or_else(|| missing(name))
    }

    /// # Errors
    /// `invalid_request` naming the parameter that is missing.
    pub fn required_secret(&mut self, name: &'static str) -> Result<Secret> {
        self.secret(name).ok_or_else(|| missing(name))
    }

    /// Adds a value for what was left out.
    pub fn or(mut self, name: &str, value: &str) -> Self {
        if self.get(name).is_none() {
            self.0.retain(|(known, _)| known != name);
            self.0.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// All but these.
    pub fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(known, _)| !names.contains(&known.as_str()));
        self
    }

    /// Whether it is there, be it empty.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// All of them, encoded again.
    pub fn to_query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// A parameter is given at most once (RFC 6749, 3.1): the first name that is not.
    pub fn repeated(&self) -> Option<&str> {
        self.repeated_beside("")
    }

    /// Like [`Self::repeated`], where one parameter may be.
    pub fn repeated_beside(&self, repeatable: &str) -> Option<&str> {
        let names = self.0.iter().enumerate().map(|(i, (name, _))| (i, name));
        let mut names = names.filter(|(_, name)| *name != repeatable || repeatable.is_empty());
        names
            .find(|(i, name)| self.0[..*i].iter().any(|(earlier, _)| earlier == *name))
            .map(|(_, name)| name.as_str())
    }

    pub fn is_repeated(&self, name: &str) -> bool {
        self.0.iter().filter(|(known, _)| known == name).count() > 1
    }
}

fn missing(name: &'static str) -> Error {
    Error::invalid_field(name, format!("{name} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let given = Parameters::parse("a=1+2%2B3&b=%2526&c&=x&&d=").unwrap();
        assert_eq!(given.get("a"), Some("1 2+3"));
        assert_eq!(given.get("b"), Some("%26"));
        assert_eq!((given.get("c"), given.get("d")), (None, None));
        assert!(Parameters::parse("a=%FF").is_none() && Parameters::parse("%C3=1").is_none());
    }

    #[test]
    fn repetition_is_seen_whatever_the_encoding() {
        let given = Parameters::parse("a=1&%61=2&b=3").unwrap();
        assert_eq!(given.repeated(), Some("a"));
        assert!(given.is_repeated("a") && !given.is_repeated("b"));
        // An empty value is left out, and still there twice.
        assert!(Parameters::parse("a=&a=1").unwrap().is_repeated("a"));
    }

    #[test]
    fn what_was_left_out_is_added() {
        let given = Parameters::parse("a=&b=1").unwrap().or("a", "2").or("b", "3");
        assert_eq!((given.get("a"), given.get("b"), given.repeated()), (Some("2"), Some("1"), None));
    }
}
