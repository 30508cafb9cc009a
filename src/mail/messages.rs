//! A message that is ready to leave.

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
