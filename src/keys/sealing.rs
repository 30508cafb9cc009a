//! AES-256-GCM (NIST SP 800-38D) with a random nonce: `nonce ‖ ciphertext ‖ tag`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::error::{Error, Result};

/// Seals `plain`; `bound` is what the blob belongs to, and must be the same to open it.
pub(super) fn seal(entropy: &Entropy, key: &[u8; 32], bound: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let nonce = entropy.bytes::<NONCE_LEN>()?;
    let mut sealed = plain.to_vec();
    cipher(key)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut sealed)
        .map_err(|_| Error::internal("sealing failed"))?;
    Ok([&nonce[..], &sealed].concat())
}

/// # Errors
/// A blob that was altered, that belongs elsewhere, or that another key sealed.
pub(super) fn open(key: &[u8; 32], bound: &[u8], blob: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = blob.split_first_chunk::<NONCE_LEN>().ok_or_else(does_not_open)?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = cipher(key)?.open_in_place(nonce, Aad::from(bound), &mut plain);
    let length = opened.map_err(|_| does_not_open())?.len();
    plain.truncate(length);
    Ok(plain)
}

pub(super) fn does_not_open() -> Error {
    Error::internal("a sealed value does not open")
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::internal("bad key length"))?;
    Ok(LessSafeKey::new(key))
}
