//! A message in the form that travels (RFC 5322, MIME).

use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use super::Message;
use crate::ids::OutboxId;
use crate::model::delivery::Failure;
use crate::model::timestamp::Timestamp;

/// Who writes: `Name <address>` or an address alone.
#[derive(Clone, Debug)]
pub struct Sender(Mailbox);

impl Sender {
    /// `None`: not a mail address.
    pub fn parse(text: &str) -> Option<Self> {
        if has_controls(text) {
            return None;
        }
        text.parse().ok().map(Self)
    }

    pub fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

/// RFC 3834, 5: written by a machine, so that no machine answers.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Builds the letter. Its message id comes from the outbox, so that a repeated delivery can be told as such.
///
/// # Errors
/// An address that is none, or a heading with control characters in it: both could smuggle in headings of their own.
pub(super) fn build(
    from: &Sender,
    id: OutboxId,
    written_at: Timestamp,
    message: &Message,
) -> Result<lettre::Message, Failure> {
    if has_controls(&message.subject) || has_controls(&message.to) {
        return Err(Failure::Hopeless("the message has a line break in its heading"));
    }
    let to: Address = message.to.parse().map_err(|_| Failure::Hopeless("the mail address is not usable"))?;
    let micros = u64::try_from(written_at.micros()).unwrap_or_default();
    let letter = lettre::Message::builder()
        .from(from.0.clone())
        .to(Mailbox::new(None, to))
        .subject(message.subject.clone())
        .date(SystemTime::UNIX_EPOCH + Duration::from_micros(micros))
        .message_id(Some(format!("<{id}@{}>", from.domain())))
        .header(AutoSubmitted);
    let text = with_plain_lines(&message.text);
    let built = match &message.html {
        Some(html) => letter.multipart(MultiPart::alternative_plain_html(text, with_plain_lines(html))),
        None => letter.singlepart(SinglePart::plain(text)),
    };
    built.map_err(|_| Failure::Hopeless("the message cannot be built"))
}

/// A lone carriage return is a line end to some servers and none to others (RFC 5321, 2.3.8, forbids it): a text could end
/// the message for one and go on as commands.
fn with_plain_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn has_controls(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(to: &str, subject: &str, text: &str) -> Result<String, Failure> {
        let from = Sender::parse("Tessera <no-reply@id.example>").unwrap();
        let message = Message { to: to.into(), subject: subject.into(), text: text.into(), html: None };
        let id = OutboxId(uuid::Uuid::nil());
        build(&from, id, Timestamp::from_unix(1_800_000_000), &message)
            .map(|letter| String::from_utf8(letter.formatted()).unwrap())
    }

    #[test]
    fn a_letter_says_who_when_and_that_a_machine_wrote_it() {
        let letter = built("alice@example.com", "Grüße", "Hello,\n.\nBcc: eve@example.com\n").unwrap();
        let (head, body) = letter.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: Tessera <no-reply@id.example>",
            "To: alice@example.com",
            "Subject: =?utf-8?b?R3LDvMOfZQ==?=",
            "Date: Fri, 15 Jan 2027 08:00:00 +0000",
            "Message-ID: <00000000-0000-0000-0000-000000000000@id.example>",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(head.lines().any(|found| found == line), "{line} in\n{head}");
        }
        assert!(!head.contains("Bcc") && body.contains("Bcc: eve@example.com"));
    }

    /// Servers differ in what they take for the end of a message, so lines end in one way only.
    #[test]
    fn a_line_ends_with_both_characters() {
        for text in ["a\n.\nb", "a\r.\rb", "a\r\n.\r\nb", "a\n.\r\nb\r\n.\n", "é\n.\n\r"] {
            let letter = built("alice@example.com", "x", text).unwrap();
            let bare = letter.replace("\r\n", "").contains(['\r', '\n']);
            assert!(!bare, "{text:?}: {letter:?}");
        }
    }

    #[test]
    fn no_field_smuggles_in_a_heading() {
        for bad in ["\r\n", "\n", "\r", "\0", "\u{85}", "\u{2028}"] {
            let subject = format!("Hello{bad}Bcc: eve@example.com");
            let letter = built("alice@example.com", &subject, "x");
            // What is not refused is encoded into one line.
            let smuggled = letter.is_ok_and(|text| text.lines().any(|line| line.starts_with("Bcc")));
            assert!(!smuggled, "{bad:?}");
            let to = format!("alice@example.com{bad}Bcc: eve@example.com");
            assert!(built(&to, "x", "x").is_err(), "{bad:?}");
        }
        for to in [
            "alice@example.com, eve@example.com",
            "<alice@example.com> eve",
            "alice",
            "a@b>\r\nRCPT TO:<eve@x",
        ] {
            assert!(built(to, "x", "x").is_err(), "{to}");
        }
        assert!(Sender::parse("Tessera\r\nBcc: eve <a@example.com>").is_none());
    }
}
