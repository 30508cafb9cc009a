//! Who somebody is: passwords and browser sessions; and how often strangers may try.

pub mod account;
mod argon;
pub mod consent;
pub mod guesses;
pub mod new_password;
pub mod passwords;
pub mod sign_in;
pub mod sign_out;
pub mod tries;
