//! For those who watch the store from outside: what it did, and a gate before each statement.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::conn::Kind;

/// Statements by what they were lent for, and units by run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatementCounts {
    /// Statements in [`super::Db::read`].
    pub reads: u64,
    /// Statements in [`super::Db::write`] and [`super::Db::unit`].
    pub writes: u64,
    /// Runs of units, repetitions included.
    pub units: u64,
}

/// A statement that waits to be let go, which dropping this does.
#[derive(Debug)]
pub struct Held {
    _go: oneshot::Sender<()>,
}

#[derive(Default)]
pub(super) struct Counters {
    reads: AtomicU64,
    writes: AtomicU64,
    units: AtomicU64,
    gate: OnceLock<mpsc::UnboundedSender<Held>>,
}

impl Counters {
    pub(super) fn unit(&self) {
        self.units.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn statement(&self, kind: Kind) {
        let counter = if kind == Kind::Read { &self.reads } else { &self.writes };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> StatementCounts {
        StatementCounts {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            units: self.units.load(Ordering::Relaxed),
        }
    }

    pub(super) fn hold(&self) -> mpsc::UnboundedReceiver<Held> {
        let (gate, held) = mpsc::unbounded_channel();
        // Taken already: the caller's receiver is closed at once, and holds nothing.
        let _ = self.gate.set(gate);
        held
    }

    /// Where a statement waits when somebody holds them; otherwise this is one look at a pointer.
    pub(super) async fn pass(&self) {
        if let Some(gate) = self.gate.get() {
            let (go, wait) = oneshot::channel();
            if gate.send(Held { _go: go }).is_ok() {
                // It ends when what was sent is dropped.
                let _ = wait.await;
            }
        }
    }
}
