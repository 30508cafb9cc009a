//! Request objects by value (RFC 9101; OpenID Connect Core, 6.1): an authorization request as a JWT that the client signed,
//! so that nobody on the way changes it. Only what stands inside counts (RFC 9101, 5).

use serde_json::{Map, Value};

use super::parameters::Parameters;
use super::published_keys::keys_of;
use crate::app::Ctx;
use crate::cache::ClientEntry;
use crate::error::{Code, Error, Result};
use crate::keys::verify::Unproven;
use crate::model::client::Client;

/// Seconds that it may still live, and that its `nbf` may lie back (FAPI 2.0 Message Signing, 5.3.1).
const MOST_SECONDS: i64 = 3600;

/// Clocks of two machines may differ by this many seconds for `iat` and `nbf`.
const LEEWAY_SECONDS: i64 = 30;

/// What it says of itself, and not of the request.
const OF_JWT: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// The parameters inside.
///
/// # Errors
/// `invalid_request_object` for one that this client did not sign, for us and for now, with a key that it registered.
pub async fn read(ctx: &Ctx, entry: &ClientEntry, text: &str) -> Result<Parameters> {
    let (client, settings) = (&entry.client, &entry.client.settings);
    let unproven = Unproven::parse(text).map_err(|_| refused("it is not a signed JWT"))?;
    let alg = unproven.alg().map_err(|_| refused("its algorithm is none of ES256, RS256 and EdDSA"))?;
    if settings.request_object_signing_alg.is_some_and(|registered| registered != alg) {
        return Err(refused("its algorithm is not the one that the client registered"));
    }
    let (kid, typ) = (unproven.header.kid.as_deref(), unproven.header.typ.as_deref());
    // RFC 9101, 10.8.1: what was signed for something else is no request.
    if !typ.is_none_or(|typ| typ.eq_ignore_ascii_case("jwt") || typ == "oauth-authz-req+jwt") {
        return Err(refused("its type is oauth-authz-req+jwt"));
    }
    // A key that comes along proves nothing (RFC 8725, 3.10).
    if unproven.header.names_a_key() {
        return Err(refused("it brings a key along"));
    }
    let keys = keys_of(ctx, entry, kid, alg).await;
    if !keys.candidates(kid, alg).any(|key| unproven.is_by(key)) {
        return Err(refused("no key that the client registered has signed it"));
    }
    let claims: Map<String, Value> = unproven.claims().map_err(|_| refused("it holds no claims"))?;
    check(ctx, client, &claims)?;
    parameters(client, claims)
}

fn check(ctx: &Ctx, client: &Client, claims: &Map<String, Value>) -> Result<()> {
    let (id, now) = (client.id.to_string(), ctx.now.unix());
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let names_us = |aud: &Value| aud.as_str() == Some(ctx.project.issuer.as_str());
    let is_for_us = claims.get("aud").is_some_and(|aud| match aud {
        Value::Array(all) => all.iter().any(names_us),
        one => names_us(one),
    });
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(at) => at.as_f64().map(|at| Some(at as i64)).ok_or_else(|| refused("a time in it is no number")),
    };
    let (exp, nbf, iat) = (time("exp")?, time("nbf")?, time("iat")?);
    let begun = |at: Option<i64>| at.is_none_or(|at| at <= now + LEEWAY_SECONDS);
    // RFC 9101, 10.8: a client assertion has the client as its subject, and is no request.
    if text("iss") != Some(&id) || text("sub") == Some(&id) {
        return Err(refused("its issuer is the client, and it has no subject"));
    }
    if claims.get("client_id").is_some_and(|named| named.as_str() != Some(&id)) {
        return Err(refused("it is of another client"));
    }
    if !is_for_us {
        return Err(refused("its audience is the issuer of this project"));
    }
    if !exp.is_some_and(|exp| now < exp && exp <= now + MOST_SECONDS) {
        return Err(refused("it expires within an hour, and has not yet"));
    }
    if !begun(nbf) || !begun(iat) || nbf.is_some_and(|nbf| nbf < now - MOST_SECONDS) {
        return Err(refused("its time has not come, or is long over"));
    }
    match ["request", "request_uri"].into_iter().any(|name| claims.contains_key(name)) {
        true => Err(refused("it holds another request")),
        false => Ok(()),
    }
}

/// As they would stand in a query: `claims` is JSON there, and `resource` may be repeated.
fn parameters(client: &Client, claims: Map<String, Value>) -> Result<Parameters> {
    let mut pairs = vec![("client_id".to_owned(), client.id.to_string())];
    for (name, value) in claims {
        if OF_JWT.contains(&name.as_str()) || name == "client_id" {
            continue;
        }
        match value {
            Value::Null => {}
            Value::String(text) => pairs.push((name, text)),
            Value::Array(all) if name == super::resources::RESOURCE => {
                for one in all {
                    let one = one.as_str().ok_or_else(|| refused("resource in it is a list of texts"))?;
                    pairs.push((name.clone(), one.to_owned()));
                }
            }
            other => pairs.push((name, other.to_string())),
        }
    }
    Ok(Parameters::of_pairs(pairs))
}

fn refused(why: &'static str) -> Error {
    Error::new(Code::InvalidRequestObject, format!("The request object is not acceptable: {why}."))
}
