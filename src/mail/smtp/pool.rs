//! Connections that are kept for the next letter.
//!
//! A connection is taken out of the pool by value and put back when a letter was handed over well. Whatever else happens,
//! a failure or a future that is dropped in the middle of a letter, drops the connection with it: none comes back of which
//! nobody knows where its conversation stands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::connection::Connection;

/// How long a connection is used, so that a change of the server's address is followed.
const LONGEST_USE: Duration = Duration::from_secs(300);

/// Letters over one connection. Servers have bounds of their own, mostly higher ones.
const MOST_LETTERS: u32 = 100;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// Connections to the server at a time, at most; 0: one for each letter.
    pub connections: usize,
    /// How long one without a letter is kept. Shorter than servers wait.
    pub idle: Duration,
}

pub(super) struct Pool {
    pooling: Pooling,
    /// A place for each connection that is in use. Whoever has one takes a kept connection before opening another, so
    /// those in use and those that are kept are never more than there are places.
    places: Arc<Semaphore>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// The longest idle first.
    idle: Vec<Connection>,
    /// A task ends those that are idle for too long.
    watched: bool,
    closed: bool,
}

impl Pool {
    pub fn new(pooling: Pooling) -> Self {
        let places = if pooling.connections == 0 { Semaphore::MAX_PERMITS } else { pooling.connections };
        Self { pooling, places: Arc::new(Semaphore::new(places)), kept: Arc::default() }
    }

    /// Waits until one more connection may be in use. `None` would be a closed semaphore, and nobody closes it.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }

    /// A kept connection that still answers.
    pub async fn take(&self) -> Option<Connection> {
        loop {
            let found = lock(&self.kept).idle.pop();
            let mut conn = found?;
            if !self.is_over(&conn) && conn.is_ready().await {
                return Some(conn);
            }
            // Not waited for: it is idle for too long, or gone.
            drop(conn);
        }
    }

    /// Keeps a connection over which a letter has just gone, or says goodbye on it.
    pub async fn put_back(&self, mut conn: Connection) {
        conn.idle_since = Instant::now();
        let is_used_up = conn.letters >= MOST_LETTERS || conn.opened_at.elapsed() >= LONGEST_USE;
        if self.pooling.connections == 0 || is_used_up {
            return conn.close().await;
        }
        let refused = self.keep(conn);
        if let Some(conn) = refused {
            conn.close().await;
        }
    }

    /// Gives the connection back where the pool has been closed meanwhile.
    fn keep(&self, conn: Connection) -> Option<Connection> {
        let mut kept = lock(&self.kept);
        if kept.closed {
            return Some(conn);
        }
        kept.idle.push(conn);
        if !kept.watched {
            kept.watched = true;
            tokio::spawn(watch(Arc::downgrade(&self.kept), self.pooling.idle));
        }
        None
    }

    fn is_over(&self, conn: &Connection) -> bool {
        conn.idle_since.elapsed() >= self.pooling.idle
    }

    /// Says goodbye on all of them, and keeps none from now on.
    pub async fn close(&self) {
        let idle = {
            let mut kept = lock(&self.kept);
            kept.closed = true;
            std::mem::take(&mut kept.idle)
        };
        join_all(idle.into_iter().map(Connection::close)).await;
    }
}

/// Ends what is idle for too long, until nothing is kept.
async fn watch(kept: Weak<Mutex<Kept>>, idle: Duration) {
    loop {
        let Some((over, next)) = kept.upgrade().map(|kept| sort_out(&kept, idle)) else { return };
        join_all(over.into_iter().map(Connection::close)).await;
        let Some(next) = next else { return };
        tokio::time::sleep_until(next).await;
    }
}

/// Those that are idle for too long, and when the next one will be.
fn sort_out(kept: &Mutex<Kept>, idle: Duration) -> (Vec<Connection>, Option<Instant>) {
    let mut kept = lock(kept);
    let (over, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut kept.idle).into_iter().partition(|conn| conn.idle_since.elapsed() >= idle);
    let next = rest.iter().map(|conn| conn.idle_since + idle).min();
    kept.idle = rest;
    kept.watched = next.is_some();
    (over, next)
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
