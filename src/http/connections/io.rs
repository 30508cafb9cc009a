//! The bytes of a connection, and what they say about its phase.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::state::{Connection, Phase};

/// A stream that notes what comes and goes, and fails when the connection's time is over.
pub(super) struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Watched {
    pub fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }

    /// A wait may end with the connection's time; progress after an answer leads to `phase`.
    fn note<T>(
        &self,
        cx: &Context<'_>,
        polled: Poll<io::Result<T>>,
        progress: impl FnOnce(&T) -> bool,
        phase: Phase,
    ) -> Poll<io::Result<T>> {
        let goes_on = match &polled {
            Poll::Pending => self.connection.may_wait(cx),
            Poll::Ready(Ok(done)) if progress(done) && self.connection.phase() == Phase::Answered => {
                self.connection.enter(phase)
            }
            Poll::Ready(_) => true,
        };
        if goes_on { polled } else { Poll::Ready(Err(ErrorKind::TimedOut.into())) }
    }
}

impl AsyncRead for Watched {
    /// The first bytes after an answer begin the next request.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.note(cx, polled, |()| buffer.filled().len() > before, Phase::Head)
    }
}

impl AsyncWrite for Watched {
    /// A peer that takes a part of the answer is not idle.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.connection.check_answer()?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(cx, polled, |written| *written > 0, Phase::Answered)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.connection.check_answer()?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(cx, polled, |written| *written > 0, Phase::Answered)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
