//! `verifyaccesstoken`: the answer says why. Faults are judged in one fixed order and the first one is named.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::{ClientId, FamilyId, UserId};
use crate::keys::verify::{TokenFault, verify_jws};
use crate::model::token::{AccessClaims, Family};
use crate::store::{families, users};

/// Clocks of two machines may differ by this many seconds for `iat`.
const LEEWAY_SECONDS: i64 = 5;

/// What the caller asks of a token beyond being alive.
#[derive(Debug, Default)]
pub struct Demands {
    /// `None`: not checked.
    pub audience: Option<String>,
    pub scopes: Vec<String>,
    pub roles: Vec<String>,
    pub groups: Vec<String>,
    pub attributes: serde_json::Map<String, Value>,
}

/// A token that passed, with the record behind it.
#[derive(Debug)]
pub struct Live {
    pub claims: AccessClaims,
    pub family: Family,
}

/// Why a token does not pass: the reason from the fixed list, and a sentence.
#[derive(Debug, Serialize)]
pub struct Refusal {
    pub reason: &'static str,
    pub detail: &'static str,
}

const fn refusal(reason: &'static str, detail: &'static str) -> Refusal {
    Refusal { reason, detail }
}

/// The part of the claims that proves the kind; everything is optional so that another kind of token is named as such.
#[derive(Deserialize)]
struct Envelope {
    iss: Option<String>,
    #[serde(flatten)]
    rest: Value,
}

/// Signature, issuer, kind and time: what needs no store.
fn check_token(ctx: &Ctx, token: &str) -> Result<Result<AccessClaims, Refusal>> {
    let verifiers = ctx.verifiers()?;
    let (header, envelope) = match verify_jws::<Envelope>(token, |kid| verifiers.get(kid).cloned()) {
        Ok(parts) => parts,
        Err(fault) => {
            return Ok(Err(match fault {
                TokenFault::Malformed => refusal("malformed", "this is not a signed JWT"),
                TokenFault::UnsupportedAlg => refusal("unsupported_alg", "the algorithm is not one of ours"),
                TokenFault::UnknownKey => refusal("unknown_key", "no key of this project has that kid"),
                TokenFault::BadSignature => refusal("bad_signature", "the signature does not fit"),
            }));
        }
    };
    if envelope.iss.as_deref() != Some(ctx.project.issuer.as_str()) {
        return Ok(Err(refusal("wrong_issuer", "the token was issued by somebody else")));
    }
    // RFC 9068, 4: the type keeps ID tokens and others from passing as access tokens.
    if header.typ.as_deref() != Some("at+jwt") {
        return Ok(Err(refusal("wrong_token_use", "this is not an access token")));
    }
    let mut members = envelope.rest;
    if let Some(object) = members.as_object_mut() {
        object.insert("iss".into(), Value::String(ctx.project.issuer.clone()));
    }
    let Ok(claims) = serde_json::from_value::<AccessClaims>(members) else {
        return Ok(Err(refusal("wrong_token_use", "this is not an access token of a session")));
    };
    if ctx.now.unix() >= claims.exp {
        return Ok(Err(refusal("expired", "the token has expired")));
    }
    if claims.iat > ctx.now.unix() + LEEWAY_SECONDS {
        return Ok(Err(refusal("not_yet_valid", "the token was issued in the future")));
    }
    Ok(Ok(claims))
}

/// Judges a token. One read, and none for a token whose signature, issuer, kind or time is at fault.
///
/// # Errors
/// Only when the store is away; a refusal is an answer.
pub async fn judge(ctx: &Ctx, token: &str, demands: &Demands) -> Result<Result<Live, Refusal>> {
    let claims = match check_token(ctx, token)? {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if claims.sandbox && !ctx.project.is_sandbox() {
        return Ok(Err(refusal("sandbox_token", "the token belongs to a sandbox")));
    }
    if demands.audience.as_ref().is_some_and(|audience| *audience != claims.aud) {
        return Ok(Err(refusal("wrong_audience", "the token is meant for somebody else")));
    }
    let id: Option<FamilyId> = claims.sid.parse().ok();
    let family = match id {
        Some(id) => {
            ctx.app.db.read(|conn| async move { families::find(&conn, ctx.project.id, id).await }).await?
        }
        None => None,
    };
    let Some(family) = family else {
        return gone(ctx, &claims).await.map(Err);
    };
    let same_client = claims.client_id.parse::<ClientId>().is_ok_and(|client| client == family.client_id);
    if !same_client || claims.sub != family.user_id.to_string() {
        return Err(Error::internal("a signed token names another client or user than its family"));
    }
    if let Some(ended) = family.ended(ctx.now) {
        return Ok(Err(refusal(ended.reason(), "the session has ended")));
    }
    match check_demands(&claims, &family, demands)? {
        None => Ok(Ok(Live { claims, family })),
        Some(refusal) => Ok(Err(refusal)),
    }
}

/// A family goes when its user is deleted, or long after its own end.
async fn gone(ctx: &Ctx, claims: &AccessClaims) -> Result<Refusal> {
    let user: Option<UserId> = claims.sub.parse().ok();
    let user = match user {
        Some(id) => {
            ctx.app.db.read(|conn| async move { users::find(&conn, ctx.project.id, id).await }).await?
        }
        None => None,
    };
    Ok(match user {
        Some(_) => refusal("session_expired", "the session has ended"),
        None => refusal("user_deleted", "the user has been deleted"),
    })
}

/// Scopes are judged on the token; roles, groups and attributes on the user's record as it is now.
fn check_demands(claims: &AccessClaims, family: &Family, demands: &Demands) -> Result<Option<Refusal>> {
    let list = |text: &str| serde_json::from_str::<Vec<String>>(text).map_err(Error::internal);
    let (roles, groups) = (list(&family.roles)?, list(&family.groups)?);
    let attributes: serde_json::Map<String, Value> =
        serde_json::from_str(&family.attributes).map_err(Error::internal)?;
    if !demands.scopes.iter().all(|scope| claims.scope.split(' ').any(|granted| granted == scope)) {
        return Ok(Some(refusal("missing_scope", "a required scope was not granted")));
    }
    if !demands.roles.iter().all(|role| roles.contains(role)) {
        return Ok(Some(refusal("missing_role", "the user lacks a required role")));
    }
    if !demands.groups.iter().all(|group| groups.contains(group)) {
        return Ok(Some(refusal("missing_group", "the user is not in a required group")));
    }
    if !demands.attributes.iter().all(|(name, value)| attributes.get(name) == Some(value)) {
        return Ok(Some(refusal("attribute_mismatch", "an attribute has another value")));
    }
    Ok(None)
}
