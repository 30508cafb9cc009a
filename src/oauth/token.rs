//! The token endpoint (RFC 6749, 3.2): the phases that every grant goes through. A grant has a file of its own in
//! [`grants`](super::grants) and adds only what is its own, so none can forget a shared step.

use super::client_auth::Presented;
use super::grants::{authorization_code, client_credentials, device_code, refresh_token, token_exchange};
use super::issue::TokenSet;
use super::parameters::Parameters;
use crate::app::Visit;
use crate::error::{Code, Error, Result};
use crate::model::client::GrantType;

/// What a client posts.
pub struct TokenRequest {
    /// The client, not yet proven.
    pub credentials: Presented,
    pub form: Parameters,
}

/// # Errors
/// `invalid_request`, `unsupported_grant_type`; `invalid_client`; `unauthorized_client` for a grant that the client is not
/// registered for; whatever the grant refuses.
pub async fn answer(visit: &Visit, mut request: TokenRequest) -> Result<TokenSet> {
    let grant_type = GrantType::named(request.form.required("grant_type")?)
        .ok_or_else(|| Error::new(Code::UnsupportedGrantType, "this grant type is not supported"))?;
    request.credentials = request.credentials.for_grant(grant_type);
    match grant_type {
        GrantType::AuthorizationCode => authorization_code::answer(visit, request).await,
        GrantType::RefreshToken => refresh_token::answer(visit, request).await,
        GrantType::ClientCredentials => client_credentials::answer(visit, request).await,
        GrantType::TokenExchange => token_exchange::answer(visit, request).await,
        GrantType::DeviceCode => device_code::answer(visit, request).await,
    }
}
