//! `verifyaccesstoken`: the answer says why. Faults are judged in one fixed order and the first one is named.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::standing::{Asker, prove};
use crate::app::{Ctx, Visit};
use crate::error::{Error, Result, forbidden, invalid_token};
use crate::ids::ClientId;
use crate::model::token::{AccessClaims, Family};
use crate::oauth::dpop;
use crate::projects::admin_keys::{Admin, not_valid};
use crate::store::db::Conn;
use crate::store::liveness::{self, Question, Standing};

use super::access_token::{LookedAt, look_at};
pub use super::access_token::{Refusal, refusal};

/// What the caller asks of a token beyond being alive.
#[derive(Debug, Default)]
pub struct Demands {
    /// `None`: not checked.
    pub audience: Option<String>,
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
}

/// The answer of `verifyaccesstoken`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Verdict {
    Active { active: bool, claims: Arc<AccessClaims>, claims_stale: bool, audience_checked: bool },
    Inactive { active: bool, reason: &'static str, detail: &'static str },
}

/// Judges a token for a client or an admin key. `allowed` decides whether the admin key's role may ask.
///
/// # Errors
/// `invalid_client`, `invalid_token` for callers that do not prove themselves; `forbidden` when a public client asks about
/// another client's token. A token that does not pass is an answer.
pub async fn verify(
    visit: &Visit,
    asker: &Asker,
    token: &str,
    mut demands: Demands,
    allowed: impl Fn(&Admin) -> Result<()>,
) -> Result<Verdict> {
    let proven = prove(visit, asker, |ctx| Ok(question(look_at(ctx, token)))).await?;
    let (ctx, client) = (&proven.ctx, proven.client.as_ref().map(|entry| &entry.client));
    if let Asker::AdminKey(_) = asker {
        let key = proven.standing.admin.clone();
        let key = key.ok_or_else(not_valid)?;
        allowed(&key.try_into()?)?;
    }
    // Before the token is judged, so that a stranger does not learn how somebody else's stands.
    if let (Some(client), Ok(claims)) = (client.filter(|client| client.is_public()), &proven.seen)
        && claims.client_id != client.id.to_string()
    {
        return Err(forbidden("a public client may verify only its own tokens"));
    }
    // Without `audience`, the calling client is the audience; an admin key without one skips the check.
    if let Some(client) = client.filter(|_| demands.audience.is_none()) {
        demands.audience = Some(client.audience());
    }
    let verdict = judge(ctx, token, proven.seen, proven.standing, &demands)?;
    let live = match verdict {
        Ok(live) => live,
        Err(Refusal { reason, detail }) => return Ok(Verdict::Inactive { active: false, reason, detail }),
    };
    Ok(Verdict::Active {
        active: true,
        claims_stale: live.claims.user_version != live.family.user_version,
        audience_checked: demands.audience.is_some(),
        claims: live.claims,
    })
}

/// A live access token that speaks for itself, with the context it was judged in.
///
/// # Errors
/// `invalid_token` with the reason.
pub async fn require_live(visit: &Visit, token: &str) -> Result<(Ctx, Live)> {
    let proven = prove(visit, &Asker::Bearer, |ctx| Ok(question(look_at(ctx, token)))).await?;
    let live = judge(&proven.ctx, token, proven.seen, proven.standing, &Demands::default())?;
    Ok((proven.ctx, live.map_err(dead)?))
}

/// Judges the family of a token again, inside a unit that holds its user's row and will act on the token's word: what ended
/// the family since it was read is seen here.
///
/// # Errors
/// `invalid_token` with the reason.
pub async fn require_still_live(ctx: &Ctx, conn: &Conn, live: &Live) -> Result<()> {
    let question = Question {
        family: Some(live.family.id),
        user: Some(live.family.user_id),
        jti: Some(live.claims.jti.clone()),
        ..Question::default()
    };
    let standing = liveness::read(conn, ctx.project.id, &question).await?;
    let standing = standing.ok_or_else(|| Error::internal("the project of a token is not there"))?;
    let Some(family) = standing.family else {
        return Err(dead(gone(&standing.project_status, standing.user_status.as_deref())));
    };
    let ended = family.ended(ctx.now, standing.token_revoked);
    ended.map_or(Ok(()), |ended| Err(dead(refusal(ended.reason(), "the session has ended"))))
}

fn dead(refusal: Refusal) -> Error {
    invalid_token(refusal.detail).with_details(json!({"reason": refusal.reason}))
}

/// What to ask the store about. A token at fault is asked about as well: its key may be newer than what is remembered.
fn question(looked: LookedAt) -> (LookedAt, Question) {
    let question = match &looked {
        Ok(claims) => Question {
            family: claims.sid.parse().ok(),
            user: claims.sub.parse().ok(),
            jti: Some(claims.jti.clone()),
            ..Question::default()
        },
        Err(_) => Question::default(),
    };
    (looked, question)
}

fn judge(
    ctx: &Ctx,
    token: &str,
    looked: LookedAt,
    standing: Standing,
    demands: &Demands,
) -> Result<Result<Live, Refusal>> {
    let claims = match looked {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if claims.sandbox && !ctx.project.is_sandbox() {
        return Ok(Err(refusal("sandbox_token", "the token belongs to a sandbox")));
    }
    if demands.audience.as_ref().is_some_and(|audience| *audience != claims.aud) {
        return Ok(Err(refusal("wrong_audience", "the token is meant for somebody else")));
    }
    let Some(family) = standing.family else {
        return Ok(Err(gone(&standing.project_status, standing.user_status.as_deref())));
    };
    let same_client = claims.client_id.parse::<ClientId>().is_ok_and(|client| client == family.client_id);
    if !same_client || claims.sub != family.user_id.to_string() {
        return Err(Error::internal("a signed token names another client or user than its family"));
    }
    if let Some(ended) = family.ended(ctx.now, standing.token_revoked) {
        return Ok(Err(refusal(ended.reason(), "the session has ended")));
    }
    if let Some(refusal) = check_proof(ctx, token, &claims, &family, demands) {
        return Ok(Err(refusal));
    }
    Ok(check_demands(&claims, &family, demands)?.map_or(Ok(Live { claims, family }), Err))
}

/// A token that is bound to a key is worth nothing without a proof of that key (RFC 9449, 7.1).
fn check_proof(
    ctx: &Ctx,
    token: &str,
    claims: &AccessClaims,
    family: &Family,
    demands: &Demands,
) -> Option<Refusal> {
    let in_token = claims.cnf.as_ref().map(|cnf| cnf.jkt.as_str());
    match (family.cnf_jkt.as_deref().or(in_token), &demands.dpop) {
        (None, None) => None,
        (Some(_), None) => Some(refusal("missing_proof", "the token is bound to a key, and no proof came")),
        (Some(jkt), Some(proof)) if dpop::proves(proof, token, jkt, ctx.now) => None,
        // RFC 9449, 7.1: a proof beside a token that is bound to no key proves nothing.
        (_, Some(_)) => Some(refusal("invalid_proof", "the proof does not fit the token and the request")),
    }
}

/// A family goes when its user is deleted, or long after its own end.
fn gone(project_status: &str, user_status: Option<&str>) -> Refusal {
    match (project_status, user_status) {
        ("active", Some("active")) => refusal("session_expired", "the session has ended"),
        ("active", Some("disabled")) => refusal("user_disabled", "the session has ended"),
        ("active", _) => refusal("user_deleted", "the user has been deleted"),
        _ => refusal("project_disabled", "the session has ended"),
    }
}

/// Scopes are judged on the token; roles, groups and attributes on the user's record as it is now.
fn check_demands(claims: &AccessClaims, family: &Family, demands: &Demands) -> Result<Option<Refusal>> {
    let list = |text: &str| serde_json::from_str::<Vec<String>>(text).map_err(Error::internal);
    if !demands.scopes.iter().all(|scope| claims.scope.split(' ').any(|granted| granted == scope)) {
        return Ok(Some(refusal("missing_scope", "a required scope was not granted")));
    }
    if !demands.roles.is_empty() {
        let roles = list(&family.roles)?;
        if !demands.roles.iter().all(|role| roles.contains(role)) {
            return Ok(Some(refusal("missing_role", "the user lacks a required role")));
        }
    }
    if !demands.groups.is_empty() {
        let groups = list(&family.groups)?;
        if !demands.groups.iter().all(|group| groups.contains(group)) {
            return Ok(Some(refusal("missing_group", "the user is not in a required group")));
        }
    }
    if !demands.attributes.is_empty() {
        let attributes: Map<String, Value> =
            serde_json::from_str(&family.attributes).map_err(Error::internal)?;
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
