//! Password hashing off the async threads, in a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::Params;
use argon2::password_hash::phc::PasswordHash;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::argon::{self, Memory};
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// argon2id with bounded concurrency: `workers` at once, at most `queue_length` waiting, 503 for the rest.
#[derive(Clone)]
pub struct Hasher {
    params: Params,
    memory: Memory,
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
        let decoy = argon::decoy(&params, &entropy.bytes::<16>()?, &entropy.bytes::<32>()?)?.into();
        let places = Arc::new(Semaphore::new(workers.max(1)));
        let (memory, waiting) = (Memory::default(), Arc::default());
        Ok(Self { params, memory, places, waiting, queue_length, decoy })
    }

    /// Hashes a new password into PHC form.
    pub async fn hash(&self, entropy: &Entropy, password: Secret) -> Result<String> {
        let (params, memory, salt) = (self.params.clone(), self.memory.clone(), entropy.bytes::<16>()?);
        self.run(move || memory.hash(&params, normalized(&password).as_bytes(), &salt)).await?
    }

    /// Whether the password fits. `None` (no such user, or one without a password) takes as long as a wrong password.
    pub async fn verify(&self, stored: Option<&str>, password: Secret) -> Result<bool> {
        let (known, phc) = (stored.is_some(), stored.unwrap_or(&self.decoy).to_owned());
        let (params, memory) = (self.params.clone(), self.memory.clone());
        let fits = self
            .run(move || {
                let parsed = PasswordHash::new(&phc).map_err(Error::internal)?;
                let password = normalized(&password);
                let fits = memory.fits(&parsed, password.as_bytes());
                if !fits && let Some(rest) = rest_of_the_price(&params, &parsed) {
                    memory.spend(&rest, password.as_bytes());
                }
                Ok::<_, Error>(fits)
            })
            .await??;
        Ok(fits && known)
    }

    /// Whether a stored hash was made with other parameters than today's.
    pub fn is_outdated(&self, phc: &str) -> bool {
        let stored = PasswordHash::new(phc).ok().and_then(|parsed| Params::try_from(&parsed).ok());
        let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        stored.is_none_or(|stored| costs(&stored) != costs(&self.params))
    }

    /// How many wait for a place.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Runs work that keeps a processor busy, when its turn comes.
    ///
    /// # Errors
    /// `temporarily_unavailable` when too many wait already.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        if self.waiting.fetch_add(1, Ordering::SeqCst) >= self.queue_length {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::unavailable(1, "the password queue is full"));
        }
        let place = self.places.clone().acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let place = place.map_err(Error::internal)?;
        let (memory, waiting) = (self.memory.clone(), self.waiting.clone());
        tokio::task::spawn_blocking(move || {
            let _place = place;
            let done = work();
            // Under load the next hash takes the memory over; afterwards it goes back.
            if waiting.load(Ordering::SeqCst) == 0 {
                memory.release();
            }
            done
        })
        .await
        .map_err(Error::internal)
    }
}

/// One text, one password, whatever keyboard composed it (RFC 8265, 4.2.2: normalization form C).
fn normalized(password: &Secret) -> Zeroizing<String> {
    Zeroizing::new(password.expose().nfc().collect())
}

/// A hash from cheaper days answers sooner than the decoy, and so would tell that the account exists: what is left to pay.
/// The time argon2 takes is proportional to memory times passes.
fn rest_of_the_price(params: &Params, stored: &PasswordHash) -> Option<Params> {
    let cost = |params: &Params| u64::from(params.m_cost()) * u64::from(params.t_cost());
    let paid = Params::try_from(stored).map_or(0, |stored| cost(&stored));
    let memory = cost(params).saturating_sub(paid) / u64::from(params.t_cost());
    u32::try_from(memory).ok().and_then(|memory| Params::new(memory, params.t_cost(), 1, None).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(memory_kib: u32) -> Hasher {
        Hasher::new(&Entropy::default(), memory_kib, 2, 1, 4).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_one_however_it_is_composed() {
        let hasher = hasher(8);
        let phc = hasher.hash(&Entropy::default(), Secret::new("caf\u{e9} 12345")).await.unwrap();
        let fits = |text: &str| {
            let (hasher, phc, text) = (hasher.clone(), phc.clone(), Secret::new(text));
            async move { hasher.verify(Some(&phc), text).await.unwrap() }
        };
        assert!(fits("caf\u{e9} 12345").await && fits("cafe\u{301} 12345").await);
        assert!(!fits("cafe 12345").await && !fits("CAF\u{c9} 12345").await);
        assert!(!hasher.verify(None, Secret::new("caf\u{e9} 12345")).await.unwrap());
    }

    #[tokio::test]
    async fn other_parameters_make_a_hash_outdated() {
        let (old, new) = (hasher(8), hasher(64));
        let phc = old.hash(&Entropy::default(), Secret::new("correct horse")).await.unwrap();
        assert!(!old.is_outdated(&phc) && new.is_outdated(&phc) && new.is_outdated("nonsense"));
        assert!(new.verify(Some(&phc), Secret::new("correct horse")).await.unwrap());
    }

    #[tokio::test]
    async fn a_wrong_password_costs_the_same_under_old_parameters() {
        let entropy = Entropy::default();
        let (old, new) = (hasher(2048), hasher(16_384));
        let phc = old.hash(&entropy, Secret::new("correct horse")).await.unwrap();
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            for (stored, times) in [(Some(phc.as_str()), &mut known), (None, &mut unknown)] {
                let start = std::time::Instant::now();
                assert!(!new.verify(stored, Secret::new("wrong")).await.unwrap());
                times.push(start.elapsed().as_secs_f64());
            }
        }
        // The quickest of each is what the work takes on a busy machine; without the rest it would be an eighth.
        let quickest = |times: &[f64]| times.iter().copied().fold(f64::MAX, f64::min);
        let ratio = quickest(&known) / quickest(&unknown);
        assert!((0.5..2.0).contains(&ratio), "{ratio}");
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let hasher = hasher(8);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.run(move || wait.recv()).await }
        });
        while hasher.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.verify(None, Secret::new("x")).await })
            })
            .collect();
        while hasher.waiting() < 4 {
            tokio::task::yield_now().await;
        }
        let refused = hasher.verify(None, Secret::new("x")).await.err().unwrap();
        assert_eq!((refused.code().status(), refused.retry_after()), (503, Some(1)));
        drop(go);
        assert!(busy.await.unwrap().is_ok());
        for turn in waiting {
            assert!(!turn.await.unwrap().unwrap());
        }
    }
}
