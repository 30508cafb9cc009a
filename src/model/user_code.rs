//! The code that a person types in: eight consonants, so that it spells nothing and nothing in it is mistaken
//! (RFC 8628, 6.1).

use crate::entropy::Entropy;
use crate::error::Result;

const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// 20 to the 8th, about 34 bits: enough for ten minutes and a bound on failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    pub fn generate(entropy: &Entropy) -> Result<Self> {
        let mut code = String::with_capacity(LENGTH);
        while code.len() < LENGTH {
            // 240 is the greatest multiple of 20 that a byte holds: what is above would favour some letters.
            let usable = entropy.bytes::<32>()?.into_iter().filter(|byte| *byte < 240);
            let letters = usable.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
            code.extend(letters.take(LENGTH - code.len()));
        }
        Ok(Self(code))
    }

    /// As people type it: in any case, with or without the dash. `None` for what no code looks like.
    pub fn parse(text: &str) -> Option<Self> {
        let typed = text.chars().filter(|c| !c.is_whitespace() && !"-‐‑–—".contains(*c));
        let code: String = typed.take(LENGTH + 1).map(|c| c.to_ascii_uppercase()).collect();
        let shape = code.len() == LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte));
        shape.then_some(Self(code))
    }

    /// Without the dash: what is hashed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for UserCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, second) = self.0.split_at(LENGTH / 2);
        write!(f, "{first}-{second}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        for text in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "W D J B – M J H T"] {
            assert_eq!(UserCode::parse(text).unwrap().to_string(), "WDJB-MJHT", "{text}");
        }
        for text in ["", "WDJB-MJH", "WDJB-MJHTX", "WDJB-MJHA", "WDJB-MJH1", "WDJB_MJHT", "ẂDJB-MJHT"] {
            assert_eq!(UserCode::parse(text), None, "{text}");
        }
    }

    #[test]
    fn codes_are_made_of_all_letters() {
        let made: String =
            (0..200).map(|_| UserCode::generate(&Entropy::default()).unwrap().as_str().to_owned()).collect();
        assert_eq!(made.len(), 200 * LENGTH);
        assert!(ALPHABET.iter().all(|letter| made.contains(char::from(*letter))));
        assert!(made.bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
