//! Password hashing off the async threads, in a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// argon2id with bounded concurrency: `workers` at once, at most `queue_length` waiting, 503 for the rest.
#[derive(Clone)]
pub struct Hasher {
    params: Params,
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    queue_length: usize,
    /// The hash of a password nobody has: an unknown user costs as much as a known one.
    decoy: Arc<str>,
}

impl Hasher {
    /// # Errors
    /// Parameters that argon2 refuses.
    pub fn new(
        entropy: &Entropy,
        memory_kib: u32,
        iterations: u32,
        workers: usize,
        queue_length: usize,
    ) -> Result<Self> {
        let params = Params::new(memory_kib, iterations, 1, None).map_err(Error::internal)?;
        let decoy = hash(&params, &entropy.token("")?, &entropy.bytes::<16>()?)?.into();
        let places = Arc::new(Semaphore::new(workers.max(1)));
        Ok(Self { params, places, waiting: Arc::default(), queue_length, decoy })
    }

    /// Hashes a new password into PHC form.
    pub async fn hash(&self, entropy: &Entropy, password: Secret) -> Result<String> {
        let (params, salt) = (self.params.clone(), entropy.bytes::<16>()?);
        self.run(move || hash(&params, &password, &salt)).await?
    }

    /// Whether the password fits. `None` (no such user) takes as long as a wrong password.
    pub async fn verify(&self, stored: Option<&str>, password: Secret) -> Result<bool> {
        let (known, phc) = (stored.is_some(), stored.unwrap_or(&self.decoy).to_owned());
        let fits = self
            .run(move || {
                let parsed = PasswordHash::new(&phc).map_err(Error::internal)?;
                Ok::<_, Error>(
                    Argon2::default().verify_password(password.expose().as_bytes(), &parsed).is_ok(),
                )
            })
            .await??;
        Ok(fits && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        if self.waiting.fetch_add(1, Ordering::SeqCst) >= self.queue_length {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::unavailable(1, "the password queue is full"));
        }
        let place = self.places.clone().acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let place = place.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        })
        .await
        .map_err(Error::internal)
    }
}

fn hash(params: &Params, password: &Secret, salt: &[u8]) -> Result<String> {
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let phc = argon.hash_password_with_salt(password.expose().as_bytes(), salt).map_err(Error::internal)?;
    Ok(phc.to_string())
}
