//! The session API as decisions. `http/session` is a thin face over it.

pub mod access_token;
pub mod alive;
pub mod attributes;
pub mod delete_user;
pub mod for_servers;
pub mod holder;
pub mod keep_one;
pub mod person;
pub mod sign_out;
pub mod standing;
pub mod user_info;
pub mod validity;
pub mod verify;
