//! The form that a client posts to the token endpoint and its neighbours.

use crate::error::{Code, Error, Result, invalid_request};
use crate::http::call::Call;
use crate::oauth::client_auth::{InBody, Presented};
use crate::oauth::parameters::Parameters;
use crate::oauth::resources::RESOURCE;

/// The client that posts, not yet proven, and what it posts (RFC 6749, 2.3 and 3.2): form-encoded, each parameter once,
/// all of them in the body. Parameters that we do not know are passed over.
///
/// # Errors
/// `unsupported_media_type`; `invalid_request`; `invalid_client` when no client is named.
pub fn posted(call: &Call) -> Result<(Presented, Parameters)> {
    let kind = call.header("content-type").and_then(|text| text.split(';').next()).map(str::trim);
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        let kind = "the body must be application/x-www-form-urlencoded";
        return Err(Error::new(Code::UnsupportedMediaType, kind));
    }
    // RFC 6749, 2.3.1: addresses end up in logs.
    if !call.raw_query().is_empty() {
        return Err(invalid_request("parameters belong into the body, not into the address"));
    }
    let form = std::str::from_utf8(&call.body).ok().and_then(Parameters::parse);
    let form = form.filter(|form| form.repeated_beside(RESOURCE).is_none());
    let mut form =
        form.ok_or_else(|| invalid_request("the body is not form-encoded, or a parameter is given twice"))?;
    let credentials = InBody {
        client_id: form.get("client_id").map(str::to_owned),
        client_secret: form.secret("client_secret"),
        client_assertion_type: form.get("client_assertion_type").map(str::to_owned),
        client_assertion: form.secret("client_assertion"),
    };
    Ok((call.credentials(credentials)?, form))
}
