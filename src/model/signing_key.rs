//! A project's signing key: its algorithm, and the life it leads: next, current, retired, gone.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A signature algorithm (RFC 7518, 3.1; RFC 8037, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Alg {
    ES256,
    RS256,
    EdDSA,
}

impl Alg {
    pub const ALL: [Self; 3] = [Self::ES256, Self::RS256, Self::EdDSA];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The algorithm of that exact name.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.as_str() == text)
    }
}

impl FromStr for Alg {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::named(text).ok_or_else(|| Error::internal("an unknown signature algorithm in the store"))
    }
}
