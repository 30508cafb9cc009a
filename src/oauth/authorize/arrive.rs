//! How a request comes to the authorization endpoint: parameter by parameter, by a name under which it was pushed
//! (RFC 9126), or as an object that the client signed (RFC 9101).

use super::AuthorizationRequest;
use crate::app::Ctx;
use crate::error::{Result, invalid_request, refused};
use crate::model::client::Client;
use crate::oauth::parameters::Parameters;
use crate::oauth::{par, request_object};

/// A request that has come, before its redirect URI is proven.
pub struct Arrived {
    way: Way,
    /// What it says, where that does not stand in the address.
    pub parameters: Option<Parameters>,
}

enum Way {
    Plain,
    Pushed(String),
    Signed(String),
}

/// What stands beside the name or the object is no part of the request (RFC 9101, 5).
///
/// # Errors
/// A name that is not good any more, an object that is not good. No redirect URI is proven, so the text is for the person.
pub async fn arrive(ctx: &Ctx, client: &Client, parameters: &Parameters) -> Result<Arrived> {
    // An address is refused further on, and never fetched.
    let name = parameters.get("request_uri").filter(|name| par::is_ours(name));
    let object = parameters.get("request");
    let is_repeated = |name: &str| parameters.is_repeated(name);
    if (name.is_some() && is_repeated("request_uri")) || (object.is_some() && is_repeated("request")) {
        return Err(refused(|t| &t.errors.request_twice));
    }
    match (name, object) {
        (None, None) => Ok(Arrived { way: Way::Plain, parameters: None }),
        (Some(name), None) => {
            let parameters = Some(par::pushed(ctx, client, name).await?);
            Ok(Arrived { way: Way::Pushed(name.to_owned()), parameters })
        }
        (None, Some(_)) if parameters.has("request_uri") => Err(refused(|t| &t.errors.request_twice)),
        (None, Some(text)) => {
            let entry = ctx.app.cache.current_client(&ctx.app, ctx.project.id, client.id, ctx.now).await?;
            let parameters = Some(request_object::read(ctx, &entry, text).await?);
            Ok(Arrived { way: Way::Signed(text.to_owned()), parameters })
        }
        (Some(_), Some(_)) => Err(refused(|t| &t.errors.request_twice)),
    }
}

impl Arrived {
    /// # Errors
    /// `invalid_request` for a way that the client has said it does not use. What was pushed was judged then.
    pub fn check(&self, client: &Client) -> Result<()> {
        let settings = &client.settings;
        match self.way {
            Way::Pushed(_) => Ok(()),
            // RFC 9126, 6.
            _ if settings.require_pushed_authorization_requests => {
                Err(invalid_request("this client must push its authorization requests"))
            }
            Way::Plain if settings.require_signed_request_object => Err(unsigned()),
            Way::Plain | Way::Signed(_) => Ok(()),
        }
    }

    /// The request with the way that it came, for a link that makes it again.
    #[must_use]
    pub fn mark(&self, request: AuthorizationRequest) -> AuthorizationRequest {
        match &self.way {
            Way::Plain => request,
            Way::Pushed(name) => AuthorizationRequest { request_uri: Some(name.clone()), ..request },
            Way::Signed(text) => AuthorizationRequest { request_object: Some(text.clone()), ..request },
        }
    }
}

/// RFC 9101, 10.5.
pub fn unsigned() -> crate::error::Error {
    invalid_request("this client must sign its authorization requests")
}
