//! The protocol: authorization requests, client authentication, the discovery document.

pub mod authorize;
pub mod client_auth;
pub mod discovery;
pub mod dpop;
mod login_link;
pub mod parameters;

pub use self::login_link::login_link;
