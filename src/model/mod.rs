//! Plain data, states and pure rules; used by all, knows none.

pub mod attribute;
pub mod claim;
pub mod claims_request;
pub mod client;
mod client_places;
mod client_settings;
pub mod consent;
pub mod deletion;
pub mod delivery;
pub mod grant_type;
pub mod holding;
pub mod merge;
pub mod names;
pub mod origin;
pub mod profile;
pub mod project;
pub mod proxies;
pub mod role;
pub mod scope;
pub mod signing_key;
pub mod status;
pub mod timestamp;
pub mod token;
pub mod uris;
pub mod user;
pub mod user_code;
pub mod validity;
