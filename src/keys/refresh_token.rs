//! Refresh tokens: opaque text that proves itself by a MAC, so that a forged one costs no statement. Only `seq` is
//! stored, so a stolen database yields no token, and a lost successor can be computed again, the same to the byte.

use aws_lc_rs::hmac;

use super::master::MasterKeys;
use crate::error::{Error, Result};
use crate::ids::{FamilyId, ProjectId};
use crate::secret::{Secret, decode_base64url, encode_base64url};

const PREFIX: &str = "tsr_";
const FORMAT: u8 = 1;

/// What a genuine token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    pub key_id: String,
    pub family: FamilyId,
    pub seq: i64,
}

impl RefreshToken {
    pub fn make(
        keys: &MasterKeys,
        project: ProjectId,
        key_id: &str,
        family: FamilyId,
        seq: i64,
    ) -> Result<Secret> {
        let key = keys.refresh_key(key_id, project).ok_or_else(|| Error::internal("unknown master key"))?;
        let length = u8::try_from(key_id.len()).map_err(Error::internal)?;
        let mut body =
            [&[FORMAT, length], key_id.as_bytes(), family.0.as_bytes(), &seq.to_be_bytes()].concat();
        let mac = hmac::sign(&key, &body);
        body.extend_from_slice(mac.as_ref());
        Ok(Secret::new(format!("{PREFIX}{}", encode_base64url(&body))))
    }

    /// `None` for everything that this project's key did not make.
    pub fn parse(keys: &MasterKeys, project: ProjectId, text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX).filter(|encoded| encoded.len() <= 128)?;
        let bytes = decode_base64url(encoded)?;
        let (body, mac) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        let (&[format, length], rest) = body.split_first_chunk::<2>()?;
        let (key_id, rest) = rest.split_at_checked(usize::from(length))?;
        let (family, rest) = rest.split_first_chunk::<16>()?;
        let seq = i64::from_be_bytes(rest.try_into().ok()?);
        let key_id = std::str::from_utf8(key_id).ok().filter(|_| format == FORMAT)?;
        hmac::verify(&keys.refresh_key(key_id, project)?, body, mac).ok()?;
        Some(Self { key_id: key_id.to_owned(), family: FamilyId(uuid::Uuid::from_bytes(*family)), seq })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> MasterKeys {
        MasterKeys::parse(&format!("k1:{}", encode_base64url(&[7; 32]))).unwrap()
    }

    #[test]
    fn is_the_same_each_time_and_parses() {
        let (keys, family) = (keys(), FamilyId(uuid::Uuid::from_u128(5)));
        let make = || RefreshToken::make(&keys, ProjectId::INSTANCE, "k1", family, 3).unwrap();
        assert_eq!(make().expose(), make().expose());
        let parsed = RefreshToken::parse(&keys, ProjectId::INSTANCE, make().expose()).unwrap();
        assert_eq!(parsed, RefreshToken { key_id: "k1".into(), family, seq: 3 });
    }

    #[test]
    fn another_project_and_any_altered_character_are_refused() {
        let (keys, family) = (keys(), FamilyId(uuid::Uuid::from_u128(5)));
        let token = RefreshToken::make(&keys, ProjectId::INSTANCE, "k1", family, 3).unwrap();
        let other = ProjectId(uuid::Uuid::from_u128(9));
        assert_eq!(RefreshToken::parse(&keys, other, token.expose()), None);
        for i in 0..token.expose().len() {
            let mut altered = token.expose().as_bytes().to_vec();
            altered[i] = if altered[i] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(RefreshToken::parse(&keys, ProjectId::INSTANCE, &altered), None, "{altered}");
        }
        assert_eq!(RefreshToken::parse(&keys, ProjectId::INSTANCE, "tsr_"), None);
    }
}
