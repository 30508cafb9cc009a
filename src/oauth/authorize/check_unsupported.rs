//! What would change the request's meaning is refused, never ignored (OpenID Connect Core, 3.1.2.6).

use crate::error::{Code, Error, Result};
use crate::oauth::parameters::Parameters;

pub fn check_unsupported(parameters: &Parameters) -> Result<()> {
    let refused = [
        ("request_uri", Code::RequestUriNotSupported, "request_uri is not supported"),
        ("registration", Code::RegistrationNotSupported, "registration is not supported"),
    ];
    match refused.into_iter().find(|(name, ..)| parameters.get(name).is_some()) {
        Some((_, code, description)) => Err(Error::new(code, description)),
        None => Ok(()),
    }
}
