//! Plain data, states and pure rules; used by all, knows none.

pub mod attribute;
pub mod client;
pub mod deletion;
pub mod delivery;
pub mod grant_type;
pub mod holding;
pub mod merge;
pub mod names;
pub mod profile;
pub mod project;
pub mod proxies;
pub mod role;
pub mod signing_key;
pub mod status;
pub mod timestamp;
pub mod token;
pub mod uris;
pub mod user;
pub mod validity;
