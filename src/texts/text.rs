//! A text, and values in the middle of it.

use std::fmt::{self, Display, Formatter};

use askama::filters::{Escaper, Html, Safe};
use serde::Deserialize;

/// A text as it stands in the file, with its places for values: `to continue to {client}`.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Text(String);

/// Words of a project's own.
impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Text {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// With a value in the place of `{name}`. A place that gets none stays as it is written.
    pub fn with<'a>(&'a self, name: &'a str, value: &'a str) -> Filled<'a> {
        Filled { text: self, values: vec![(name, value)] }
    }

    /// The same with several values.
    pub fn with_all<'a>(&'a self, values: &[(&'a str, &'a str)]) -> Filled<'a> {
        Filled { text: self, values: values.to_vec() }
    }

    /// The names of the places, in their order.
    pub fn places(&self) -> Vec<&str> {
        let name = |part| if let Part::Place { name, .. } = part { Some(name) } else { None };
        self.parts().filter_map(name).collect()
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = rest.strip_prefix('{').and_then(|inner| inner.find('}'));
            let (part, after) = match end {
                Some(end) => {
                    let (whole, after) = rest.split_at(end + 2);
                    (Part::Place { whole, name: &whole[1..=end] }, after)
                }
                // A brace that opens nothing is a letter.
                None => {
                    let next = rest.char_indices().skip(1).find(|(_, c)| *c == '{');
                    let (plain, after) = rest.split_at(next.map_or(rest.len(), |(at, _)| at));
                    (Part::Plain(plain), after)
                }
            };
            rest = after;
            Some(part)
        })
    }
}

enum Part<'a> {
    Plain(&'a str),
    Place { whole: &'a str, name: &'a str },
}

impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text with its values. Printed it is plain text, which a template escapes like any other.
pub struct Filled<'a> {
    text: &'a Text,
    values: Vec<(&'a str, &'a str)>,
}

impl<'a> Filled<'a> {
    #[must_use]
    pub fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.values.push((name, value));
        self
    }

    /// As markup: each value keeps its own direction of writing. Everything is escaped here.
    pub fn html(&self) -> Safe<String> {
        self.marked("<bdi>", "</bdi>")
    }

    /// As markup in which the values stand out.
    pub fn strong(&self) -> Safe<String> {
        self.marked("<strong><bdi>", "</bdi></strong>")
    }

    fn marked(&self, before: &str, after: &str) -> Safe<String> {
        let mut html = String::new();
        for (text, is_value) in self.pieces() {
            html.push_str(if is_value { before } else { "" });
            // Writing to a String cannot fail.
            let _ = Html.write_escaped_str(&mut html, text);
            html.push_str(if is_value { after } else { "" });
        }
        Safe(html)
    }

    /// Each piece, and whether it is a value.
    fn pieces(&self) -> impl Iterator<Item = (&str, bool)> {
        self.text.parts().map(|part| match part {
            Part::Plain(plain) => (plain, false),
            Part::Place { whole, name } => match self.values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => (*value, true),
                None => (whole, false),
            },
        })
    }
}

impl Display for Filled<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.pieces().try_for_each(|(piece, _)| f.write_str(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_their_places_and_nothing_is_read_twice() {
        let text = Text("{a} & {b}, {c} {".into());
        assert_eq!(text.places(), ["a", "b", "c"]);
        let filled = text.with("a", "{b}").with("b", "<i>");
        assert_eq!(filled.to_string(), "{b} & <i>, {c} {");
        assert_eq!(filled.html().0, "<bdi>{b}</bdi> &#38; <bdi>&#60;i&#62;</bdi>, {c} {");
        assert_eq!(text.with("c", "x").strong().0, "{a} &#38; {b}, <strong><bdi>x</bdi></strong> {");
    }
}
