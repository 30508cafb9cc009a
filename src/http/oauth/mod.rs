//! The OAuth 2 and OpenID Connect endpoints on the wire: extract, call, respond.

pub mod device_authorization;
pub mod discovery;
mod form;
pub mod introspect;
pub mod par;
pub mod register;
pub mod revoke;
pub mod token;
pub mod userinfo;
