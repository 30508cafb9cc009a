//! Connections: taken in, served over HTTP/1.1, and ended when they keep us waiting.
//!
//! Nobody holds a place for ever: a head that does not arrive, a body that does not follow, an answer that is not taken
//! and a connection that nobody uses each have a limit. One task looks after all connections (`state.rs`), so a
//! request itself sets no timer.

mod io;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tower::Service;

use self::io::Watched;
pub use self::state::Connection;
use self::state::{Limits, Open, Phase};
use crate::app::App;

/// A request line with its headers is at most this many bytes: room for the largest access token, twice.
const MOST_HEAD_BYTES: usize = 64 * 1024;

/// Without files or memory for another connection, the next try comes so much later.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop`; then takes in nobody else, and ends when the last request under way has its answer.
pub async fn serve(app: Arc<App>, listener: TcpListener, stop: impl Future<Output = ()>) {
    let server = &app.server;
    let places = Arc::new(Semaphore::new(server.max_connections));
    let open = Open::new(Limits {
        head: server.header_timeout,
        body: server.body_timeout,
        idle: server.idle_timeout,
    });
    let router = super::router(app.clone());
    let graceful = GracefulShutdown::new();
    let taking_in = async {
        loop {
            let (stream, peer, place) = next(&listener, &places, &open).await;
            let connection = open.add(peer);
            let tls = app.tls.as_ref().map(|tls| tls.acceptor());
            tokio::spawn(take_in(stream, tls, connection, router.clone(), graceful.watcher(), place));
        }
    };
    tokio::select! {
        () = stop => {}
        () = taking_in => {}
        () = open.look_after() => {}
        () = renew(&app) => {}
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = open.look_after() => {}
    }
}

/// The next connection, as soon as there is a place for it; those behind it wait in the system's queue.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    open: &Open,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place(places, open).await),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken in");
                open.making_room(tokio::time::sleep(PAUSE)).await;
            }
        }
    }
}

async fn place(places: &Arc<Semaphore>, open: &Open) -> Option<OwnedSemaphorePermit> {
    match Arc::clone(places).try_acquire_owned() {
        Ok(place) => Some(place),
        // Fails only when the semaphore is closed, and nobody closes it.
        Err(_) => open.making_room(Arc::clone(places).acquire_owned()).await.ok(),
    }
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Keeps our certificate new, if we have one.
async fn renew(app: &App) {
    match &app.tls {
        Some(tls) => tls.keep_reading().await,
        None => std::future::pending().await,
    }
}

/// One connection, to its end. A handshake has the time of a first head, and is over with it.
async fn take_in(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    connection: Arc<Connection>,
    router: Router,
    watcher: Watcher,
    _place: Option<OwnedSemaphorePermit>,
) {
    // An answer is written at once and whole, so there is nothing that its last packet could wait for.
    let _ = stream.set_nodelay(true);
    let stream = Watched::new(stream, connection.clone());
    match tls {
        None => converse(stream, connection, router, watcher).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => converse(stream, connection, router, watcher).await,
            Err(error) => tracing::debug!(%error, "a handshake failed"),
        },
    }
}

async fn converse<S>(stream: S, connection: Arc<Connection>, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let service = service_fn(move |mut request: Request<Incoming>| {
        connection.enter(Phase::Working);
        request.extensions_mut().insert(connection.clone());
        let answer = router.clone().call(request.map(Body::new));
        let connection = connection.clone();
        async move {
            let answer = answer.await;
            connection.enter(Phase::Answered);
            answer
        }
    });
    let served = http1::Builder::new().max_buf_size(MOST_HEAD_BYTES).serve_connection(io, service);
    // What ends a connection early is the peer's affair, or a limit of ours.
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
