//! Who calls: HTTP Basic, `client_id` and `client_secret` in the body, an assertion, or `client_id` alone for public clients.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::client_assertion::{self, Assertion};
use super::dpop::Admitted;
use super::published_keys::keys_of;
use crate::app::Ctx;
use crate::cache::ClientEntry;
use crate::error::{
    Code, Error, Result, invalid_client, invalid_dpop_proof, invalid_request, unauthorized_client,
};
use crate::events::note_refused_client;
use crate::ids::ClientId;
use crate::keys::client_keys::ClientKeys;
use crate::model::client::{AuthMethod, Client, GrantType};
use crate::model::timestamp::Timestamp;
use crate::secret::{Secret, equal_in_constant_time};

/// Credentials as they came.
#[derive(Debug)]
pub struct Presented {
    pub client_id: String,
    proof: Proof,
    /// The grant that it asks for, and so must be registered for.
    grant: Option<GrantType>,
    /// The key that tokens are asked to be bound to, proven.
    key: Option<Box<Admitted>>,
}

#[derive(Debug)]
enum Proof {
    None,
    Secret(Secret, AuthMethod),
    Assertion(Assertion),
}

impl Presented {
    fn new(client_id: String, proof: Proof) -> Self {
        Self { client_id, proof, grant: None, key: None }
    }

    /// These credentials, for a request that uses the grant.
    #[must_use]
    pub fn for_grant(mut self, grant: GrantType) -> Self {
        self.grant = Some(grant);
        self
    }

    /// The same with the DPoP proof that came along.
    #[must_use]
    pub fn with_key(mut self, key: Option<Admitted>) -> Self {
        self.key = key.map(Box::new);
        self
    }

    /// The thumbprint of the key that proved itself.
    pub fn jkt(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.jkt.as_str())
    }

    /// RFC 9449, 5.2 and 8: what a client has to prove when it asks for tokens; and of its proof wherever it sends one.
    fn check_key(&self, ctx: &Ctx, client: &Client) -> Result<()> {
        match &self.key {
            Some(key) => key.check_nonce(ctx, client),
            None if self.grant.is_some() && client.settings.dpop_bound_access_tokens => {
                Err(invalid_dpop_proof("this client must send a DPoP proof"))
            }
            None => Ok(()),
        }
    }

    /// Whether there is more than a name.
    pub fn proves_something(&self) -> bool {
        !matches!(self.proof, Proof::None)
    }
}

/// Credentials in a body (RFC 6749, 2.3.1; RFC 7521, 4.2).
#[derive(Debug, Default)]
pub struct InBody {
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub client_assertion_type: Option<String>,
    pub client_assertion: Option<Secret>,
}

/// Reads the credentials of a request; two methods at once are refused (RFC 6749, 2.3).
pub fn presented(authorization: Option<&str>, body: InBody) -> Result<Presented> {
    let asserts = body.client_assertion.is_some() || body.client_assertion_type.is_some();
    if u8::from(authorization.is_some()) + u8::from(body.client_secret.is_some()) + u8::from(asserts) > 1 {
        return Err(invalid_request("the client authenticates in two ways at once"));
    }
    let presented = match (authorization, body.client_secret) {
        (Some(header), _) => by_header(header)?,
        (None, _) if asserts => by_assertion(body.client_assertion_type.as_deref(), body.client_assertion)?,
        (None, secret) => {
            let named = body.client_id.ok_or_else(|| invalid_client("the request names no client"))?;
            let proof = secret.map(|secret| Proof::Secret(secret, AuthMethod::ClientSecretPost));
            return Ok(Presented::new(named, proof.unwrap_or(Proof::None)));
        }
    };
    if body.client_id.is_some_and(|named| named != presented.client_id) {
        return Err(invalid_request("client_id is another client than the one that authenticates"));
    }
    Ok(presented)
}

fn by_assertion(kind: Option<&str>, assertion: Option<Secret>) -> Result<Presented> {
    if kind != Some(client_assertion::TYPE) {
        let bound = "client_assertion_type is urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        return Err(Error::invalid_field("client_assertion_type", bound));
    }
    let assertion =
        assertion.ok_or_else(|| Error::invalid_field("client_assertion", "client_assertion is missing"))?;
    let assertion = Assertion::read(assertion).ok_or_else(refused)?;
    Ok(Presented::new(assertion.subject.clone(), Proof::Assertion(assertion)))
}

/// RFC 7617, 2.
fn by_header(header: &str) -> Result<Presented> {
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
    let secret = Proof::Secret(Secret::new(decode(secret)?), AuthMethod::ClientSecretBasic);
    Ok(Presented::new(decode(id)?, secret))
}

/// Authenticates with what is remembered of the client; the caller compares its version in the read that follows.
///
/// A refusal is never decided by memory alone: the secret may be newer than what is remembered.
///
/// # Errors
/// `invalid_client`; an unknown client and a wrong secret answer alike. `unauthorized_client` for a grant that the client is
/// not registered for.
pub async fn authenticate(ctx: &Ctx, presented: &Presented) -> Result<Arc<ClientEntry>> {
    let id: ClientId = presented.client_id.parse().map_err(|_| refused())?;
    let (app, project) = (&ctx.app, ctx.project.id);
    let unknown = |error: Error| if error.code() == Code::NotFound { refused() } else { error };
    let (entry, fresh) = app.cache.client(app, project, id, ctx.now).await.map_err(unknown)?;
    let keys = keys_for(ctx, &entry, presented).await;
    match accept(ctx, &entry, presented, &keys) {
        Ok(assertion) => return spend(ctx, entry, presented, assertion).await,
        Err(error) if fresh => return Err(denied(ctx, id, error)),
        Err(_) => {}
    }
    let entry = app.cache.current_client(app, project, id, ctx.now).await.map_err(unknown)?;
    let keys = keys_for(ctx, &entry, presented).await;
    let assertion = accept(ctx, &entry, presented, &keys).map_err(|error| denied(ctx, id, error))?;
    spend(ctx, entry, presented, assertion).await
}

/// Operators see who tries to be a client of theirs.
fn denied(ctx: &Ctx, client: ClientId, error: Error) -> Error {
    if error.code() == Code::InvalidClient {
        note_refused_client(ctx, client);
    }
    error
}

fn refused() -> Error {
    invalid_client("client authentication failed")
}

/// What its assertion is checked with. Nothing is fetched for a client that does not register to prove itself so.
async fn keys_for(ctx: &Ctx, entry: &ClientEntry, presented: &Presented) -> Arc<ClientKeys> {
    match &presented.proof {
        Proof::Assertion(Assertion { kid, alg: Some(alg), .. }) if entry.client.is_active() => {
            keys_of(ctx, entry, kid.as_deref(), *alg).await
        }
        _ => entry.keys.clone(),
    }
}

/// RFC 6749, 5.2: the client is proven first, and only then told what it may not do. `Some`: its assertion is still to be
/// used up.
fn accept(
    ctx: &Ctx,
    entry: &ClientEntry,
    presented: &Presented,
    keys: &ClientKeys,
) -> Result<Option<client_assertion::Id>> {
    let (client, method) = (&entry.client, entry.client.settings.token_endpoint_auth_method);
    let (proven, assertion) = match &presented.proof {
        Proof::None => (client.is_public(), None),
        Proof::Secret(secret, by) => {
            (method.is_none_or(|method| method == *by) && is_secret_of(entry, secret, ctx.now), None)
        }
        Proof::Assertion(assertion) if method == Some(AuthMethod::PrivateKeyJwt) => {
            let id = assertion.proven_by(ctx, client, keys);
            (id.is_some(), id)
        }
        Proof::Assertion(_) => (false, None),
    };
    if !proven || !client.is_active() {
        return Err(refused());
    }
    match presented.grant {
        Some(grant) if !client.may_use(grant) => {
            Err(unauthorized_client("the client is not registered for this grant type"))
        }
        _ => presented.check_key(ctx, client).map(|()| assertion),
    }
}

/// What may be used once is used up when all else about the client is right, and before anything is granted.
async fn spend(
    ctx: &Ctx,
    entry: Arc<ClientEntry>,
    presented: &Presented,
    id: Option<client_assertion::Id>,
) -> Result<Arc<ClientEntry>> {
    if let (Proof::Assertion(assertion), Some(id)) = (&presented.proof, id) {
        assertion.spend(ctx, &id).await?;
    }
    if let Some(key) = &presented.key {
        key.spend(ctx).await?;
    }
    Ok(entry)
}

fn is_secret_of(entry: &ClientEntry, secret: &Secret, now: Timestamp) -> bool {
    let hash = secret.sha256();
    let live = entry.secrets.iter().filter(|stored| stored.is_live(now));
    let found = live.fold(false, |found, stored| found | equal_in_constant_time(&stored.hash, &hash));
    found && !entry.client.is_public()
}
