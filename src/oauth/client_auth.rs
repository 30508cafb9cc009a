//! Who calls: HTTP Basic, `client_id` and `client_secret` in the body, or `client_id` alone for public clients.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use crate::app::Ctx;
use crate::cache::ClientEntry;
use crate::error::{Code, Error, Result, invalid_client, invalid_request, unauthorized_client};
use crate::ids::ClientId;
use crate::model::client::{AuthMethod, GrantType};
use crate::model::timestamp::Timestamp;
use crate::secret::{Secret, equal_in_constant_time};

/// Credentials as they came.
#[derive(Debug)]
pub struct Presented {
    pub client_id: String,
    pub client_secret: Option<Secret>,
    pub method: AuthMethod,
    /// The grant that it asks for, and so must be registered for.
    pub grant: Option<GrantType>,
}

impl Presented {
    /// These credentials, for a request that uses the grant.
    #[must_use]
    pub fn for_grant(mut self, grant: GrantType) -> Self {
        self.grant = Some(grant);
        self
    }
}

/// Reads the credentials of a request; both methods at once are refused (RFC 6749, 2.3).
pub fn presented(
    authorization: Option<&str>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
) -> Result<Presented> {
    let Some(header) = authorization else {
        let client_id = client_id.ok_or_else(|| invalid_client("the request names no client"))?;
        let method = if client_secret.is_some() { AuthMethod::ClientSecretPost } else { AuthMethod::None };
        return Ok(Presented { client_id, client_secret, method, grant: None });
    };
    if client_secret.is_some() {
        return Err(invalid_request("the client authenticates in two ways at once"));
    }
    let malformed = || invalid_client("the Authorization header is not HTTP Basic");
    let (scheme, encoded) = header.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let text = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = zeroize::Zeroizing::new(text.ok_or_else(malformed)?);
    let (id, secret) = text.split_once(':').ok_or_else(malformed)?;
    // RFC 6749, 2.3.1: both halves are form-encoded.
    let decode =
        |part: &str| percent_decode_str(part).decode_utf8().map(String::from).map_err(|_| malformed());
    let presented = Presented {
        client_id: decode(id)?,
        client_secret: Some(Secret::new(decode(secret)?)),
        method: AuthMethod::ClientSecretBasic,
        grant: None,
    };
    if client_id.is_some_and(|named| named != presented.client_id) {
        return Err(invalid_request("the body names another client than the Authorization header"));
    }
    Ok(presented)
}

/// Authenticates with what is remembered of the client; the caller compares its version in the read that follows.
///
/// A refusal is never decided by memory alone: the secret may be newer than what is remembered.
///
/// # Errors
/// `invalid_client`; an unknown client and a wrong secret answer alike. `unauthorized_client` for a grant that the client is
/// not registered for.
pub async fn authenticate(ctx: &Ctx, presented: &Presented) -> Result<Arc<ClientEntry>> {
    let refused = || invalid_client("client authentication failed");
    let id: ClientId = presented.client_id.parse().map_err(|_| refused())?;
    let (app, project) = (&ctx.app, ctx.project.id);
    let unknown = |error: Error| if error.code() == Code::NotFound { refused() } else { error };
    let (entry, fresh) = app.cache.client(app, project, id, ctx.now).await.map_err(unknown)?;
    match accept(&entry, presented, ctx.now) {
        Ok(()) => return Ok(entry),
        Err(error) if fresh => return Err(error),
        Err(_) => {}
    }
    let entry = app.cache.current_client(app, project, id, ctx.now).await.map_err(unknown)?;
    accept(&entry, presented, ctx.now).map(|()| entry)
}

/// RFC 6749, 5.2: the client is proven first, and only then told what it may not do.
fn accept(entry: &ClientEntry, presented: &Presented, now: Timestamp) -> Result<()> {
    if !proves(entry, presented, now) || !entry.client.is_active() {
        return Err(invalid_client("client authentication failed"));
    }
    match presented.grant {
        Some(grant) if !entry.client.may_use(grant) => {
            Err(unauthorized_client("the client is not registered for this grant type"))
        }
        _ => Ok(()),
    }
}

fn proves(entry: &ClientEntry, presented: &Presented, now: Timestamp) -> bool {
    let registered = entry.client.settings.token_endpoint_auth_method;
    if registered.is_some_and(|method| method != presented.method) {
        return false;
    }
    match &presented.client_secret {
        None => entry.client.is_public(),
        Some(_) if entry.client.is_public() => false,
        Some(secret) => {
            let hash = secret.sha256();
            let live = entry.secrets.iter().filter(|stored| stored.is_live(now));
            live.fold(false, |found, stored| found | equal_in_constant_time(&stored.hash, &hash))
        }
    }
}
