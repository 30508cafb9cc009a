//! One statement for all who wait: while one is on its way those who come gather, and the next serves all of them. An answer is
//! never older than its question: a statement serves only who was waiting when it was sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::db::Db;
use crate::error::{Code, Error, Result};

/// Statements of one kind on their way at the same time, at most.
const AT_ONCE: usize = 2;

/// A statement that takes longer does not hold up those who come.
const SLOW: Duration = Duration::from_millis(10);

/// What is asked of the store for many at once.
pub trait Together: 'static {
    type Asked: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// How many are served together at most.
    const MOST: usize;

    /// As many answers as were asked for, in the same order.
    fn serve(db: &Db, asked: Vec<Self::Asked>) -> impl Future<Output = Result<Vec<Self::Answer>>> + Send;
}

/// Where those gather who want the same of the store. Cloning it shares the queue.
pub struct Gather<T: Together> {
    db: Db,
    queue: Arc<Mutex<Queue<T>>>,
}

impl<T: Together> Clone for Gather<T> {
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), queue: Arc::clone(&self.queue) }
    }
}

struct Queue<T: Together> {
    waiting: Vec<(T::Asked, Answering<T>)>,
    /// Servers at work.
    servers: usize,
    /// When the last statement set out.
    sent: Instant,
}

type Answering<T> = oneshot::Sender<Result<<T as Together>::Answer>>;

/// What is asked, and by whom, in the same order.
type Batch<T> = (Vec<<T as Together>::Asked>, Vec<Answering<T>>);

impl<T: Together> Gather<T> {
    pub fn new(db: Db) -> Self {
        Self {
            db,
            queue: Arc::new(Mutex::new(Queue { waiting: Vec::new(), servers: 0, sent: Instant::now() })),
        }
    }

    pub fn db(&self) -> &Db {
        &self.db
    }

    /// # Errors
    /// `temporarily_unavailable` when the store is away, or does not answer within the limit of one call.
    pub async fn ask(&self, asked: T::Asked) -> Result<T::Answer> {
        let (answer, told) = oneshot::channel();
        if self.enqueue(asked, answer) {
            let server = Server { gather: self.clone(), counted: true };
            tokio::spawn(server.serve());
        }
        match tokio::time::timeout(self.db.call_limit(), told).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::internal("a shared statement ended without an answer")),
            Err(_) => Err(Error::unavailable(1, "the shared statement took too long")),
        }
    }

    /// Whether another server is wanted; it is counted already. A second one is for when more wait than one serves, or the first
    /// one's statement takes long.
    fn enqueue(&self, asked: T::Asked, answer: Answering<T>) -> bool {
        let mut queue = self.queue();
        queue.waiting.push((asked, answer));
        let is_behind = queue.waiting.len() >= T::MOST || queue.sent.elapsed() > SLOW;
        let wanted = queue.servers == 0 || (queue.servers < AT_ONCE && is_behind);
        queue.servers += usize::from(wanted);
        wanted
    }

    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// However it ends, its place becomes free.
struct Server<T: Together> {
    gather: Gather<T>,
    counted: bool,
}

impl<T: Together> Drop for Server<T> {
    fn drop(&mut self) {
        if !self.counted {
            return;
        }
        // It panicked, or the runtime ends. Whoever waits and has no server is told so at once.
        let mut queue = self.gather.queue();
        queue.servers -= 1;
        let stranded = if queue.servers == 0 { std::mem::take(&mut queue.waiting) } else { Vec::new() };
        drop(queue);
        drop(stranded);
    }
}

impl<T: Together> Server<T> {
    /// Serves until nobody waits.
    async fn serve(mut self) {
        loop {
            // Whoever is about to ask comes along: the statement sets out when its thread has nothing else to do.
            tokio::task::yield_now().await;
            let Some((asked, waiting)) = self.next() else { return };
            match T::serve(&self.gather.db, asked).await {
                Ok(answers) => {
                    // Somebody who does not wait any more needs no answer.
                    for (answering, answer) in waiting.into_iter().zip(answers) {
                        let _ = answering.send(Ok(answer));
                    }
                }
                Err(error) => {
                    for answering in waiting {
                        let _ = answering.send(Err(again(&error)));
                    }
                }
            }
        }
    }

    /// Those who wait longest. `None` ends the server, and is found under the same lock that others come in by, so that
    /// nobody counts on a server that has looked for the last time.
    fn next(&mut self) -> Option<Batch<T>> {
        let mut queue = self.gather.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.retain(|(_, answering)| !answering.is_closed());
        let most = queue.waiting.len().min(T::MOST);
        if most == 0 {
            queue.servers -= 1;
            self.counted = false;
            return None;
        }
        queue.sent = Instant::now();
        Some(queue.waiting.drain(..most).unzip())
    }
}

/// The same failure, for another one who waited.
fn again(error: &Error) -> Error {
    let cause = error.cause().map(|cause| format!("{cause:#}")).unwrap_or_default();
    match error.code() {
        Code::TemporarilyUnavailable => Error::unavailable(error.retry_after().unwrap_or(1), cause),
        _ => Error::internal(cause),
    }
}
