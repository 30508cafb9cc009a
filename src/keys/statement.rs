//! Statements: what a project says under its signature to whoever keeps it. A statement is a compact JWS (RFC 7515) by the
//! project's ES256 key, with the public half in its header, where `kid` is that key's thumbprint (RFC 7638). Whose key it
//! was, the project's JWK Set says, and the audit log (`signing_key.created`) when the key is long gone.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::jwks::thumbprint;
use super::signing::{Alg, Verifier};
use super::verify::{TokenFault, Unproven};
use crate::app::Ctx;
use crate::error::Result;

/// Signs claims under a type that no token of ours has, so that neither is taken for the other (RFC 8725, 3.11).
pub fn sign(ctx: &Ctx, typ: &str, claims: &impl Serialize) -> Result<String> {
    let (signer, public) = (ctx.signer(Alg::ES256)?, ctx.entry.public_jwk(Alg::ES256)?);
    signer.sign_with_key(typ, &public, claims)
}

/// Checks a statement against the keys of a JWK Set that was kept, without a store. What its header says of keys is passed
/// over: a key in the set is known by its own thumbprint, whatever `kid` it bears.
///
/// # Errors
/// Why it is none of theirs, in words.
pub fn verify<C: DeserializeOwned>(jws: &str, typ: &str, keys: &[Value]) -> Result<C, &'static str> {
    let unproven = Unproven::parse(jws).map_err(|_| "it is no signed statement")?;
    if unproven.header.typ.as_deref() != Some(typ) {
        return Err("it is a statement of another kind");
    }
    if unproven.alg() != Ok(Alg::ES256) {
        return Err("it is not signed with ES256");
    }
    let kid = unproven.header.kid.as_deref().ok_or("it names no key")?;
    let named = |key: &&Value| thumbprint(Alg::ES256, key).as_deref() == Some(kid);
    let key = keys.iter().find(named).ok_or("it is signed with a key that is not in the JWK Set")?;
    let verifier =
        Verifier::new(Alg::ES256, &key.to_string()).map_err(|_| "the JWK Set holds a broken key")?;
    if !unproven.is_by(&verifier) {
        return Err("its signature does not fit");
    }
    unproven.claims().map_err(|_: TokenFault| "it does not say what such a statement says")
}
