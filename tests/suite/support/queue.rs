//! The queue of the password hasher, held and let go.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use tessera::identity::passwords::Hasher;

/// Keeps every worker of the password queue busy until the sender is dropped.
pub async fn hold_queue(hasher: &Hasher, workers: usize) -> Sender<()> {
    let (go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let (busy, mut all_busy) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..workers {
        let (hasher, wait, busy) = (hasher.clone(), wait.clone(), busy.clone());
        let work = move || {
            busy.send(()).unwrap();
            let _ = wait.lock().unwrap().recv();
        };
        tokio::spawn(async move { hasher.run(work).await });
    }
    for _ in 0..workers {
        all_busy.recv().await;
    }
    go
}

pub async fn until_somebody_waits(hasher: &Hasher) {
    while hasher.waiting() == 0 {
        tokio::task::yield_now().await;
    }
}
