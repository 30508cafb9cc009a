//! The master keys: they seal what lies in the store and make the MAC of refresh tokens. Never stored beside it.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::sealing::{self, does_not_open};
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::ids::ProjectId;
use crate::secret::{Secret, decode_base64url, encode_base64url};

const FORMAT: u8 = 1;

/// Where a blob lies. It is bound to the seal, so that a blob moved to another row does not open.
pub struct Place<'a> {
    pub table: &'a str,
    pub project: ProjectId,
    pub row: &'a str,
    pub column: &'a str,
}

impl Place<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let parts =
            [self.table.as_bytes(), self.project.0.as_bytes(), self.row.as_bytes(), self.column.as_bytes()];
        length_prefixed(&parts)
    }
}

/// Several may be configured: the first seals, all of them open.
pub struct MasterKeys(Vec<(String, Zeroizing<Vec<u8>>)>);

impl std::fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

impl MasterKeys {
    /// Reads `id:base64url(32 bytes)` entries, separated by commas.
    ///
    /// # Errors
    /// Says what is wrong, never with the key in it.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |why: &'static str| Error::invalid_field("master_key", why);
        let mut keys: Vec<(String, Zeroizing<Vec<u8>>)> = Vec::new();
        for entry in text.trim().split(',').map(str::trim) {
            let (id, key) =
                entry.split_once(':').ok_or_else(|| refuse("a master key is written id:base64url"))?;
            let shape = id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !shape || !(1..=16).contains(&id.len()) {
                return Err(refuse("a master key's id has 1 to 16 of a-z, 0-9 and -"));
            }
            let key = decode_base64url(key).filter(|key| key.len() == 32);
            let key = key.ok_or_else(|| refuse("a master key has 32 bytes in base64url"))?;
            if keys.iter().any(|(known, _)| known == id) {
                return Err(refuse("two master keys have the same id"));
            }
            keys.push((id.to_owned(), Zeroizing::new(key)));
        }
        Ok(Self(keys))
    }

    /// The text of a fresh entry.
    pub fn generate(entropy: &Entropy, id: &str) -> Result<Secret> {
        Ok(Secret::new(format!("{id}:{}", encode_base64url(&entropy.bytes::<32>()?))))
    }

    /// The ids of all keys, the one that seals today first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(id, _)| id.as_str())
    }

    /// The id of the key that seals today.
    pub fn current_id(&self) -> &str {
        self.0.first().map_or("", |(id, _)| id)
    }

    /// AES-256-GCM under a key derived for sealing alone.
    pub fn seal(&self, entropy: &Entropy, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        let id = self.current_id();
        let key = self.sealing_key(id)?;
        let sealed = sealing::seal(entropy, &key, &place.bytes(), plain)?;
        let length = u8::try_from(id.len()).map_err(Error::internal)?;
        Ok([&[FORMAT, length], id.as_bytes(), &sealed].concat())
    }

    /// # Errors
    /// A blob that was altered, moved, or sealed under a key that is not configured.
    pub fn open(&self, place: &Place<'_>, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (&[format, length], rest) = blob.split_first_chunk::<2>().ok_or_else(does_not_open)?;
        let (id, sealed) = rest.split_at_checked(usize::from(length)).ok_or_else(does_not_open)?;
        let id = std::str::from_utf8(id).ok().filter(|_| format == FORMAT).ok_or_else(does_not_open)?;
        let key = self.sealing_key(id)?;
        sealing::open(&key, &place.bytes(), sealed)
    }

    /// Whether a sealed value names the key that seals today.
    pub fn seals_today(&self, blob: &[u8]) -> bool {
        let id = self.current_id().as_bytes();
        blob.get(1).is_some_and(|length| usize::from(*length) == id.len())
            && blob.get(2..2 + id.len()) == Some(id)
    }

    /// A stable pseudonym of `bytes` in one project. The oldest key makes it: a new key in front must not change it.
    pub fn keyed_hash(&self, project: ProjectId, label: &str, bytes: &[u8]) -> Vec<u8> {
        let oldest = self.0.last().map_or("", |(id, _)| id);
        let info = length_prefixed(&[b"tessera/hash/v1", label.as_bytes(), project.0.as_bytes()]);
        self.derive(oldest, &info)
            .map(|key| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key[..]), bytes).as_ref().to_vec())
            .unwrap_or_default()
    }

    /// HMAC-SHA256 under a key that serves `purpose` alone; `None` when the master key is not configured.
    pub fn mac(&self, id: &str, purpose: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        Some(hmac::sign(&self.mac_key(id, purpose)?, bytes).as_ref().to_vec())
    }

    /// Whether [`Self::mac`] gives `mac`, compared in constant time.
    pub fn is_mac(&self, id: &str, purpose: &str, bytes: &[u8], mac: &[u8]) -> bool {
        self.mac_key(id, purpose).is_some_and(|key| hmac::verify(&key, bytes, mac).is_ok())
    }

    fn mac_key(&self, id: &str, purpose: &str) -> Option<hmac::Key> {
        let key = self.derive(id, &length_prefixed(&[b"tessera/mac/v1", purpose.as_bytes()]))?;
        Some(hmac::Key::new(hmac::HMAC_SHA256, &key[..]))
    }

    /// The MAC key of a project's refresh tokens: nothing stored, nothing to load.
    pub(super) fn refresh_key(&self, id: &str, project: ProjectId) -> Option<hmac::Key> {
        let key = self.derive(id, &[b"tessera/refresh/v1", &project.0.as_bytes()[..]].concat())?;
        Some(hmac::Key::new(hmac::HMAC_SHA256, &key[..]))
    }

    fn sealing_key(&self, id: &str) -> Result<Zeroizing<[u8; 32]>> {
        let key = self.derive(id, b"tessera/seal/v1");
        key.ok_or_else(|| Error::internal("the master key of a sealed value is not configured"))
    }

    /// HKDF-SHA256 (RFC 5869) of one master key; `None` when it is not configured.
    fn derive(&self, id: &str, info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let (_, key) = self.0.iter().find(|(known, _)| known == id)?;
        let mut derived = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, &[])
            .extract(key)
            .expand(&[info], Bytes32)
            .ok()?
            .fill(&mut derived[..])
            .ok()?;
        Some(derived)
    }
}

struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], part].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(ids: &[&str]) -> MasterKeys {
        let entries: Vec<_> =
            ids.iter().map(|id| format!("{id}:{}", encode_base64url(&[id.len() as u8; 32]))).collect();
        MasterKeys::parse(&entries.join(",")).unwrap()
    }

    #[test]
    fn seals_open_only_where_they_lie() {
        let (keys, project) = (keys(&["k1"]), ProjectId::INSTANCE);
        let place = |row| Place { table: "t", project, row, column: "c" };
        let blob = keys.seal(&Entropy::default(), &place("a"), b"secret").unwrap();
        assert_eq!(&keys.open(&place("a"), &blob).unwrap()[..], b"secret");
        assert!(keys.open(&place("b"), &blob).is_err());
        for i in 0..blob.len() {
            let mut altered = blob.clone();
            altered[i] ^= 1;
            assert!(keys.open(&place("a"), &altered).is_err(), "byte {i}");
        }
    }

    #[test]
    fn a_new_key_in_front_opens_what_the_old_one_sealed() {
        let (old, both, project) = (keys(&["k1"]), keys(&["new", "k1"]), ProjectId::INSTANCE);
        let place = Place { table: "t", project, row: "r", column: "c" };
        let blob = old.seal(&Entropy::default(), &place, b"secret").unwrap();
        assert_eq!(&both.open(&place, &blob).unwrap()[..], b"secret");
        assert!(old.seals_today(&blob) && !both.seals_today(&blob) && !old.seals_today(&blob[..3]));
        assert_eq!(old.keyed_hash(project, "l", b"x"), both.keyed_hash(project, "l", b"x"));
    }

    #[test]
    fn refusals_do_not_print_the_key() {
        let error = MasterKeys::parse("k1:c2VjcmV0").err().unwrap();
        assert_eq!(error.description(), "a master key has 32 bytes in base64url");
    }
}
