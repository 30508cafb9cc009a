//! Checks of an authorization request, in the order that keeps redirects safe: client, redirect URI, then the rest. Each
//! rule has a file of its own.

mod arrive;
mod check_acr_values;
mod check_claims;
mod check_dpop_jkt;
mod check_grant;
mod check_id_token_hint;
mod check_max_age;
mod check_pkce;
mod check_prompt;
mod check_redirect_uri;
mod check_resource;
mod check_response_mode;
mod check_response_type;
mod check_scope;
mod check_unsupported;
mod find_client;
mod request;

pub use self::arrive::{Arrived, arrive, unsigned};
pub use self::check_acr_values::check_acr_values;
pub use self::check_claims::{AskedClaims, unmet};
pub use self::check_id_token_hint::IdTokenHint;
pub use self::check_max_age::check_max_age;
pub use self::check_prompt::{Prompt, check_prompt};
pub use self::check_redirect_uri::check_redirect_uri;
pub use self::check_response_mode::ResponseMode;
pub use self::check_scope::{check_scope, requested_scope};
pub use self::find_client::{active_client, find_client, unknown_client};
pub use self::request::{AuthorizationRequest, MOST_BYTES, WayBack, parse};

use self::check_claims::check_claims;
use self::check_dpop_jkt::check_dpop_jkt;
use self::check_grant::check_grant;
use self::check_id_token_hint::check_id_token_hint;
use self::check_pkce::check_pkce;
use self::check_resource::check_resource;
use self::check_response_mode::check_response_mode;
use self::check_response_type::check_response_type;
use self::check_unsupported::check_unsupported;
use super::parameters::Parameters;
use super::resources::RESOURCE;
use crate::app::Ctx;
use crate::error::{Result, invalid_request};
use crate::model::client::Client;

/// Everything but client and redirect URI, which `back` has proven; errors from here on are sent there.
pub fn check(
    ctx: &Ctx,
    client: &Client,
    back: &WayBack,
    parameters: &Parameters,
) -> Result<AuthorizationRequest> {
    if parameters.repeated_beside(RESOURCE).is_some() {
        return Err(invalid_request("a parameter is given twice"));
    }
    check_grant(client)?;
    check_response_type(parameters)?;
    check_response_mode(parameters)?;
    check_unsupported(parameters)?;
    let nonce = parameters.get("nonce");
    if nonce.is_some_and(|nonce| nonce.chars().any(char::is_control)) {
        return Err(invalid_request("nonce has no control characters"));
    }
    let scope = check_scope(ctx, client, parameters)?;
    Ok(AuthorizationRequest {
        client_id: client.id,
        back: back.clone(),
        requested_scope: requested_scope(parameters, &scope),
        scope,
        resources: check_resource(ctx, client, parameters)?,
        nonce: nonce.map(str::to_owned),
        code_challenge: check_pkce(client, parameters)?,
        dpop_jkt: check_dpop_jkt(parameters)?,
        prompt: check_prompt(parameters)?,
        max_age: check_max_age(client, parameters)?,
        login_hint: parameters.get("login_hint").map(str::to_owned),
        acr_values: check_acr_values(parameters)?,
        claims: check_claims(client, parameters)?,
        request_uri: None,
        request_object: None,
        hint: check_id_token_hint(ctx, client, parameters)?,
    })
}
