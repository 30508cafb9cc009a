//! What callers run, whatever comes of it: one type for all, so that what surrounds it is compiled once and not for each of
//! some hundred callers. (Measured: the code of the program is a ninth smaller.)

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use super::conn::Conn;
use crate::error::{Error, Result};

/// The statements of one call, for a connection on loan; may be run again.
pub(super) type Work<'w> = dyn Fn(Conn) -> Run<'w> + Sync + 'w;

/// One run of them.
pub(super) type Run<'w> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'w>>;

/// Where the last run leaves its answer.
pub(super) struct Answer<T>(Mutex<Option<T>>);

impl<T: Send> Answer<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    pub(super) fn of<'w>(&'w self, run: impl Future<Output = Result<T>> + Send + 'w) -> Run<'w> {
        Box::pin(async move {
            let answer = run.await?;
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            Ok(())
        })
    }

    pub(super) fn take(self) -> Result<T> {
        let answer = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        answer.ok_or_else(|| Error::internal("a call of the store ended well and left no answer"))
    }
}
