//! Codes are for clients that may use them.

use crate::error::{Result, unauthorized_client};
use crate::model::client::{Client, GrantType};

/// RFC 6749, 4.1.2.1.
pub fn check_grant(client: &Client) -> Result<()> {
    if client.may_use(GrantType::AuthorizationCode) {
        return Ok(());
    }
    Err(unauthorized_client("the client is not registered for authorization codes"))
}
