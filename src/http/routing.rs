//! Routes, and what answers at each.
//!
//! A handler is made one type with all others before axum sees it: what axum builds around a handler is compiled once and not
//! for each of three hundred, and the start, which builds the router, does not bring the code of every one of them into memory.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::{self, MethodRouter};

use crate::app::App;

/// Paths with what answers there.
#[derive(Default)]
pub struct Routes(Vec<(String, Methods)>);

/// What answers at one path.
pub struct Methods(MethodRouter<Arc<App>>);

pub type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A function of what can be taken from a request, `T`, to what can be answered.
pub trait Answers<T>: Handler<T, Arc<App>, Future = Answering> {}

impl<T, H: Handler<T, Arc<App>, Future = Answering>> Answers<T> for H {}

/// Any of them.
#[derive(Clone)]
struct Erased(Arc<dyn Fn(Request, Arc<App>) -> Answering + Send + Sync>);

impl Handler<(), Arc<App>> for Erased {
    type Future = Answering;

    fn call(self, request: Request, app: Arc<App>) -> Answering {
        (self.0)(request, app)
    }
}

fn erased<T: 'static>(handler: impl Answers<T>) -> Erased {
    Erased(Arc::new(move |request, app| handler.clone().call(request, app)))
}

macro_rules! first {
    ($($method:ident),*) => {$(
        pub fn $method<T: 'static>(handler: impl Answers<T>) -> Methods {
            Methods(routing::$method(erased(handler)))
        }
    )*};
}

macro_rules! further {
    ($($method:ident),*) => {$(
        #[must_use]
        pub fn $method<T: 'static>(self, handler: impl Answers<T>) -> Self {
            Self(self.0.$method(erased(handler)))
        }
    )*};
}

first!(get, post, put, patch, delete);

impl Methods {
    further!(head, post, put, patch, delete);

    /// For all other methods.
    #[must_use]
    pub fn fallback<T: 'static>(self, handler: impl Answers<T>) -> Self {
        Self(self.0.fallback(erased(handler)))
    }
}

impl Routes {
    #[must_use]
    pub fn route(mut self, path: &str, methods: Methods) -> Self {
        self.0.push((path.to_owned(), methods));
        self
    }

    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Others, below a path.
    #[must_use]
    pub fn nest(mut self, below: &str, others: Self) -> Self {
        self.0.extend(others.0.into_iter().map(|(path, methods)| (format!("{below}{path}"), methods)));
        self
    }

    /// # Panics
    /// When a path is none, or two routes answer the same.
    pub fn into_router(self) -> Router<Arc<App>> {
        self.0.into_iter().fold(Router::new(), |router, (path, methods)| router.route(&path, methods.0))
    }
}
