//! The hosted pages: what people see, and the redirects between them and the applications.
//!
//! ```text
//! GET|POST oauth2/authorize ─┬─> form ──> POST sign-in ─┬─> to the application: a page that goes on, 303, or a form by itself
//! GET      sign-in?client_id ┤     ^                    │
//!          (the login link)  │     ├── wrong password ──┤
//!                            │     └── another account  │
//!                            │              │           │
//!                            ├─> POST select-account ───┤
//!                            └─> signed in already ─────┤
//!                                  POST consent, for applications of others, comes before the end of each
//!
//! GET|POST oauth2/logout ─┬─> asks ──> POST sign-out ─┬─> to the application, or a last page
//!                         └─> an ID token of this ────┘
//!                             very browser session
//! ```

pub mod account;
pub mod assets;
pub mod authorize;
pub mod brand;
mod carried;
pub mod consent;
mod cookie;
pub mod demo;
pub mod device;
pub mod factor;
mod faults;
pub mod forgotten;
mod form;
mod form_post;
pub mod frame;
mod going_on;
pub mod link;
pub mod logout;
pub mod mailbox;
mod note;
mod page;
pub mod pages;
pub mod passkey;
mod policy;
mod redirect;
pub mod select_account;
pub mod sign_in;
pub mod sign_up;
mod theme;

use axum::response::Response;

use self::page::Page;
use crate::error::{Code, Error};

/// A page's answer to a method that it does not know.
pub async fn wrong_method(page: Page) -> Response {
    page.answer(Err(Error::for_people(Code::MethodNotAllowed, |t| &t.errors.wrong_method)))
}

/// The operator reads the cause; the person sees a request id.
fn log_cause(error: &Error) {
    if let Some(cause) = error.cause() {
        tracing::error!(code = error.code().as_str(), cause = format!("{cause:#}"), "page failed");
    }
}
