//! The grants, a file each. The session API and the token endpoint are two faces of the first two.

pub mod authorization_code;
pub mod client_credentials;
pub mod device_code;
pub mod refresh_token;
pub mod token_exchange;

/// Which API asks: the session API promises more than OAuth does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// `offline_access` is granted unasked, and every answer has an ID token.
    SessionApi,
    /// An ID token for `openid` alone (OpenID Connect Core, 3.1.2.1).
    OAuth,
}

impl Face {
    /// Whether an answer with this scope has an ID token.
    pub fn identifies(self, scope: &str) -> bool {
        self == Self::SessionApi || scope.split(' ').any(|word| word == "openid")
    }
}
