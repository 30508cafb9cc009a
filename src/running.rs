//! What is under way. A shutdown waits for it, because a request goes on when its client has hung up.

use tokio::sync::watch;

/// Counts tasks that must be finished before the store is closed.
#[derive(Clone, Debug)]
pub struct Running(watch::Sender<usize>);

/// Counts as one task until it is dropped.
pub struct Task(watch::Sender<usize>);

impl Default for Running {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Running {
    /// One more task, until the value is dropped.
    #[must_use]
    pub fn begin(&self) -> Task {
        self.0.send_modify(|count| *count += 1);
        Task(self.0.clone())
    }

    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until nothing runs.
    pub async fn finished(&self) {
        // Fails only without a sender, and `self` is one.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
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
