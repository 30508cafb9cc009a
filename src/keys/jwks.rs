//! The JWK Set of a project (RFC 7517, 5).

use serde_json::{Value, json};

/// The published halves. What the store holds as a public JWK has no private member: see [`super::generate`].
pub fn jwks_document(public_jwks: &[String]) -> Value {
    let keys: Vec<Value> = public_jwks.iter().filter_map(|jwk| serde_json::from_str(jwk).ok()).collect();
    json!({"keys": keys})
}
