//! Work that its caller cannot cancel.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Runs within its caller for as long as that waits; dropped halfway, it goes on in a task of its own.
///
/// axum drops a handler when its client hangs up, and a sign-out half done would be the worst of both. A task from the
/// beginning would do as well, and wakes another thread twice for each request.
pub struct ToTheEnd<F>(Option<Pin<Box<F>>>)
where
    F: Future + Send + 'static,
    F::Output: Send;

impl<F> ToTheEnd<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    pub fn new(work: F) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<F> Future for ToTheEnd<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let done = work.as_mut().poll(context);
        if done.is_ready() {
            self.0 = None;
        }
        done
    }
}

impl<F> Drop for ToTheEnd<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn drop(&mut self) {
        // Without a runtime the whole process is ending.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn dropped_work_goes_on_from_where_it_was() {
        let (go, wait) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let (begun, mut beginning) = oneshot::channel();
        let mut work = ToTheEnd::new(async move {
            begun.send(()).unwrap();
            wait.await.unwrap();
            done.send("whole").unwrap();
        });
        let polled = std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut work).poll(context)));
        assert!(polled.await.is_pending());
        assert!(beginning.try_recv().is_ok(), "it runs within its caller");
        drop(work);
        go.send(()).unwrap();
        assert_eq!(ended.await, Ok("whole"));
    }

    #[tokio::test]
    async fn what_has_ended_does_not_run_again() {
        let mut work = ToTheEnd::new(async { 7 });
        assert_eq!((&mut work).await, 7);
        drop(work);
    }
}
