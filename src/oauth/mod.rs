//! The protocol: authorization requests, client authentication, the token endpoint and its grants, the discovery document.

pub mod authorize;
pub mod client_assertion;
pub mod client_auth;
pub mod device;
pub mod discovery;
pub mod dpop;
pub mod grants;
pub mod introspect;
pub mod issue;
mod login_link;
pub mod logout;
pub mod logout_token;
pub mod par;
pub mod parameters;
pub mod published_keys;
pub mod registration;
pub mod request_object;
pub mod resources;
pub mod revoke;
mod subject;
pub mod token;

pub use self::login_link::login_link;
pub use self::subject::{is_meant, subject};
