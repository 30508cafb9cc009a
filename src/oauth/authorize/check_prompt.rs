//! Whether the person is to be asked, and what (OpenID Connect Core, 3.1.2.1).

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid_request};
use crate::oauth::parameters::Parameters;

/// The words of `prompt`; none of them: whatever is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Nothing may be shown.
    pub none: bool,
    /// The person proves themselves again.
    pub login: bool,
    /// The person allows it again.
    pub consent: bool,
    /// The person says which account it is.
    pub select_account: bool,
}

impl Prompt {
    /// The words again.
    pub fn to_text(self) -> String {
        let words = [
            ("none", self.none),
            ("login", self.login),
            ("consent", self.consent),
            ("select_account", self.select_account),
        ];
        words.into_iter().filter(|(_, asked)| *asked).map(|(word, _)| word).collect::<Vec<_>>().join(" ")
    }
}

pub fn check_prompt(parameters: &Parameters) -> Result<Prompt> {
    let mut prompt = Prompt::default();
    let text = parameters.get("prompt").unwrap_or_default();
    for word in text.split_ascii_whitespace() {
        match word {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "consent" => prompt.consent = true,
            "select_account" => prompt.select_account = true,
            _ => return Err(invalid_request("prompt is none, login, select_account or consent")),
        }
    }
    if prompt.none && (prompt.login || prompt.consent || prompt.select_account) {
        return Err(invalid_request("prompt=none stands alone"));
    }
    Ok(prompt)
}
