//! Who somebody is: passwords, passkeys and browser sessions, and what is proved by mail; and how often strangers may try.

pub mod account;
pub mod addresses;
mod argon;
pub mod consent;
pub mod forgotten;
pub mod guesses;
pub mod invitations;
pub mod links;
pub mod new_password;
pub mod passkeys;
pub mod passwords;
pub mod requests;
pub mod sign_in;
pub mod sign_out;
pub mod sign_up;
pub mod tries;
