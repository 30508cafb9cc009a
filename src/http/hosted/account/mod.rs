//! The account page: a page for each matter, for a browser that is signed in. The decisions are those of
//! [`crate::identity::account`]; `/api/account` is their other face.
//!
//! ```text
//! GET account/… ─┬─> the page ──> POST account/… ─┬─> 303 to the page, which says what was done
//!                │                                ├─> the page again, with what is wrong
//!                └─> nobody is signed in, or not   └─> signed out, deleted: a last page
//!                    lately enough: sign-in ──> back to the page
//! ```

pub mod consents;
pub mod data;
pub mod deletion;
pub mod email;
mod enter;
mod factor_names;
pub mod factors;
pub mod overview;
pub mod passkeys;
pub mod password;
mod place;
pub mod profile;
mod profile_fields;
mod rows;
pub mod sessions;
mod shell;
mod when;

use axum::response::Response;

pub use self::sessions::device_in_words;
use super::page::Page;
use super::{sign_in, wrong_method};
use crate::http::routing::{Answers, Methods, Routes, get};

/// Under `/projects/{project}`.
pub fn routes() -> Routes {
    Routes::default()
        .route("/account", seen(overview::show).fallback(wrong_method))
        .route("/account/profile", seen(profile::show).post(profile::submit).fallback(wrong_method))
        .route("/account/email", seen(email::show).post(email::submit).fallback(wrong_method))
        .route("/account/password", seen(password::show).post(password::submit).fallback(wrong_method))
        .route("/account/factors", seen(factors::show).post(factors::submit).fallback(wrong_method))
        .route(
            "/account/factors/app",
            seen(factors::show_app).post(factors::submit_app).fallback(wrong_method),
        )
        .route("/account/factors/passkey", seen(passkeys::show).post(passkeys::submit).fallback(wrong_method))
        .route(
            "/account/factors/passkey/{id}",
            seen(factor_names::show).post(factor_names::submit).fallback(wrong_method),
        )
        .route(
            "/account/factors/app/{id}",
            seen(factor_names::show).post(factor_names::submit).fallback(wrong_method),
        )
        .route("/account/sessions", seen(sessions::show).post(sessions::submit).fallback(wrong_method))
        .route("/account/consents", seen(consents::show).post(consents::submit).fallback(wrong_method))
        .route("/account/data", seen(data::show).post(data::submit).fallback(wrong_method))
        .route("/account/delete", seen(deletion::show).post(deletion::submit).fallback(wrong_method))
        // A Well-Known URL for Changing Passwords: password managers know the way.
        .route("/.well-known/change-password", get(password::well_known).fallback(wrong_method))
}

/// GET, and HEAD like a GET of a browser that is not signed in.
fn seen<T: 'static>(show: impl Answers<T>) -> Methods {
    get(show).head(head)
}

/// Nobody learns from a HEAD whether somebody is signed in, and it sets no cookie.
async fn head(page: Page) -> Response {
    sign_in::without_cookie(overview::show(page.without_browser()).await)
}
