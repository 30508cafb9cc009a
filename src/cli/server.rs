//! Serving, and ending well: stop accepting, finish what runs, close the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::app::App;
use crate::events;
use crate::http::connections;
use crate::jobs;
use crate::ledger::{self, mark};

/// The longest that closing the store may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT; what runs then is finished within `grace`, unless a second signal cuts it short.
pub async fn serve(app: Arc<App>, listener: TcpListener, grace: Duration) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    mark::at_start(&app).await?;
    tracing::info!(address = %listener.local_addr()?, base_url = app.base_url, "listening");
    let jobs = jobs::start(&app);
    let (stop, stopping) = oneshot::channel::<()>();
    let server = connections::serve(app.clone(), listener, async {
        let _ = stopping.await;
    });
    let copying = tokio::spawn(ledger::file::keep_copying(app.clone()));
    let looking = tokio::spawn(mark::keep_looking(app.clone()));
    let mut server = tokio::spawn(server);
    tokio::select! {
        ended = &mut server => ended?,
        () = signals.next() => {
            tracing::info!("stopping: what runs is finished, nothing new is accepted");
            let _ = stop.send(());
            // A request outlives its connection when the client hangs up.
            let answered = async {
                let ended = server.await;
                app.running.finished().await;
                ended
            };
            let finished = async { tokio::join!(answered, jobs.stop()).0 };
            tokio::select! {
                ended = finished => ended?,
                () = tokio::time::sleep(grace) => tracing::warn!(running = app.running.count(), "some requests did not end in time"),
                () = signals.next() => tracing::warn!(running = app.running.count(), "stopping at once"),
            }
        }
    }
    // What the last requests noted.
    if tokio::time::timeout(CLOSE_LIMIT, events::flush(&app)).await.is_err() {
        tracing::warn!("the last sign-in events were not written");
    }
    if tokio::time::timeout(CLOSE_LIMIT, app.mailer.close()).await.is_err() {
        tracing::warn!("the mail server did not say goodbye");
    }
    // It may end anywhere: the next start goes on from the last whole line.
    copying.abort();
    looking.abort();
    if tokio::time::timeout(CLOSE_LIMIT, app.db.close()).await.is_err() {
        tracing::warn!("the store did not close in time");
    }
    tracing::info!("stopped");
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
