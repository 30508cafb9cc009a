//! argon2id over memory that is used again: the kernel takes its time to give fresh pages (measured: a sign-in took 38 ms of
//! the processor with them, and takes 23 to 29 ms).

use std::sync::{Arc, Mutex, PoisonError};

use allocator_api2::alloc::System;
use allocator_api2::vec::Vec as VecIn;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::error::{Error, Result};
use crate::secret::equal_in_constant_time;

/// Capacity of a piece of memory, in blocks of 1 KiB: so much the system's allocator maps by itself, and returns at once when it
/// is freed (mallopt(3), M_MMAP_THRESHOLD; measured with less: 240 MiB after a run of sign-ins). What lies beyond the blocks in
/// use is never touched, and so takes no memory.
const CAPACITY: usize = 33 * 1024;

/// From the system, whatever allocator the program has: mimalloc gives so much back with the requests that follow, and after the
/// last sign-in of the day none may.
type Blocks = VecIn<Block, System>;

/// The memory of hashes that have ended.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Vec<Blocks>>>);

impl Memory {
    fn take(&self, blocks: usize) -> Blocks {
        let fresh = || Blocks::with_capacity_in(CAPACITY.max(blocks), System);
        let mut memory = self.free().pop().unwrap_or_else(fresh);
        memory.resize(blocks, Block::new());
        memory
    }

    fn give_back(&self, memory: Blocks) {
        self.free().push(memory);
    }

    /// Returns all of it to the system: to be called when nobody waits for a hash.
    pub fn release(&self) {
        self.free().clear();
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Blocks>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tag of a password (RFC 9106, 3.1).
    ///
    /// # Errors
    /// Inputs that argon2 refuses: an output of more than 64 bytes, a salt of fewer than 8.
    fn tag(&self, params: &Params, password: &[u8], salt: &[u8], length: usize) -> Result<Output> {
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut memory = self.take(params.block_count());
        let mut tag = [0; Output::MAX_LENGTH];
        let tag = tag.get_mut(..length).ok_or_else(|| Error::internal("a password hash is too long"))?;
        let filled = argon.hash_password_into_with_memory(password, salt, tag, &mut memory);
        self.give_back(memory);
        filled.map_err(Error::internal)?;
        Output::new(tag).map_err(Error::internal)
    }

    /// A new hash in PHC form.
    pub fn hash(&self, params: &Params, password: &[u8], salt: &[u8]) -> Result<String> {
        phc(params, salt, self.tag(params, password, salt, Params::DEFAULT_OUTPUT_LEN)?)
    }

    /// Whether the password is the one behind a stored hash. What is no hash of ours fits nothing.
    pub fn fits(&self, stored: &PasswordHash, password: &[u8]) -> bool {
        let ours = stored.algorithm == Algorithm::Argon2id.ident() && stored.version == Some(0x13);
        let (Some(salt), Some(tag), Ok(params), true) =
            (&stored.salt, &stored.hash, Params::try_from(stored), ours)
        else {
            return false;
        };
        self.tag(&params, password, salt, tag.len())
            .is_ok_and(|computed| equal_in_constant_time(computed.as_bytes(), tag.as_bytes()))
    }

    /// Works as hard as a hash with these parameters.
    pub fn spend(&self, params: &Params, password: &[u8]) {
        // Only the time matters.
        let _ = self.tag(params, password, &[0; 16], Params::DEFAULT_OUTPUT_LEN);
    }
}

/// A hash that no password has: its tag is random.
pub fn decoy(params: &Params, salt: &[u8], tag: &[u8]) -> Result<String> {
    phc(params, salt, Output::new(tag).map_err(Error::internal)?)
}

fn phc(params: &Params, salt: &[u8], tag: Output) -> Result<String> {
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(Error::internal)?,
        salt: Some(Salt::new(salt).map_err(Error::internal)?),
        hash: Some(tag),
    };
    Ok(phc.to_string())
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher, PasswordVerifier};

    use super::*;

    /// The library's own hashes are ours, and the other way round, also in memory that another hash has filled.
    #[test]
    fn hashes_are_the_librarys() {
        let memory = Memory::default();
        for (cost, word) in [(64, "first"), (8, "second"), (128, "third")] {
            let params = Params::new(cost, 2, 1, None).unwrap();
            let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
            let theirs = argon.hash_password_with_salt(word.as_bytes(), &[7; 16]).unwrap();
            assert_eq!(memory.hash(&params, word.as_bytes(), &[7; 16]).unwrap(), theirs.to_string());
            assert!(memory.fits(&theirs, word.as_bytes()) && !memory.fits(&theirs, b"wrong"));
            assert!(Argon2::default().verify_password(word.as_bytes(), &theirs).is_ok());
        }
    }

    #[test]
    fn nothing_fits_a_decoy_or_a_strange_hash() {
        let (memory, params) = (Memory::default(), Params::new(8, 1, 1, None).unwrap());
        let decoy = decoy(&params, &[1; 16], &[2; 32]).unwrap();
        assert!(!memory.fits(&PasswordHash::new(&decoy).unwrap(), b"password"));
        let hash = memory.hash(&params, b"password", &[1; 16]).unwrap();
        for strange in [hash.replace("argon2id", "argon2i"), hash.replace("v=19", "v=16")] {
            assert!(!memory.fits(&PasswordHash::new(&strange).unwrap(), b"password"), "{strange}");
        }
    }
}
