//! A key for the data of one person: whoever destroys it destroys what it sealed, in every backup of that.

use zeroize::Zeroizing;

use super::master::{MasterKeys, Place};
use super::sealing;
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::ids::{ProjectId, UserId};
use crate::secret::{Secret, sha256};

/// 256 random bits, stored sealed under the master key.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    pub fn generate(entropy: &Entropy) -> Result<Self> {
        Ok(Self(Zeroizing::new(entropy.bytes()?)))
    }

    /// The key that whoever knows a secret of 256 random bits can make again, for `purpose` alone.
    pub fn of(secret: &Secret, purpose: &str) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let text = Zeroizing::new([purpose.as_bytes(), b"\0", secret.expose().as_bytes()].concat());
        key.copy_from_slice(&sha256(&text));
        Self(key)
    }

    /// The key as `user_keys` holds it.
    pub fn wrap(
        &self,
        keys: &MasterKeys,
        entropy: &Entropy,
        project: ProjectId,
        user: UserId,
    ) -> Result<Vec<u8>> {
        keys.seal(entropy, &place(project, &user.to_string()), &self.0[..])
    }

    /// # Errors
    /// A key that is not this user's, or whose master key is not configured.
    pub fn unwrap(keys: &MasterKeys, project: ProjectId, user: UserId, sealed: &[u8]) -> Result<Self> {
        let key = keys.open(&place(project, &user.to_string()), sealed)?;
        let key: [u8; 32] = key[..].try_into().map_err(|_| Error::internal("a data key has 32 bytes"))?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Seals what lies at `place`.
    pub fn seal(&self, entropy: &Entropy, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        sealing::seal(entropy, &self.0, &place.bytes(), plain)
    }

    /// # Errors
    /// A blob that was altered, moved, or sealed under another key.
    pub fn open(&self, place: &Place<'_>, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        sealing::open(&self.0, &place.bytes(), blob)
    }
}

pub(super) fn place(project: ProjectId, row: &str) -> Place<'_> {
    Place { table: "user_keys", project, row, column: "sealed_key" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_what_it_sealed_and_nothing_else() {
        let (entropy, project) = (Entropy::default(), ProjectId::INSTANCE);
        let keys = MasterKeys::parse(&format!("k1:{}", "A".repeat(43))).unwrap();
        let (alice, bob): (UserId, UserId) =
            (uuid::Uuid::from_u128(1).into(), uuid::Uuid::from_u128(2).into());
        let key = DataKey::generate(&entropy).unwrap();
        let place = Place { table: "t", project, row: "r", column: "c" };
        let blob = key.seal(&entropy, &place, b"10.0.0.1").unwrap();

        let wrapped = key.wrap(&keys, &entropy, project, alice).unwrap();
        let again = DataKey::unwrap(&keys, project, alice, &wrapped).unwrap();
        assert_eq!(&again.open(&place, &blob).unwrap()[..], b"10.0.0.1");
        assert!(DataKey::unwrap(&keys, project, bob, &wrapped).is_err(), "the key of another user");
        assert!(DataKey::generate(&entropy).unwrap().open(&place, &blob).is_err());
        assert!(key.open(&Place { row: "s", ..place }, &blob).is_err(), "moved to another row");
    }
}
