//! The messages, and their words.

use serde::{Deserialize, Serialize};

/// A message to one person. It is personal as a whole: it lies sealed in the outbox and is never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// One mail address, without a name.
    pub to: String,
    /// One line.
    pub subject: String,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message(***)")
    }
}

/// Tells a person that their account is gone. The mail address is the one the account had before.
pub fn deletion_notice(project_name: &str, to: &str) -> Message {
    let project = one_line(project_name);
    Message {
        to: to.to_owned(),
        subject: format!("Your account at {project} has been deleted"),
        text: format!(
            "Hello,\n\
             \n\
             your account at {project} has been deleted, and you have been signed out everywhere.\n\
             \n\
             If you did not expect this, please get in touch with {project}. Answers to this message\n\
             are not read.\n"
        ),
        html: None,
    }
}

/// Tells a person that somebody guesses at their password.
pub fn sign_ins_refused(project_name: &str, to: &str) -> Message {
    let project = one_line(project_name);
    Message {
        to: to.to_owned(),
        subject: format!("Many wrong passwords for your account at {project}"),
        text: format!(
            "Hello,\n\
             \n\
             somebody has tried to sign in to your account at {project} with many wrong passwords.\n\
             None of them was right. For a while, sign-ins from places that are new to us are refused,\n\
             with the right password as well; where you have signed in before, it is as always.\n\
             \n\
             If this was you and you do not remember your password, please get in touch with {project}.\n\
             Answers to this message are not read.\n"
        ),
        html: None,
    }
}

/// A name that people chose, fit for a heading: no line breaks and nothing else that controls.
fn one_line(name: &str) -> String {
    name.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_name_cannot_begin_a_new_line() {
        let notice = deletion_notice("Shop\r\nBcc: eve@example.com", "alice@example.com");
        assert_eq!(notice.subject, "Your account at Shop Bcc: eve@example.com has been deleted");
        assert!(notice.text.contains("at Shop Bcc: eve@example.com has been"));
    }

    #[test]
    fn a_message_does_not_print_itself() {
        assert_eq!(format!("{:?}", deletion_notice("Shop", "alice@example.com")), "Message(***)");
    }
}
