//! Keys: what seals, what signs, what proves a refresh token.

pub mod generate;
pub mod jwks;
pub mod master;
pub mod refresh_token;
pub mod signing;
pub mod verify;
