//! Plain data, states and pure rules; used by all, knows none.

pub mod client;
pub mod names;
pub mod project;
pub mod timestamp;
pub mod token;
pub mod user;
