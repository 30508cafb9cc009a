//! Who somebody is: passwords and browser sessions.

mod argon;
pub mod consent;
pub mod passwords;
pub mod sign_in;
pub mod sign_out;
