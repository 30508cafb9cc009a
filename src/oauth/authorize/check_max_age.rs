//! How long ago the person may have signed in (OpenID Connect Core, 3.1.2.1).

use crate::error::{Result, invalid_request};
use crate::model::client::Client;
use crate::oauth::parameters::Parameters;

/// Seconds; 0 asks again. Without the parameter the client's `default_max_age` (OpenID Connect Registration, 2).
pub fn check_max_age(client: &Client, parameters: &Parameters) -> Result<Option<i64>> {
    let Some(text) = parameters.get("max_age") else { return Ok(client.settings.default_max_age) };
    let seconds = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    seconds
        .map(|seconds| Some(i64::from(seconds)))
        .ok_or_else(|| invalid_request("max_age is a number of seconds from 0 to 4294967295"))
}
