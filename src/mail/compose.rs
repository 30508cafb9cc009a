//! A letter becomes a message: a subject in one line, plain text, and the same as HTML. Values and words are text wherever
//! they come from, so nobody's name or template brings markup with it.

use askama::Template;
use askama::filters::Safe;

use super::letters::Order;
use super::messages::Message;
use crate::error::{Error, Result};
use crate::texts::Text;

/// The words of a letter, a project's own or everybody's.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    pub subject: &'a Text,
    pub text: &'a Text,
}

/// For whom a letter is sent, and how that looks.
#[derive(Clone, Copy)]
pub struct Letterhead<'a> {
    pub project_name: &'a str,
    pub accent: &'a str,
}

/// The accent of a project that has none of its own.
pub const ACCENT: &str = "#3b5bdb";

#[derive(Template)]
#[template(path = "mail.html")]
struct MailPage<'a> {
    language: &'a str,
    direction: &'a str,
    subject: &'a str,
    project_name: &'a str,
    accent: &'a str,
    parts: &'a [Part<'a>],
}

/// What stands between two empty lines.
enum Part<'a> {
    Paragraph(Safe<String>),
    /// A line of its own that holds a link.
    Link(&'a str),
    /// A line of its own that holds a code.
    Code(&'a str),
}

/// The message of an order in these words.
///
/// # Errors
/// A template that does not render, which does not happen.
pub fn compose(order: &Order, words: Words<'_>, head: Letterhead<'_>) -> Result<Message> {
    let name = one_line(head.project_name);
    let values: Vec<(&str, &str)> = order
        .letter
        .places()
        .iter()
        .map(|place| (*place, if *place == "project" { name.as_str() } else { order.value(place) }))
        .collect();
    let subject = one_line(&filled(words.subject, &values));
    let paragraphs: Vec<Text> = words.text.as_str().split("\n\n").map(Text::from).collect();
    let parts: Vec<Part<'_>> = paragraphs
        .iter()
        .map(|paragraph| match paragraph.as_str().trim() {
            "{link}" => Part::Link(order.value("link")),
            "{code}" => Part::Code(order.value("code")),
            _ => Part::Paragraph(Safe(paragraph.with_all(&values).html().0.replace('\n', "<br>\n"))),
        })
        .collect();
    let language = &order.texts().language;
    let page = MailPage {
        language: &language.tag,
        direction: &language.dir,
        subject: &subject,
        project_name: &name,
        accent: head.accent,
        parts: &parts,
    };
    let html = page.render().map_err(Error::internal)?;
    let text = format!("{}\n", filled(words.text, &values));
    Ok(Message { to: order.to.clone(), subject, text, html: Some(html) })
}

fn filled(text: &Text, values: &[(&str, &str)]) -> String {
    text.with_all(values).to_string()
}

/// A name that people chose, fit for a heading: no line breaks and nothing else that controls.
fn one_line(name: &str) -> String {
    name.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::letters::Letter;
    use super::*;
    use crate::texts;

    fn composed(order: &Order, project_name: &str) -> Message {
        let (subject, text) = order.letter.words(order.texts());
        compose(order, Words { subject, text }, Letterhead { project_name, accent: ACCENT }).unwrap()
    }

    #[test]
    fn a_project_name_cannot_begin_a_new_line() {
        let order = Order::new(Letter::AccountDeleted, "alice@example.com", "en");
        let notice = composed(&order, "Shop\r\nBcc: eve@example.com");
        assert_eq!(notice.subject, "Your account at Shop Bcc: eve@example.com has been deleted");
        assert!(notice.text.contains("at Shop Bcc: eve@example.com has been"));
        assert_eq!(format!("{notice:?} {order:?}"), "Message(***) Order(account_deleted)");
    }

    #[test]
    fn names_and_templates_bring_no_markup() {
        let order = Order::new(Letter::NewPassword, "a@example.com", "en")
            .with("username", "<img src=x>{link}")
            .with("link", "https://id.example/?a=1&b=\"><script>")
            .with("minutes", 30);
        let own = Text::from("<b>{username}</b>\n\n{link}\n\nfrom {project}\nsecond line");
        let words = Words { subject: &Text::from("{project}\n{username}"), text: &own };
        let message = compose(&order, words, Letterhead { project_name: "<i>&", accent: ACCENT }).unwrap();
        assert_eq!(message.subject, "<i>& <img src=x>{link}");
        let html = message.html.unwrap();
        for markup in ["<img", "<script", "<b>", "<i>"] {
            assert!(!html.contains(markup), "{markup} in {html}");
        }
        assert!(
            html.contains("<br>\nsecond line")
                && html.contains(r#"href="https://id.example/?a=1&#38;b=&#34;"#)
        );
        // Values are read once: a name with a place in it does not get the link.
        assert!(message.text.starts_with("<b><img src=x>{link}</b>\n"));
    }

    #[test]
    fn every_letter_reads_in_every_language() {
        for (letter, t) in Letter::all().flat_map(|letter| texts::all().iter().map(move |t| (letter, t))) {
            let mut order = Order::new(letter, "a@example.com", &t.language.tag);
            for place in letter.places() {
                order = order.with(place, format!("<{place}>"));
            }
            let message = composed(&order, "Shop");
            assert!(
                !message.text.contains('{') && !message.subject.contains(['{', '\n']),
                "{}",
                message.text
            );
            assert!(message.html.unwrap().contains(&format!(r#"<html lang="{}""#, t.language.tag)));
        }
    }
}
