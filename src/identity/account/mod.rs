//! One's own account, as the account page and its REST face have it: decisions of whoever is signed in, each judged again in
//! the unit that carries it out ([`crate::session::holder`]).

pub mod consents;
pub mod data;
pub mod deletion;
pub mod factors;
pub mod password;
pub mod profile;
pub mod sessions;
