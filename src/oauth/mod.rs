//! The protocol: authorization requests, client authentication, the discovery document.

pub mod authorize;
pub mod client_auth;
