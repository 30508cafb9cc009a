//! How the answer travels to the redirect URI.

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid_request};
use crate::oauth::parameters::Parameters;

/// OAuth 2.0 Multiple Response Type Encoding Practices, 2.1, and OAuth 2.0 Form Post Response Mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    Query,
    FormPost,
}

impl ResponseMode {
    pub const ALL: [Self; 2] = [Self::Query, Self::FormPost];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }

    fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }

    /// For the errors of a request that has not been checked: the mode it names if there is one such, else the usual one.
    pub fn of_errors(parameters: &Parameters) -> Self {
        let named = parameters.get("response_mode").filter(|_| !parameters.is_repeated("response_mode"));
        named.and_then(Self::named).unwrap_or(Self::Query)
    }
}

pub fn check_response_mode(parameters: &Parameters) -> Result<()> {
    match parameters.get("response_mode").map(ResponseMode::named) {
        Some(None) => Err(invalid_request("response_mode is query or form_post")),
        _ => Ok(()),
    }
}
