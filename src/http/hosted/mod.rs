//! The hosted pages: what people see, and the redirects between them and the applications.
//!
//! ```text
//! GET|POST oauth2/authorize ─┬─> form ──> POST sign-in ─┬─> 303 to the application
//! GET      sign-in?client_id ┤     ^                    │
//!          (the login link)  │     └── wrong password ──┤
//!                            └─> signed in already ─────┘
//! ```

pub mod assets;
pub mod authorize;
mod cookie;
pub mod demo;
mod form;
mod page;
pub mod pages;
mod policy;
mod redirect;
pub mod sign_in;

use axum::response::Response;

use self::page::Page;
use crate::error::{Code, Error};

/// A page's answer to a method that it does not know.
pub async fn wrong_method(page: Page) -> Response {
    page.answer(Err(Error::new(Code::MethodNotAllowed, "This address takes another kind of request.")))
}

/// The operator reads the cause; the person sees a request id.
fn log_cause(error: &Error) {
    if let Some(cause) = error.cause() {
        tracing::error!(code = error.code().as_str(), cause = format!("{cause:#}"), "page failed");
    }
}
