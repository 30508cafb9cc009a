//! One line of the ledger:
//!
//! ```text
//! 1 <seq> <time> <project> <user> <deletion> <id of the master key> <mac of the line before> <mac>
//! 2 <seq> <time> <project> - <confirmation> <id of the master key> <mac of the line before> <mac>
//! ```
//!
//! The first form is a user's, the second that of a whole project, which older versions take for a line that they cannot read.
//! Times are RFC 3339, macs HMAC-SHA256 in base64url. The first line stands after `-`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Erased;
use crate::error::{Error, Result};
use crate::keys::master::MasterKeys;
use crate::model::timestamp::Timestamp;
use crate::secret::{decode_base64url, encode_base64url};

const OF_USER: &str = "1";
const OF_PROJECT: &str = "2";

/// Stands where a project's line names no user.
const NOBODY: &str = "-";

const PURPOSE: &str = "erasure-ledger";

/// What stands for the line before the first one.
pub const BEGINNING: &str = "-";

/// A line whose signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub seq: i64,
    pub at: Timestamp,
    pub erased: Erased,
    /// The mac of the line before.
    pub prev: String,
    pub mac: String,
    /// The whole line, without its end.
    pub text: String,
}

impl Line {
    pub fn sign(keys: &MasterKeys, seq: i64, at: Timestamp, erased: &Erased, prev: &str) -> Result<Self> {
        let key = keys.current_id();
        let signed = match erased {
            Erased::User { project, user, deletion } => {
                format!("{OF_USER} {seq} {at} {project} {user} {deletion} {key} {prev}")
            }
            Erased::Project { project, confirmation } => {
                format!("{OF_PROJECT} {seq} {at} {project} {NOBODY} {confirmation} {key} {prev}")
            }
        };
        let mac = keys.mac(key, PURPOSE, signed.as_bytes());
        let mac = mac.ok_or_else(|| Error::internal("there is no master key to sign with"))?;
        let mac = encode_base64url(&mac);
        let text = format!("{signed} {mac}");
        Ok(Self { seq, at, erased: *erased, prev: prev.into(), mac, text })
    }

    /// Reads a line and checks its signature.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(keys: &MasterKeys, text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not a line of the ledger";
        let (signed, mac) = text.rsplit_once(' ').ok_or(SHAPE)?;
        let words: [&str; 8] = signed.split(' ').collect::<Vec<_>>().try_into().map_err(|_| SHAPE)?;
        let [format, seq, at, project, user, by, key, prev] = words;
        if ![OF_USER, OF_PROJECT].contains(&format) {
            return Err(SHAPE);
        }
        if !keys.ids().any(|id| id == key) {
            return Err("is signed with a master key that is not configured");
        }
        let proof = decode_base64url(mac).ok_or(SHAPE)?;
        if !keys.is_mac(key, PURPOSE, signed.as_bytes(), &proof) {
            return Err("has been altered: its signature is wrong");
        }
        let project = project.parse().map_err(|_| SHAPE)?;
        let erased = match (format, user) {
            (OF_PROJECT, NOBODY) => Erased::Project { project, confirmation: by.parse().map_err(|_| SHAPE)? },
            (OF_USER, user) => Erased::User {
                project,
                user: user.parse().map_err(|_| SHAPE)?,
                deletion: by.parse().map_err(|_| SHAPE)?,
            },
            _ => return Err(SHAPE),
        };
        let at = Timestamp::truncated(OffsetDateTime::parse(at, &Rfc3339).map_err(|_| SHAPE)?);
        let seq = seq.parse().map_err(|_| SHAPE)?;
        Ok(Self { seq, at, erased, prev: prev.into(), mac: mac.into(), text: text.into() })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn keys(ids: &[&str]) -> MasterKeys {
        let entry = |id: &&str| format!("{id}:{}", "A".repeat(43));
        MasterKeys::parse(&ids.iter().map(entry).collect::<Vec<_>>().join(",")).unwrap()
    }

    fn line(keys: &MasterKeys) -> Line {
        let id = Uuid::from_u128;
        let erased = Erased::User { project: id(1).into(), user: id(2).into(), deletion: id(3).into() };
        sign(keys, &erased)
    }

    fn line_of_project(keys: &MasterKeys) -> Line {
        let id = Uuid::from_u128;
        sign(keys, &Erased::Project { project: id(1).into(), confirmation: id(3).into() })
    }

    fn sign(keys: &MasterKeys, erased: &Erased) -> Line {
        Line::sign(keys, 7, Timestamp::from_micros(1_800_000_000_000_001), erased, BEGINNING).unwrap()
    }

    #[test]
    fn a_line_reads_as_it_was_signed() {
        let line = line(&keys(&["k1"]));
        assert_eq!(Line::read(&keys(&["k1"]), &line.text), Ok(line.clone()));
        assert_eq!(Line::read(&keys(&["k2", "k1"]), &line.text), Ok(line), "after a new master key");
        let line = line_of_project(&keys(&["k1"]));
        assert_eq!(Line::read(&keys(&["k1"]), &line.text), Ok(line));
    }

    #[test]
    fn any_change_is_found() {
        let keys = keys(&["k1"]);
        for line in [line(&keys), line_of_project(&keys)] {
            for at in 0..line.text.len() {
                let mut altered = line.text.clone().into_bytes();
                altered[at] = if altered[at] == b'1' { b'2' } else { b'1' };
                assert!(Line::read(&keys, std::str::from_utf8(&altered).unwrap()).is_err(), "byte {at}");
                assert!(Line::read(&keys, &line.text[..at]).is_err(), "cut at {at}");
            }
            assert!(Line::read(&keys, &format!("{} ", line.text)).is_err());
        }
    }

    #[test]
    fn an_unknown_master_key_is_named_as_the_cause() {
        let unknown = "is signed with a master key that is not configured";
        assert_eq!(Line::read(&keys(&["k2"]), &line(&keys(&["k1"])).text), Err(unknown));
    }
}
