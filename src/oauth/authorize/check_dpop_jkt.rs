//! The key that the code is for (RFC 9449, 10).

use super::check_pkce::is_hash;
use crate::error::{Result, invalid_request};
use crate::oauth::parameters::Parameters;

pub fn check_dpop_jkt(parameters: &Parameters) -> Result<Option<String>> {
    match parameters.get("dpop_jkt") {
        Some(jkt) if !is_hash(jkt) => Err(invalid_request("dpop_jkt has 43 base64url characters")),
        jkt => Ok(jkt.map(str::to_owned)),
    }
}
