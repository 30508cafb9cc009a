//! Who somebody is: passwords and browser sessions.

pub mod passwords;
pub mod sign_in;
