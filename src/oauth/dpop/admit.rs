//! A proof that comes to one of our own endpoints: for this request, with a nonce that is good, and never seen before.

use std::sync::atomic::{AtomicBool, Ordering};

use super::proof::{Proof, WINDOW_SECONDS, read};
use super::{Presented, nonce};
use crate::app::{Ctx, Visit};
use crate::error::{Result, invalid_dpop_proof};
use crate::model::client::Client;
use crate::model::timestamp::Timestamp;
use crate::store::used_jtis::{self, Kind};

/// A proof as it came, and the request it came with.
#[derive(Clone, Debug)]
pub struct Sent {
    pub proof: String,
    pub method: String,
    /// From the root of the server.
    pub path: String,
}

impl Sent {
    /// The address of the request is ours to say: a Host header may say anything.
    pub fn to(&self, ctx: &Ctx) -> Presented {
        let issuer = ctx.project.issuer.as_str();
        let base = issuer.strip_suffix(&format!("/projects/{}", ctx.project.slug)).unwrap_or(issuer);
        Presented {
            proof: self.proof.clone(),
            method: self.method.clone(),
            url: format!("{base}{}", self.path),
        }
    }
}

/// A proof that is good for this request. It is used up once its client is proven, and then for no other one.
#[derive(Debug)]
pub struct Admitted {
    /// The thumbprint of its key, which the tokens of the answer are bound to.
    pub jkt: String,
    /// The nonce for the next proof, for a client that uses nonces.
    pub next_nonce: Option<String>,
    proof: Proof,
    /// A request that is judged again from the start uses it once.
    spent: AtomicBool,
}

impl Admitted {
    /// Uses the proof up; of many that are the same one gets through, on all nodes.
    ///
    /// # Errors
    /// `invalid_dpop_proof` for a proof that was used before.
    pub async fn spend(&self, ctx: &Ctx) -> Result<()> {
        if self.spent.swap(true, Ordering::Relaxed) { Ok(()) } else { spend(ctx, &self.proof).await }
    }

    /// # Errors
    /// `use_dpop_nonce` when the client or its project has to use nonces and this proof has none.
    pub fn check_nonce(&self, ctx: &Ctx, client: &Client) -> Result<()> {
        if is_needed(ctx, client) && self.next_nonce.is_none() { Err(nonce::demanded(ctx)) } else { Ok(()) }
    }
}

/// Whether the client's proofs have to have a nonce.
fn is_needed(ctx: &Ctx, client: &Client) -> bool {
    client.settings.require_dpop_nonce || ctx.project.settings.require_dpop_nonce
}

/// Reads the proof of a request to an endpoint that gives tokens. Without one there is nothing to admit. Nothing is written
/// here: the proof of somebody who is not the client leaves no row.
///
/// # Errors
/// `invalid_dpop_proof`, `use_dpop_nonce`: a bad proof is never taken for none (RFC 9449, 5).
pub async fn admit(visit: &Visit, sent: Option<Sent>) -> Result<Option<Admitted>> {
    let Some(sent) = sent else { return Ok(None) };
    let ctx = visit.remembered().await?;
    let proof = read(&sent.to(&ctx), ctx.wall).map_err(invalid_dpop_proof)?;
    let next_nonce = next_nonce(&ctx, &proof)?;
    Ok(Some(Admitted { jkt: proof.jkt.clone(), next_nonce, proof, spent: AtomicBool::new(false) }))
}

/// `None` for a proof without a nonce.
///
/// # Errors
/// `use_dpop_nonce` for a nonce that is old or not ours.
fn next_nonce(ctx: &Ctx, proof: &Proof) -> Result<Option<String>> {
    match &proof.nonce {
        Some(given) if nonce::is_fresh(ctx, given) => nonce::current(ctx).map(Some),
        Some(_) => Err(nonce::demanded(ctx)),
        None => Ok(None),
    }
}

async fn spend(ctx: &Ctx, proof: &Proof) -> Result<()> {
    let (project, hash) = (ctx.project.id, &proof.fingerprint());
    // After that moment its time is over by every clock that is right by a minute; the row stays for longer.
    let expires_at = Timestamp::from_unix(proof.iat + 2 * WINDOW_SECONDS);
    let first =
        |conn| async move { used_jtis::insert(&conn, project, Kind::DpopProof, hash, expires_at).await };
    match ctx.app.db.write(first).await? {
        0 => Err(invalid_dpop_proof("the DPoP proof was used already")),
        _ => Ok(()),
    }
}

/// The same for an access token of `client` that came with its proof. Gives the next nonce, once the one of the proof is
/// about to be too old (RFC 9449, 8.2).
///
/// # Errors
/// `use_dpop_nonce`; `invalid_dpop_proof` for a proof that was used before.
pub async fn spend_at_resource(ctx: &Ctx, client: &Client, proof: &Proof) -> Result<Option<String>> {
    if is_needed(ctx, client) && proof.nonce.is_none() {
        return Err(nonce::demanded(ctx));
    }
    let next = next_nonce(ctx, proof)?;
    spend(ctx, proof).await?;
    Ok(next.filter(|next| proof.nonce.as_ref() != Some(next)))
}
