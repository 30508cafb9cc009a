//! What each connection waits for, and who has waited long enough.
//!
//! A connection notes each step in one word: its phase, and a count of the steps. Every so often one task looks at all of
//! them; a word that has stayed the same for so many looks is overdue. So a step costs one store, and no clock is read.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The rest of a request's head.
    Head = 0,
    /// The rest of a request's body, which a handler asks for.
    Body = 1,
    /// A handler of ours, which has limits of its own.
    Working = 2,
    /// That the peer takes the answer, and then asks again.
    Answered = 3,
    /// Nothing: its time is over.
    Closed = 4,
}

impl Phase {
    const BITS: u32 = 3;

    fn of(word: u32) -> Self {
        match word & ((1 << Self::BITS) - 1) {
            0 => Self::Head,
            1 => Self::Body,
            2 => Self::Working,
            3 => Self::Answered,
            _ => Self::Closed,
        }
    }

    /// The word of the next step.
    fn after(self, word: u32) -> u32 {
        ((word >> Self::BITS).wrapping_add(1) << Self::BITS) | self as u32
    }
}

/// A connection, as its requests know it.
#[derive(Debug)]
pub struct Connection {
    pub peer: SocketAddr,
    /// Its next answer is lost on the way: a sandbox was asked to.
    pub loses_answer: Arc<AtomicBool>,
    word: AtomicU32,
    io: AtomicWaker,
    body: AtomicWaker,
}

impl Connection {
    fn new(peer: SocketAddr) -> Self {
        Self {
            peer,
            loses_answer: Arc::default(),
            word: AtomicU32::new(0),
            io: AtomicWaker::new(),
            body: AtomicWaker::new(),
        }
    }

    /// # Errors
    /// The answer is to be lost, and the connection with it.
    pub(super) fn check_answer(&self) -> io::Result<()> {
        match self.loses_answer.load(Ordering::Acquire) {
            true => Err(ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.word.load(Ordering::Acquire))
    }

    /// Notes a step; false when the connection's time is over. One task at a time takes steps.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        let word = self.word.load(Ordering::Acquire);
        Phase::of(word) != Phase::Closed && self.step(word, phase)
    }

    fn step(&self, word: u32, phase: Phase) -> bool {
        let next = phase.after(word);
        self.word.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether to go on waiting for the peer, who wakes `cx` when it comes, as does the end of its time.
    pub(super) fn may_wait(&self, cx: &Context<'_>) -> bool {
        self.io.register(cx.waker());
        self.phase() != Phase::Closed
    }

    /// What `reading` gives, or `None` when the peer takes too long to send it.
    pub async fn in_time<T>(&self, reading: impl Future<Output = T>) -> Option<T> {
        let (mut reading, mut waits) = (pin!(reading), false);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(read) = reading.as_mut().poll(cx) {
                if waits {
                    self.enter(Phase::Working);
                }
                return Poll::Ready(Some(read));
            }
            if !waits {
                self.enter(Phase::Body);
                waits = true;
            }
            self.body.register(cx.waker());
            if self.phase() == Phase::Body { Poll::Pending } else { Poll::Ready(None) }
        })
        .await
    }

    /// Ends a wait that began with this word, unless it has ended by itself.
    fn end_wait(&self, word: u32) {
        if Phase::of(word) == Phase::Body {
            if self.step(word, Phase::Working) {
                self.body.wake();
            }
        } else if self.step(word, Phase::Closed) {
            self.io.wake();
        }
    }
}

/// How long a connection may wait in a phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub head: Duration,
    pub body: Duration,
    pub idle: Duration,
}

/// How often we look within the shortest limit.
const LOOKS: u32 = 8;

/// All connections that are open.
pub(super) struct Open {
    limits: Limits,
    entries: Mutex<Vec<Entry>>,
    crowded: AtomicBool,
}

struct Entry {
    connection: Weak<Connection>,
    seen: u32,
    /// Looks since the word has changed.
    looks: u32,
}

impl Open {
    pub fn new(limits: Limits) -> Self {
        Self { limits, entries: Mutex::default(), crowded: AtomicBool::new(false) }
    }

    pub fn add(&self, peer: SocketAddr) -> Arc<Connection> {
        let connection = Arc::new(Connection::new(peer));
        // No word of a connection, so that the first look begins the wait.
        let entry = Entry { connection: Arc::downgrade(&connection), seen: u32::MAX, looks: 0 };
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        connection
    }

    /// While `waiting` lasts, idle connections are ended for the sake of who waits.
    pub async fn making_room<T>(&self, waiting: impl Future<Output = T>) -> T {
        self.crowded.store(true, Ordering::Relaxed);
        let place = waiting.await;
        self.crowded.store(false, Ordering::Relaxed);
        place
    }

    /// Looks at all connections, again and again.
    pub async fn look_after(&self) {
        let Limits { head, body, idle } = self.limits;
        let pause = head.min(body).min(idle) / LOOKS;
        loop {
            tokio::time::sleep(pause).await;
            self.look(pause, self.crowded.load(Ordering::Relaxed));
        }
    }

    fn look(&self, pause: Duration, crowded: bool) {
        let looks_of = |limit: Duration| (limit.as_secs_f64() / pause.as_secs_f64()).round() as u32;
        let Limits { head, body, idle } = self.limits;
        let (head, body, idle) = (looks_of(head), looks_of(body), looks_of(idle));
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain_mut(|entry| {
            let Some(connection) = entry.connection.upgrade() else { return false };
            let word = connection.word.load(Ordering::Acquire);
            if word != entry.seen {
                (entry.seen, entry.looks) = (word, 0);
                return true;
            }
            entry.looks += 1;
            let most = match Phase::of(word) {
                Phase::Head => head,
                Phase::Body => body,
                Phase::Answered if crowded => 1,
                Phase::Answered => idle,
                Phase::Working | Phase::Closed => return true,
            };
            if entry.looks >= most {
                connection.end_wait(word);
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    fn open() -> (Open, Arc<Connection>) {
        let limits = Limits {
            head: Duration::from_secs(2),
            body: Duration::from_secs(3),
            idle: Duration::from_secs(4),
        };
        let open = Open::new(limits);
        let connection = open.add(SocketAddr::from(([127, 0, 0, 1], 9)));
        (open, connection)
    }

    /// How many looks a connection outlasts that takes no step.
    fn outlasts(open: &Open, connection: &Connection, crowded: bool) -> usize {
        let before = connection.phase();
        (0..100)
            .take_while(|_| {
                open.look(PAUSE, crowded);
                connection.phase() == before
            })
            .count()
    }

    #[test]
    fn each_phase_has_its_limit() {
        // The first look begins the wait.
        let (open, connection) = open();
        assert_eq!(outlasts(&open, &connection, false), 2);
        assert_eq!(connection.phase(), Phase::Closed);
        assert!(!connection.enter(Phase::Working), "a closed connection takes no step");
        for (phase, crowded, looks) in [
            (Phase::Body, false, 3),
            (Phase::Answered, false, 4),
            (Phase::Answered, true, 1),
            (Phase::Working, true, 100),
            (Phase::Head, true, 2),
        ] {
            let (open, connection) = self::open();
            connection.enter(phase);
            assert_eq!(outlasts(&open, &connection, crowded), looks, "{phase:?}");
        }
    }

    #[test]
    fn a_step_begins_the_wait_anew() {
        let (open, connection) = open();
        for _ in 0..20 {
            open.look(PAUSE, false);
            open.look(PAUSE, false);
            assert!(connection.enter(Phase::Answered));
        }
        drop(connection);
        open.look(PAUSE, false);
        assert!(open.entries.lock().unwrap().is_empty(), "what has ended is forgotten");
    }
}
