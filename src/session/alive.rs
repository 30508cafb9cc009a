//! Whether an access token lives: a session's with its family, a machine's with its client, an exchanged one with both.

use std::sync::Arc;

use super::access_token::{LookedAt, Refusal, refusal};
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::ClientId;
use crate::model::token::{AccessClaims, Family, Vitals};
use crate::store::liveness::{Question, Standing};

/// A token that lives, with the session behind it; a machine's token has none.
#[derive(Debug)]
pub struct Alive {
    pub claims: Arc<AccessClaims>,
    pub family: Option<Family>,
}

impl Alive {
    /// Whether the user's record is newer than what the token says of it.
    pub fn is_stale(&self) -> bool {
        match (&self.claims.session, &self.family) {
            (Some(session), Some(family)) => {
                session.user_version.is_some_and(|known| known != family.user_version)
            }
            _ => false,
        }
    }

    /// The thumbprint of the key that it is bound to (RFC 9449, 6.1). What is exchanged is bound anew, or not at all.
    pub fn bound_to(&self) -> Option<&str> {
        let of_family = self.family.as_ref().filter(|_| self.claims.epochs.is_none());
        let of_family = of_family.and_then(|family| family.cnf_jkt.as_deref());
        of_family.or_else(|| self.claims.cnf.as_ref().map(|cnf| cnf.jkt.as_str()))
    }
}

/// What to ask the store about. A token at fault is asked about as well: its key may be newer than what is remembered.
pub fn asked(looked: LookedAt) -> (LookedAt, Question) {
    let question = looked.as_ref().map_or_else(|_| Question::default(), |claims| question_of(claims));
    (looked, question)
}

/// Only what may be revoked by itself is looked for among what was.
pub fn question_of(claims: &AccessClaims) -> Question {
    let session = claims.session.as_ref();
    let by_itself = claims.epochs.is_some();
    Question {
        family: session.and_then(|session| session.sid.parse().ok()),
        user: session.and_then(|_| claims.sub.parse().ok()),
        jti: by_itself.then(|| claims.jti.clone()),
        actor: claims.client_id.parse().ok().filter(|_| by_itself),
        caller: claims.client_id.parse().ok(),
        via: claims.via.clone(),
        ..Question::default()
    }
}

/// Judges in the order in which faults are named, up to the end of the session.
///
/// # Errors
/// A token of ours that does not fit the store.
pub fn judge(
    ctx: &Ctx,
    looked: LookedAt,
    standing: Standing,
    audience: Option<&[String]>,
) -> Result<Result<Alive, Refusal>> {
    let claims = match looked {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if claims.sandbox && !ctx.project.is_sandbox() {
        return Ok(Err(refusal("sandbox_token", "the token belongs to a sandbox")));
    }
    if audience.is_some_and(|names| !names.iter().any(|name| claims.aud.has(name))) {
        return Ok(Err(refusal("wrong_audience", "the token is meant for somebody else")));
    }
    if claims.session.is_some() && standing.family.is_none() {
        return Ok(Err(gone(&standing.project_status, standing.user_status.as_deref())));
    }
    if let Some(family) = &standing.family {
        check_same(&claims, family)?;
    }
    if let Some(ended) = vitals(ctx, &claims, &standing).ended() {
        return Ok(Err(refusal(ended.reason(), "the session has ended")));
    }
    Ok(Ok(Alive { claims, family: standing.family }))
}

/// A token in exchange is another client's than the family.
fn check_same(claims: &AccessClaims, family: &Family) -> Result<()> {
    let same_client = claims.client_id.parse::<ClientId>().is_ok_and(|client| client == family.client_id);
    if (same_client || claims.epochs.is_some()) && claims.sub == family.subject() {
        return Ok(());
    }
    Err(Error::internal("a signed token names another client or user than its family"))
}

fn vitals<'a>(ctx: &Ctx, claims: &AccessClaims, standing: &'a Standing) -> Vitals<'a> {
    let of_project = || Vitals::of_project(&standing.project_status);
    let vitals = standing.family.as_ref().map_or_else(of_project, |family| family.vitals(ctx.now));
    let Some([project_epoch, client_epoch]) = claims.epochs else { return vitals };
    let (status, epoch) =
        standing.actor.as_ref().map_or(("deleted", None), |(status, epoch)| (status, Some(*epoch)));
    let same_epochs = project_epoch == standing.project_epoch && Some(client_epoch) == epoch;
    Vitals { token_revoked: standing.token_revoked, ..vitals.with_client(status, same_epochs) }
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
