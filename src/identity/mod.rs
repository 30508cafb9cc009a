//! Who somebody is: passwords, second factors and browser sessions, and what is proved by mail; and how often strangers may
//! try.

pub mod account;
pub mod addresses;
mod argon;
pub mod consent;
pub mod devices;
pub mod email_code;
pub mod factors;
pub mod forgotten;
pub mod fresh;
pub mod guesses;
pub mod held;
pub mod invitations;
pub mod known;
pub mod links;
pub mod needed;
pub mod new_password;
pub mod passkeys;
pub mod passwords;
pub mod progress;
mod qr;
pub mod recovery;
pub mod requests;
pub mod sign_in;
pub mod sign_out;
pub mod sign_up;
pub mod spend;
pub mod totp;
pub mod tries;
