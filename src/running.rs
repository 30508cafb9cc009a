//! What is under way. A shutdown waits for it, because a request goes on when its client has hung up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts tasks that must be finished before the store is closed. Cloning it shares the count.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Tasks>);

#[derive(Debug, Default)]
struct Tasks {
    count: AtomicUsize,
    /// Told whenever the last one has ended.
    idle: Notify,
}

/// Counts as one task until it is dropped.
pub struct Task(Arc<Tasks>);

impl Running {
    /// One more task, until the value is dropped.
    #[must_use]
    pub fn begin(&self) -> Task {
        self.0.count.fetch_add(1, Ordering::AcqRel);
        Task(self.0.clone())
    }

    pub fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until nothing runs.
    pub async fn finished(&self) {
        loop {
            let mut idle = std::pin::pin!(self.0.idle.notified());
            // Before the look at the count, so that no end goes by between the two.
            idle.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shutdown_waits_for_the_last_task() {
        let running = Running::default();
        running.finished().await;
        let (first, second) = (running.begin(), running.begin());
        let waiting = tokio::spawn({
            let running = running.clone();
            async move { running.finished().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert_eq!((running.count(), waiting.is_finished()), (1, false));
        drop(second);
        waiting.await.unwrap();
    }
}
