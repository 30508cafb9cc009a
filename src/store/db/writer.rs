//! SQLite's one writer: a task that owns the write connection and alone begins, saves, rolls back and commits.
//!
//! Units run one after the other, each in a savepoint; a group of them shares one COMMIT, and so one fsync.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::conn::{Conn, Engine, Kind, sqlite_code, store_error};
use super::counters::Counters;
use super::sqlite::UNIT_LIMIT;
use crate::error::{Error, Result};

/// A group commits after so many units…
const GROUP_UNITS: usize = 64;
/// …or after this time, or when nobody waits.
const GROUP_TIME: Duration = Duration::from_millis(2);
/// How often another process's lock is tried, and for how long: SQLite's own back-off starves beside a busy writer.
const BUSY_PAUSE: Duration = Duration::from_micros(500);
pub(super) const BUSY_LIMIT: Duration = Duration::from_secs(30);
/// Units that may wait for their turn; who comes on top of them is turned away at once.
const QUEUE: usize = 1024;
/// How many steps SQLite's machine makes before it asks whether the statement may go on: well under a millisecond.
const STEPS: i32 = 10_000;

/// The way to the writer task.
#[derive(Clone)]
pub(super) struct Writer(mpsc::Sender<Request>);

enum Request {
    Borrow { kind: Kind, counters: Arc<Counters>, grant: oneshot::Sender<Result<Loan>> },
    Stop { done: oneshot::Sender<()> },
}

/// The write connection in a unit's hands. Dropping `verdict` means rolling back.
pub(super) struct Loan {
    pub(super) conn: Conn,
    pub(super) verdict: oneshot::Sender<bool>,
    pub(super) settled: oneshot::Receiver<Result<()>>,
}

pub(super) fn unit_too_long() -> Error {
    Error::unavailable(1, "the unit held the write connection for too long")
}

impl Writer {
    pub(super) async fn start(options: SqliteConnectOptions) -> Result<Self> {
        let deadline = Deadline::default();
        let conn = Some(open(&options, &deadline).await?);
        let (sender, requests) = mpsc::channel(QUEUE);
        tokio::spawn(Task { options, requests, next: None, conn, deadline }.run());
        Ok(Self(sender))
    }

    pub(super) async fn borrow(&self, kind: Kind, counters: &Arc<Counters>) -> Result<Loan> {
        let (grant, granted) = oneshot::channel();
        let request = Request::Borrow { kind, counters: Arc::clone(counters), grant };
        self.0.try_send(request).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::unavailable(1, "too many units wait for the write connection"),
            TrySendError::Closed(_) => Error::unavailable(1, "the writer has ended"),
        })?;
        granted.await.map_err(|_| Error::unavailable(1, "the writer has ended"))?
    }

    pub(super) fn is_running(&self) -> bool {
        !self.0.is_closed()
    }

    pub(super) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.0.send(Request::Stop { done }).await.is_ok() {
            let _ = stopped.await;
        }
    }
}

struct Task {
    options: SqliteConnectOptions,
    requests: mpsc::Receiver<Request>,
    /// A request that was taken from the queue but belongs to the next group.
    next: Option<Request>,
    /// None while a unit has it, and after a failure that makes a new one necessary.
    conn: Option<SqliteConnection>,
    deadline: Deadline,
}

impl Task {
    async fn run(mut self) {
        loop {
            let request = match self.next.take() {
                Some(request) => Some(request),
                None => self.requests.recv().await,
            };
            match request {
                Some(Request::Borrow { kind, counters, mut grant }) => match self.begin(&mut grant).await {
                    Ok(()) => self.group((kind, counters, grant)).await,
                    Err(error) => drop(grant.send(Err(error))),
                },
                Some(Request::Stop { done }) => {
                    self.requests.close();
                    self.discard().await;
                    let _ = done.send(());
                    return;
                }
                None => return self.discard().await,
            }
        }
    }

    /// Runs units until the group is full, old, or nobody waits, then commits and wakes them all.
    async fn group(&mut self, first: (Kind, Arc<Counters>, oneshot::Sender<Result<Loan>>)) {
        let begun = Instant::now();
        let mut waiting = Vec::new();
        let mut turn = Some(first);
        let mut outcome = Ok(());
        let mut units = 0;
        while let Some((kind, counters, grant)) = turn.take() {
            outcome = self.unit(kind, &counters, grant, &mut waiting).await;
            units += 1;
            if outcome.is_err() || units >= GROUP_UNITS || begun.elapsed() >= GROUP_TIME {
                break;
            }
            match self.requests.try_recv() {
                Ok(Request::Borrow { kind, counters, grant }) => turn = Some((kind, counters, grant)),
                Ok(stop @ Request::Stop { .. }) => self.next = Some(stop),
                Err(_) => {}
            }
        }
        if outcome.is_ok() {
            outcome = self.say("COMMIT").await;
        }
        if outcome.is_err() {
            self.discard().await;
        }
        for settled in waiting {
            let answer = match &outcome {
                Ok(()) => Ok(()),
                Err(error) => Err(Error::unavailable(1, error)),
            };
            let _ = settled.send(answer);
        }
    }

    /// Lends the connection for one unit. An error means that the transaction of the whole group is gone.
    async fn unit(
        &mut self,
        kind: Kind,
        counters: &Arc<Counters>,
        grant: oneshot::Sender<Result<Loan>>,
        waiting: &mut Vec<oneshot::Sender<Result<()>>>,
    ) -> Result<(), sqlx::Error> {
        if grant.is_closed() {
            return Ok(());
        }
        self.say("SAVEPOINT unit").await?;
        let Some(conn) = self.conn.take() else { return Err(sqlx::Error::WorkerCrashed) };
        let lent = Conn::lend(Engine::SqliteWriter(conn), kind, true, counters);
        let handle = lent.share();
        let (verdict, decided) = oneshot::channel();
        let (settled, answer) = oneshot::channel();
        waiting.push(settled);
        self.deadline.set(UNIT_LIMIT);
        // A unit that gave up meanwhile drops the loan, and with it the verdict.
        let _ = grant.send(Ok(Loan { conn: lent, verdict, settled: answer }));
        let verdict = tokio::time::timeout(UNIT_LIMIT, decided).await;
        let returned = handle.take().await;
        let Some(Engine::SqliteWriter(mut conn)) = returned.engine else {
            return Err(sqlx::Error::WorkerCrashed);
        };
        // A statement that was dropped goes on inside SQLite until it is done, or the deadline ends it.
        let ended = if returned.broken { conn.lock_handle().await.map(drop) } else { Ok(()) };
        self.deadline.clear();
        self.conn = Some(conn);
        ended?;
        if matches!(verdict, Ok(Ok(true))) && !returned.failed && !returned.broken {
            return self.say("RELEASE unit").await;
        }
        // Fails when the unit's error ended the whole transaction, as a full disk does, or a write stopped halfway.
        self.say("ROLLBACK TO unit").await?;
        self.say("RELEASE unit").await?;
        // A unit that believes in its success has to hear that it was rolled back.
        if let Some(settled) = waiting.pop() {
            let _ = settled.send(Err(match verdict {
                Err(_) => unit_too_long(),
                Ok(_) => Error::internal("a unit went on after a statement that failed or was dropped"),
            }));
        }
        Ok(())
    }

    async fn begin(&mut self, grant: &mut oneshot::Sender<Result<Loan>>) -> Result<()> {
        if self.conn.is_none() {
            self.conn = Some(open(&self.options, &self.deadline).await?);
        }
        let begun = Instant::now();
        loop {
            match self.say("BEGIN IMMEDIATE").await {
                Ok(()) => return Ok(()),
                Err(error) if sqlite_code(&error) == Some(5) && begun.elapsed() < BUSY_LIMIT => {
                    tokio::select! {
                        () = pause() => {}
                        () = grant.closed() => return Err(Error::unavailable(1, "nobody waits any more")),
                    }
                }
                Err(error) => {
                    self.discard().await;
                    return Err(Error::unavailable(1, error));
                }
            }
        }
    }

    async fn say(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        let conn = self.conn.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        sqlx::query(sql).execute(conn).await.map(drop)
    }

    /// Closing rolls back whatever is open; the next group gets a connection without a past.
    async fn discard(&mut self) {
        if let Some(conn) = self.conn.take() {
            let _ = conn.close().await;
        }
    }
}

/// Opens the write connection. Waiting for a lock is the task's business, except while opening.
async fn open(options: &SqliteConnectOptions, deadline: &Deadline) -> Result<SqliteConnection> {
    let mut conn = SqliteConnection::connect_with(options).await.map_err(store_error)?;
    sqlx::query("PRAGMA busy_timeout = 0").execute(&mut conn).await.map_err(store_error)?;
    let deadline = deadline.clone();
    let mut handle = conn.lock_handle().await.map_err(store_error)?;
    handle.set_progress_handler(STEPS, move || !deadline.is_over());
    drop(handle);
    Ok(conn)
}

/// On a thread of its own: tokio's timer counts whole milliseconds, and so would ask half as often.
pub(super) async fn pause() {
    let _ = tokio::task::spawn_blocking(|| std::thread::sleep(BUSY_PAUSE)).await;
}

/// When the unit's statement has to end, even inside SQLite, which looks at this between its steps.
#[derive(Clone)]
struct Deadline {
    start: Instant,
    /// Milliseconds from the start; `u64::MAX` for none.
    at: Arc<AtomicU64>,
}

impl Default for Deadline {
    fn default() -> Self {
        Self { start: Instant::now(), at: Arc::new(AtomicU64::new(u64::MAX)) }
    }
}

impl Deadline {
    fn set(&self, limit: Duration) {
        let at = (self.start.elapsed() + limit).as_millis();
        self.at.store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn clear(&self) {
        self.at.store(u64::MAX, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.start.elapsed().as_millis() >= u128::from(self.at.load(Ordering::Relaxed))
    }
}
