//! What is asked for: a code, and nothing that would put a token into an address (RFC 9700, 2.1.2).

use crate::error::{Code, Error, Result, invalid_request};
use crate::oauth::parameters::Parameters;

pub fn check_response_type(parameters: &Parameters) -> Result<()> {
    match parameters.get("response_type") {
        Some("code") => Ok(()),
        Some(_) => Err(Error::new(Code::UnsupportedResponseType, "only response_type=code is supported")),
        None => Err(invalid_request("response_type is missing")),
    }
}
