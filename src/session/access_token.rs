//! An access token as it comes from a stranger: what can be said of it without the store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::Ctx;
use crate::cache::ProvenToken;
use crate::keys::verify::{TokenFault, verify_jws};
use crate::model::token::AccessClaims;
use crate::oauth::dpop::Sent;
use crate::secret::Secret;

/// Clocks of two machines may differ by this many seconds for `iat`.
const LEEWAY_SECONDS: i64 = 5;

/// An access token as a request carries it.
pub struct Carried {
    pub token: Secret,
    /// Under the scheme `DPoP`.
    pub proof: Option<Sent>,
}

impl Carried {
    /// As a bearer token.
    pub fn plain(token: Secret) -> Self {
        Self { token, proof: None }
    }
}

/// Why a token does not pass: the reason from the fixed list, and a sentence.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    pub reason: &'static str,
    pub detail: &'static str,
}

pub const fn refusal(reason: &'static str, detail: &'static str) -> Refusal {
    Refusal { reason, detail }
}

/// The claims of a token whose signature, issuer, kind and time are right, or the first fault.
pub type LookedAt = Result<Arc<AccessClaims>, Refusal>;

/// The part of the claims that proves the issuer; the rest stays open, so that another kind of token is named as such.
#[derive(Deserialize)]
struct Envelope {
    iss: Option<String>,
    #[serde(flatten)]
    rest: Value,
}

/// Signature, issuer, kind and time, in this order.
pub fn look_at(ctx: &Ctx, token: &str) -> LookedAt {
    let key = ProvenToken::new(&ctx.project, token);
    let claims = match ctx.app.cache.proven_token(&key) {
        Some(claims) => claims,
        None => {
            let claims = Arc::new(prove(ctx, token)?);
            ctx.app.cache.remember_token(key, claims.clone());
            claims
        }
    };
    if ctx.now.unix() >= claims.exp {
        return Err(refusal("expired", "the token has expired"));
    }
    if claims.iat > ctx.now.unix() + LEEWAY_SECONDS {
        return Err(refusal("not_yet_valid", "the token was issued in the future"));
    }
    Ok(claims)
}

/// What does not change with time: the outcome may be remembered.
fn prove(ctx: &Ctx, token: &str) -> Result<AccessClaims, Refusal> {
    let (header, envelope) = verify_jws::<Envelope>(token, |kid| ctx.entry.verifier(kid)).map_err(faulty)?;
    if envelope.iss.as_deref() != Some(ctx.project.issuer.as_str()) {
        return Err(refusal("wrong_issuer", "the token was issued by somebody else"));
    }
    // RFC 9068, 4: the type keeps ID tokens and others from passing as access tokens.
    if header.typ.as_deref() != Some("at+jwt") {
        return Err(refusal("wrong_token_use", "this is not an access token"));
    }
    let mut members = envelope.rest;
    if let Some(object) = members.as_object_mut() {
        object.insert("iss".into(), Value::String(ctx.project.issuer.clone()));
    }
    let names_session = members.get("sid").is_some();
    let claims = serde_json::from_value(members).ok();
    // What belongs to a session is never taken for a token without one, and what belongs to nothing is none of ours.
    let claims = claims.filter(|claims: &AccessClaims| {
        claims.session.is_some() == names_session && (names_session || claims.epochs.is_some())
    });
    claims.ok_or_else(|| refusal("wrong_token_use", "this is not an access token of ours"))
}

fn faulty(fault: TokenFault) -> Refusal {
    match fault {
        TokenFault::Malformed => refusal("malformed", "this is not a signed JWT"),
        TokenFault::UnsupportedAlg => refusal("unsupported_alg", "the algorithm is not one of ours"),
        TokenFault::UnknownKey => refusal("unknown_key", "no key of this project has that kid"),
        TokenFault::BadSignature => refusal("bad_signature", "the signature does not fit"),
    }
}
