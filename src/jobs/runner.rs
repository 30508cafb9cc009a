//! The loop that `serve` and `dev` start beside the server: one task for each job.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Job, run_if_due};
use crate::app::App;
use crate::events;

/// How often a node looks whether a job with a long interval is due.
const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// The running jobs of this node. Dropping it cuts them short, which is safe, but leaves their leases to lapse.
pub struct Runner {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Starts looking for due jobs, and writing what this node notes.
pub fn start(app: &Arc<App>) -> Runner {
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for job in Job::ALL {
        tasks.spawn(keep_running(Arc::clone(app), job, stopped.clone()));
    }
    tasks.spawn(events::keep_flushing(Arc::clone(app), stopped));
    Runner { stop, tasks }
}

impl Runner {
    /// Lets the step under way finish and begins no other.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn keep_running(app: Arc<App>, job: Job, mut stop: watch::Receiver<bool>) {
    let look = Duration::from_secs(job.interval().unsigned_abs()).min(LONGEST_LOOK);
    while !*stop.borrow() {
        if let Err(error) = run_if_due(&app, job, &stop).await {
            let cause = error.cause().map(|cause| format!("{cause:#}")).unwrap_or_default();
            tracing::warn!(job = job.name(), code = error.code().as_str(), cause, "the store did not answer");
        }
        tokio::select! {
            () = tokio::time::sleep(look) => {}
            _ = stop.changed() => {}
        }
    }
}
