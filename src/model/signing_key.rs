//! A project's signing key: its algorithm, and the life it leads: next, current, retired, gone.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::timestamp::Timestamp;
use crate::error::{Error, Result};

/// Seconds for which a key is published before it signs: longer than anybody keeps a JWK Set (five minutes, and five
/// seconds in our memory).
pub const PUBLISHED_AHEAD_SECONDS: i64 = 600;

/// Seconds for which a retired key stays published: the longest access or ID token lives 24 hours. The rest is for a
/// request that was under way, and for nodes whose clocks differ.
pub const RETIRED_SECONDS: i64 = 86_400 + 600;

/// Seconds for which a key signs before the next one is prepared.
pub const SIGNING_SECONDS: i64 = 90 * 86_400;

/// Published keys of one algorithm; rotating faster than retired keys go would make the JWK Set grow without end.
pub const MOST_PER_ALG: usize = 8;

/// A signature algorithm (RFC 7518, 3.1; RFC 8037, 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Alg {
    #[default]
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
        Self::named(text).ok_or_else(|| Error::invalid_field("alg", "alg is ES256, RS256 or EdDSA"))
    }
}

/// Where a key stands. At most one key of an algorithm is next, and one current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and signs from then on at the earliest.
    Next { signs_from: Timestamp },
    /// Signs since then.
    Current { since: Timestamp },
    /// Signs no more, and is published until then.
    Retired { until: Timestamp },
}

impl KeyState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next { .. } => "next",
            Self::Current { .. } => "current",
            Self::Retired { .. } => "retired",
        }
    }
}

/// A published key with its sealed private half.
#[derive(Clone, Debug)]
pub struct SigningKey {
    pub kid: String,
    pub alg: Alg,
    pub state: KeyState,
    pub public_jwk: String,
    pub sealed_private: Vec<u8>,
    pub created_at: Timestamp,
}

impl SigningKey {
    pub fn is_current(&self) -> bool {
        matches!(self.state, KeyState::Current { .. })
    }

    /// Retired, and the last token that it signed has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self.state, KeyState::Retired { until } if until <= now)
    }
}

/// What the clock asks to be done with the keys of one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// The current key has signed for long enough: publish its successor.
    Prepare,
    /// The next key has been published for long enough: it signs from now on.
    Promote,
}

/// `keys` may hold those of other algorithms. An algorithm without a current key is not in use and asks for nothing.
pub fn due(keys: &[SigningKey], alg: Alg, now: Timestamp) -> Due {
    let since = keys.iter().filter(|key| key.alg == alg).find_map(|key| match key.state {
        KeyState::Current { since } => Some(since),
        _ => None,
    });
    match (since, next_signs_from(keys, alg)) {
        (Some(_), Some(signs_from)) if signs_from <= now => Due::Promote,
        (Some(since), None) if since.plus_seconds(SIGNING_SECONDS) <= now => Due::Prepare,
        _ => Due::Nothing,
    }
}

/// When the next key of the algorithm may sign, if there is one.
pub fn next_signs_from(keys: &[SigningKey], alg: Alg) -> Option<Timestamp> {
    keys.iter().filter(|key| key.alg == alg).find_map(|key| match key.state {
        KeyState::Next { signs_from } => Some(signs_from),
        _ => None,
    })
}
