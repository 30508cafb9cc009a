//! `verifyaccesstoken`: the answer says why. Faults are judged in one fixed order and the first one is named.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::standing::{Asker, prove};
use crate::app::{Ctx, Visit};
use crate::cache::ClientEntry;
use crate::error::{Code, Error, Result, forbidden};
use crate::model::client::Client;
use crate::model::token::{AccessClaims, Family};
use crate::oauth::dpop::{self, Proof};
use crate::projects::admin_keys::not_valid;
use crate::projects::admins::Admin;
use crate::store::db::Conn;
use crate::store::liveness;

use super::access_token::{Carried, look_at};
pub use super::access_token::{Refusal, refusal};
use super::alive::{Alive, asked, judge, question_of};
use super::person::{Shown, Sight, still_granted};

/// What the caller asks of a token beyond being alive.
#[derive(Debug, Default)]
pub struct Demands {
    /// One of them; `None`: not checked.
    pub audience: Option<Vec<String>>,
    pub scopes: Vec<String>,
    pub roles: Vec<String>,
    pub groups: Vec<String>,
    pub attributes: Map<String, Value>,
    /// The proof that came with the token, for one that is bound to a key.
    pub dpop: Option<dpop::Presented>,
}

/// A token that passed, with the record behind it.
#[derive(Debug)]
pub struct Live {
    pub claims: Arc<AccessClaims>,
    pub family: Family,
    /// The nonce for the next proof, when it is another one than that of this request's.
    pub next_nonce: Option<String>,
    /// Of the client that the token was given to, read with the family.
    client_version: Option<i64>,
}

impl Live {
    /// The client that the token was given to.
    pub async fn client(&self, ctx: &Ctx) -> Result<Arc<ClientEntry>> {
        client_of(ctx, &self.claims, self.client_version).await
    }
}

/// What is remembered of a token's client serves while it is the version that was read with the token.
async fn client_of(ctx: &Ctx, claims: &AccessClaims, version: Option<i64>) -> Result<Arc<ClientEntry>> {
    let id = claims.client_id.parse().map_err(|_| Error::internal("a token is of no client"))?;
    let (app, project) = (&ctx.app, ctx.project.id);
    let (entry, is_fresh) = app.cache.client(app, project, id, ctx.now).await?;
    if is_fresh || version == Some(entry.client.version) {
        return Ok(entry);
    }
    app.cache.current_client(app, project, id, ctx.now).await
}

/// The answer of `verifyaccesstoken`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Verdict {
    Active { active: bool, claims: Arc<AccessClaims>, claims_stale: bool, audience_checked: bool },
    Inactive { active: bool, reason: &'static str, detail: &'static str },
}

/// Judges a token for a client or an admin. `allowed` decides whether the admin's role may ask.
///
/// # Errors
/// `invalid_client`, `invalid_token` for callers that do not prove themselves; `forbidden` when a public client asks about
/// another client's token. A token that does not pass is an answer.
pub async fn verify(
    visit: &Visit,
    asker: &Asker,
    token: &str,
    mut demands: Demands,
    allowed: impl Fn(&Ctx, &Admin) -> Result<()>,
) -> Result<Verdict> {
    let proven = prove(visit, asker, |ctx| Ok(asked(look_at(ctx, token)))).await?;
    let (ctx, client) = (&proven.ctx, proven.client.as_ref().map(|entry| &entry.client));
    match asker {
        Asker::AdminKey(_) => {
            let key = proven.standing.admin.clone();
            allowed(ctx, &key.ok_or_else(not_valid)?.try_into()?)?;
        }
        Asker::Admin(admin) => allowed(ctx, admin)?,
        Asker::Client(_) | Asker::Bearer => {}
    }
    // Before the token is judged, so that a stranger does not learn how somebody else's stands.
    if let (Some(client), Ok(claims)) = (client.filter(|client| client.is_public()), &proven.seen)
        && claims.client_id != client.id.to_string()
    {
        return Err(forbidden("a public client may verify only its own tokens"));
    }
    // Without `audience`, the calling client is the audience, or a resource server that it is; an admin key without one
    // skips the check.
    if let Some(client) = client.filter(|_| demands.audience.is_none()) {
        let own = client.settings.serves.iter().cloned();
        demands.audience = Some(own.chain([client.audience()]).collect());
    }
    let verdict = judge(ctx, proven.seen, proven.standing, demands.audience.as_deref())?;
    let verdict = match verdict {
        Ok(alive) => match check_proof(ctx, token, &alive, demands.dpop.as_ref()) {
            Ok(_) => check_demands(ctx, client, &alive, &demands)?.map_or(Ok(alive), Err),
            Err(refusal) => Err(refusal),
        },
        Err(refusal) => Err(refusal),
    };
    Ok(match verdict {
        Ok(alive) => Verdict::Active {
            active: true,
            claims_stale: alive.is_stale(),
            audience_checked: demands.audience.is_some(),
            claims: alive.claims,
        },
        Err(Refusal { reason, detail }) => Verdict::Inactive { active: false, reason, detail },
    })
}

/// A user's live access token that speaks for itself, with the context it was judged in. Its proof is used up.
///
/// # Errors
/// `invalid_token` with the reason; `invalid_dpop_proof` and `use_dpop_nonce`.
pub async fn require_live(visit: &Visit, carried: &Carried) -> Result<(Ctx, Live)> {
    let token = carried.token.expose();
    let proven = prove(visit, &Asker::Bearer, |ctx| Ok(asked(look_at(ctx, token)))).await?;
    let (ctx, client_version) = (proven.ctx, proven.standing.caller_version);
    let alive = judge(&ctx, proven.seen, proven.standing, None)?.map_err(dead)?;
    let sent = carried.proof.as_ref().map(|sent| sent.to(&ctx));
    let mut next_nonce = None;
    if let Some(proof) = check_proof(&ctx, token, &alive, sent.as_ref()).map_err(dead)? {
        let entry = client_of(&ctx, &alive.claims, client_version).await?;
        let spent = dpop::spend_at_resource(&ctx, &entry.client, &proof).await;
        next_nonce = spent.map_err(Error::at_resource)?;
    }
    let Alive { claims, family } = alive;
    let no_user = || dead(refusal("wrong_token_use", "the token is a client's own, and of no user"));
    Ok((ctx, Live { claims, family: family.ok_or_else(no_user)?, next_nonce, client_version }))
}

/// Judges a token again, inside a unit that holds its user's row and will act on the token's word: what ended it since it
/// was read is seen here.
///
/// # Errors
/// `invalid_token` with the reason.
pub async fn require_still_live(ctx: &Ctx, conn: &Conn, live: &Live) -> Result<()> {
    let standing = liveness::read(conn, ctx.project.id, &question_of(&live.claims)).await?;
    let mut standing = standing.ok_or_else(|| Error::internal("the project of a token is not there"))?;
    standing.token_revoked |= !liveness::links_live(conn, ctx.project.id, &live.claims.via).await?;
    judge(ctx, Ok(live.claims.clone()), standing, None)?.map(|_| ()).map_err(dead)
}

pub(super) fn dead(refusal: Refusal) -> Error {
    let code = if refusal.reason == "invalid_proof" { Code::InvalidDpopProof } else { Code::InvalidToken };
    Error::new(code, refusal.detail).with_details(json!({"reason": refusal.reason})).at_resource()
}

/// A token that is bound to a key is worth nothing without a proof of that key (RFC 9449, 7.1).
fn check_proof(
    ctx: &Ctx,
    token: &str,
    alive: &Alive,
    sent: Option<&dpop::Presented>,
) -> Result<Option<Proof>, Refusal> {
    let wrong = || refusal("invalid_proof", "the proof does not fit the token and the request");
    match (alive.bound_to(), sent) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(refusal("missing_proof", "the token is bound to a key, and no proof came")),
        (Some(jkt), Some(sent)) => sent.of_token(token, jkt, ctx.wall).map(Some).ok_or_else(wrong),
        // RFC 9449, 7.1: a proof beside a token that is bound to no key proves nothing.
        (None, Some(_)) => Err(wrong()),
    }
}

/// Scopes are judged on the token; roles, groups and attributes on the user's record as it is now. A machine has none. To an
/// application of others that asks, what the token's scopes do not show is as if it were not there: its questions are
/// answered alike, whatever the record says.
fn check_demands(
    ctx: &Ctx,
    client: Option<&Client>,
    alive: &Alive,
    demands: &Demands,
) -> Result<Option<Refusal>> {
    let (claims, family) = (&alive.claims, alive.family.as_ref());
    let allowed_as_of = family.and_then(Family::allowed_as_of);
    let granted = still_granted(&ctx.entry, &claims.scope, allowed_as_of);
    let sight = match client.is_none_or(|client| client.settings.first_party) {
        true => Sight::Whole,
        false => Sight::By(Shown::by_scope(&ctx.entry, &granted)),
    };
    let held = |name: &str, of: fn(&Family) -> &String| match family.filter(|_| sight.reaches_claim(name)) {
        Some(family) => serde_json::from_str::<Vec<String>>(of(family)).map_err(Error::internal),
        None => Ok(Vec::new()),
    };
    if !demands.scopes.iter().all(|scope| granted.split(' ').any(|granted| granted == scope)) {
        return Ok(Some(refusal("missing_scope", "a required scope was not granted")));
    }
    if !demands.roles.is_empty() {
        let roles = held("roles", |family| &family.roles)?;
        if !demands.roles.iter().all(|role| roles.contains(role)) {
            return Ok(Some(refusal("missing_role", "the user lacks a required role")));
        }
    }
    if !demands.groups.is_empty() {
        let groups = held("groups", |family| &family.groups)?;
        if !demands.groups.iter().all(|group| groups.contains(group)) {
            return Ok(Some(refusal("missing_group", "the user is not in a required group")));
        }
    }
    if !demands.attributes.is_empty() {
        let attributes = family.map_or("{}", |family| family.attributes.as_str());
        let mut attributes: Map<String, Value> = serde_json::from_str(attributes).map_err(Error::internal)?;
        attributes.retain(|name, _| sight.reaches_attribute(name));
        if !demands
            .attributes
            .iter()
            .all(|(name, wanted)| attributes.get(name).is_some_and(|held| is_same(held, wanted)))
        {
            return Ok(Some(refusal("attribute_mismatch", "an attribute has another value")));
        }
    }
    Ok(None)
}

/// 3 and 3.0 are one number, however JSON writes it.
fn is_same(held: &Value, wanted: &Value) -> bool {
    let fraction = held.is_f64() || wanted.is_f64();
    held == wanted || (fraction && held.as_f64().is_some() && held.as_f64() == wanted.as_f64())
}
