//! Keys: what seals, what signs, what proves a refresh token.

pub mod client_keys;
pub mod data_key;
pub mod generate;
pub mod jwks;
pub mod master;
pub mod provide;
pub mod refresh_token;
pub mod rewrap;
pub mod rotate;
mod sealing;
pub mod signing;
pub mod statement;
pub mod subject_salt;
pub mod verify;
