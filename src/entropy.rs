//! The one source of random bytes.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::model::timestamp::Timestamp;
use crate::secret::{Secret, encode_base64url};

/// Random bytes from the operating system's generator, through the app's crypto provider.
#[derive(Clone, Debug)]
pub struct Entropy(SystemRandom);

impl Default for Entropy {
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl Entropy {
    /// Lets the generator gather its seed beside what a start does anyway. AWS-LC adds the jitter of the processor to what
    /// the operating system gives, which takes 50 ms, once for each process (measured).
    pub fn warm_up() {
        std::thread::spawn(|| Self::default().bytes::<1>());
    }

    /// `N` fresh random bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes).map_err(|_| Error::internal("the operating system gave no random bytes"))?;
        Ok(bytes)
    }

    /// A UUID version 7 for `now`, as any newtype of [`crate::ids`].
    pub fn id<T: From<Uuid>>(&self, now: Timestamp) -> Result<T> {
        let random = self.bytes::<10>()?;
        let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
        Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into())
    }

    /// A secret that we make: `prefix` and 256 random bits in URL-safe characters.
    pub fn token(&self, prefix: &str) -> Result<Secret> {
        Ok(Secret::new(format!("{prefix}{}", encode_base64url(&self.bytes::<32>()?))))
    }
}
